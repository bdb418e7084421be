"""The shop's strategies and hard SOP rules, declared in `strategies.toml`, and the facts that they name."""

from functools import lru_cache
from typing import Final

from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS
from dialog_gym.domains.credit.shoppers import SALE, SERVICE
from dialog_gym.domains.credit.state import ACCOUNT_TOPICS, ACT, USER, Lane, State
from dialog_gym.domains.strategies import Playbook, Strategy, read_strategies
from dialog_gym.ops import Ops

FACTS: Final = (
    "sale", "service", "identity", "need_known", "verdict_told", "terms_told", "offered", "question_open",
    "objection_open", "problem_open", "unreadable", "declined", "declined_twice", "account_question",
    "human_wanted", "refusal_told", "advised", "nothing_left", "account_unverified",
)  # fmt: skip
FACT = {name: 1 << i for i, name in enumerate(FACTS)}


@lru_cache(maxsize=1)
def load_strategies() -> dict[str, Strategy]:
    """The declared strategies by name, in file order.

    Raises:
        ValueError: the file names an unknown fact or intent.
    """
    return read_strategies("dialog_gym.domains.credit", FACTS, ASSISTANT_ACTS)


class StrategyBook(Playbook):
    """The strategies over dialogue states. Arrays or scalars."""

    def __init__(self, ops: Ops) -> None:
        """Compiles the declared rules into bitmasks."""
        super().__init__(ops, load_strategies(), FACTS, ACT)

    def facts(self, s: State) -> Lane:
        """Bitmask of FACTS as the agent can see them."""
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
        return self.held(held)
