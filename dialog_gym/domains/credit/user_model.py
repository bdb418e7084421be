"""The user: how trust, patience and frustration move and what the user does next. A logit choice model.

One implementation for arrays over N dialogues and for one (see `dialog_gym.ops`). All coefficients are in
`user_model.toml`. The goal tracker (`tracker.py`) decides outcomes; this decides behaviour.
"""

from collections.abc import Mapping

from dialog_gym.domains.credit.coefficients import Coefficients
from dialog_gym.domains.credit.ontology import TOPICS
from dialog_gym.domains.credit.shoppers import SERVICE
from dialog_gym.domains.credit.state import (
    ACT,
    IDLE_ACTS,
    NO_MAIN,
    SLOT,
    TOPIC,
    USER,
    AgentTurn,
    Lane,
    Reply,
    State,
)
from dialog_gym.ops import BitTables, Ops

TIMING_NOW = 0
PRIVACY_INDEX = TOPICS.index("privacy")
FAR = 11.0
"""A buyer whose margin is this many logits below 0 has propensity 0."""
VOLUNTEERED = SLOT["amount"] | SLOT["purpose"] | SLOT["timing"]
COSTED = TOPIC["interest"] | TOPIC["instalment"]
NOISE = ("notice", "confirm", "disclose", "choice", "ask", "consider", "handover", "garble")
"""Independent uniform draws per assistant turn, in this order."""


class UserModel:
    """Behaviour of users. Stateless: everything about a dialogue is in its `State`."""

    def __init__(self, ops: Ops, top_rate: int, overrides: Mapping[str, float] | None = None) -> None:
        """Prepares lookup tables; ``top_rate`` (basis points) scales how dear a rate feels."""
        self.ops, self.bits, self.top_rate = ops, BitTables(ops), float(top_rate)
        self.w = Coefficients(ops, overrides).tables

    def react(self, s: State, t: AgentTurn, u: Mapping[str, Lane]) -> Reply:
        """Move the hidden state by one assistant turn and choose the user's acts.

        Args:
            s: State, updated in place.
            t: The assistant's turn.
            u: Draws named in NOISE; uniform in (0, 1), ``choice`` logistic.
        """
        noticed = (t.wrong != 0) & (u["notice"] < s.knowledge)
        clarifies = ((t.acts & ACT["clarify"]) != 0) & s.garbled
        idle = ((t.acts & ~IDLE_ACTS) == 0) & (clarifies ^ True)
        self._feel(s, t, noticed, idle)
        self._learn(s, t)
        reply = self._answers(s, t, u)
        self._main_act(s, t, u, reply, noticed, idle)
        return reply

    def _feel(self, s: State, t: AgentTurn, noticed: Lane, idle: Lane) -> None:
        """Trust, patience and frustration."""
        where, take, w, style = self.ops.where, self.ops.take, self.w, s.style
        ignored = (s.open_questions & ~(t.right | t.wrong)) != 0
        repeated = self.signature(t) == s.signature
        reasked = ((t.asked & s.seen_known) != 0) | (((t.acts & ACT["ask_identity"]) != 0) & s.identity)
        urged = (t.acts & ACT["urge"]) != 0
        upset = (s.frustration > 0.05) | ((s.voiced & ~s.resolved) != 0)
        empathic = ((t.acts & ACT["empathise"]) != 0) & upset
        early = (t.offers != 0) & ((s.known & s.required) != s.required)
        helped = (s.open_questions & t.right) != 0
        new_terms = ((t.rate_right & ~s.rate_told) | (t.fee_right & ~s.fee_told)) != 0
        soothed = (t.addressed & s.voiced & ~s.resolved) != 0
        trust = s.trust + where(helped, take(w["trust_answer"], style), 0.0)
        trust = trust + where(new_terms, take(w["trust_terms"], style), 0.0)
        trust = trust + where(soothed, take(w["trust_objection"], style), 0.0)
        trust = trust + where(empathic & (repeated ^ True), take(w["trust_empathy"], style), 0.0)
        trust = trust + where(noticed, take(w["trust_wrong"], style), 0.0)
        trust = trust + where(urged, take(w["trust_urge"], style), 0.0)
        trust = trust + where(early, take(w["trust_early_offer"], style), 0.0)
        trust = trust + where(idle, take(w["trust_idle"], style), 0.0)
        s.trust = self.ops.minimum(1.0, self.ops.maximum(0.0, trust))
        cost = take(w["cost_turn"], style) + where(ignored, take(w["cost_ignored"], style), 0.0)
        cost = cost + where(repeated, take(w["cost_repeat"], style), 0.0)
        cost = cost + where(reasked, take(w["cost_reask"], style), 0.0)
        cost = cost + where(idle & (s.turn > 1), take(w["cost_idle"], style), 0.0)
        cost = cost + where(t.count > 4, take(w["cost_overload"], style), 0.0)
        cost = cost + where(s.garbled, take(w["cost_garbled"], style), 0.0)
        s.patience = (
            s.patience - cost + where(helped | new_terms | soothed, take(w["gain_progress"], style), 0.0)
        )
        anger = s.frustration + where(ignored, take(w["frustration_ignored"], style), 0.0)
        anger = anger + where(noticed, take(w["frustration_wrong"], style), 0.0)
        anger = anger + where(repeated | reasked, take(w["frustration_repeat"], style), 0.0)
        anger = anger + where(idle & (s.turn > 1), take(w["frustration_idle"], style), 0.0)
        anger = anger + where(urged, take(w["frustration_urge"], style), 0.0)
        anger = anger + where(empathic, take(w["frustration_empathy"], style), 0.0)
        s.frustration = self.ops.minimum(1.0, self.ops.maximum(0.0, anger))

    def _learn(self, s: State, t: AgentTurn) -> None:
        """What the user now knows, and what the agent has put on the table."""
        where = self.ops.where
        s.told = s.told | t.right
        s.open_questions = s.open_questions & ~(t.right | t.wrong)
        s.seen_open = s.seen_open & ~(t.right | t.wrong)
        s.resolved = s.resolved | (t.addressed & s.voiced)
        s.rate_told = s.rate_told | t.rate_right
        s.fee_told = s.fee_told | t.fee_right
        s.offered = s.offered | t.offers
        s.said = s.said | t.right | t.wrong
        s.said_eligible = s.said_eligible | t.said_eligible
        s.said_ineligible = s.said_ineligible | t.said_ineligible
        s.said_rate = s.said_rate | t.said_rate
        s.said_fee = s.said_fee | t.said_fee
        s.advised = s.advised | t.advised
        s.benefit = s.benefit | ((t.right & COSTED) != 0) | (((t.right & TOPIC["coupon"]) != 0) & s.coupon_ok)
        s.product = where(t.product >= 0, t.product, s.product)
        asked_amount = where((s.known & SLOT["amount"]) != 0, s.amount, 0)
        fresh = ((t.acts & (ACT["offer"] | ACT["close"])) != 0) & (t.product >= 0)
        s.quoted = where(t.amount > 0, t.amount, where(fresh & (s.quoted == 0), asked_amount, s.quoted))
        s.signature = self.signature(t)

    @staticmethod
    def signature(t: AgentTurn) -> Lane:
        """A number that is the same for two turns saying the same things."""
        said = t.acts | (t.asked << 25) | (t.addressed << 29) | ((t.product + 1) << 34) | (t.solved << 38)
        return said | (t.right << 43) | (t.wrong << 53)

    def _answers(self, s: State, t: AgentTurn, u: Mapping[str, Lane]) -> Reply:
        """Confirm identity, disclose at most one asked slot plus what needs no asking."""
        where, take, w, style = self.ops.where, self.ops.take, self.w, s.style
        service = s.scenario == SERVICE
        asked_id = ((t.acts & ACT["ask_identity"]) != 0) & (s.identity ^ True)
        confirm = asked_id & s.reached & (u["confirm"] < take(w["confirm"], style) + 0.7 * s.trust)
        unknown = t.asked & ~s.known
        slot = unknown & -unknown
        willing = (slot != 0) & (s.identity | service)
        willing = willing & (u["disclose"] < take(w["disclose"], style) + 0.9 * s.trust)
        volunteered = where((slot & s.required) != 0, VOLUNTEERED & ~s.required, 0)
        disclosed = where(willing, slot | (volunteered & ~s.known), 0)
        s.identity = s.identity | confirm
        s.known = s.known | disclosed
        return Reply(confirm=confirm, disclosed=disclosed, main=NO_MAIN, topic=0)

    def utility(self, s: State, t: AgentTurn) -> Lane:
        """Systematic utility of accepting the product on the table, in logits."""
        where, take, lane, w, style = self.ops.where, self.ops.take, self.ops.lane, self.w, s.style
        product = self.ops.maximum(s.product, 0)
        fit, rate = lane(s.fits, product), lane(s.rates, product)
        terms = (((s.rate_told & s.fee_told) >> product) & 1) != 0
        wanted = s.amount * 1.0
        total = take(w["base"], style) + where(
            s.buyer, take(w["strength"], style) * s.strength, take(w["non_buyer"], style)
        )
        total = total + take(w["trust"], style) * (s.trust - 0.5) + take(w["fit"], style) * fit
        total = total + take(w["price"], style) * s.price_sensitivity * (rate / self.top_rate)
        total = total + where(s.benefit, take(w["benefit"], style) * s.price_sensitivity, 0.0)
        total = total + where(terms, take(w["terms"], style), take(w["no_terms"], style))
        total = total + where((s.known & s.required) == s.required, 0.0, take(w["need_unknown"], style))
        total = total + where(s.identity, 0.0, take(w["no_identity"], style))
        total = total + take(w["open_objection"], style) * self.ops.take(
            self.bits.count, s.voiced & ~s.resolved
        )
        total = total + where(s.open_questions != 0, take(w["open_question"], style), 0.0)
        short = self.ops.maximum(0.0, (wanted - s.quoted) / wanted)
        over = self.ops.minimum(1.0, self.ops.maximum(0.0, (s.quoted - wanted) / wanted))
        total = total + take(w["shortfall"], style) * short + take(w["excess"], style) * over
        shown = self.ops.take(self.bits.count, s.offered)
        total = total + take(w["overload"], style) * self.ops.maximum(0, shown - 2)
        total = total + take(w["declined"], style) * s.declined
        total = total + where(s.mind_changed, take(w["changed"], style), 0.0)
        total = total + where(s.timing == TIMING_NOW, take(w["urgent"], style), 0.0)
        return total + where((t.acts & ACT["urge"]) != 0, take(w["urge"], style), 0.0)

    def _main_act(
        self, s: State, t: AgentTurn, u: Mapping[str, Lane], r: Reply, noticed: Lane, idle: Lane
    ) -> None:
        """The main act, from the least to the most pressing reason; later lines override earlier ones."""
        where, take, lowest = self.ops.where, self.ops.take, self.bits.lowest
        answered = r.confirm | (r.disclosed != 0)
        informed = (t.right != 0) | (t.addressed != 0) | (t.solved != 0)
        main = where(answered, NO_MAIN, where(idle | (informed ^ True), USER["smalltalk"], USER["agree"]))
        topic = 0
        main, topic = self._evade(s, t, r, main, topic)
        main, topic = self._ask(s, t, u, main, topic, idle)
        main, topic = self._consider_offer(s, t, u, main, topic)
        changing = (s.change_turn > 0) & (s.turn >= s.change_turn) & (s.mind_changed ^ True)
        changing = changing & ((s.known & SLOT["amount"]) != 0) & (main != USER["accept"])
        s.amount = where(changing, s.new_amount, s.amount)
        s.mind_changed = s.mind_changed | changing
        main = where(changing, USER["correct"], main)
        topic = where(changing, 0, topic)
        main = where(noticed, USER["challenge"], main)
        topic = where(noticed, take(lowest, t.wrong & -t.wrong), topic)
        repeat = ((t.acts & ACT["clarify"]) != 0) & s.garbled
        topic = where(repeat, s.topic, topic)
        main = where(repeat, s.main, main)
        hopes = u["handover"] < s.frustration - take(self.w["handover"], s.style)
        calls_human = hopes & (main != USER["accept"])
        s.human_requests = s.human_requests + where(calls_human, 1, 0)
        r.main, r.topic = where(calls_human, USER["request_human"], main), where(calls_human, 0, topic)

    def _evade(self, s: State, t: AgentTurn, r: Reply, main: Lane, topic: Lane) -> tuple[Lane, Lane]:
        """Asked for something and not willing: wants to know about privacy first, else does not follow."""
        where = self.ops.where
        asked = ((t.asked & ~s.known) != 0) | (((t.acts & ACT["ask_identity"]) != 0) & (s.identity ^ True))
        evades = asked & (r.confirm ^ True) & (r.disclosed == 0)
        wary = evades & ((s.told & TOPIC["privacy"]) == 0)
        main = where(evades, where(wary, USER["ask"], USER["unclear"]), main)
        return main, where(wary, PRIVACY_INDEX, topic)

    def _ask(
        self, s: State, t: AgentTurn, u: Mapping[str, Lane], main: Lane, topic: Lane, idle: Lane
    ) -> tuple[Lane, Lane]:
        """Raise the next question of the agenda; service users always do, and end when nothing is left."""
        where, take = self.ops.where, self.ops.take
        service = s.scenario == SERVICE
        agenda = s.questions & ~s.told & ~s.open_questions
        free = (main == NO_MAIN) | (main == USER["agree"]) | (main == USER["smalltalk"])
        due = service & (s.open_questions == 0) | ((u["ask"] < take(self.w["ask"], s.style)) & (s.turn > 1))
        asks = (agenda != 0) & free & due & (idle ^ True)
        topic = where(asks, take(self.bits.lowest, agenda & -agenda), topic)
        main = where(asks, USER["ask"], main)
        pending = (s.problem >= 0) & (s.problem_settled ^ True)
        finished = service & ((s.questions & ~s.told) == 0) & (pending ^ True)
        main = where(finished & (main != USER["ask"]), USER["confirm_solved"], main)
        again = service & (main == USER["smalltalk"])
        repeats_question = again & (s.open_questions != 0)
        topic = where(repeats_question, take(self.bits.lowest, s.open_questions & -s.open_questions), topic)
        topic = where(again & (s.open_questions == 0) & pending, self.ops.maximum(s.problem, 0), topic)
        report = where(pending, USER["report"], main)
        return where(again, where(repeats_question, USER["ask"], report), main), topic

    def _consider_offer(
        self, s: State, t: AgentTurn, u: Mapping[str, Lane], main: Lane, topic: Lane
    ) -> tuple[Lane, Lane]:
        """Objections come before any decision; a close asks for one, an offer alone for interest or not."""
        where, take = self.ops.where, self.ops.take
        sale = s.scenario != SERVICE
        offered = (t.offers != 0) & sale
        closing = ((t.acts & ACT["close"]) != 0) & (s.product >= 0) & sale
        pending = s.objections & ~s.voiced
        objects = (pending != 0) & (offered | closing | ((t.eligible_right != 0) & sale))
        self._draw_nearer(s, t, sale)
        likes = s.margin + take(self.w["noise"], s.style) * u["choice"] > 0.0
        deliberates = (u["consider"] < take(self.w["consider"], s.style)) & (s.considered < 2) & s.buyer
        refuses = where(deliberates, USER["consider"], USER["decline"])
        free = (main == NO_MAIN) | (main == USER["agree"]) | (main == USER["smalltalk"])
        warm = offered & (closing ^ True) & free
        # nobody decides on what they have not been asked about: too early a question is not understood
        ready = s.identity & ((s.known & s.required) == s.required)
        early = (warm | closing) & (ready ^ True)
        main = where(warm & ready, where(likes, USER["agree"], refuses), main)
        main = where(closing & ready, where(likes, USER["accept"], refuses), main)
        main = where(early & free, USER["unclear"], main)
        main = where(objects, USER["object"], main)
        topic = where(objects, take(self.bits.lowest, pending & -pending), topic)
        s.considered = s.considered + where(main == USER["consider"], 1, 0)
        s.declined = s.declined + where(main == USER["decline"], 1, 0)
        return main, topic

    def _draw_nearer(self, s: State, t: AgentTurn, sale: Lane) -> None:
        """Margin and propensity: the potential behind the shaping reward of the same name."""
        s.margin = self.utility(s, t)
        share = self.ops.minimum(1.0, self.ops.maximum(0.0, (s.margin + FAR) / (FAR + 1.0)))
        propensity = self.ops.where(sale & s.reached & s.buyer & (s.product >= 0), share, 0.0)
        s.nearer = propensity - s.propensity
        s.propensity = propensity

    def speak(self, s: State, r: Reply, u: Mapping[str, Lane]) -> None:
        """Book what the user says: open questions, voiced objections, and whether it can be read."""
        where = self.ops.where
        asks = r.main == USER["ask"]
        asked = where(asks, 1, 0) << where(asks, r.topic, 0)
        s.open_questions = s.open_questions | asked
        s.asked_topics = s.asked_topics | asked
        objects = r.main == USER["object"]
        s.voiced = s.voiced | (where(objects, 1, 0) << where(objects, r.topic, 0))
        can_garble = (r.main != USER["accept"]) & (r.main != USER["confirm_solved"]) & (s.garbled ^ True)
        s.garbled = can_garble & (u["garble"] < s.typos)
        s.seen_known = where(s.garbled, s.seen_known, s.known)
        s.seen_open = where(s.garbled, s.seen_open, s.open_questions)
        s.seen_voiced = where(s.garbled, s.seen_voiced, s.voiced)
        named = (
            ((r.disclosed & SLOT["amount"]) != 0)
            | (r.main == USER["correct"])
            | ((s.known & SLOT["amount"]) != 0)
        )
        s.heard_amount = where(named & (s.garbled ^ True), s.amount, s.heard_amount)
        s.main, s.topic = r.main, r.topic
