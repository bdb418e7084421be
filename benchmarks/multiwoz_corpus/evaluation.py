"""All dialogues together: the scores of a predictions file with their bootstrap intervals.

Scores are in points, 0 to 100, as the literature prints them; Combined = BLEU + (Inform + Success) / 2
(Mehri et al., 2019). ``n`` is the number of dialogues that count: for a domain those whose goal has it.
Dialogues are resampled; BLEU and Combined are computed anew from the summed counts of every resample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import dialog_gym
from dialog_gym.benchmarks.multiwoz_corpus import SUITE
from dialog_gym.benchmarks.multiwoz_corpus.corpus import DOMAINS, Corpus, GoldDialogue
from dialog_gym.benchmarks.multiwoz_corpus.judging import JudgedTurn, Verdict, estimated_domains, judge
from dialog_gym.benchmarks.multiwoz_corpus.language import bleu, bleu_counts, richness, words
from dialog_gym.benchmarks.multiwoz_corpus.predictions import PredictedTurn, Predictions
from dialog_gym.benchmarks.multiwoz_corpus.slots import normalized_state
from dialog_gym.benchmarks.multiwoz_corpus.wording import normalized_response
from dialog_gym.core import DialogGymError, Result, Score
from dialog_gym.resampling import Floats, interval, resampled_sums
from dialog_gym.stats import scores as bootstrapped

HEADLINE = ("inform", "success", "bleu", "combined")
VERSION = 1
RESAMPLES = 10_000


@dataclass(frozen=True)
class Evaluation:
    """The result, the richness of the language, and where references and states came from."""

    result: Result
    richness: Mapping[str, float]
    notes: Sequence[str]


def evaluate(
    predictions: Predictions, corpus: Corpus, name: str = "predictions", seed: int = 0
) -> Evaluation:
    """Score predictions of test dialogues.

    Args:
        predictions: Checked, as `read_predictions` gives them.
        corpus: Where all their dialogues are.
        name: The system's name in the result.
        seed: Of the bootstrap.

    Raises:
        DialogGymError: sacrebleu or rapidfuzz is not installed.
    """
    versions = _versions(corpus)
    names = sorted(predictions)
    turns = [t for dialogue in names for t in predictions[dialogue]]
    no_states = any(t.state is None for t in turns)
    no_domains = any(t.active is None for t in turns)
    judged = [
        _judged(predictions[d], corpus.dialogues[d], use_gold=no_states, estimate=no_domains) for d in names
    ]
    gold = [corpus.dialogues[d] for d in names]
    verdicts = [judge(g.goal, t, corpus.venues) for g, t in zip(gold, judged, strict=True)]
    responses = [[t.response for t in dialogue] for dialogue in judged]
    said = dict(zip(names, responses, strict=True))
    result = Result(
        agent=name,
        suite=SUITE,
        suite_version=VERSION,
        simulator="corpus",
        seed=seed,
        env_steps=len(turns),
        episodes=len(names),
        scores=_scores(verdicts, responses, gold, seed),
        higher_is_better={},
        versions=versions,
    )
    return Evaluation(
        result, richness(r for d in predictions for r in said[d]), _notes(no_states, no_domains, corpus)
    )


def _judged(
    turns: Sequence[PredictedTurn], gold: GoldDialogue, use_gold: bool, estimate: bool
) -> list[JudgedTurn]:
    own = [normalized_state(turn.state or {}) for turn in turns]
    states = gold.states[: len(turns)] if use_gold else own
    active = estimated_domains(states) if estimate else [turn.active or () for turn in turns]
    rows = zip(turns, states, active, gold.booked, strict=False)
    return [JudgedTurn(normalized_response(t.response), s, a, b) for t, s, a, b in rows]


def _scores(
    verdicts: Sequence[Verdict], responses: Sequence[Sequence[str]], gold: Sequence[GoldDialogue], seed: int
) -> dict[str, Score]:
    columns: dict[str, tuple[list[float], list[float]]] = {
        "inform": ([100.0 * v.informed for v in verdicts], [1.0] * len(verdicts)),
        "success": ([100.0 * v.succeeded for v in verdicts], [1.0] * len(verdicts)),
    }
    for domain in DOMAINS:
        inside = [float(domain in v.inform) for v in verdicts]
        if any(inside):
            columns[f"inform_{domain}"] = [100.0 * v.inform.get(domain, False) for v in verdicts], inside
            columns[f"success_{domain}"] = [100.0 * v.success.get(domain, False) for v in verdicts], inside
    lengths = [float(sum(len(words(response)) for response in dialogue)) for dialogue in responses]
    columns["length"] = lengths, [float(len(dialogue)) for dialogue in responses]
    tops, bottoms = (np.array(side).T for side in zip(*columns.values(), strict=True))
    found = dict(zip(columns, bootstrapped(tops, bottoms, resamples=RESAMPLES, seed=seed), strict=True))
    counts = np.array([bleu_counts(r, g.references[: len(r)]) for r, g in zip(responses, gold, strict=True)])
    language = _language(tops[:, :2], counts, seed)
    return {name: (found | language)[name] for name in (*HEADLINE, *list(found)[2:])}


def _language(flags: Floats, counts: Floats, seed: int) -> dict[str, Score]:
    """BLEU and Combined: ``flags`` are Inform and Success of each dialogue, ``counts`` its BLEU counts."""
    n = len(flags)
    sums, steps = resampled_sums(np.hstack([flags, counts]), None, None, RESAMPLES, seed)
    draws = np.vstack([flags.sum(axis=0, keepdims=True), sums[:, :2] * steps[:2]]).mean(axis=1) / n
    bleus = np.array([bleu(row) for row in [counts.sum(axis=0), *(sums[:, 2:] * steps[2:])]])
    values = np.column_stack([bleus, bleus + draws])
    low, high = interval(values[1:])
    return {
        name: Score(value=float(values[0, i]), low=float(low[i]), high=float(high[i]), n=n)
        for i, name in enumerate(("bleu", "combined"))
    }


def _versions(corpus: Corpus) -> dict[str, str]:
    try:
        packages = {package: version(package) for package in ("sacrebleu", "rapidfuzz", "numpy")}
    except PackageNotFoundError as error:
        raise DialogGymError(f"needs the package {error.name}: pip install 'dialog-gym[multiwoz]'") from None
    return {"dialog-gym": dialog_gym.__version__, "references": f"MultiWOZ {corpus.source}", **packages}


def _notes(no_states: bool, no_domains: bool, corpus: Corpus) -> list[str]:
    """What a reader of the scores must know about how they came about."""
    notes = []
    if no_states:
        notes.append(
            f"no states in some turns: the gold states of MultiWOZ {corpus.source} are taken for all"
        )
    if no_domains:
        notes.append("no active domains in some turns: they are estimated from the states for all")
    if corpus.source != "2.2":
        notes.append(
            "the dialogue files of MultiWOZ 2.2 are not there: BLEU is against references made from 2.1, "
            "and so not quite comparable with published figures"
        )
    return notes


def as_json(found: Evaluation) -> dict[str, Any]:
    """An evaluation as it is printed with ``--json``."""
    return found.result.model_dump() | {"richness": dict(found.richness), "notes": list(found.notes)}
