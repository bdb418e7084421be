"""What the transfer study writes: a table in Markdown, a plot, and all figures as JSON."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from dialog_gym.benchmarks.transfer import Transfer, TransferRow
from dialog_gym.core import Score
from dialog_gym.files import replacing, write_text

TITLES: Final = {
    "reached_conversion": "Reached conversion", "violation_rate": "Calls with a violation", "tse": "TSE",
}  # fmt: skip
_DASHES: Final = {"scripted": "--", "oracle": ":"}


def write_transfer(found: Transfer, folder: Path) -> list[Path]:
    """Write ``transfer.json``, ``transfer.md`` and, where matplotlib is installed, ``transfer.svg``.

    Returns:
        The files.
    """
    written = [folder / "transfer.json", folder / "transfer.md"]
    write_text(written[0], found.model_dump_json(indent=1) + "\n")
    write_text(written[1], markdown(found) + "\n")
    if find_spec("matplotlib") is not None:
        written.append(folder / "transfer.svg")
        plot(found, written[2])
    return written


def style_title(found: Transfer, style: str) -> str:
    """A style as it is shown: the held-out one is marked."""
    return f"{style} (held out)" if style in found.held_out else style


def markdown(found: Transfer) -> str:
    """A table per metric: agents and styles against levels, each score with its 95 % interval."""
    head = ["agent", "seeds", "buyer style", *(f"level {level}" for level in found.levels)]
    lines = [
        f"Suite {found.suite} version {found.suite_version}, seed {found.seed}: {found.episodes:,} sales "
        "calls per cell and training seed, 95 % intervals over tasks and seeds.",
        *(f"- {row.agent}: {_origin(row)}" for row in found.rows),
    ]
    for metric in found.metrics:
        lines += ["", f"## {TITLES[metric]}", "", _line(head), _line(["---"] * len(head))]
        for row in found.rows:
            for style in found.styles:
                cells = [cell(row.scores[style][str(level)][metric]) for level in found.levels]
                lines.append(_line([row.agent, str(row.seeds), style_title(found, style), *cells]))
    return "\n".join(lines)


def _origin(row: TransferRow) -> str:
    if not row.styles:
        return "not trained"
    level = "" if row.level is None else f" at level {row.level}"
    return f"{row.backbone}, trained on {', '.join(row.styles)}{level}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(score: Score) -> str:
    """A score with its interval; a dash where nothing could be judged."""
    if not score.n:
        return "-"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def plot(found: Transfer, path: Path) -> None:
    """Metrics against difficulty, a column of panels per style; the same figures give the same bytes.

    Args:
        found: The study.
        path: The file; its suffix says which kind, usually SVG.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "dialog-gym", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}):
        rows, columns = len(found.metrics), len(found.styles)
        figure = Figure(figsize=(2.2 + 2.6 * columns, 0.9 + 2.2 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False)
        for i, metric in enumerate(found.metrics):
            for j, style in enumerate(found.styles):
                _panel(panels[i][j], found, metric, style)
            panels[i][0].set_ylabel(TITLES[metric])
            panels[i][0].set_ylim(bottom=0)  # when all are drawn: the row shares it
        for j, style in enumerate(found.styles):
            panels[0][j].set_title(style_title(found, style))
            panels[-1][j].set_xlabel("difficulty")
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
        with replacing(path) as working:
            figure.savefig(working, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(axes: Any, found: Transfer, metric: str, style: str) -> None:
    """One metric on one style: a line per agent, with its interval as a band."""
    for i, row in enumerate(found.rows):
        scores = [row.scores[style][str(level)][metric] for level in found.levels]
        colour = "0.35" if row.agent in _DASHES else f"C{i}"
        axes.plot(
            found.levels, [s.value for s in scores], _DASHES.get(row.agent, "-"), color=colour, marker=".",
            label=row.agent,
        )  # fmt: skip
        low, high = [s.low for s in scores], [s.high for s in scores]
        axes.fill_between(found.levels, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(found.levels)
