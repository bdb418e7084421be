"""The goal tracker: it alone decides violations, stages, outcomes and the end of a dialogue.

TSE (Task-focused Sequential Engagement) is this project's definition of a metric whose published formula is
not public: each assistant turn t gains the weight g_t of the funnel stages correctly completed in it,
counted only if the user stayed on the task (e_t) and discounted by log2(1 + t); the sum is divided by that
of the best possible sequence of the task, so it lies in [0, 1].
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from dialog_gym.core import END, RUNNING
from dialog_gym.domains.credit.ontology import NEED_SLOTS, OBJECTIONS, TOPICS
from dialog_gym.domains.credit.shoppers import SALE, SERVICE
from dialog_gym.domains.credit.state import ACCOUNT_TOPICS, ACT, TOPIC, USER, AgentTurn, Lane, Reply, State
from dialog_gym.ops import BitTables, Ops

STAGES: Final = (
    "reached", "identity", "need", "questions", "eligibility", "terms", "objections", "problem", "decision",
)  # fmt: skip
STAGE_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = {
    "proactive_sale": {
        "reached": 0.02, "identity": 0.10, "need": 0.18, "questions": 0.12, "eligibility": 0.18,
        "terms": 0.14, "objections": 0.10, "decision": 0.16,
    },
    "customer_service": {"identity": 0.15, "questions": 0.35, "problem": 0.30, "decision": 0.20},
}  # fmt: skip
"""Ours. Stages that a task does not have (no objections, questions, problem) drop out of its ideal too."""

VIOLATIONS: Final = (
    *(f"wrong_{topic}" for topic in TOPICS), "mis_sale", "undisclosed_terms", "pressure", "early_data",
    "false_promise",
)  # fmt: skip
VIOLATION = {name: 1 << i for i, name in enumerate(VIOLATIONS)}
ENGAGED: Final = (
    "ask",
    "correct",
    "report",
    "object",
    "agree",
    "accept",
    "decline",
    "challenge",
    "confirm_solved",
    "consider",
)
MAX_DECLINES = 3
ALL_TOPICS = (1 << len(TOPICS)) - 1
NUMERIC_TOPICS = sum(
    TOPIC[name] for name in ("limit", "rate", "interest", "instalment", "coupon", "fees", "reactivation")
)


class Tracker:
    """Decides what counts. Stateless: everything about a dialogue is in its `State`."""

    def __init__(self, ops: Ops, max_turns: int) -> None:
        """Prepares lookup tables for dialogues of at most ``max_turns`` assistant turns."""
        self.ops, self.bits, self.max_turns = ops, BitTables(ops), max_turns
        self.discount = ops.table(
            [0.0] + [round(1 / math.log2(1 + t), 9) for t in range(1, max(max_turns, 16) + 2)]
        )
        self.engaged = ops.table(
            [*(name in ENGAGED for name in USER), False]
        )  # index -1 (no main act) is the last
        self.inverse = ops.table([0.0] + [round(1 / n, 9) for n in range(1, 16)])
        self.weights = {
            stage: ops.table([STAGE_WEIGHTS[scenario].get(stage, 0.0) for scenario in STAGE_WEIGHTS])
            for stage in STAGES
        }

    def begin(self, s: State) -> None:
        """Fix the ideal of each task: every stage at the earliest turn any agent could complete it."""
        s.ideal = self.ideal(s)

    # -- violations

    def judge(self, s: State, t: AgentTurn) -> None:
        """Violations of the assistant's turn against the facts and the rules, before the user reacts."""
        where = self.ops.where
        account = ((t.right | t.wrong) & ACCOUNT_TOPICS) != 0
        early = (account | (t.solved != 0)) & (s.identity ^ True)
        urged = (t.acts & ACT["urge"]) != 0
        proposes = (t.acts & (ACT["offer"] | ACT["close"])) != 0
        pressed = (urged & (s.declined >= 1)) | (proposes & (s.declined >= 2))
        product = where(t.product >= 0, t.product, s.product)
        shown = self.ops.maximum(product, 0)
        known_terms = ((((s.rate_told | t.rate_right) & (s.fee_told | t.fee_right)) >> shown) & 1) != 0
        undisclosed = (
            ((t.acts & ACT["close"]) != 0) & (product >= 0) & (known_terms ^ True) & (s.scenario == SALE)
        )
        false_promise = (t.solved & ~s.fix_actions) != 0
        s.violations = (
            t.wrong
            | where(early, VIOLATION["early_data"], 0)
            | where(pressed, VIOLATION["pressure"], 0)
            | where(undisclosed, VIOLATION["undisclosed_terms"], 0)
            | where(false_promise, VIOLATION["false_promise"], 0)
        )
        self._count_claims(s, t)
        s.credited = s.credited | (t.right & where(s.identity, ALL_TOPICS, ~ACCOUNT_TOPICS))
        sincere = (t.solved & ~s.fix_actions) == 0  # promising everything settles nothing
        fixed = (((t.solved & s.fix_actions) | (s.credited & s.fix_topics)) != 0) & sincere
        s.problem_settled = s.problem_settled | (fixed & s.identity)
        need_known = ((s.known & s.required) == s.required) | (s.scenario == SERVICE)
        s.verdicts = s.verdicts | where(need_known & s.identity, t.eligible_right | t.ineligible_right, 0)

    def _count_claims(self, s: State, t: AgentTurn) -> None:
        count, take = self.bits.count, self.ops.take
        s.right_claims = s.right_claims + take(count, t.right & NUMERIC_TOPICS)
        s.wrong_claims = s.wrong_claims + take(count, t.wrong & NUMERIC_TOPICS)
        s.right_verdicts = s.right_verdicts + self.ops.where((t.right & TOPIC["eligibility"]) != 0, 1, 0)
        s.wrong_verdicts = s.wrong_verdicts + self.ops.where((t.wrong & TOPIC["eligibility"]) != 0, 1, 0)

    # -- outcome

    def advance(self, s: State, t: AgentTurn, r: Reply) -> None:
        """Book the user's reply: the end of the dialogue, its outcome, and the stages completed."""
        self._decide(s, t, r)
        engaged = r.confirm | (r.disclosed != 0) | self.ops.take(self.engaged, r.main)
        engaged = engaged | s.decided  # ending on the right decision is on the task
        gained = self.ops.where(s.reached, self.ops.maximum(0.0, self.achieved(s) - s.progress), 0.0)
        s.progress = s.progress + gained
        s.gain = self.ops.where(engaged, gained, 0.0)
        s.dcg = s.dcg + s.gain * self.ops.take(self.discount, s.turn)
        s.all_violations = s.all_violations | s.violations
        s.violation_count = s.violation_count + self.ops.take(self.bits.count, s.violations)

    def _decide(self, s: State, t: AgentTurn, r: Reply) -> None:
        """The end of the dialogue; later lines override earlier ones."""
        where, lane = self.ops.where, self.ops.lane
        product = self.ops.maximum(s.product, 0)
        accepts = (r.main == USER["accept"]) & (s.product >= 0) & s.reached
        allowed = ((s.eligible >> product) & 1) != 0
        amount = where(s.quoted > 0, s.quoted, s.amount)
        sound = accepts & allowed & (amount <= lane(s.limits, product)) & s.identity
        mis_sale = accepts & (sound ^ True)
        s.violations = s.violations | where(mis_sale, VIOLATION["mis_sale"], 0)
        s.converted, s.mis_sold = s.converted | sound, s.mis_sold | mis_sale
        s.accepted_amount = where(accepts, amount, s.accepted_amount)
        informed = self._eligibility_done(s)
        leaves = (t.acts & ACT["goodbye"]) != 0
        refused = (
            leaves
            & (s.scenario == SALE)
            & (s.solvable == 0)
            & informed
            & (s.advised != 0)
            & (s.converted ^ True)
        )
        gave_up = (s.declined >= MAX_DECLINES) | (leaves & (s.declined >= 1))
        hung_up = (s.patience <= 0.0) | (((s.violations & VIOLATION["pressure"]) != 0) & (s.declined >= 2))
        ended = where(s.turn >= self.max_turns, END["max_turns"], RUNNING)
        ended = where(leaves, END["agent_ended"], ended)
        ended = where(hung_up, END["user_hung_up"], ended)
        ended = where(gave_up & (hung_up ^ True), END["declined"], ended)
        ended = where(refused, END["refused"], ended)
        ended = where((t.acts & ACT["hand_over"]) != 0, END["handed_over"], ended)
        solved = (r.main == USER["confirm_solved"]) & (s.scenario == SERVICE)
        ended = where(solved, END["resolved"], ended)
        ended = where(accepts, END["accepted"], ended)
        s.ended = where(s.reached ^ True, END["not_reached"], ended)
        turned_down = ((r.main == USER["decline"]) | (ended == END["declined"])) & informed
        served = solved & ((s.questions & ~s.credited) == 0)
        s.decided = s.decided | sound | (ended == END["refused"]) | served | (turned_down & (s.solvable != 0))

    def _eligibility_done(self, s: State) -> Lane:
        """A right verdict that answers the need: allowed products for those who have one, else a refusal."""
        relevant = self.ops.where(s.solvable != 0, s.solvable, s.suits)
        return (s.verdicts & relevant) != 0

    # -- stages and TSE

    def fractions(self, s: State) -> dict[str, Lane]:
        """How much of each stage is completed, in [0, 1]; a stage the task does not have is 0."""
        where, take, count = self.ops.where, self.ops.take, self.bits.count
        one, zero, sale = 1.0, 0.0, s.scenario == SALE
        eligible_known = self._eligibility_done(s) & sale
        terms = (s.rate_told & s.fee_told & s.solvable) != 0
        return {
            "reached": where(s.reached & sale, one, zero),
            "identity": where(s.identity, one, zero),
            "need": take(count, s.known & s.required) * take(self.inverse, take(count, s.required)),
            "questions": take(count, s.credited & s.questions) * take(self.inverse, take(count, s.questions)),
            "eligibility": where(eligible_known, one, zero),
            "terms": where(eligible_known & terms, one, zero),
            "objections": take(count, s.resolved & s.objections)
            * take(self.inverse, take(count, s.objections)),
            "problem": where(s.problem_settled, one, zero),
            "decision": where(s.decided, one, zero),
        }

    def achieved(self, s: State) -> Lane:
        """Weighted sum of the completed stages."""
        total, scenario = 0.0, s.scenario
        for stage, fraction in self.fractions(s).items():
            total = total + self.ops.take(self.weights[stage], scenario) * fraction
        return total

    def ideal(self, s: State) -> Lane:
        """Discounted gain of the best possible sequence: an upper bound for every agent.

        Earliest turns: identity in turn 1; one need slot a turn after it; verdict and terms the turn after
        the need is known; objections can be voiced from turn 1 on and are resolved one a turn; questions
        about the account (and problems) after identity, others at once; a sale's decision with the verdict,
        a service's with its last answer.
        """
        where, take, count = self.ops.where, self.ops.take, self.bits.count
        w = {stage: take(self.weights[stage], s.scenario) for stage in STAGES}
        sale = s.scenario == SALE
        slots, objections = take(count, s.required), take(count, s.objections)
        questions, account = take(count, s.questions), take(count, s.questions & ACCOUNT_TOPICS)
        first, second = take(self.discount, 1), take(self.discount, 2)
        total = where(sale, w["reached"], 0.0) * first + w["identity"] * first
        share = w["need"] * take(self.inverse, slots)
        for i in range(len(NEED_SLOTS)):
            total = total + where(slots > i, share, 0.0) * take(self.discount, 2 + i)
        share = w["questions"] * take(self.inverse, questions)
        total = total + share * (account * second + (questions - account) * first)
        verdict = take(self.discount, 2 + slots)
        total = total + where(sale, w["eligibility"], 0.0) * verdict
        total = total + where(s.solvable != 0, w["terms"], 0.0) * verdict
        share = w["objections"] * take(self.inverse, objections)
        for i in range(len(OBJECTIONS)):
            total = total + where(objections > i, share, 0.0) * take(self.discount, 2 + i)
        total = total + where(s.problem >= 0, w["problem"], 0.0) * second
        served = where((account > 0) | (s.problem >= 0), 2, 1)
        last = where(sale, 2 + slots, served)
        return total + w["decision"] * take(self.discount, last)

    def tse(self, s: State) -> Lane:
        """TSE in [0, 1] so far."""
        return self.ops.minimum(1.0, s.dcg / s.ideal)  # the last bit of a sum may be above


def stage_list(tracker: Tracker, s: State) -> dict[str, Any]:
    """The stages of one dialogue with their completed share, for people to read."""
    scenario = tuple(STAGE_WEIGHTS)[s.scenario]
    return {
        name: round(value, 4)
        for name, value in tracker.fractions(s).items()
        if name in STAGE_WEIGHTS[scenario]
    }
