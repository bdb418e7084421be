"""One self-contained HTML report of a board: scores, comparisons and dialogues to read, in one offline file.

Everything is inlined: styles, scripts (plotly's library included) and data. The page carries a
content-security policy that forbids any request and any script other than the inlined ones, because the
dialogues in it were written by the agents under test.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dialog_gym.benchmarks.report_board import Pairs, board, chosen_headline, facts, judged_metrics
from dialog_gym.benchmarks.report_dialogues import dialogues
from dialog_gym.core import DialogGymError, Result, Trajectory
from dialog_gym.files import replacing

HEADLINE = ("conversion", "resolution", "tse", "esndcg", "violation_rate", "mis_sale_rate", "satisfaction")
"""Metrics shown as columns unless others are asked for; those that no agent is judged on are left out."""

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("report.js", "report_charts.js", "report_learning.js", "report_dialogues.js")


class Run(NamedTuple):
    """One agent's scores and its dialogues: all, or a sample (then no shares are shown beside them)."""

    result: Result
    trajectories: Sequence[Trajectory] = ()


def write_report(
    path: Path,
    runs: Sequence[Run],
    *,
    title: str,
    suite: str,
    pairs: Pairs | None = None,
    headline: Sequence[str] = (),
    pareto: tuple[str, str] = ("violation_rate", "conversion"),
    detectable: Mapping[str, float] | None = None,
    explanations: Mapping[str, str] | None = None,
    dialogues_per_agent: int = 60,
    reproduce: str = "",
    notes: Sequence[str] = (),
    learning: Mapping[str, Any] | None = None,
) -> int:
    """Write the report of a board.

    Args:
        path: the HTML file; written beside it first, then renamed. Missing folders are made.
        runs: one per agent, all on the same suite, suite version and simulator.
        title: heading of the page.
        suite: name of the suite; must be that of the results.
        pairs: ``pairs[metric][a, b]``, A minus B on the same episodes (`stats.paired_differences`), by the
            names of the rows (`board.row_name`); either order of a pair will do. Without a pair, agents tie
            when their intervals overlap.
        headline: metrics shown as columns, the first of them ranks when the page opens; empty means
            `HEADLINE`. Those that no agent is judged on are left out.
        pareto: metrics on the x and y axis of the trade-off plot when the page opens.
        detectable: per metric the smallest detectable difference; those left out are derived from the widest
            interval (see `report_board.detectable_difference`).
        explanations: per metric one line shown on hover and focus; needed for plug-in metrics only.
        dialogues_per_agent: at most this many dialogues are embedded per agent, stratified by how they ended.
        reproduce: command that recomputes the board; empty means a ``dialog-gym evaluate`` line.
        notes: further lines for the header.
        learning: learning curves and training runs (`report_learning.learning`).

    Returns:
        Size of the file in bytes (4.8 million of them are plotly's library).

    Raises:
        DialogGymError: jinja2 or plotly is missing, the runs do not belong on one board, a metric or an agent
            is unknown, or ``path`` is a folder.
    """
    environment, plotly = _libraries()
    path = Path(path)
    if path.is_dir():
        raise DialogGymError(f"{path} is a folder; name a file such as {path / 'report.html'}")
    if dialogues_per_agent < 0:
        raise DialogGymError(f"dialogues_per_agent must be at least 0, got {dialogues_per_agent}")
    results = [run.result for run in runs]
    columns = chosen_headline(results, headline, HEADLINE)
    data = board(results, pairs or {}, detectable or {}, explanations or {}) | {
        "headline": columns,
        "pareto": [name for name in pareto if name in judged_metrics(results)],
        "dialogues": [dialogues(run.trajectories, dialogues_per_agent) for run in runs],
        "learning": learning,
    }
    payload = _json(data)
    own = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    page = environment.get_template("report.html.j2").render(
        title=title,
        facts=facts(results, suite, data["metrics"], columns, reproduce),
        notes=tuple(notes),
        learning=learning,
        style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
        plotly=plotly,
        script=(script := f'(() => {{\n"use strict";\n{own}\n}})();'),
        hashes=" ".join(_hash(text) for text in (plotly, script)),
        payload=payload,
        sizes={"plotly.js": len(plotly) / 1e6, "data": len(payload) / 1e6},
    )
    return _write(path, page)


def _libraries() -> tuple[Any, str]:
    """The template environment and plotly's JavaScript; imported here because the extra is optional."""
    try:
        import jinja2
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise DialogGymError(
            f'the report needs {error.name or "plotly"}: pip install "dialog-gym[report]"'
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # browsers hash a script after turning CR into LF, so the library is stored the way it is hashed
    return environment, get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    """The content-security-policy source that lets exactly this inline script run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(data: Any) -> str:
    """ASCII JSON that is safe inside a <script> element: no ``<``, hence no ``</script>`` and no ``<!--``."""
    return json.dumps(_finite(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    """JSON has no NaN: None stands for what could not be judged. Six digits are more than a reader needs."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _write(path: Path, page: str) -> int:
    """Write beside the target, then rename, so that a broken run never leaves half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as working:
        return working.write_bytes(page.encode("utf-8", "replace"))
