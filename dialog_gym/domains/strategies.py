"""Declared strategies of any domain: which acts carry one out, how well it fits, hard SOP rules; ESNDCG.

ESNDCG (expert-strategy nDCG) is used by GOPO as the expert's reward; the graded fit behind it is ours.
"""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from pydantic import Field

from dialog_gym.core import Record
from dialog_gym.ops import SCALAR, Ops

Lane = Any
"""An array of length N, or one Python scalar."""
BEST_GRADE: Final = 3


class Fit(Record):
    """A grade and the facts it needs."""

    grade: int = Field(ge=0, le=BEST_GRADE)
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


class Sop(Record):
    """Hard rules: needed and forbidding facts."""

    needs: tuple[str, ...] = ()
    forbidden_when: tuple[str, ...] = ()


class Strategy(Record):
    """A strategy: the intents that carry it out, its graded fit, its hard rules."""

    intents: tuple[str, ...]
    fits: tuple[Fit, ...]
    sop: Sop = Sop()


def read_strategies(package: str, facts: Collection[str], intents: Collection[str]) -> dict[str, Strategy]:
    """The strategies that a package's ``strategies.toml`` declares by name, in file order.

    Raises:
        ValueError: the file names an unknown fact or intent.
    """
    text = (files(package) / "strategies.toml").read_text("utf-8")
    found = {
        name: Strategy.model_validate(table) for name, table in tomllib.loads(text)["strategies"].items()
    }
    for name, strategy in found.items():
        named = {*strategy.sop.needs, *strategy.sop.forbidden_when}
        named |= {fact for fit in strategy.fits for fact in (*fit.when, *fit.unless)}
        if unknown := sorted((named - set(facts)) | (set(strategy.intents) - set(intents))):
            raise ValueError(f"strategies.toml: {name} names {unknown[0]!r}, which is no fact or intent")
    return found


class Playbook:
    """Strategies over facts: hard masks, grades, ESNDCG gains. Arrays or scalars."""

    def __init__(
        self, ops: Ops, strategies: Mapping[str, Strategy], facts: Sequence[str], acts: Mapping[str, int]
    ) -> None:
        """Compiles declared rules into bitmasks.

        Args:
            ops: Arrays or scalars.
            strategies: What is declared.
            facts: Names of the facts; fact i is bit i of a mask of facts.
            acts: Masks of the intents.
        """
        self.ops, self.names, book = ops, tuple(strategies), strategies.values()
        self.fact = {name: 1 << i for i, name in enumerate(facts)}
        self.intents = [sum(acts[intent] for intent in strategy.intents) for strategy in book]
        self.hard = [(self._mask(s.sop.needs), self._mask(s.sop.forbidden_when)) for s in book]
        self.rules = [
            [(fit.grade, self._mask(fit.when), self._mask(fit.unless)) for fit in s.fits] for s in book
        ]
        # one dialogue has few different (facts, acts), arrays cannot be keys
        self._gains = lru_cache(maxsize=16_384)(self._judge) if ops is SCALAR else self._judge

    def _mask(self, names: Sequence[str]) -> int:
        return sum(self.fact[name] for name in names)

    def held(self, facts: Mapping[str, Lane]) -> Lane:
        """The mask of the facts that hold, from whether each one holds."""
        total: Any = 0
        for name, holds in facts.items():
            total = total | self.ops.where(holds, self.fact[name], 0)
        return total

    def allowed(self, facts: Lane) -> list[Lane]:
        """Per strategy, whether the hard SOP rules allow it now."""
        return [((facts & needs) == needs) & ((facts & forbidden) == 0) for needs, forbidden in self.hard]

    def allowed_names(self, facts: int) -> tuple[str, ...]:
        """The strategies that the hard SOP rules allow in one dialogue now."""
        return tuple(name for name, ok in zip(self.names, self.allowed(facts), strict=True) if ok)

    def grades(self, facts: Lane) -> list[Lane]:
        """Per strategy, its graded fit 0-3; a strategy that the hard rules forbid has 0."""
        where = self.ops.where
        grades: list[Lane] = []
        for rules, allowed in zip(self.rules, self.allowed(facts), strict=True):
            grade: Lane = 0
            for value, when, unless in reversed(rules):
                grade = where(((facts & when) == when) & ((facts & unless) == 0), value, grade)
            grades.append(where(allowed, grade, 0))
        return grades

    def gains(self, facts: Lane, acts: Lane) -> tuple[Lane, Lane]:
        """Graded fit of the turn (its best strategy among those its acts carry out), and the best there was.

        Args:
            facts: Facts before the turn.
            acts: Bitmask of the turn's intents.
        """
        return self._gains(facts, acts)

    def _judge(self, facts: Lane, acts: Lane) -> tuple[Lane, Lane]:
        where, top = self.ops.where, self.ops.maximum
        chosen: Lane = 0
        best: Lane = 1  # there is always something acceptable, so a dull moment cannot divide by zero
        for intents, grade in zip(self.intents, self.grades(facts), strict=True):
            chosen = top(chosen, where((acts & intents) != 0, grade, 0))
            best = top(best, grade)
        return chosen, best
