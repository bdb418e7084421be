"""How far simulated users sound like real ones: lengths, acts, variety, and a classifier that compares them.

    python -m dialog_gym.benchmarks.user_realism [--source SOURCE] [--simulator NAME] [--split SPLIT]
        [--dialogues N] [--json]

Sources of the simulated side: ``corpus-acts`` (default) words the annotated acts of the corpus's own users,
so that only the words differ; ``played`` lets the domain's user model choose too, in dialogues with the
scripted agent, and takes any simulator. On both sides letters are lower case and tokenisation is undone,
since one release of the corpus is tokenised and that is not what is measured. `user_realism_measures` says
what the figures are.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from dialog_gym.benchmarks.user_realism_measures import compare
from dialog_gym.benchmarks.user_realism_sources import Utterances, played, real, reworded
from dialog_gym.chat_faults import ChatOutage
from dialog_gym.core import DialogGymError

SOURCES: Final[Mapping[str, Callable[..., Utterances]]] = {"corpus-acts": reworded, "played": played}
DEFAULT_DIALOGUES: Final = 500
FEWEST: Final = 20
_TEMPLATES: Final = "agenda"


def measure(
    source: str,
    split: str,
    dialogues: int,
    seed: int,
    data_dir: str | None = None,
    simulator: Any = _TEMPLATES,
) -> dict[str, Any]:
    """The figures of a source against the corpus's users.

    Args:
        source: One of `SOURCES`.
        split: Of the corpus: train, validation or test.
        dialogues: How many dialogues of each side, at least `FEWEST`.
        seed: Of the simulated side and of the folds.
        data_dir: The data folder; default $DIALOG_GYM_DATA.
        simulator: Who words the users of ``played``, by name or as it is.

    Raises:
        DialogGymError: an option is out of range, the corpus is not there, or the simulator fails.
    """
    if source not in SOURCES:
        raise DialogGymError(f"unknown source {source!r}; known: {', '.join(SOURCES)}")
    if dialogues < FEWEST:
        raise DialogGymError(f"--dialogues must be at least {FEWEST}, not {dialogues}")
    if source != "played" and simulator != _TEMPLATES:
        raise DialogGymError(f"--simulator goes with --source played, not with {source}")
    people = real(split, dialogues, data_dir)
    more = {"simulator": simulator} if source == "played" else {}
    ours = SOURCES[source](split, dialogues, seed, data_dir, **more)
    return {"source": source, "split": split, "seed": seed, **compare(people, ours, seed)}


def realism(simulator: Any, dialogues: int, seed: int) -> dict[str, Any] | str:
    """The figures of a simulator's users in played dialogues, or why there are none.

    Against the test split of MultiWOZ: what people said for known acts exists for no shop, and the shipped
    language models have seen the validation split.

    Args:
        simulator: By name or as it is.
        dialogues: How many of each side; at least `FEWEST` are played.
        seed: Of the dialogues and of the folds.

    Raises:
        ChatOutage: a served model cannot be had now.
    """
    try:
        return measure("played", "test", max(FEWEST, dialogues), seed, simulator=simulator)
    except ChatOutage:
        raise
    except DialogGymError as error:
        return f"not measured: {error}"


def table(figures: Mapping[str, Any]) -> Table:
    """The figures for a person."""
    shown = Table(title=f"Simulated against real users: {figures['source']}, {figures['split']}")
    for column in ("measure", "real", "simulated"):
        shown.add_column(column)
    for name in figures["real"]:
        shown.add_row(name, f"{figures['real'][name]:.4g}", f"{figures['simulated'][name]:.4g}")
    shown.add_section()
    for name in ("acts_total_variation", "length_total_variation"):
        shown.add_row(name, "", f"{figures[name]:.3f}")
    test = figures["classifier"]
    shown.add_row(
        "classifier accuracy (0.5: alike)",
        "",
        f"{test['accuracy']:.3f} [{test['low']:.3f}, {test['high']:.3f}]",
    )
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dialog_gym.benchmarks.user_realism")
    parser.add_argument("--source", default="corpus-acts", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument("--simulator", default=_TEMPLATES, help="with --source played: who words the users")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--dialogues", type=int, default=DEFAULT_DIALOGUES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    try:
        figures = measure(
            options.source, options.split, options.dialogues, options.seed, options.data_dir,
            options.simulator,
        )  # fmt: skip
    except DialogGymError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(figures))
    else:
        Console().print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
