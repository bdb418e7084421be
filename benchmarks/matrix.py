"""The cross-simulator matrix: every agent against every user simulator, on the same tasks.

An agent that was trained on one simulator and collapses on another has learnt the simulator. Buyers and
non-buyers are apart, because language-model users are known to differ from people most in those who should
not buy (arXiv 2606.20708). All cells play the same tasks with the same seeds.
"""

import html
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.matrix_kept import KEPT, Kept, kept
from dialog_gym.benchmarks.matrix_kept import lines as lines_kept
from dialog_gym.benchmarks.suite import Suite
from dialog_gym.core import DialogGymError, Record, Score, Trajectory
from dialog_gym.speaking import load_simulator

BESIDE: Final = ("buyer_conversion", "non_buyer_acceptance", "violation_rate", "simulator_error_rate")
"""Metrics shown beside the one that the suite ranks by, where the suite's dialogues have them."""
LOWER: Final = frozenset(("non_buyer_acceptance", "violation_rate", "simulator_error_rate"))


class Cell(Record):
    """One agent against one simulator."""

    agent: str
    simulator: str
    episodes: int
    scores: dict[str, Score]
    trajectories: str | None


class Matrix(Record):
    """All cells, agents by agents."""

    suite: str
    suite_version: int
    seed: int
    agents: tuple[str, ...]
    simulators: tuple[str, ...]
    metrics: tuple[str, ...]
    cells: tuple[Cell, ...]
    kept: tuple[Kept, ...] = ()
    """What each agent keeps with every simulator but the first, relative to the first."""

    def score(self, agent: str, simulator: str, metric: str) -> Score:
        """The score of a cell.

        Raises:
            KeyError: there is no such cell or metric.
        """
        for cell in self.cells:
            if (cell.agent, cell.simulator) == (agent, simulator):
                return cell.scores[metric]
        raise KeyError((agent, simulator))

    def to_markdown(self) -> str:
        """A table per metric, with 95 % intervals."""
        lines = [
            f"Suite {self.suite} version {self.suite_version}, seed {self.seed}: {self.cells[0].episodes:,} "
            "dialogues per cell, the same tasks and seeds in all; 95 % intervals."
        ]
        head, *agents = lines_kept(self.kept) or [""]
        lines += ["", head, "", *(f"- {line}" for line in agents)] if agents else []
        for metric in self.metrics:
            side = "lower is better" if metric in LOWER else "higher is better"
            lines += ["", f"## {metric} ({side})", "", _line(["agent", *self.simulators])]
            lines.append(_line(["---", *["---:"] * len(self.simulators)]))
            for agent in self.agents:
                scores = [self.score(agent, simulator, metric) for simulator in self.simulators]
                lines.append(_line([agent, *map(_shown, scores)]))
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """A page with a heat map per metric; nothing is loaded from elsewhere."""
        maps = "".join(self._heat_map(metric) for metric in self.metrics)
        head, *agents = map(html.escape, lines_kept(self.kept) or [""])
        items = "".join(f"<li>{line}</li>" for line in agents)
        title = html.escape(f"Agents against users: {self.suite} version {self.suite_version}")
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            "<style>body{font:15px sans-serif;margin:2em;max-width:60em}table{border-collapse:collapse}"
            "th,td{padding:.5em .8em;text-align:right;width:11em;overflow-wrap:anywhere}"
            "th:first-child{text-align:left}"
            "small{display:block;opacity:.75}</style>"
            f"<h1>{title}</h1><p>Seed {self.seed}, {self.cells[0].episodes:,} dialogues per cell, the same "
            f"tasks and seeds in all; 95 % intervals.</p><p>{head}</p><ul>{items}</ul>{maps}</html>\n"
        )

    def _heat_map(self, metric: str) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.simulators)
        rows = ""
        for agent in self.agents:
            cells = [_coloured(self.score(agent, name, metric), metric) for name in self.simulators]
            rows += f"<tr><th>{html.escape(agent)}</th>{''.join(cells)}</tr>"
        side = "lower is better" if metric in LOWER else "higher is better"
        return f"<h2>{metric} <small>{side}</small></h2><table><tr><th></th>{head}</tr>{rows}</table>"


def run_matrix(
    agents: Sequence[str],
    simulators: Sequence[str],
    suite: Suite,
    folder: Path,
    *,
    episodes: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    resume: bool = False,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Matrix:
    """Play all cells; each is a stored run like any other.

    Args:
        agents: Names or folders.
        simulators: Names.
        suite: What is played.
        folder: Where the dialogues go, a file per cell.
        episodes: Per cell; default the whole suite.
        seed: The run's.
        workers: Processes; default one per core.
        resume: Keep what an earlier matrix finished.
        on_progress: Called with (finished, all) dialogues of a cell, and the cell's name.

    Raises:
        DialogGymError: a name is unknown or twice there, or an agent fails.
    """
    for what, names in (("agent", agents), ("simulator", simulators)):
        if len(set(names)) < len(names) or not names:
            raise DialogGymError(f"name each {what} once, and at least one: {', '.join(names) or 'none'}")
    for agent in agents:  # before anything is played
        load_agent(agent)
    for simulator in simulators:
        load_simulator(simulator)
    metrics = (suite.rank_by, *(name for name in BESIDE if name != suite.rank_by))
    cells: list[Cell] = []
    compared: list[Kept] = []
    for agent in agents:
        first: list[Trajectory] = []
        for simulator in simulators:
            label = f"{agent} against {simulator}"
            result, played = evaluate(
                RunConfig(suite, agent, episodes, seed, simulator=simulator),
                store=folder / f"{_safe(agent)}--{_safe(simulator)}-seed{seed}.jsonl",
                workers=workers,
                resume=resume,
                on_progress=None if on_progress is None else _labelled(on_progress, label),
            )
            scores = {name: result.scores[name] for name in metrics}
            cells.append(
                Cell(
                    agent=agent, simulator=simulator, episodes=result.episodes, scores=scores,
                    trajectories=result.trajectories,
                )
            )  # fmt: skip
            if first:
                metric = KEPT if scores[KEPT].n else suite.rank_by
                compared.append(kept(agent, (simulators[0], simulator), metric, (first, played)))
            first = first or played
    found = tuple(name for name in metrics if any(cell.scores[name].n for cell in cells))
    return Matrix(
        suite=suite.name, suite_version=suite.version, seed=seed, agents=tuple(agents),
        simulators=tuple(simulators), metrics=found, cells=tuple(cells), kept=tuple(compared),
    )  # fmt: skip


def write_matrix(found: Matrix, folder: Path) -> list[Path]:
    """Write ``matrix.json``, ``matrix.md`` and ``matrix.html``, the heat map; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "matrix.json": found.model_dump_json(indent=1) + "\n",
        "matrix.md": found.to_markdown(),
        "matrix.html": found.to_html(),
    }
    for name, text in texts.items():
        part = folder / f"{name}.part"
        part.write_text(text, "utf-8")
        os.replace(part, folder / name)
    return [folder / name for name in texts]


def _labelled(shown: Callable[[int, int, str], None], label: str) -> Callable[[int, int], None]:
    return lambda done, total: shown(done, total, label)


def _coloured(score: Score, metric: str) -> str:
    """A cell from white (0) to a full colour (1): green where high is good, red where it is bad."""
    value = min(max(score.value, 0.0), 1.0) if score.value == score.value else 0.0
    hue = 10 if metric in LOWER else 150
    colour = f"hsl({hue},60%,{97 - 42 * value:.0f}%)"
    interval = f"{score.low:.3f} to {score.high:.3f}, n {score.n:,}" if score.n else "not judged"
    return f'<td style="background:{colour}">{_figure(score)}<small>{interval}</small></td>'


def _shown(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]" if score.n else "-"


def _figure(score: Score) -> str:
    return f"{score.value:.3f}" if score.n else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
