"""`dialog-gym evaluate --suite multiwoz-corpus --predictions FILE`: score responses, not an agent."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialog_gym.cli_output import note, number, say, say_json, table
from dialog_gym.core import DialogGymError

if TYPE_CHECKING:
    from dialog_gym.benchmarks.multiwoz_corpus.evaluation import Evaluation


def evaluate_predictions(
    predictions: Path | None, suite: str, playing: Mapping[str, Any], seed: int, partial: bool, json: bool
) -> None:
    """Score a predictions file and print the result.

    Args:
        predictions: The file.
        suite: Must be the suite of this evaluation.
        playing: Options that only make sense where an agent is played, by name; all must be None.
        seed: Of the bootstrap.
        partial: Accept that dialogues or last turns are missing.
        json: Print one JSON object.

    Raises:
        DialogGymError: the options do not fit together, or the file or the data are not what they should be.
    """
    from dialog_gym.benchmarks.multiwoz_corpus import SUITE

    if predictions is None:
        raise DialogGymError(f"suite {SUITE} scores a file of responses: give --predictions FILE")
    if suite != SUITE:
        raise DialogGymError(f"--predictions goes with --suite {SUITE}, not with {suite}")
    for option, value in playing.items():
        if value is not None:
            raise DialogGymError(f"{option} is for playing an agent; it does not go with --predictions")
    from dialog_gym.benchmarks.multiwoz_corpus.corpus import load_corpus
    from dialog_gym.benchmarks.multiwoz_corpus.evaluation import as_json, evaluate
    from dialog_gym.benchmarks.multiwoz_corpus.predictions import read_predictions

    corpus = load_corpus()
    found = evaluate(read_predictions(predictions, corpus, partial), corpus, predictions.stem, seed)
    if json:
        say_json(as_json(found))
    else:
        _present(found)


def _present(found: "Evaluation") -> None:
    result = found.result
    suite = f"{result.suite} v{result.suite_version}"
    say(f"{result.agent} on {suite}: {result.episodes:,} dialogues, in points\n")
    rows = [
        [name, number(score.value), f"[{number(score.low)}, {number(score.high)}]", f"{score.n:,}"]
        for name, score in result.scores.items()
    ]
    say(table(("metric", "value", "95 % interval", "n"), rows))
    say()
    say(table(("richness", "value"), [[name, number(value)] for name, value in found.richness.items()]))
    for line in found.notes:
        note(line)
