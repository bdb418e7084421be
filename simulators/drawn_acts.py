"""Acts that any customer might want to say, rare ones as often as common ones: more to learn wording from.

What customers say in dialogues is mostly the same few acts; a model that learns from dialogues alone seldom
hears of a coupon. So the acts of a domain are drawn evenly over their kinds, and worded by the templates.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from dialog_gym.core import DialogueAct, Scalar, Trajectory, Turn
from dialog_gym.domains.credit.ontology import CHOICES, NEED_SLOTS, PRODUCTS, PURPOSES, TIMINGS, USER_ACTS
from dialog_gym.noise import mix, text_key
from dialog_gym.simulators.agenda import AgendaSimulator

ROUND: Final = 50
"""Amounts are multiples of this."""
OPTIONAL: Final = 0.5
"""How often an optional slot is filled."""
SIZES: Final = (0.6, 0.3, 0.1)
"""How often a turn has one, two or three acts."""
TOGETHER: Final = ("confirm_identity", "disclose", "correct", "ask")
"""Acts that stand beside others, in this order."""
_VALUES: Final[dict[str, Sequence[str]]] = {"purpose": PURPOSES, "timing": TIMINGS}
_STREAM: Final = text_key("acts drawn for a user model")


def drawn_turns(trajectory: Trajectory, count: int) -> Iterator[Turn]:
    """Turns of a dialogue's customer that say acts drawn evenly; those that cannot be read are left out.

    In MultiWOZ, whose acts differ in values only, these are the dialogue's own acts, worded again.
    """
    task = trajectory.task
    generator = np.random.default_rng(mix(_STREAM, text_key(task.id), trajectory.seed))
    said = [turn.acts for turn in trajectory.turns if turn.role == "user" and turn.acts]
    users = AgendaSimulator(typos=0.0)
    for number in range(count if task.domain == "credit" else min(count, len(said))):
        acts = drawn(generator) if task.domain == "credit" else said[number]
        session = users.start(task, mix(_STREAM, trajectory.seed, number))
        text = session.say(acts, (), garbled=False)
        if not session.errors:
            yield Turn(role="user", text=text, acts=acts)


def drawn(generator: np.random.Generator) -> tuple[DialogueAct, ...]:
    """The acts of one turn of a customer of the credit shop."""
    size = 1 + int(generator.choice(len(SIZES), p=SIZES))
    if size == 1:
        kinds = [name for name in USER_ACTS if name != "unclear"]
        weights = np.array([_variants(name) for name in kinds])
        return (_act(str(generator.choice(kinds, p=weights / weights.sum())), generator),)
    found = {}
    for intent in generator.choice(TOGETHER, size=size, p=(0.2, 0.5, 0.1, 0.2)):
        act = _act(str(intent), generator)
        found[act.intent, act.slots.get("slot")] = act
    return tuple(sorted(found.values(), key=_place))


def _place(act: DialogueAct) -> tuple[int, int]:
    slot = act.slots.get("slot")
    return TOGETHER.index(act.intent), NEED_SLOTS.index(str(slot)) if slot else 0


def _variants(intent: str) -> float:
    """The weight of an intent: how much there is to learn about it."""
    slots = [name.rstrip("?") for name in USER_ACTS[intent]]
    return 2.0 + sum(len(CHOICES[slot]) for slot in slots if slot in CHOICES and slot != "product")


def _act(intent: str, generator: np.random.Generator) -> DialogueAct:
    slots: dict[str, Scalar] = {}
    for name in USER_ACTS[intent]:
        if name.endswith("?") and generator.random() < OPTIONAL:
            continue
        if name == "value":
            slots[name] = _value(str(slots["slot"]), generator)
        else:
            options = PRODUCTS if name == "product?" else CHOICES[name.rstrip("?")]
            slots[name.rstrip("?")] = str(generator.choice(options))
    return DialogueAct(intent=intent, slots=slots)


def _value(slot: str, generator: np.random.Generator) -> Scalar:
    if slot in _VALUES:
        return str(generator.choice(list(_VALUES[slot])))
    return ROUND * int(generator.integers(6, 400))
