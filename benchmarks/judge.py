"""A language model as the judge of MORE's seven language rewards, and its agreement with the formulas.

Scores never come from here: `dialog_gym.language` computes them from the stored turns alone, so that anybody
gets the same. MORE (arXiv 2606.09293) lets a language model judge; this says how far that would differ.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dialog_gym.benchmarks.agreement import agreement
from dialog_gym.chat_client import ChatClient
from dialog_gym.chat_options import ChatOptions, ChatRequest
from dialog_gym.chat_records import chat_records
from dialog_gym.core import DialogGymError, Record, Score, Trajectory, Turn
from dialog_gym.language import LANGUAGE_REWARDS, LanguageContext, language_rewards
from dialog_gym.language_metrics import contexts
from dialog_gym.metrics import reference_of
from dialog_gym.noise import mix, text_key
from dialog_gym.store import read_store

_STREAM: Final = text_key("turns for a judge")
BATCH: Final = 64
SYSTEM: Final = """You judge one turn of a shop's assistant in a dialogue with a customer.
Give seven scores between 0 (worst) and 1 (best); null where there is nothing to judge:
- naturalness: it reads like ordinary, complete speech to a customer
- consistency: it does not contradict the dialogue or the profile, and asks for nothing already told
- repetition: it does not repeat the assistant's previous turn (1: nothing repeated; null on a first turn)
- fidelity: the share of its factual statements that are right; null if it makes none
- coverage: the share of the customer's open questions that it answers; null if none is open
- novelty: how much of it is new against the assistant's last five turns; null on a first turn
- rouge: how close its words are to the reference; null without a reference
Answer with one JSON object with these seven keys and nothing else."""


class Measure(Record):
    """One of the seven measures, as the model judged it and as the formula did, on the turns both judged."""

    judge: float
    """Mean."""
    formula: float
    """Mean."""
    spearman: Score


class Judgement(Record):
    """What a model said about the turns of a store."""

    model: str
    turns: int
    """That it was asked about."""
    unread: int
    """Answers that hold no scores."""
    measures: Mapping[str, Measure]
    usage: Mapping[str, float]


class _Asked(NamedTuple):
    """A turn to judge."""

    dialogue: tuple[str, int]
    request: ChatRequest
    formula: Mapping[str, float]


def judge_store(
    path: Path,
    options: ChatOptions,
    *,
    turns: int = 200,
    seed: int = 0,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Judgement:
    """Have turns of stored dialogues judged, drawn at random; what is judged is kept when this is stopped.

    Args:
        path: The store.
        options: The judge.
        turns: How many turns, at most.
        seed: Of the draw, of the judge's sampling and of the intervals.
        cache: See `chat_records`.
        on_progress: Called with (judged, all) turns.

    Raises:
        ChatOutage: the judge cannot be had now.
        DialogGymError: the file is no store or has no turn, or the server refuses.
    """
    found = read_store(path)
    asked = _drawn(found.trajectories, str(found.header.config.get("domain", "credit")), turns, seed)
    if not asked:
        raise DialogGymError(f"{path}: there is no assistant turn to judge")
    client = ChatClient(options, "judge")
    answers: list[dict[str, float]] = []
    with chat_records(path.with_name(f"{path.name}.judge"), resume=None, cache=cache) as records:
        for begin in range(0, len(asked), BATCH):
            replies = client.ask([one.request for one in asked[begin : begin + BATCH]])
            answers += [read_scores(reply.text) for reply in replies]
            if on_progress:
                on_progress(len(answers), len(asked))
        usage = records.ledger.summary().get("judge", {}) if records.ledger else {}
    return Judgement(
        model=options.model,
        turns=len(asked),
        unread=sum(not answer for answer in answers),
        measures={name: _measure(name, asked, answers, seed) for name in LANGUAGE_REWARDS},
        usage=usage,
    )


def read_scores(text: str) -> dict[str, float]:
    """The seven scores in an answer, NaN for null and for what is out of range; empty if it holds none."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        data = json.loads(text[begin : end + 1]) if begin >= 0 else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict) or not set(LANGUAGE_REWARDS) & data.keys():
        return {}
    return {name: _score(data.get(name)) for name in LANGUAGE_REWARDS}


def _score(value: Any) -> float:
    judged = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if judged else float("nan")


def _measure(
    name: str, asked: Sequence[_Asked], answers: Sequence[Mapping[str, float]], seed: int
) -> Measure:
    judge = np.array([answer.get(name, np.nan) for answer in answers])
    formula = np.array([one.formula[name] for one in asked])
    both = ~(np.isnan(judge) | np.isnan(formula))
    return Measure(
        judge=float(judge[both].mean()) if both.any() else float("nan"),
        formula=float(formula[both].mean()) if both.any() else float("nan"),
        spearman=agreement(judge, formula, [one.dialogue for one in asked], seed=seed),
    )


def _drawn(trajectories: Sequence[Trajectory], domain: str, turns: int, seed: int) -> list[_Asked]:
    """Turns of dialogues in which somebody was reached, in the order of random keys of their own."""
    reference = reference_of(domain)
    found = []
    for trajectory in trajectories:
        if trajectory.ended_by == "error" or not trajectory.outcome.get("reached", True):
            continue
        spoken = zip(_heads(trajectory), contexts(trajectory, reference), strict=True)
        for number, (before, context) in enumerate(spoken):
            key = mix(_STREAM, seed, text_key(trajectory.task.id), trajectory.trial, number)
            found.append((key, trajectory, before, context))
    found.sort(key=lambda one: one[0])
    return [_ask(trajectory, before, context, key) for key, trajectory, before, context in found[:turns]]


def _heads(trajectory: Trajectory) -> Iterator[tuple[Turn, ...]]:
    """What was said before each assistant turn."""
    for place, turn in enumerate(trajectory.turns):
        if turn.role == "assistant":
            yield trajectory.turns[:place]


def _ask(trajectory: Trajectory, before: Sequence[Turn], context: LanguageContext, key: int) -> _Asked:
    profile = "; ".join(f"{name}: {value}" for name, value in trajectory.task.profile.attributes.items())
    dialogue = "\n".join(f"{turn.role}: {turn.text}" for turn in before) or "(none: the assistant begins)"
    parts = [
        f"Guidelines of the shop:\n{trajectory.task.guidelines}",
        f"Profile of the customer:\n{profile}",
        f"Dialogue so far:\n{dialogue}",
        f"Turn to judge:\nassistant: {context.text}",
        f"Reference:\n{context.reference or '(none)'}",
    ]
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n\n".join(parts)}]
    return _Asked(
        (trajectory.task.id, trajectory.trial), ChatRequest(messages, key >> 33), language_rewards(context)
    )
