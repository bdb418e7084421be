"""The oracle: sees the hidden state and does what serves this customer best. A reference, never ranked."""

from collections.abc import Sequence
from typing import Any

from dialog_gym.agents.base import Agent
from dialog_gym.agents.scripted import act
from dialog_gym.core import DialogueAct, Observation, Turn
from dialog_gym.domains.credit.agent_wording import word_assistant
from dialog_gym.domains.credit.ontology import NEED_SLOTS, NEXT_STEPS, OBJECTIONS, SOLUTIONS, TOPICS
from dialog_gym.domains.credit.reasoning import interest, monthly_instalment
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.domains.credit.shoppers import SERVICE
from dialog_gym.domains.credit.state import USER, State
from dialog_gym.domains.credit.truth import Truth

_DAYS = 30


class Oracle(Agent):
    """Knows need, truth and mood; still talks through the same channel as everybody."""

    name = "oracle"
    sees_hidden_state = True

    def __init__(self) -> None:
        """Loads the shipped rulebook, for the wording only."""
        self.rulebook = load_rulebook()

    def begin(self) -> None:
        """A key for the wording of this dialogue."""
        self.wording = int(self.rng.integers(2**31))

    def reply(self, observation: Observation) -> Turn:
        """The best turn it knows of."""
        acts = self._acts(observation.hidden)
        text = self.word(acts, len(observation.dialogue))
        return Turn(role="assistant", text=text, acts=tuple(acts))

    def word(self, acts: Sequence[DialogueAct], turn: int) -> str:
        """The dialogue's own wording of some acts."""
        return word_assistant(acts, self.rulebook, self.wording + turn)

    def _acts(self, dialogue: Any) -> list[DialogueAct]:
        s: State = dialogue.state
        if s.main == USER["request_human"] and s.scenario == SERVICE and s.patience < 1:
            return [act("hand_over")]
        if s.garbled:
            return [act("clarify")]
        guide = Guide(s, dialogue.truth)
        if not s.identity:
            return [
                *([act("greet")] if s.turn == 0 else []),
                *guide.answers(public_only=True),
                act("ask_identity"),
            ]
        return guide.serve() if s.scenario == SERVICE else guide.sell()


class Guide:
    """The oracle's plan for one state."""

    def __init__(self, state: State, truth: Truth) -> None:
        """Takes the hidden state and the customer's facts."""
        self.s, self.truth = state, truth
        self.product = self._best_product()

    def _best_product(self) -> int:
        s, candidates = self.s, range(len(self.truth.products))
        wanted = s.solvable or s.eligible
        allowed = [p for p in candidates if wanted >> p & 1] or list(candidates)

        def worth(p: int) -> float:
            short = max(0.0, (s.amount - self.truth.limits[p]) / s.amount)
            return float(1.6 * s.fits[p] - 2.2 * s.price_sensitivity * s.rates[p] / 2340 - 3.0 * short)

        return max(allowed, key=worth)

    @property
    def name(self) -> str:
        """The chosen product."""
        return self.truth.products[self.product]

    @property
    def amount(self) -> int:
        """What to offer: the wanted amount as far as the limit goes."""
        wanted = int(self.s.amount)
        return min(wanted, self.truth.limits[self.product]) or wanted

    def answers(self, public_only: bool = False) -> list[DialogueAct]:
        """Right answers to the open questions."""
        topics = [topic for i, topic in enumerate(TOPICS) if self.s.open_questions >> i & 1]
        if public_only:
            topics = [topic for topic in topics if topic in ("fees", "credit_check", "privacy")]
        return [self.inform(topic) for topic in topics]

    def inform(self, topic: str) -> DialogueAct:
        """The right answer on a topic."""
        t, p = self.truth, self.product
        rate, amount = t.rates[p] / 1e4, self.amount
        match topic:
            case "eligibility":
                return self.verdict(p)
            case "limit":
                # a customer with no product at all is told so, which answers the question of how much
                return (
                    act("inform_limit", product=self.name, amount=t.limits[p])
                    if t.eligible[p]
                    else self.verdict(p)
                )
            case "rate":
                return act("inform_rate", product=self.name, rate=rate)
            case "interest":
                return act(
                    "inform_interest",
                    amount=amount,
                    days=_DAYS,
                    interest=interest(amount, rate, _DAYS),
                    product=self.name,
                )
            case "instalment":
                months = t.months[p][-1]
                monthly = monthly_instalment(amount, rate, months)
                return act(
                    "inform_instalment", amount=amount, months=months, monthly=monthly, product=self.name
                )
            case "coupon":
                return act("inform_coupon", amount=t.coupon_amount, expires=t.coupon_expires)
            case "fees":
                return act("inform_fees", product=self.name, fee=t.fees[p] / 1e4)
            case "reactivation":
                return act("inform_reactivation", date=t.reactivation)
            case _:
                return act(f"inform_{topic}")

    def verdict(self, p: int) -> DialogueAct:
        """The right verdict on a product."""
        product, reason = self.truth.products[p], self.truth.reasons[p]
        if reason is None:
            return act("inform_eligibility", product=product, verdict="eligible")
        return act("inform_eligibility", product=product, verdict="ineligible", reason=reason)

    def sell(self) -> list[DialogueAct]:
        """The next turn of a sale."""
        s = self.s
        unknown = s.required & ~s.known
        if unknown:
            slots = [name for i, name in enumerate(NEED_SLOTS) if unknown >> i & 1]
            slot = slots[s.turn % len(slots)]  # asking for the same thing twice running annoys
            calm = [act("empathise")] if s.frustration > 0 else []
            return [*self.answers()[:2], act("ask_need", slot=slot), *calm]
        if s.declined:
            return [act("acknowledge"), act("goodbye")]
        if s.solvable == 0:
            return self._refuse()
        said = self.answers()
        said += self._objections()
        bit = 1 << self.product
        if not s.verdicts & bit:
            said.append(self.verdict(self.product))
        if not s.rate_told & bit:
            said.append(self.inform("rate"))
        if not s.fee_told & bit:
            said.append(self.inform("fees"))
        if not s.offered:
            return [*said[:4], act("offer", product=self.name, amount=self.amount)][:5]
        if not s.rate_told & s.fee_told & bit:  # a change of mind has changed the product: terms first
            return [*said[-4:], act("offer", product=self.name, amount=self.amount)]
        if not s.benefit and len(said) < 3:
            said.append(self.inform("interest"))
        return [*said[:3], act("close", product=self.name, amount=self.amount)]

    def _objections(self) -> list[DialogueAct]:
        pending = self.s.voiced & ~self.s.resolved
        named = [name for i, name in enumerate(OBJECTIONS) if pending >> i & 1]
        return [act("address_objection", objection=name) for name in named] + (
            [act("empathise")] if named else []
        )

    def _refuse(self) -> list[DialogueAct]:
        s = self.s
        if s.verdicts & s.suits and s.advised:
            return [act("goodbye")]
        refused = next(p for p in range(len(self.truth.products)) if s.suits >> p & 1)
        forbidden = [
            p for p in range(len(self.truth.products)) if s.suits >> p & 1 and not self.truth.eligible[p]
        ]
        return [
            *self.answers()[:2],
            self.verdict((forbidden or [refused])[0]),
            act("advise", step=NEXT_STEPS[0]),
        ]

    def serve(self) -> list[DialogueAct]:
        """The next turn of a service dialogue."""
        s = self.s
        said = self.answers()
        if s.problem >= 0 and not s.problem_settled:
            actions = [name for i, name in enumerate(SOLUTIONS) if s.fix_actions >> i & 1]
            said += [act("solve", action=name) for name in actions]
            said += [self.inform(name) for i, name in enumerate(TOPICS) if s.fix_topics >> i & 1]
        if s.frustration > 0.2:
            said.append(act("empathise"))
        return said[:4] or [act("acknowledge")]
