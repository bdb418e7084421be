// The dialogue viewer: filters, list, and one dialogue with what went on behind it.

const reading = { agent: 0, ended: "", result: "", scenario: "", violation: "", open: null, hidden: false, goal: false };
const NONE = "(none)";

const items = () => DATA.dialogues[reading.agent].items;
const words = (name) => name.replaceAll("_", " ");

const FILTERS = {
  ended: ["Ended by", (item) => [item.ended_by]],
  result: ["Result", (item) => item.results],
  scenario: ["Scenario", (item) => [item.scenario]],
  violation: ["Violation", (item) => (item.violations.length ? item.violations : [NONE])],
};

const matches = (item) =>
  Object.entries(FILTERS).every(([key, [, values]]) => !reading[key] || values(item).includes(reading[key]));

function drawControls() {
  const box = byId("dialogue-controls");
  box.replaceChildren();
  const agents = DATA.agents
    .map((agent, i) => [String(i), `${agent.name} (${DATA.dialogues[i].items.length})`, DATA.dialogues[i].items.length])
    .filter(([, , count]) => count);
  picker(box, "dialogue-agent", "Agent", agents, String(reading.agent), (value) => {
    const cleared = Object.fromEntries(Object.keys(FILTERS).map((key) => [key, ""]));
    Object.assign(reading, { agent: Number(value), open: null }, cleared);
    drawControls();
    drawList();
  });
  for (const [key, [text, values]] of Object.entries(FILTERS)) {
    const counts = {};
    items().flatMap(values).forEach((value) => (counts[value] = (counts[value] || 0) + 1));
    const options = Object.entries(counts).sort().map(([value, count]) => [value, `${words(value)} (${count})`]);
    picker(box, `dialogue-${key}`, text, [["", "any"], ...options], reading[key], (value) => {
      reading[key] = value;
      drawList();
    });
  }
}

// -- list ------------------------------------------------------------------------------------------------------

function badges(item) {
  const good = item.results.includes("success");
  const end = el("span", { className: `badge ${good ? "good" : ""}` }, words(item.ended_by));
  const sold = item.results.includes("mis-sold") ? el("span", { className: "badge bad" }, "mis-sold") : null;
  const broken = item.violations.length;
  const rules = broken ? el("span", { className: "badge bad" }, `${broken} rule${broken > 1 ? "s" : ""} broken`) : null;
  return el("span", { className: "badges" }, end, sold, rules);
}

function listEntry(item, i) {
  const turns = item.turns.filter((turn) => turn.role === "assistant").length;
  const heading = el("span", { className: "entry-title" }, `${item.task}${item.trial ? ` · trial ${item.trial}` : ""}`);
  const about = el("span", { className: "muted" }, `${words(item.scenario)} · level ${item.level} · ${turns} turn${turns === 1 ? "" : "s"}`);
  const current = reading.open === i ? "true" : undefined;
  const button = el("button", { type: "button", "aria-current": current, "data-item": i }, heading, about, badges(item));
  button.addEventListener("click", () => open(i, true));
  return el("li", {}, button);
}

function drawList() {
  const found = [...items().keys()].filter((i) => matches(items()[i]));
  if (!found.includes(reading.open)) reading.open = found[0] ?? null;
  byId("dialogue-list").replaceChildren(...found.map((i) => listEntry(items()[i], i)));
  const { total, ended_by } = DATA.dialogues[reading.agent];
  const shares = Object.entries(ended_by).sort((a, b) => b[1] - a[1]).map(([name, n]) => `${words(name)} ${n}`);
  const { episodes } = DATA.agents[reading.agent];
  const all = total < episodes ? `drawn from ${episodes} episodes` : `of all ${total}: ${shares.join(", ")}`;
  byId("dialogue-note").textContent = items().length
    ? `${found.length} of ${items().length} dialogues shown. The sample holds every way of ending in equal numbers where ` +
      `it can, so it says nothing about shares; ${all}.`
    : "No dialogues were given to this report.";
  drawDialogue();
}

function open(i, jump) {
  reading.open = i;
  byId("dialogue-list").querySelectorAll("button").forEach((button) => {
    if (button.dataset.item === String(i)) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  drawDialogue();
  if (jump && NARROW.matches) byId("dialogue").scrollIntoView({ block: "start" });
}

// -- one dialogue ----------------------------------------------------------------------------------------------

function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return brief(value);
  if (Array.isArray(value)) return value.length ? value.map(shown).join(", ") : "none";
  if (typeof value === "object") return Object.entries(value).map(([key, item]) => `${words(key)}: ${shown(item)}`).join(", ");
  return value;
}

function table(entries) {
  return el("dl", { className: "facts" }, entries.map(([name, value]) =>
    el("div", {}, el("dt", {}, words(name)), el("dd", {}, shown(value)))));
}

function folded(title, entries) {
  return entries.length ? el("details", {}, el("summary", {}, title), table(entries)) : null;
}

function toggle(key, text) {
  const button = el("button", { type: "button", id: `toggle-${key}`, "aria-pressed": String(reading[key]) }, text);
  button.addEventListener("click", () => {
    reading[key] = !reading[key];
    drawDialogue();
    byId(button.id).focus();
  });
  return button;
}

function stageChips(state, before) {
  const share = (stages, name) => (Array.isArray(stages) ? Number(stages.includes(name)) : stages?.[name] ?? 0);
  const names = Array.isArray(state.stages) ? state.stages : Object.keys(state.stages || {});
  if (!names.length) return null;
  const chips = names.map((name) => {
    const now = share(state.stages, name);
    const gained = now > share(before?.stages, name);
    const classes = ["chip", now >= 1 ? "done" : now > 0 ? "part" : "", gained ? "gained" : ""];
    const mark = now >= 1 ? "✓ " : "";
    const rest = now > 0 && now < 1 ? ` ${Math.round(100 * now)} %` : "";
    const tip = `${words(name)}: ${Math.round(100 * now)} % complete${gained ? ", advanced in this turn" : ""}`;
    return el("li", { className: classes.join(" "), "data-tip": tip }, `${mark}${words(name)}${rest}`);
  });
  return el("ul", { className: "chips", "aria-label": "Stages" }, chips);
}

function hiddenState(state, before) {
  const entries = Object.entries(state).filter(([name]) => name !== "stages");
  const line = ([name, value]) => {
    const bar = typeof value === "number" && value >= 0 && value <= 1
      ? el("meter", { min: 0, max: 1, value, "aria-label": words(name) })
      : null;
    const change = typeof value === "number" && typeof before?.[name] === "number" ? value - before[name] : 0;
    const delta = Math.abs(change) > 5e-4 ? el("span", { className: "muted" }, ` (${brief(change, true)})`) : null;
    return el("div", {}, el("dt", {}, words(name)), el("dd", {}, bar, shown(value), delta));
  };
  return el("dl", { className: "facts hidden-state" }, entries.map(line));
}

function turnItem(turn, before) {
  const assistant = turn.role === "assistant";
  const broken = Object.entries(turn.costs || {}).filter(([, cost]) => cost);
  const acts = (turn.acts || []).map((act) => el("code", {}, act));
  const rewards = Object.entries(turn.rewards || {}).map(([name, value]) =>
    el("span", { className: value ? "reward" : "" }, `${words(name)} `, brief(value, true)));
  return el(
    "li",
    { className: `turn ${turn.role}${broken.length ? " broken" : ""}` },
    el("span", { className: "who" }, assistant ? "Agent" : "Customer"),
    turn.thought ? el("div", { className: "thought" }, el("span", { className: "who" }, "Thought (private)"), turn.thought) : null,
    el("p", { className: "text" }, turn.text),
    broken.length
      ? el("p", { className: "violations" }, broken.map(([name, cost]) =>
          el("span", { className: "badge bad" }, `⚠ ${words(name)}${cost === 1 ? "" : ` × ${brief(cost)}`}`)))
      : null,
    acts.length ? el("p", { className: "acts", "aria-label": assistant ? "Acts read" : "Acts meant" }, acts) : null,
    rewards.length ? el("p", { className: "rewards" }, "Rewards: ", rewards) : null,
    turn.state ? stageChips(turn.state, before) : null,
    turn.state && reading.hidden ? hiddenState(turn.state, before) : null,
  );
}

function goalBox(goal) {
  const entries = [["need", goal.need], ["wants to be told", goal.requests]];
  return el(
    "div",
    { className: "goal", id: "goal" },
    el("h4", {}, "Hidden goal"),
    table([...entries, ...Object.entries(goal.constraints)]),
    Object.keys(goal.persona).length ? el("h4", {}, "Persona at the start") : null,
    table(Object.entries(goal.persona)),
  );
}

function drawDialogue() {
  const box = byId("dialogue");
  const item = reading.open === null ? null : items()[reading.open];
  if (!item) {
    box.replaceChildren(el("p", { className: "muted" }, "No dialogue matches these filters."));
    return;
  }
  let before = null;
  const turns = item.turns.map((turn) => {
    const node = turnItem(turn, before);
    before = turn.state ?? before;
    return node;
  });
  const agent = DATA.agents[reading.agent].name;
  const about = `${agent} · ${words(item.scenario)} · level ${item.level} · seed ${item.seed}`;
  box.replaceChildren(
    el("h3", {}, item.task),
    el("p", { className: "muted" }, about),
    el("p", {}, badges(item), item.ended_by === "error" ? " This episode is void: the simulator failed." : null),
    el("div", { className: "controls" }, toggle("hidden", "Hidden state"), toggle("goal", "Hidden goal")),
    reading.goal ? goalBox(item.goal) : "",
    folded("Profile the agent sees", Object.entries(item.profile)) ?? "",
    folded("Outcome", Object.entries(item.outcome)) ?? "",
    el("ol", { className: "turns" }, turns),
  );
}

function startDialogues() {
  const first = DATA.dialogues.findIndex((dialogues) => dialogues.items.length);
  reading.agent = Math.max(0, first);
  byId("dialogue-controls").hidden = first < 0;
  drawControls();
  drawList();
}

startDialogues();
