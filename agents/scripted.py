"""A competent fixed script: the business-as-usual reference that relative lifts are quoted against.

It follows the SOP (identity, need, verdict, terms, offer, objection, close), computes every figure with the
shop's reasoning functions, and answers what it is asked. What it does not do is adapt: it knows the base
rulebook only, takes the first product that is allowed, never quantifies a benefit unasked, and treats every
customer alike.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from dialog_gym.agents.base import Agent
from dialog_gym.core import DialogueAct, Observation, Scalar, Turn
from dialog_gym.domains.credit import reasoning
from dialog_gym.domains.credit.agent_wording import word_assistant
from dialog_gym.domains.credit.memory import Memory, remember
from dialog_gym.domains.credit.profiles import TIER_RATES
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.domains.credit.user_reader import read_user

INTEREST_DAYS = 30
BASE_LEVEL = 0
_NEXT_STEP = {
    "overdue": "pay_overdue", "inactive": "reactivate", "income": "update_income", "tenure": "wait",
    "age": "wait", "recent_grant": "wait", "utilisation": "pay_overdue", "no_credit_line": "pay_overdue",
    "thin_file": "wait",
}  # fmt: skip


def act(intent: str, **slots: Scalar) -> DialogueAct:
    """A dialogue act."""
    return DialogueAct(intent=intent, slots=slots)


class Scripted(Agent):
    """The fixed SOP script of the credit shop."""

    name = "scripted"

    def __init__(self) -> None:
        """Loads the shipped rulebook."""
        self.rulebook = load_rulebook()

    def begin(self) -> None:
        """A key for the wording of this dialogue."""
        self.wording = int(self.rng.integers(2**31))
        self.identity_asked = 0
        self.asked: dict[str, int] = {}
        self.closed = 0

    def reply(self, observation: Observation) -> Turn:
        """The next turn of the script, in words."""
        memory = remember(observation.dialogue, lambda text: read_user(text, self.rulebook))
        acts = self._acts(observation, memory)
        text = self.word(acts, len(observation.dialogue))
        return Turn(role="assistant", text=text, acts=tuple(acts))

    def word(self, acts: Sequence[DialogueAct], turn: int) -> str:
        """The dialogue's own wording of some acts."""
        return word_assistant(acts, self.rulebook, self.wording + turn)

    # -- the script

    def _acts(self, seen: Observation, m: Memory) -> list[DialogueAct]:
        if m.wants_human:
            return [act("hand_over")]
        if m.finished or m.declined:
            return [act("acknowledge"), act("goodbye")] if m.declined else [act("goodbye")]
        if m.unclear and "clarify" not in m.said:
            return [act("clarify")]
        if not m.identity and self.identity_asked < 3:
            return self._identify(m)
        customer = Customer(self.rulebook, seen, m)
        if m.open_questions:
            return customer.answer(m.open_questions[0])
        return self._serve(customer, m) if _user_opened(seen) else self._sell(customer, m)

    def _identify(self, m: Memory) -> list[DialogueAct]:
        self.identity_asked += 1
        first = [act("greet")] if self.identity_asked == 1 else []
        wary = [act("inform_privacy")] if "privacy" in m.open_questions else []
        return [*first, *wary, act("ask_identity")]

    def _sell(self, customer: "Customer", m: Memory) -> list[DialogueAct]:
        for slot in customer.unknown_slots():
            if self.asked.get(slot, 0) < 2:
                self.asked[slot] = self.asked.get(slot, 0) + 1
                return [act("ask_need", slot=slot)]
        product = customer.choose()
        if product is None:
            return self._refuse(customer, m)
        if "inform_eligibility" not in m.said:
            return [
                act("inform_eligibility", product=product, verdict="eligible"),
                act("inform_limit", product=product, amount=customer.limit(product)),
            ]
        if m.open_objection:
            return [act("address_objection", objection=m.open_objection)]
        if "offer" not in m.said:
            amount = min(customer.amount, customer.limit(product))
            return [*customer.terms(product), act("offer", product=product, amount=amount)]
        return self._close(customer, m, product)

    def _close(self, customer: "Customer", m: Memory, product: str) -> list[DialogueAct]:
        self.closed += 1
        if self.closed > 2:
            return [act("goodbye")]
        return [act("close", product=product, amount=min(customer.amount, customer.limit(product)))]

    def _refuse(self, customer: "Customer", m: Memory) -> list[DialogueAct]:
        if "advise" in m.said:
            return [act("goodbye")]
        product = customer.suitable()[0]
        reason = customer.verdict(product).reason or "no_credit_line"
        return [
            act("inform_eligibility", product=product, verdict="ineligible", reason=reason),
            act("advise", step=_NEXT_STEP[reason]),
        ]

    def _serve(self, customer: "Customer", m: Memory) -> list[DialogueAct]:
        if m.problem and "solve" not in m.said:
            rule = self.rulebook.problems[m.problem]
            if rule.unless and customer.holds(rule.unless) and rule.answer_instead:
                return customer.answer(rule.answer_instead)
            return [act("solve", action=rule.solution)]
        return [act("acknowledge"), act("goodbye")]


def _user_opened(seen: Observation) -> bool:
    """Whether this is customer service: there the user speaks first."""
    return bool(seen.dialogue) and seen.dialogue[0].role == "user"


class Customer:
    """What the script works out about one customer from the profile and the conversation."""

    def __init__(self, rulebook: Any, seen: Observation, memory: Memory) -> None:
        """Reads profile and memory."""
        self.rulebook, self.profile, self.memory = rulebook, seen.profile, memory
        stated = self.profile.get("monthly_income") or memory.need.get("income")
        income = int(stated) if isinstance(stated, int | float) else 0
        self.income_known = bool(income)
        self.facts = reasoning.customer_facts(self.profile, income)
        self.tier = TIER_RATES.index(float(str(self.profile["annual_rate"])))
        amount = memory.need.get("amount")
        self.amount = int(amount) if isinstance(amount, int | float) else 1000
        self.today = date.fromisoformat(str(self.profile["today"]))

    def unknown_slots(self) -> list[str]:
        """Need slots still to be asked, in the script's order."""
        wanted = ["amount", "purpose", "timing"] + ([] if self.income_known else ["income"])
        return [slot for slot in wanted if slot not in self.memory.need]

    def verdict(self, product: str) -> reasoning.Verdict:
        """Eligibility by the base rulebook."""
        return reasoning.eligibility(self.rulebook, product, self.facts, BASE_LEVEL)

    def limit(self, product: str) -> int:
        """The product's limit for this customer."""
        return reasoning.product_limit(self.rulebook, product, self.facts)

    def rate(self, product: str) -> float:
        """The product's annual rate for this customer."""
        return reasoning.annual_rate(self.rulebook, product, self.tier)

    def suitable(self) -> Sequence[str]:
        """Products for the stated purpose, in the rulebook's order."""
        purpose = str(self.memory.need.get("purpose", "shopping"))
        return [name for name, product in self.rulebook.products.items() if product.suits.get(purpose, 0) > 0]

    def choose(self) -> str | None:
        """The first allowed product for the purpose."""
        return next((name for name in self.suitable() if self.verdict(name).eligible), None)

    def terms(self, product: str) -> list[DialogueAct]:
        """Rate and fee."""
        fee = self.rulebook.products[product].fee
        return [
            act("inform_rate", product=product, rate=self.rate(product)),
            act("inform_fees", product=product, fee=fee),
        ]

    def holds(self, exception: str) -> bool:
        """Whether an exception of the problem rules applies."""
        if exception == "inactive":
            return self.profile["activation"] != "active"
        return bool(self.profile["coupon_amount"]) and self.coupon_expiry() < self.today

    def coupon_expiry(self) -> date:
        """The coupon's last day."""
        issued = date.fromisoformat(str(self.profile["coupon_issued_on"]))
        return issued + timedelta(days=int(str(self.profile["coupon_valid_days"])))

    def answer(self, topic: str) -> list[DialogueAct]:
        """The right answer to a question about a topic."""
        product = self.choose() or self.suitable()[0]
        found: list[DialogueAct] = getattr(self, f"_answer_{topic}")(product)
        return found

    def _answer_eligibility(self, product: str) -> list[DialogueAct]:
        verdict = self.verdict(product)
        if verdict.eligible:
            return [act("inform_eligibility", product=product, verdict="eligible")]
        return [act("inform_eligibility", product=product, verdict="ineligible", reason=verdict.reason)]

    def _answer_limit(self, product: str) -> list[DialogueAct]:
        allowed = [name for name in (product, *self.rulebook.products) if self.verdict(name).eligible]
        if not allowed:
            return self._answer_eligibility(product)
        return [act("inform_limit", product=allowed[0], amount=self.limit(allowed[0]))]

    def _answer_rate(self, product: str) -> list[DialogueAct]:
        return [act("inform_rate", product=product, rate=self.rate(product))]

    def _answer_interest(self, product: str) -> list[DialogueAct]:
        cost = reasoning.interest(self.amount, self.rate(product), INTEREST_DAYS)
        return [
            act("inform_interest", amount=self.amount, days=INTEREST_DAYS, interest=cost, product=product)
        ]

    def _answer_instalment(self, product: str) -> list[DialogueAct]:
        months = self.rulebook.products[product].months[-1]
        monthly = reasoning.monthly_instalment(self.amount, self.rate(product), months)
        return [act("inform_instalment", amount=self.amount, months=months, monthly=monthly, product=product)]

    def _answer_coupon(self, product: str) -> list[DialogueAct]:
        if not self.profile["coupon_amount"]:
            return [act("acknowledge")]
        return [
            act(
                "inform_coupon",
                amount=self.profile["coupon_amount"],
                expires=self.coupon_expiry().isoformat(),
            )
        ]

    def _answer_fees(self, product: str) -> list[DialogueAct]:
        return [act("inform_fees", product=product, fee=self.rulebook.products[product].fee)]

    def _answer_reactivation(self, product: str) -> list[DialogueAct]:
        state, overdue = str(self.profile["activation"]), self.facts["overdue_now"]
        when = reasoning.earliest_reactivation(self.rulebook, state, overdue, self.today)
        return [act("inform_reactivation", date=when.isoformat())]

    def _answer_credit_check(self, product: str) -> list[DialogueAct]:
        return [act("inform_credit_check")]

    def _answer_privacy(self, product: str) -> list[DialogueAct]:
        return [act("inform_privacy")]
