// The plots. Colours come from the style sheet, so they follow the light or dark scheme.

const chart = { forest: DATA.headline[0], matrix: DATA.headline[0], x: null, y: null };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Plotly reads a little HTML in labels; an agent's name is not HTML.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function short(agent, length = NARROW.matches ? 14 : 28) {
  const name = agent.name.length > length ? `${agent.name.slice(0, length - 1)}…` : agent.name;
  return plain(name + (agent.reference ? " (ref)" : ""));
}

function draw(id, traces, layout, label) {
  const base = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: colour("text") },
    hoverlabel: { align: "left", bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("text") } },
    margin: { l: 8, r: 16, t: 12, b: 48 },
    showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("accent") },
    dragmode: false,
  };
  const buttons = [["toImage"]];
  const config = { responsive: true, displaylogo: false, modeBarButtons: buttons, scrollZoom: false };
  const node = byId(id);
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  return Plotly.react(node, traces, { ...base, ...layout }, config);
}

const axis = (extra = {}) => ({
  gridcolor: colour("grid"),
  linecolor: colour("line"),
  zerolinecolor: colour("line"),
  automargin: true,
  fixedrange: true,
  ...extra,
});

const hover = (agent, metric) => {
  const [value, low, high, n] = score(agent, metric);
  return `${METRIC[metric].label} ${figure(value, metric)} [${figure(low, metric)}, ${figure(high, metric)}], ${n} episodes`;
};

const bars = (agents, metric) => {
  const of = (k) => agents.map((agent) => score(agent, metric)[k]);
  const value = of(0);
  return {
    type: "data",
    symmetric: false,
    array: of(2).map((high, i) => (high === null ? 0 : high - value[i])),
    arrayminus: of(1).map((low, i) => (low === null ? 0 : value[i] - low)),
    thickness: 1.5,
    width: 4,
  };
};

// -- forest plot -----------------------------------------------------------------------------------------------

function drawForest() {
  const metric = chart.forest;
  const agents = ordered(metric).map((i) => DATA.agents[i]).filter((agent) => score(agent, metric)[0] !== null);
  const shades = agents.map((agent) => colour(agent.reference ? "reference" : "accent"));
  const rows = agents.map((_, k) => k);
  const traces = rows.map((k) => ({
    type: "scatter",
    mode: "markers",
    x: [score(agents[k], metric)[0]],
    y: [k],
    error_x: { ...bars([agents[k]], metric), color: shades[k] },
    marker: { size: 10, color: shades[k], symbol: agents[k].reference ? "diamond-open" : "circle" },
    text: [`<b>${plain(agents[k].name)}</b><br>${hover(agents[k], metric)}`],
    hovertemplate: "%{text}<extra></extra>",
  }));
  const names = agents.map((agent) => short(agent));
  const layout = {
    height: 34 * agents.length + 80,
    xaxis: axis({ title: { text: METRIC[metric].label } }),
    yaxis: axis({ tickvals: rows, ticktext: names, range: [agents.length - 0.5, -0.5], zeroline: false, ticks: "" }),
  };
  byId("forest-note").textContent = `${direction(METRIC[metric])} Best on top; open diamonds are references.`;
  draw("forest", traces, layout, `Forest plot of ${METRIC[metric].label}: the values are those of the board`);
}

// -- matrix of paired differences ------------------------------------------------------------------------------

function pairTable(metric) {
  const table = {};
  for (const [a, b, difference, low, high, n, relative, superior] of DATA.pairs[metric] || []) {
    table[`${a},${b}`] = { difference, low, high, n, superior };
    const flip = (value) => (value === null ? null : -value);
    const other = superior === null ? null : 1 - superior;
    table[`${b},${a}`] ??= { difference: flip(difference), low: flip(high), high: flip(low), n, superior: other };
  }
  return table;
}

const toldApart = (pair) => pair.low !== null && (pair.low > 0 || pair.high < 0);

function matrixHover(row, column, pair, metric) {
  const verdict = toldApart(pair) ? "the interval excludes 0" : "the interval includes 0: not told apart";
  return (
    `<b>${plain(row.name)}</b> minus <b>${plain(column.name)}</b><br>${METRIC[metric].label} ` +
    `${figure(pair.difference, metric, true)} [${figure(pair.low, metric, true)}, ${figure(pair.high, metric, true)}]` +
    `<br>${verdict}<br>${pair.n} shared episodes; higher in ${number(100 * (pair.superior ?? 0), 1)} % of resamples`
  );
}

function drawMatrix() {
  const metric = chart.matrix;
  const table = pairTable(metric);
  const paired = new Set(Object.keys(table).flatMap((key) => key.split(",").map(Number)));
  const order = ordered(metric).filter((i) => paired.has(i));
  const grid = (cell) =>
    order.map((i) => order.map((j) => (table[`${i},${j}`] ? cell(table[`${i},${j}`], i, j) : null)));
  const sign = METRIC[metric].higher ? 1 : -1;
  const names = order.map((i) => short(DATA.agents[i], 18));
  const ticks = { tickvals: order.map((_, k) => k), ticktext: names, showgrid: false, zeroline: false, ticks: "" };
  const shown = grid((pair) => sign * pair.difference);
  const most = Math.max(1e-9, ...shown.flat().map((value) => Math.abs(value ?? 0)));
  const trace = {
    type: "heatmap",
    z: shown,
    zmin: -most,
    zmax: most,
    colorscale: [[0, colour("worse")], [0.5, colour("neutral")], [1, colour("better")]],
    showscale: false,
    xgap: 2,
    ygap: 2,
    hoverongaps: false,
    customdata: grid((pair, i, j) => matrixHover(DATA.agents[i], DATA.agents[j], pair, metric)),
    hovertemplate: "%{customdata}<extra></extra>",
  };
  const annotations = order.flatMap((i, k) =>
    order.flatMap((j, m) => {
      const pair = table[`${i},${j}`];
      if (!pair || pair.difference === null) return [];
      const value = figure(pair.difference, metric, true);
      const text = toldApart(pair) ? `<b>${value}*</b>` : value;
      return [{ x: m, y: k, text, showarrow: false, font: { size: 12, color: colour("text") } }];
    }),
  );
  const layout = {
    height: 40 * order.length + 120,
    margin: { l: 8, r: 40, t: 12, b: 8 },
    annotations,
    xaxis: axis({ ...ticks, side: "top", tickangle: order.length > 5 || NARROW.matches ? -45 : 0 }),
    yaxis: axis({ ...ticks, autorange: "reversed" }),
  };
  byId("matrix").style.minWidth = `${74 * order.length + 150}px`;
  byId("matrix").hidden = !order.length;
  byId("matrix-note").textContent = order.length
    ? `Row minus column on the same tasks and the same customer randomness. Blue: the row is better; orange: worse. ` +
      `A bold value with * has a 95 % interval that excludes 0. ${direction(METRIC[metric])}`
    : "No paired differences were computed for this metric.";
  if (order.length) draw("matrix", [trace], layout, `Paired differences of ${METRIC[metric].label}, row minus column`);
}

// -- trade-off -------------------------------------------------------------------------------------------------

// Agents that no other ranked agent beats on one axis without losing on the other, in the order of x.
function front(agents) {
  const at = (agent) => [score(agent, chart.x)[0], score(agent, chart.y)[0]];
  const beats = (a, b) => {
    const [ax, ay, bx, by] = [...at(a), ...at(b)];
    const noWorse = !better(chart.x, bx, ax) && !better(chart.y, by, ay);
    return noWorse && (better(chart.x, ax, bx) || better(chart.y, ay, by));
  };
  const ranked = agents.filter((agent) => !agent.reference);
  return ranked.filter((agent) => !ranked.some((other) => beats(other, agent))).sort((a, b) => at(a)[0] - at(b)[0]);
}

const onTheRight = (x) => x.map((value) => value > (Math.max(...x) + Math.min(...x)) / 2);

// An agent whose label would cover another's joins that label as "+1". Sizes in pixels are estimates.
function pointLabels(agents, x, y) {
  const scale = (values, size) => {
    const least = Math.min(...values);
    return values.map((value) => (size * (value - least)) / (Math.max(...values) - least || 1));
  };
  const [across, up] = [scale(x, 0.85 * (byId("pareto").clientWidth - 110)), scale(y, 300)];
  const right = onTheRight(x);
  const names = agents.map((agent) => short(agent, 20));
  const boxes = [];
  const order = [...agents.keys()].sort((a, b) => agents[a].reference - agents[b].reference);
  order.forEach((i) => {
    const width = 7 * (names[i].length + 3) + 8;
    const start = right[i] ? across[i] - width : across[i];
    const hit = boxes.find((b) => Math.abs(b.up - up[i]) < 18 && start < b.start + b.width && b.start < start + width);
    if (hit) hit.more += 1;
    else boxes.push({ i, start, width, up: up[i], more: 0 });
  });
  const found = Object.fromEntries(boxes.map((box) => [box.i, box.more ? ` +${box.more}` : ""]));
  return names.map((name, i) => (i in found ? name + found[i] : ""));
}

function drawPareto() {
  const agents = ordered(chart.y)
    .map((i) => DATA.agents[i])
    .filter((agent) => score(agent, chart.x)[0] !== null && score(agent, chart.y)[0] !== null);
  const of = (metric, list = agents) => list.map((agent) => score(agent, metric)[0]);
  const [x, y] = [of(chart.x), of(chart.y)];
  const shades = agents.map((agent) => colour(agent.reference ? "reference" : agent.backbone === "lm" ? "second" : "accent"));
  const edge = front(agents);
  const whisker = { thickness: 1, width: 0, color: colour("faint") };
  const traces = [
    {
      type: "scatter",
      mode: "lines",
      x: of(chart.x, edge),
      y: of(chart.y, edge),
      line: { color: colour("line"), width: 2, dash: "dot" },
      hoverinfo: "skip",
    },
    {
      type: "scatter",
      mode: "markers+text",
      x,
      y,
      text: pointLabels(agents, x, y),
      textposition: onTheRight(x).map((right) => (right ? "top left" : "top right")),
      textfont: { size: 12 },
      cliponaxis: false,
      error_x: { ...bars(agents, chart.x), ...whisker },
      error_y: { ...bars(agents, chart.y), ...whisker },
      marker: { size: 11, color: shades, symbol: agents.map((agent) => (agent.reference ? "diamond-open" : "circle")) },
      customdata: agents.map((agent) => `<b>${plain(agent.name)}</b><br>${hover(agent, chart.x)}<br>${hover(agent, chart.y)}`),
      hovertemplate: "%{customdata}<extra></extra>",
    },
  ];
  const layout = {
    height: 440,
    margin: { l: 8, r: 24, t: 24, b: 48 },
    xaxis: axis({ title: { text: METRIC[chart.x].label } }),
    yaxis: axis({ title: { text: METRIC[chart.y].label } }),
  };
  const side = (metric) => `${METRIC[metric].label}: ${METRIC[metric].higher ? "higher" : "lower"} is better`;
  const filled = agents.some((agent) => agent.backbone === "lm") ? ", purple: language models" : "";
  byId("pareto-note").textContent =
    `${side(chart.x)}; ${side(chart.y)}. Dotted: ranked agents that no other beats on both axes. Open diamonds: references${filled}. ` +
    `“+2” means that two more agents are close by.`;
  draw("pareto", traces, layout, `${METRIC[chart.y].label} against ${METRIC[chart.x].label} of every agent`);
}

// -- start -----------------------------------------------------------------------------------------------------

const drawCharts = () => [drawForest, drawMatrix, drawPareto].forEach((drawOne) => drawOne());

function startCharts() {
  const names = DATA.metrics.map((metric) => metric.name);
  chart.x = DATA.pareto[0] ?? names[1] ?? names[0];
  chart.y = DATA.pareto[1] ?? names[0];
  const choose = (box, id, text, key, drawOne) =>
    picker(byId(box), id, text, metricOptions(), chart[key], (metric) => {
      chart[key] = metric;
      drawOne();
    });
  choose("forest-controls", "forest-metric", "Metric", "forest", drawForest);
  choose("matrix-controls", "matrix-metric", "Metric", "matrix", drawMatrix);
  choose("pareto-controls", "pareto-x", "Across", "x", drawPareto);
  choose("pareto-controls", "pareto-y", "Up", "y", drawPareto);
  drawCharts();
  DARK.addEventListener("change", drawCharts);
  NARROW.addEventListener("change", drawCharts);
}

startCharts();
