"""What training a user model changes: fidelity, agreement with the true preference, drift, likeness, variety.

    python -m dialog_gym.benchmarks.user_training MODEL [MODEL ...] [--json]

A model is a folder; ``""`` is the shipped language model, which was not trained to play users. Nothing is
audited or repaired here: these are the model's own first words, the likeliest ones, in dialogues of the test
split and turns of real users that training holds out.
"""

import json as json_lines
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Final, NamedTuple

import typer

from dialog_gym.agents.learning.demonstrators import demonstrate
from dialog_gym.benchmarks.certify import distinct
from dialog_gym.benchmarks.user_realism_measures import two_sample_test, words
from dialog_gym.cli_output import number, say, table
from dialog_gym.core import DialogGymError, DialogueAct, Trajectory, Turn
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.simulators.audit import Facts, judge, stated
from dialog_gym.simulators.generation import ChatPrompt
from dialog_gym.simulators.local import LocalGenerator
from dialog_gym.simulators.prompts import chat, system_message, utterance
from dialog_gym.simulators.training_data import (
    ALIGNMENT,
    REAL,
    REAL_ACTS,
    TARGET,
    Example,
    held_out,
    real_examples,
    shop_examples,
)

DRIFT: Final = (1, 4, 8)
"""Turns of the user at which agreement is reported."""
FOR: Final = frozenset(("accept", "agree", "confirm_solved", "thank"))
AGAINST: Final = frozenset(("decline", "object", "complain", "challenge", "goodbye", "request_human"))


class Said(NamedTuple):
    """A user turn of a dialogue that the domain's user model played."""

    trajectory: Trajectory
    place: int
    """Among all turns."""
    number: int
    """Among the user's, from 1."""

    @property
    def turn(self) -> Turn:
        """The turn."""
        return self.trajectory.turns[self.place]


class Held(NamedTuple):
    """What nothing is trained on."""

    said: list[Said]
    elsewhere: list[Said]
    """Of MultiWOZ."""
    shown: list[Example]
    """Alignment and target."""
    real: list[Example]
    worded: list[Example]
    """Real users' turns with their acts."""


def held(dialogues: int, real: int, data_dir: Path, seed: int = 0) -> Held:
    """Held-out dialogues of the shop and turns of real users.

    Raises:
        DialogGymError: the real dialogues are not there.
    """
    played = [*_played("proactive_sale", dialogues, seed), *_played("customer_service", dialogues, seed)]
    said = [one for trajectory in played for one in _user_turns(trajectory)]
    tours = demonstrate(dialogues, seed=seed, split="test", level=3, domain="multiwoz")
    elsewhere = [one for trajectory in tours for one in _user_turns(trajectory)]
    shown = [e for one in played for e in shop_examples(one) if e.task in (ALIGNMENT, TARGET)]
    found: dict[str, list[Example]] = {REAL: [], REAL_ACTS: []}
    for example in real_examples(data_dir):
        if held_out(example.id):
            found[example.task].append(example)
    step = max(1, len(found[REAL]) // real)
    return Held(said, elsewhere, shown[:real], found[REAL][::step][:real], found[REAL_ACTS][:real])


def _played(scenario: str, count: int, seed: int) -> Iterator[Trajectory]:
    return demonstrate(count, seed=seed, scenario=scenario, split="test", level=3, difficulty={"typos": 0.0})


def _user_turns(trajectory: Trajectory) -> Iterator[Said]:
    places = [place for place, turn in enumerate(trajectory.turns) if turn.role == "user"]
    for number_, place in enumerate(places, 1):
        if trajectory.turns[place].acts:
            yield Said(trajectory, place, number_)


def measure(model: str, data: Held) -> dict[str, float]:
    """The figures of a model; shares but for perplexity and distinct-n."""
    from dialog_gym.lm.chat import ChatFormat
    from dialog_gym.lm.loading import load
    from dialog_gym.simulators.training import perplexity

    write = _writer(LocalGenerator(model, temperature=0.0))
    domain, city = CreditDomain(), MultiWOZDomain()
    fed = write([_prompt(one, free=False) for one in data.said])
    toured = write([_prompt(one, free=False) for one in data.elsewhere])
    chosen = write([_prompt(one, free=True) for one in data.said])
    faithful = [_faithful(one, text, domain) for one, text in zip(data.said, fed, strict=True)]
    agrees = [_agrees(one, domain.read_user(text)) for one, text in zip(data.said, chosen, strict=True)]
    shown = write([one.prompt for one in data.shown])
    right = [one.target == text for one, text in zip(data.shown, shown, strict=True)]
    human = write([one.prompt for one in data.worded])
    loaded = load(model)
    found = {
        "act fidelity": fmean(faithful),
        "act fidelity, MultiWOZ": fmean(
            _faithful(one, text, city) for one, text in zip(data.elsewhere, toured, strict=True)
        ),
        "agreement with the true preference": fmean(agrees),
        **{f"  at turn {turn}": _at(turn, data.said, agrees) for turn in DRIFT},
        "attribute alignment": _share(data.shown, right, ALIGNMENT),
        "target prediction": _share(data.shown, right, TARGET),
        "perplexity of real users": perplexity(
            loaded.model, ChatFormat(loaded.tokenizer, stop=loaded.stop), data.real
        ),
        "distinct pairs of words": distinct(fed, 2),
        "told from real users": _told(data.worded, human),
    }
    return found


def _writer(generator: LocalGenerator) -> Callable[[Sequence[ChatPrompt]], list[str]]:
    return lambda prompts: [utterance(text) for text in generator.generate(prompts, [0] * len(prompts))]


def _prompt(one: Said, *, free: bool) -> ChatPrompt:
    task, before = one.trajectory.task, one.trajectory.turns[: one.place]
    system = system_message(task, task.goal.persona, "free" if free else "worded", "compact")
    return chat(system, before, () if free else one.turn.acts, "compact")


def _faithful(one: Said, text: str, domain: CreditDomain | MultiWOZDomain) -> bool:
    """Whether words given acts say them and no more."""
    before = one.trajectory.turns[: one.place]
    facts = Facts(one.trajectory.task)
    return judge(text, domain.read_user(text, before), one.turn.acts, facts, before) is None


def _agrees(one: Said, read: Sequence[DialogueAct]) -> bool:
    """Whether words given a goal agree with it: the values are the goal's, the stance is the true user's."""
    facts = Facts(one.trajectory.task)
    values = [
        value for act in read if act.intent in ("disclose", "correct", "report") for _, value in stated(act)
    ]
    stance = _stance(one.turn.acts)
    same = stance == _stance(read) and (stance != 0 or _main(read) == _main(one.turn.acts))
    return same and all(value in facts.known for value in values)


def _stance(acts: Sequence[DialogueAct]) -> int:
    intents = {act.intent for act in acts}
    return -1 if intents & AGAINST else 1 if intents & FOR else 0


def _main(acts: Sequence[DialogueAct]) -> set[str]:
    """What a turn does, values aside."""
    return {act.intent for act in acts} - {"greet", "thank", "smalltalk"}


def _at(turn: int, said: Sequence[Said], agrees: Sequence[bool]) -> float:
    there = [agreed for one, agreed in zip(said, agrees, strict=True) if one.number == turn]
    return fmean(there) if there else float("nan")


def _share(examples: Sequence[Example], right: Sequence[bool], task: str) -> float:
    mine = [ok for example, ok in zip(examples, right, strict=True) if example.task == task]
    return fmean(mine) if mine else float("nan")


def _told(real: Sequence[Example], simulated: Sequence[str]) -> float:
    """Cross-validated accuracy of telling real words from the model's for the same acts; 0.5 is best."""
    sides: tuple[dict[str, list[list[str]]], ...] = ({}, {})
    for example, text in zip(real, simulated, strict=True):
        sides[0].setdefault(example.id, []).append(words(example.target))
        sides[1].setdefault(example.id, []).append(words(text))
    return two_sample_test(list(sides[0].values()), list(sides[1].values()), seed=0)["accuracy"]


def main(
    models: Annotated[list[str], typer.Argument(help='Folders; "" is the shipped language model.')],
    dialogues: Annotated[int, typer.Option(help="Of the shop, per scenario.")] = 60,
    real: Annotated[int, typer.Option(help="Turns of real users.")] = 400,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure."""
    data = held(dialogues, real, Path(os.environ.get("DIALOG_GYM_DATA", "")))
    found = {model or "shipped": measure(model, data) for model in models}
    if json:
        say(json_lines.dumps({"turns": len(data.said), **found}, indent=2))
        return
    say(f"{len(data.said):,} turns of {2 * dialogues:,} dialogues, {len(data.real):,} turns of real users")
    rows = [[name, *(number(found[model][name]) for model in found)] for name in next(iter(found.values()))]
    say(table(["measure", *found], rows))


if __name__ == "__main__":
    try:
        typer.run(main)
    except DialogGymError as error:
        raise SystemExit(f"error: {error}") from None
