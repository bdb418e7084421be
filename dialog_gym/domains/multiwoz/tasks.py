"""Tasks: a goal and a user drawn from a split's key range, written as records, and read back from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

import numpy as np

from dialog_gym.core import DialogGymError, Goal, Scalar, Task, UserProfile
from dialog_gym.domains.multiwoz import bits, shipped_goals
from dialog_gym.domains.multiwoz.bookings import reference, taxi
from dialog_gym.domains.multiwoz.corpus import load_goals
from dialog_gym.domains.multiwoz.difficulty import Axes
from dialog_gym.domains.multiwoz.goal_sampling import Draws, GoalSampler, load_goal_model
from dialog_gym.domains.multiwoz.goals import DomainGoal, MultiWozGoal, problems
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS, DONTCARE, INFORMABLE, REQUESTABLE
from dialog_gym.domains.multiwoz.search import ANYTHING, LINKED, Lexicon
from dialog_gym.domains.multiwoz.state import DRAWN_TYPE
from dialog_gym.domains.multiwoz.tracker import ideal
from dialog_gym.domains.multiwoz.values import normal
from dialog_gym.noise import mix, mix_array, text_key
from dialog_gym.plugins import nearest

SCENARIO: Final = "booking"
SPLIT_SIZES: Final = {"train": 16_384, "validation": 1_024, "test": 1_024}
GOAL_SOURCES: Final = ("sampled", "corpus")
_USER: Final = text_key("multiwoz user")
_PARTS: Final = ("info", "fail_info", "book", "fail_book")
STATION: Final = "cambridge train station"
"""Where a taxi goes from or to when the goal has fewer than two places."""


class User(NamedTuple):
    """What a task draws beside the goal."""

    patience: float
    """Turns without progress that the user bears."""
    verbosity: int
    """Slots said in a usual turn, 1 to 6."""
    change: float
    """Probability per turn that a changed mind shows unasked."""
    changed: Mapping[str, str]
    """``DOMAIN.SLOT`` to the value said first, for a constraint on which the user will change their mind."""


@dataclass(frozen=True)
class TaskSpace:
    """Where tasks are drawn from. Hashable, so that it can be a key."""

    split: str
    level: int
    axes: Axes
    goal_source: str = "sampled"
    data_dir: str | None = None
    scenario: str = SCENARIO

    def __post_init__(self) -> None:
        """Checks names.

        Raises:
            DialogGymError: unknown split, scenario or goal source.
        """
        for what, name, known in (
            ("split", self.split, tuple(SPLIT_SIZES)),
            ("scenario", self.scenario, (SCENARIO,)),
            ("goal_source", self.goal_source, GOAL_SOURCES),
        ):
            if name not in known:
                raise DialogGymError(f"unknown {what} {name!r}; {nearest(str(name), known)}")

    @cached_property
    def _corpus(self) -> tuple[MultiWozGoal, ...]:
        return _corpus_goals(self.split, self.data_dir)

    @property
    def size(self) -> int:
        """Number of tasks.

        Raises:
            DialogGymError: the corpus's goals are wanted and not there.
        """
        return len(self._corpus) if self.goal_source == "corpus" else SPLIT_SIZES[self.split]

    def keys(self, index: np.ndarray) -> np.ndarray:
        """uint64[N] task keys; the split's name enters first, so splits share no key."""
        base = mix(text_key(f"multiwoz/{self.goal_source}/{self.split}"), self.level)
        return mix_array(np.full(len(index), base, np.uint64), index.astype(np.uint64))

    def goal(self, index: int, sampler: GoalSampler) -> MultiWozGoal:
        """The goal of a task: the same at every level."""
        if self.goal_source == "corpus":
            return self._corpus[index]
        return sampler.sample(mix(text_key(f"multiwoz/goals/{self.split}"), index))


@lru_cache(maxsize=4)
def _corpus_goals(split: str, data_dir: str | None) -> tuple[MultiWozGoal, ...]:
    if data_dir is None and split in shipped_goals.SPLITS:
        return shipped_goals.shipped_goals(split)
    return tuple(load_goals(split, data_dir).values())


def draw_user(goal: MultiWozGoal, key: int, axes: Axes) -> User:
    """The user of a task: patience, verbosity and what they change their mind about."""
    draws = Draws(mix(key, _USER))
    patience = float(max(1, round(axes.patience - 2 + 4 * draws.next())))
    verbosity = min(6, max(1, round(axes.verbosity - 1 + 2 * draws.next())))
    changed: dict[str, str] = {}
    possible = [
        (domain, slot)
        for domain, part in goal.domains.items()
        if domain != "taxi" and not part.fail_info
        for slot in part.info
        if len(load_goal_model()["domain"][domain]["values"].get(slot, ())) > 1 and slot != "name"
    ]
    if draws.happens(axes.mind_change) and possible:
        domain, slot = draws.pick((pair, 1.0) for pair in possible)
        values = load_goal_model()["domain"][domain]["values"][slot]
        info = goal.domains[domain].info
        ends = ("departure", "destination")  # nobody goes from a place to the same place
        taken = {info[name] for name in (ends if slot in ends else (slot,)) if name in info}
        value = draws.pick(pair for pair in values.items() if pair[0] not in taken)
        changed = {f"{domain}.{slot}": value}
    return User(patience, verbosity, 0.25, changed)


class Encoder:
    """Goals and users as rows of `state.DRAWN_TYPE`."""

    def __init__(self, lexicon: Lexicon, max_turns: int) -> None:
        """Values are numbered by ``lexicon``; ``max_turns`` bounds the discounts of TSE's ideal."""
        self.lexicon, self.max_turns = lexicon, max_turns

    def encode(self, tasks: list[tuple[MultiWozGoal, User]]) -> np.ndarray:
        """What the starts of some tasks differ in, a structured array [T].

        Raises:
            DialogGymError: a goal has a slot that its domain does not have.
        """
        drawn = np.zeros(len(tasks), DRAWN_TYPE)
        for row, (goal, user) in zip(drawn, tasks, strict=True):
            self._goal(row, goal, user)
        drawn["ideal"] = ideal(drawn, self.max_turns)
        return drawn

    def _goal(self, row: np.void, goal: MultiWozGoal, user: User) -> None:
        sets = dict.fromkeys(("info", "book", "differs", "asks", "failing", "refusing", "bookings"), 0)
        value, first = [0] * len(bits.CONSTRAINTS), [0] * len(bits.CONSTRAINTS)
        for domain, part in goal.domains.items():
            bit = 1 << bits.DOMAIN[domain]
            said_first = {**part.info, **part.fail_info, **part.book, **part.fail_book}
            wanted_last = {**dict.fromkeys(part.fail_info, DONTCARE), **linked(domain, part)}
            for slot, wanted in {**wanted_last, **part.info, **part.book}.items():
                at = bits.CONSTRAINT[domain, slot].bit_length() - 1
                value[at] = self._pointer(domain, slot, wanted)
                early = user.changed.get(f"{domain}.{slot}", said_first.get(slot, wanted))
                first[at] = self._pointer(domain, slot, early)
                sets["differs"] |= (first[at] != value[at]) << at
                sets["info" if slot in INFORMABLE[domain] else "book"] |= 1 << at
            sets["asks"] |= sum(bits.REQUEST[domain, slot] for slot in part.requests)
            sets["failing"] |= bit if part.fail_info else 0
            sets["refusing"] |= bit if part.fail_book else 0
            sets["bookings"] |= bit if part.book or domain == "taxi" else 0
        row["value"], row["first"] = value, first
        for name, mask in sets.items():
            row[name] = mask
        row["order"] = sum(bits.DOMAIN[domain] << (3 * i) for i, domain in enumerate(goal.domains))
        row["domains"] = len(goal.domains)
        row["temper"], row["verbosity"], row["change"] = user.patience, user.verbosity, user.change

    def _pointer(self, domain: str, slot: str, value: str) -> int:
        if value in (DONTCARE, _LINK):
            return ANYTHING if value == DONTCARE else LINKED
        return self.lexicon.pointer(domain, slot, value)


_LINK: Final = "\0linked"


def linked(domain: str, part: DomainGoal) -> dict[str, str]:
    """The ends of a taxi ride that the goal leaves to its other places."""
    ends = ("departure", "destination") if domain == "taxi" else ()
    return {slot: _LINK for slot in ends if slot not in part.info}


# -- records


def desk(task_id: str) -> dict[str, Scalar]:
    """What the desk's systems give out in a dialogue: the next reference of each kind, and the next car."""
    key = text_key(task_id)
    references: dict[str, Scalar] = {f"{domain}_ref": reference(key, domain, "") for domain in BOOKABLE}
    return references | {f"taxi_{slot}": value for slot, value in taxi(key).items()}


def booked_out(goal: MultiWozGoal) -> dict[str, Scalar]:
    """The details for which the desk's systems show no vacancy, ``SLOT=VALUE``; None without any."""
    full = {domain: part.fail_book for domain, part in goal.domains.items()}
    return {
        f"{domain}_full": ",".join(f"{slot}={value}" for slot, value in full.get(domain, {}).items()) or None
        for domain in BOOKABLE
    }


def write_task(
    task_id: str, space: TaskSpace, goal: MultiWozGoal, user: User, guidelines: str, max_turns: int
) -> Task:
    """A goal and its user as a record that holds everything needed to play the dialogue again."""
    constraints: dict[str, Scalar] = {
        f"{domain}.{name}.{slot}": value
        for domain, part in goal.domains.items()
        for name in _PARTS
        for slot, value in getattr(part, name).items()
    }
    persona: dict[str, Scalar] = {
        "patience": user.patience,
        "verbosity": user.verbosity,
        "change": user.change,
        "changed": ",".join(f"{slot}={value}" for slot, value in user.changed.items()),
        "goal_id": goal.id,
    }
    return Task(
        id=task_id, domain="multiwoz", scenario=space.scenario, split=space.split, level=space.level,
        profile=UserProfile(id=task_id, attributes=desk(task_id) | booked_out(goal)),
        goal=Goal(
            need=",".join(goal.domains),
            constraints=constraints,
            requests=tuple(f"{d}.{slot}" for d, part in goal.domains.items() for slot in part.requests),
            persona=persona,
        ),
        guidelines=guidelines, max_turns=max_turns,
    )  # fmt: skip


def read_task(task: Task, lexicon: Lexicon) -> tuple[MultiWozGoal, User]:
    """The goal and user of a task record: the inverse of `write_task`, also for tasks written by hand.

    Raises:
        DialogGymError: the record lacks a field, names what does not exist, or has a goal that cannot be met.
    """
    try:
        goal, user = _read_goal(task), _read_user(task)
    except KeyError as error:
        raise DialogGymError(f"task {task.id}: field {error.args[0]!r} is missing") from None
    if found := problems(goal, lexicon.database):
        raise DialogGymError(f"task {task.id}: the goal cannot be met: {found[0]}")
    return goal, user


def _read_goal(task: Task) -> MultiWozGoal:
    order = [name for name in task.goal.need.split(",") if name]
    for name in order:
        if name not in DOMAINS:
            raise DialogGymError(f"task {task.id}: unknown domain {name!r}; {nearest(name, DOMAINS)}")
    if not order:
        raise DialogGymError(f"task {task.id}: the need must name a domain, e.g. hotel,taxi")
    parts: dict[str, dict[str, dict[str, str]]] = {name: {part: {} for part in _PARTS} for name in order}
    for key, value in task.goal.constraints.items():
        domain, _, rest = key.partition(".")
        part, _, slot = rest.partition(".")
        known = BOOKABLE.get(domain, ()) if part.endswith("book") else INFORMABLE.get(domain, ())
        if domain not in parts or part not in _PARTS or slot not in known:
            raise DialogGymError(f"task {task.id}: unknown constraint {key!r}; write e.g. hotel.info.area")
        parts[domain][part][slot] = normal(domain, slot, value)
    requests: dict[str, list[str]] = {name: [] for name in order}
    for request in task.goal.requests:
        domain, _, slot = request.partition(".")
        if domain not in parts or slot not in REQUESTABLE[domain]:
            raise DialogGymError(f"task {task.id}: unknown request {request!r}; write e.g. hotel.phone")
        requests[domain].append(slot)
    domains = {name: DomainGoal(**parts[name], requests=tuple(requests[name])) for name in order}
    return MultiWozGoal(id=str(task.goal.persona.get("goal_id", task.id)), domains=domains)


def _read_user(task: Task) -> User:
    changed: dict[str, str] = {}
    for pair in str(task.goal.persona["changed"] or "").split(","):
        slot, equals, value = pair.partition("=")
        if equals:
            changed[slot] = value
    patience, verbosity, change = (_number(task, name) for name in ("patience", "verbosity", "change"))
    if patience <= 0 or not 1 <= verbosity <= bits.MOST:
        raise DialogGymError(
            f"task {task.id}: patience must be above 0 and verbosity from 1 to {bits.MOST}, "
            f"not {patience:g} and {verbosity:g}"
        )
    return User(patience, int(verbosity), change, changed)


def _number(task: Task, name: str) -> float:
    value = task.goal.persona[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < 0:
        raise DialogGymError(f"task {task.id}: {name} must be a number from 0 up, not {value!r}")
    return float(value)
