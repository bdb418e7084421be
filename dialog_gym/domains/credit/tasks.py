"""Tasks: drawn from a split's key range, written as self-contained records, and read back from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym.core import DialogGymError, Goal, Scalar, Task, UserProfile
from dialog_gym.domains.credit import profiles as profile_model
from dialog_gym.domains.credit.difficulty import Axes
from dialog_gym.domains.credit.facts import derive
from dialog_gym.domains.credit.ontology import NEED_SLOTS, OBJECTIONS, PROBLEMS, PURPOSES, TIMINGS, TOPICS
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.shoppers import (
    SALE,
    SCENARIOS,
    STYLES,
    TRAINING_STYLES,
    VERBOSITIES,
    Shoppers,
    bits,
    draw,
    fit_table,
    problem_fixes,
    solvable_mask,
)
from dialog_gym.noise import mix, mix_array, text_key
from dialog_gym.plugins import nearest

SPLIT_SIZES = {"train": 65_536, "validation": 4_096, "test": 4_096}
_REAL_RANGES = {"train": (0, 20_000), "validation": (20_000, 25_000), "test": (25_000, 30_000)}
_INCOME = 1 << NEED_SLOTS.index("income")


@dataclass(frozen=True)
class TaskSpace:
    """Where tasks are drawn from. Hashable, so that blocks can be cached."""

    split: str
    scenario: str
    level: int
    axes: Axes
    styles: tuple[str, ...]
    profile_source: str = "generator"
    data_dir: str | None = None

    def __post_init__(self) -> None:
        """Checks names.

        Raises:
            DialogGymError: unknown split, scenario, style or profile source.
        """
        _one_of("split", self.split, SPLIT_SIZES)
        _one_of("scenario", self.scenario, SCENARIOS)
        _one_of("profile_source", self.profile_source, ("generator", "real"))
        for style in self.styles:
            _one_of("buyer style", style, STYLES)

    @property
    def size(self) -> int:
        """Number of tasks."""
        return SPLIT_SIZES[self.split]

    def keys(self, index: np.ndarray) -> np.ndarray:
        """uint64[N] task keys; the split's name enters first, so splits share no key."""
        base = mix(text_key(f"credit/{self.split}"), SCENARIOS.index(self.scenario), self.level)
        return mix_array(np.full(len(index), base, np.uint64), index.astype(np.uint64))


def _one_of(what: str, value: object, allowed: Any) -> None:
    if value not in allowed:
        raise DialogGymError(f"unknown {what} {value!r}; {nearest(str(value), allowed)}")


def default_styles(split: str) -> tuple[str, ...]:
    """All styles on the test split; elsewhere the held-out style is left out."""
    return STYLES if split == "test" else TRAINING_STYLES


def draw_tasks(space: TaskSpace, index: np.ndarray, rulebook: Rulebook) -> Shoppers:
    """The shoppers of some task indices."""
    keys = space.keys(index)
    given = None
    if space.profile_source == "real":
        first, last = _REAL_RANGES[space.split]
        rows = first + (mix_array(keys, 7) % np.uint64(last - first)).astype(np.int64)
        given = profile_model.from_real_rows(rows, Path(space.data_dir) if space.data_dir else None, keys)
    scenario = np.full(len(index), SCENARIOS.index(space.scenario))
    return draw(keys, scenario, rulebook, space.axes, space.styles, given)


def _names(mask: int, names: tuple[str, ...]) -> str:
    return ",".join(name for i, name in enumerate(names) if mask >> i & 1)


def _mask(text: Scalar, names: tuple[str, ...], where: str) -> int:
    parts = [part for part in str(text or "").split(",") if part]
    for part in parts:
        _one_of(where, part, names)
    return sum(1 << names.index(part) for part in parts)


def write_task(
    shoppers: Shoppers, row: int, *, task_id: str, space: TaskSpace, guidelines: str, max_turns: int
) -> Task:
    """One shopper as a record that holds everything needed to play the dialogue again."""
    s = shoppers
    visible = profile_model.attributes(s.profiles, row)
    if s.missing_income[row]:
        visible["monthly_income"] = None
    problem = int(s.problem[row])
    persona: dict[str, Scalar] = {
        "reached": bool(s.reached[row]),
        "buyer": bool(s.buyer[row]),
        "strength": float(s.strength[row]),
        "buyer_style": STYLES[s.style[row]],
        "trust": float(s.trust[row]),
        "patience": float(s.patience[row]),
        "price_sensitivity": float(s.price_sensitivity[row]),
        "knowledge": float(s.knowledge[row]),
        "objections": _names(int(s.objections[row]), OBJECTIONS),
        "required": _names(int(s.required[row]), NEED_SLOTS),
        "problem": PROBLEMS[problem] if problem >= 0 else "",
        "income": int(s.profiles.income[row]),
        "change_turn": int(s.change_turn[row]),
        "new_amount": int(s.new_amount[row]),
        "branches": space.axes.branches,
        "garbled": float(s.typos[row]),
        "typos": round(float(s.typos[row]) / 2, 4),
        "verbosity": VERBOSITIES[s.verbosity[row]],
        "code_words": bool(s.code_words[row]),
    }
    goal = Goal(
        need=_need_name(s, row),
        constraints={
            "amount": int(s.amount[row]),
            "purpose": PURPOSES[s.purpose[row]],
            "timing": TIMINGS[s.timing[row]],
        },
        requests=tuple(topic for i, topic in enumerate(TOPICS) if int(s.questions[row]) >> i & 1),
        persona=persona,
    )  # fmt: skip
    return Task(
        id=task_id, domain="credit", scenario=space.scenario, split=space.split, level=space.level,
        profile=UserProfile(id=task_id, attributes=visible), goal=goal, guidelines=guidelines,
        max_turns=max_turns,
    )  # fmt: skip


def _need_name(s: Shoppers, row: int) -> str:
    if s.scenario[row] == SALE:
        return PURPOSES[s.purpose[row]]
    return PROBLEMS[s.problem[row]] if s.problem[row] >= 0 else "question"


def read_task(task: Task, rulebook: Rulebook) -> Shoppers:
    """The shopper of a task record: the inverse of `write_task`, also for tasks written by hand.

    Raises:
        DialogGymError: the record lacks a field or holds an impossible value (NaN, unknown name, ...).
    """
    try:
        return _read_task(task, rulebook)
    except KeyError as error:
        raise DialogGymError(f"task {task.id}: field {error.args[0]!r} is missing") from None


def _read_task(task: Task, rulebook: Rulebook) -> Shoppers:
    persona, wanted = task.goal.persona, task.goal.constraints
    attributes = dict(task.profile.attributes)
    missing = attributes["monthly_income"] is None
    if missing:
        attributes["monthly_income"] = persona["income"]
    customer = profile_model.profile_from_attributes(attributes)
    facts = derive(customer, rulebook, int(_number(task, "branches")))
    _one_of("purpose", wanted["purpose"], PURPOSES)
    _one_of("timing", wanted["timing"], TIMINGS)
    _one_of("scenario", task.scenario, SCENARIOS)
    _one_of("buyer style", persona["buyer_style"], STYLES)
    _one_of("verbosity", persona["verbosity"], VERBOSITIES)
    purpose = np.asarray([PURPOSES.index(str(wanted["purpose"]))])
    _one_of("problem", persona["problem"] or "", ("", *PROBLEMS))
    amount = np.asarray([_amount(task, "amount")])
    fits = fit_table(rulebook)[purpose]
    problem = np.asarray([PROBLEMS.index(str(persona["problem"])) if persona["problem"] else -1])
    fix_actions, fix_topics = problem_fixes(problem, facts, rulebook)
    sale = task.scenario == SCENARIOS[0]
    one: dict[str, Any] = {
        "scenario": SCENARIOS.index(task.scenario),
        "reached": bool(persona["reached"]),
        "buyer": bool(persona["buyer"]),
        "strength": _number(task, "strength"),
        "timing": TIMINGS.index(str(wanted["timing"])),
        "new_amount": _amount(task, "new_amount"),
        "change_turn": int(_number(task, "change_turn")),
        "required": _mask(persona["required"], NEED_SLOTS, "need slot"),
        "missing_income": missing,
        "questions": _mask(",".join(task.goal.requests), TOPICS, "topic"),
        "objections": _mask(persona["objections"], OBJECTIONS, "objection"),
        "style": STYLES.index(str(persona["buyer_style"])),
        "trust": _number(task, "trust"),
        "patience": _number(task, "patience"),
        "price_sensitivity": _number(task, "price_sensitivity"),
        "knowledge": _number(task, "knowledge"),
        "typos": _number(task, "garbled"),
        "verbosity": VERBOSITIES.index(str(persona["verbosity"])),
        "code_words": bool(persona["code_words"]),
    }
    return Shoppers(
        profiles=customer,
        facts=facts,
        purpose=purpose,
        amount=amount,
        fits=fits,
        suits=bits(fits > 0),
        solvable=solvable_mask(facts, fits, amount) if sale else np.zeros(1, np.int64),
        problem=problem,
        fix_actions=fix_actions,
        fix_topics=fix_topics,
        **{name: np.asarray([value]) for name, value in one.items()},
    )


def _amount(task: Task, name: str) -> int:
    amount = int(_number(task, name))
    if amount == 0:
        raise DialogGymError(f"task {task.id}: {name} must be at least 1, not 0")
    return amount


def _number(task: Task, name: str) -> float:
    value = task.goal.constraints[name] if name in task.goal.constraints else task.goal.persona[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < 0:
        raise DialogGymError(f"task {task.id}: {name} must be a number from 0 up, not {value!r}")
    return float(value)
