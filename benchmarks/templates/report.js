// Shared helpers and the board. Text from agents and users only ever enters the page as text nodes.

const DATA = JSON.parse(document.getElementById("data").textContent);
const METRIC = Object.fromEntries(DATA.metrics.map((metric) => [metric.name, metric]));
const byId = (id) => document.getElementById(id);
const NARROW = window.matchMedia("(max-width: 640px)");
const DARK = window.matchMedia("(prefers-color-scheme: dark)");

// An element with properties ("aria-…" and "data-…" become attributes) and children; strings become text nodes.
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (/^(aria|data)-|^(role|scope|for|tabindex|rowspan|colspan)$/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function number(value, digits = 3, sign = false) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits);
  const negative = value < 0 && Number(text) !== 0;
  return (negative ? "−" : sign && Number(text) !== 0 ? "+" : "") + text;
}

// As `number`, without trailing zeros: 0.25 and 3 instead of 0.250 and 3.000.
const brief = (value, sign = false) => number(value, 3, sign).replace(/\.?0+$/, "");

// A labelled <select>; options are [value, text] pairs.
function picker(box, name, text, options, value, onChange) {
  const select = el("select", { id: name, onchange: () => onChange(select.value) });
  select.append(...options.map(([key, shown]) => el("option", { value: key, selected: key === value }, shown)));
  box.append(el("label", { for: name }, el("span", {}, text), select));
  return select;
}

const metricOptions = () => DATA.metrics.map((metric) => [metric.name, metric.label]);
const direction = (metric) => (metric.higher ? "Higher is better." : "Lower is better.");
const score = (agent, metric) => agent.scores[metric] || [null, null, null, 0];

// All values of a metric get the same number of decimals.
for (const metric of DATA.metrics) {
  const most = Math.max(...DATA.agents.map((agent) => Math.abs(score(agent, metric.name)[2] ?? 0)));
  metric.digits = most >= 100 ? 0 : most >= 20 ? 1 : most > 1 ? 2 : 3;
}
const figure = (value, metric, sign = false) => number(value, METRIC[metric].digits, sign);
const better = (metric, a, b) => (METRIC[metric].higher ? a > b : a < b);

// Agent numbers, best first on a metric; agents without a value last.
function ordered(metric, agents = DATA.agents.map((_, i) => i)) {
  const value = (i) => score(DATA.agents[i], metric)[0];
  const sign = METRIC[metric].higher ? -1 : 1;
  return [...agents].sort((a, b) => (value(a) === null) - (value(b) === null) || sign * (value(a) - value(b)));
}

// -- explanations on hover and focus ---------------------------------------------------------------------------

function showTip(event) {
  const owner = event.target.closest?.("[data-tip]");
  const tip = byId("tip");
  if (!owner) return;
  tip.textContent = owner.dataset.tip;
  tip.hidden = false;
  const box = owner.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = box.bottom + 6 + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - tip.offsetHeight - 6)}px`;
  owner.setAttribute("aria-describedby", "tip");
}

function hideTip() {
  byId("tip").hidden = true;
  document.querySelectorAll("[aria-describedby=tip]").forEach((node) => node.removeAttribute("aria-describedby"));
}

document.addEventListener("mouseover", (event) => {
  hideTip();
  showTip(event);
});
document.addEventListener("focusin", showTip);
document.addEventListener("focusout", hideTip);
document.addEventListener("scroll", hideTip, true);
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

// -- the board -------------------------------------------------------------------------------------------------

const ALL = "all";
const view = { metric: DATA.headline[0], scope: ALL, key: "rank", descending: false };

const rankOf = (i) => DATA.ranks[view.scope][view.metric][i];
const inScope = (agent) => view.scope === ALL || agent.reference || (agent.backbone || "none") === view.scope;

function boardColumns() {
  const metrics = [...new Set([view.metric, ...DATA.headline])];
  const plain = (key, text, tip) => ({ key, text, tip, metric: null });
  const about = [
    plain("backbone", "Backbone", "What the agent runs on: net is a compact policy network, lm a language model."),
  ];
  const learnt = [
    plain("seeds", "Seeds", "Training runs with different seeds; intervals are over tasks and seeds."),
    plain("env_steps", "Environment steps", "Steps in the environment that each training run has learnt from."),
  ];
  return [
    plain("rank", "Rank", "Rank on the chosen metric. Agents that the comparison cannot tell apart share a rank (=)."),
    plain("name", "Agent", "References show what is possible; they are never ranked."),
    ...(NARROW.matches ? [] : about), // a phone shows the values first
    ...metrics.map((name) => {
      const { label, explanation } = METRIC[name];
      return { key: name, text: label, metric: name, tip: `${explanation} ${direction(METRIC[name])}`.trim() };
    }),
    ...(NARROW.matches ? about : []),
    ...(DATA.agents.some((agent) => agent.seeds > 1) ? learnt : []),
    plain("episodes", "Episodes", "Dialogues that the agent was scored on."),
  ];
}

function sortedAgents() {
  const place = Object.fromEntries(ordered(view.metric).map((i, k) => [i, k]));
  const last = DATA.agents.length;
  const value = (i) => {
    const agent = DATA.agents[i];
    if (view.key === "rank") return (rankOf(i) ? 0 : agent.reference ? 2 * last : last) + place[i];
    if (view.key in METRIC) return score(agent, view.key)[0];
    return view.key === "backbone" ? agent.backbone || "" : agent[view.key];
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  const sign = view.descending ? -1 : 1;
  return [...DATA.agents.keys()]
    .filter((i) => inScope(DATA.agents[i]))
    .sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * compare(x, y) || place[a] - place[b];
    });
}

function sortBy(column) {
  const first = column.metric ? METRIC[column.metric].higher : false;
  view.descending = view.key === column.key ? !view.descending : first;
  view.key = column.key;
  drawBoard();
  byId("board-table").querySelector(`[data-key="${CSS.escape(column.key)}"]`).focus();
}

function headerCell(column) {
  const sorted = view.key === column.key;
  const arrow = sorted ? (view.descending ? "▼" : "▲") : "↕";
  const button = el("button", { type: "button", "data-key": column.key, "data-tip": column.tip }, `${column.text}\u00a0`);
  button.append(el("span", { className: sorted ? "arrow" : "arrow idle", "aria-hidden": "true" }, arrow));
  button.addEventListener("click", () => sortBy(column));
  const order = sorted ? (view.descending ? "descending" : "ascending") : "none";
  const classes = [column.metric ? "figure" : "", column.metric === view.metric ? "chosen" : "", `col-${column.key}`];
  return el("th", { scope: "col", "aria-sort": order, className: classes.join(" ") }, button);
}

function bodyCell(column, i) {
  const agent = DATA.agents[i];
  if (column.key === "rank") {
    const found = rankOf(i);
    const text = found ? `${found[0]}${found[1] ? "=" : ""}` : "–";
    return el("td", { className: found?.[0] === 1 ? "rank first" : "rank" }, text);
  }
  if (column.key === "name") {
    const badge = agent.reference ? el("span", { className: "badge" }, "reference") : null;
    return el("th", { scope: "row", className: "agent" }, el("span", { className: "name" }, agent.name), badge);
  }
  if (column.metric) {
    const [value, low, high, n] = score(agent, column.metric);
    const classes = column.metric === view.metric ? "figure chosen" : "figure";
    if (value === null) return el("td", { className: classes, "data-tip": "not judged on any episode" }, "–");
    const interval = el("span", { className: "interval" }, `[${figure(low, column.metric)}, ${figure(high, column.metric)}]`);
    return el("td", { className: classes, "data-tip": `on ${n} episodes` }, el("b", {}, figure(value, column.metric)), " ", interval);
  }
  const value = agent[column.key];
  return el("td", {}, typeof value === "number" ? value.toLocaleString("en") : value || "–");
}

function drawBoard() {
  const columns = boardColumns();
  const rows = sortedAgents().map((i) =>
    el("tr", { className: DATA.agents[i].reference ? "reference" : "" }, columns.map((column) => bodyCell(column, i))),
  );
  const head = el("thead", {}, el("tr", {}, columns.map(headerCell)));
  byId("board-table").replaceChildren(head, el("tbody", {}, rows));
  const { label, explanation } = METRIC[view.metric];
  const across = view.scope === ALL && DATA.scopes.length > 1 ? " Ranked across backbones." : "";
  byId("board-note").textContent =
    `Ranked by ${label}. ${explanation} ${direction(METRIC[view.metric])} “2=” is a tie: this ` +
    `comparison cannot tell the agents apart. Brackets are 95 % intervals.${across}`;
}

function startBoard() {
  const box = byId("board-controls");
  const rank = (metric) => {
    Object.assign(view, { metric, key: "rank", descending: false });
    drawBoard();
  };
  picker(box, "board-metric", "Rank by", metricOptions(), view.metric, rank);
  if (DATA.scopes.length > 1) {
    const scopes = DATA.scopes.map((name) => [name, name === ALL ? "all, across backbones" : `${name} only`]);
    picker(box, "board-scope", "Backbone", scopes, view.scope, (scope) => {
      view.scope = scope;
      drawBoard();
    });
  }
  drawBoard();
  NARROW.addEventListener("change", drawBoard);
}

startBoard();
