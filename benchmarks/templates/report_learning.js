// Learning curves and the table of training runs.

const LEARNING = DATA.learning;
const CURVE_NOTES = {
  conversion: "Sales per reached customer. Higher is better.",
  violations: "Broken rules per dialogue with a reached customer. Lower is better.",
  reward: "Sum of the weighted rewards of a dialogue with a reached customer. Higher is better.",
};
let curveMetric = LEARNING?.metrics[0];
// Backbones have budgets of their own, so they do not share an axis.
const BACKBONES = [...new Set(LEARNING?.curves[curveMetric]?.map((curve) => curve.backbone))].sort().reverse();
let curveBackbone = BACKBONES[0];

// As many hues as there are curves, the same for a row in both colour schemes.
const hue = (k, count, alpha) => `hsla(${Math.round((360 * k) / count + 210) % 360}, 65%, 50%, ${alpha})`;

function drawCurves() {
  const curves = LEARNING.curves[curveMetric].filter((curve) => curve.backbone === curveBackbone);
  const traces = curves.flatMap((curve, k) => [
    {
      type: "scatter",
      mode: "lines",
      x: [...curve.x, ...[...curve.x].reverse()],
      y: [...curve.high, ...[...curve.low].reverse()],
      fill: "toself",
      fillcolor: hue(k, curves.length, 0.15),
      line: { width: 0 },
      hoverinfo: "skip",
      showlegend: false,
      legendgroup: curve.name,
    },
    {
      type: "scatter",
      mode: "lines",
      name: plain(curve.name),
      legendgroup: curve.name,
      x: curve.x,
      y: curve.mean,
      line: { color: hue(k, curves.length, 1), width: 2 },
      customdata: curve.x.map((_, i) => `${number(curve.low[i])} to ${number(curve.high[i])}`),
      hovertemplate: `<b>${plain(curve.name)}</b><br>%{y:.3f}, seeds %{customdata}<br>%{x:,.0f} steps<extra></extra>`,
    },
  ]);
  const layout = {
    height: 420,
    showlegend: true,
    legend: { orientation: "h", y: -0.25 },
    xaxis: axis({ title: { text: "environment steps" }, rangemode: "tozero" }),
    yaxis: axis({ title: { text: curveMetric } }),
  };
  byId("curve-note").textContent =
    `On validation tasks, taking the likeliest decisions. ${CURVE_NOTES[curveMetric] ?? ""} ` +
    "Line: mean over training seeds; band: lowest to highest seed. All start from the same supervised agent of their seed.";
  draw("curves", traces, layout, `Learning curves of ${curveMetric} against environment steps`);
}

function drawRuns() {
  const score = METRIC[LEARNING.runs[0].score_name]?.label ?? LEARNING.runs[0].score_name;
  const columns = [
    ["Agent", (run) => run.name],
    ["Seed", (run) => run.seed],
    ["Environment steps", (run) => run.env_steps.toLocaleString("en")],
    ["Seconds", (run) => number(run.seconds, 1)],
    ["Steps per second", (run) => (run.steps_per_second ? Math.round(run.steps_per_second).toLocaleString("en") : "–")],
    ["Memory, MiB", (run) => number(run.memory_mib, 0)],
    [`Suite: ${score}`, (run) => number(run.score)],
  ];
  const kind = (k) => (k ? "figure" : "name");
  const head = columns.map(([text], k) => el("th", { scope: "col", className: kind(k) }, text));
  const rows = LEARNING.runs.map((run) =>
    el(
      "tr",
      {},
      columns.map(([, value], k) =>
        k
          ? el("td", { className: "figure" }, String(value(run)))
          : el("th", { scope: "row", className: "name", "data-tip": run.options, tabindex: 0 }, value(run)),
      ),
    ),
  );
  byId("runs-table").replaceChildren(el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

function startLearning() {
  if (!LEARNING) return;
  drawRuns();
  if (!LEARNING.metrics.length) return;
  const options = LEARNING.metrics.map((metric) => [metric, metric]);
  picker(byId("curve-controls"), "curve-metric", "Measure", options, curveMetric, (metric) => {
    curveMetric = metric;
    drawCurves();
  });
  if (BACKBONES.length > 1) {
    picker(byId("curve-controls"), "curve-backbone", "Backbone", BACKBONES.map((name) => [name, name]), curveBackbone, (name) => {
      curveBackbone = name;
      drawCurves();
    });
  }
  drawCurves();
  DARK.addEventListener("change", drawCurves);
}

startLearning();
