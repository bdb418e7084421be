"""Strategies and hard SOP rules, declared in `strategies.toml`; ESNDCG.

ESNDCG (expert-strategy nDCG) is used by GOPO as the expert's reward; the graded fit behind it is ours.
"""

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from pydantic import Field

from dialog_gym.core import Record
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS
from dialog_gym.domains.credit.shoppers import SALE, SERVICE
from dialog_gym.domains.credit.state import ACCOUNT_TOPICS, ACT, USER, Lane, State
from dialog_gym.ops import SCALAR, Ops

FACTS: Final = (
    "sale", "service", "identity", "need_known", "verdict_told", "terms_told", "offered", "question_open",
    "objection_open", "problem_open", "unreadable", "declined", "declined_twice", "account_question",
    "human_wanted", "refusal_told", "advised", "nothing_left", "account_unverified",
)  # fmt: skip
FACT = {name: 1 << i for i, name in enumerate(FACTS)}
BEST_GRADE = 3


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


@lru_cache(maxsize=1)
def load_strategies() -> dict[str, Strategy]:
    """The declared strategies by name, in file order.

    Raises:
        ValueError: the file names an unknown fact or intent.
    """
    text = (files("dialog_gym.domains.credit") / "strategies.toml").read_text("utf-8")
    found = {
        name: Strategy.model_validate(table) for name, table in tomllib.loads(text)["strategies"].items()
    }
    for name, strategy in found.items():
        named = {*strategy.sop.needs, *strategy.sop.forbidden_when}
        named |= {fact for fit in strategy.fits for fact in (*fit.when, *fit.unless)}
        if unknown := sorted((named - set(FACTS)) | (set(strategy.intents) - set(ASSISTANT_ACTS))):
            raise ValueError(f"strategies.toml: {name} names {unknown[0]!r}, which is no fact or intent")
    return found


def _mask(names: tuple[str, ...]) -> int:
    return sum(FACT[name] for name in names)


class StrategyBook:
    """Strategies over dialogue states: facts, hard masks, grades, ESNDCG gains. Arrays or scalars."""

    def __init__(self, ops: Ops) -> None:
        """Compiles the declared rules into bitmasks."""
        self.ops = ops
        self.names = tuple(load_strategies())
        book = load_strategies().values()
        self.intents = [sum(ACT[intent] for intent in strategy.intents) for strategy in book]
        self.hard = [(_mask(s.sop.needs), _mask(s.sop.forbidden_when)) for s in book]
        self.rules = [[(fit.grade, _mask(fit.when), _mask(fit.unless)) for fit in s.fits] for s in book]
        # one dialogue has few different (facts, acts), arrays cannot be keys
        self._gains = lru_cache(maxsize=16_384)(self._judge) if ops is SCALAR else self._judge

    def facts(self, s: State) -> Lane:
        """Bitmask of FACTS as the agent can see them."""
        where = self.ops.where
        sale = s.scenario == SALE
        need = ((s.seen_known & s.required) == s.required) & s.identity
        told = (s.said_eligible | s.said_ineligible) != 0
        refusal = told & (s.said_eligible == 0)
        terms = (s.said_rate & s.said_fee) != 0
        question, problem = s.seen_open != 0, (s.problem >= 0) & (s.problem_settled ^ True)
        account = (s.seen_open & ACCOUNT_TOPICS) != 0
        done = (
            (s.scenario == SERVICE)
            & (question ^ True)
            & (problem ^ True)
            & (s.main == USER["confirm_solved"])
        )
        held = {
            "sale": sale, "service": sale ^ True, "identity": s.identity, "need_known": need,
            "verdict_told": told,
            "terms_told": terms, "offered": s.offered != 0, "question_open": question,
            "objection_open": (s.seen_voiced & ~s.resolved) != 0, "problem_open": problem,
            "unreadable": s.garbled,
            "declined": s.declined >= 1, "declined_twice": s.declined >= 2, "account_question": account,
            "human_wanted": s.human_requests > 0, "refusal_told": refusal, "advised": s.advised != 0,
            "nothing_left": done, "account_unverified": account & (s.identity ^ True),
        }  # fmt: skip
        total: Any = 0
        for name, holds in held.items():
            total = total | where(holds, FACT[name], 0)
        return total

    def allowed(self, facts: Lane) -> list[Lane]:
        """Per strategy, whether the hard SOP rules allow it now."""
        return [((facts & needs) == needs) & ((facts & forbidden) == 0) for needs, forbidden in self.hard]

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
