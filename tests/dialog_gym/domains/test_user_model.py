"""The user model: each named effect, in the direction and at the size its coefficient says."""

import numpy as np
import pytest

from dialog_gym.core import RUNNING, DialogGymError
from dialog_gym.domains.credit.coefficients import Coefficients, shipped
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.moves import MOVE
from dialog_gym.domains.credit.ontology import TOPICS
from dialog_gym.domains.credit.shoppers import SCENARIOS, STYLES
from dialog_gym.domains.credit.state import OBJECTION, SLOT, TOPIC, USER
from dialog_gym.domains.credit.user_model import NOISE, UserModel
from dialog_gym.ops import ARRAYS, SCALAR

DOMAIN = CreditDomain()
W = shipped()["default"]
PAY_LATER, INSTALMENT = 1, 2
NEED = SLOT["amount"] | SLOT["purpose"]
# a customer who knows everything, right before deciding
READY = {
    "identity": True, "known": NEED, "product": 0, "quoted": 1500, "rate_told": 1, "fee_told": 1,
    "objections": 0, "offered": PAY_LATER,
}  # fmt: skip


def moved(desk, field, turn, before=None, **draws):
    """How much a turn changes trust, patience or frustration, compared with a neutral turn."""
    state = desk.state(identity=True, turn=2, signature=-1, frustration=0.4, trust=0.5, **(before or {}))
    neutral = desk.state(identity=True, turn=2, signature=-1, frustration=0.4, trust=0.5)
    desk.react(state, turn, **draws)
    desk.react(neutral, desk.turn("advise"))
    return round(getattr(state, field) - getattr(neutral, field), 6)


# -- patience, trust, frustration ----------------------------------------------------------------------------


def test_every_turn_costs_patience(desk):
    state = desk.state(identity=True)
    desk.react(state, desk.turn("advise"))
    assert state.patience == pytest.approx(8.0 - W["cost_turn"])


@pytest.mark.parametrize(
    ("intents", "said", "before", "trust", "patience", "frustration"),
    [
        # ignoring an open question
        (["advise"], {}, {"open_questions": TOPIC["fees"]}, 0, -W["cost_ignored"], W["frustration_ignored"]),
        # answering it, or trying to
        (["inform_fees"], {"right": TOPIC["fees"]}, {"open_questions": TOPIC["fees"]}, W["trust_answer"],
         W["gain_progress"], 0),
        (["inform_fees"], {"wrong": TOPIC["fees"]}, {"open_questions": TOPIC["fees"]}, 0, 0, 0),
        # rate or fee disclosed for the first time, and again
        (["inform_rate"], {"right": TOPIC["rate"], "rate_right": 1}, {}, W["trust_terms"],
         W["gain_progress"], 0),
        (["inform_fees"], {"right": TOPIC["fees"], "fee_right": 1}, {}, W["trust_terms"],
         W["gain_progress"], 0),
        (["inform_rate"], {"right": TOPIC["rate"], "rate_right": 1}, {"rate_told": 1}, 0, 0, 0),
        # asking again for what is known
        (["ask_need"], {"asked": SLOT["amount"]}, {"seen_known": NEED, "known": NEED}, 0, -W["cost_reask"],
         W["frustration_repeat"]),
        (["ask_identity"], {}, {}, 0, -W["cost_reask"], W["frustration_repeat"]),
        # an objection that was voiced, and one that was not
        (["address_objection"], {"addressed": 1}, {"voiced": 1}, W["trust_objection"], W["gain_progress"], 0),
        (["address_objection"], {"addressed": 1}, {}, 0, 0, 0),
        (["address_objection"], {"addressed": 1}, {"voiced": 1, "resolved": 1}, 0, 0, 0),
        # pressure, idle talk, an early offer, too many acts
        (["urge"], {}, {}, W["trust_urge"] + W["trust_idle"], -W["cost_idle"],
         W["frustration_urge"] + W["frustration_idle"]),
        (["smalltalk"], {}, {}, W["trust_idle"], -W["cost_idle"], W["frustration_idle"]),
        (["offer"], {"offers": 1, "product": 0}, {}, W["trust_early_offer"], 0, 0),
        (["offer"], {"offers": 1, "product": 0}, {"known": NEED}, 0, 0, 0),
        (["advise"], {"count": 5}, {}, 0, -W["cost_overload"], 0),
        (["advise"], {"count": 4}, {}, 0, 0, 0),
        (["advise"], {}, {"garbled": True}, 0, -W["cost_garbled"], 0),
        (["clarify"], {}, {"garbled": True}, 0, -W["cost_garbled"], 0),  # asking back is no idle talk
        (["clarify"], {}, {}, W["trust_idle"], -W["cost_idle"], W["frustration_idle"]),
        (["empathise"], {}, {}, W["trust_empathy"], 0, W["frustration_empathy"]),
    ],
)  # fmt: skip
def test_effects_on_trust_patience_and_frustration(desk, intents, said, before, trust, patience, frustration):
    turn = desk.turn(*intents, **said)
    found = [moved(desk, field, turn, before) for field in ("trust", "patience", "frustration")]
    assert found == pytest.approx([trust, patience, frustration])


def test_saying_the_same_again_costs_patience(desk):
    turn = desk.turn("advise")
    first, again = desk.state(identity=True, turn=2), desk.state(identity=True, turn=2)
    again.signature = UserModel.signature(turn)
    desk.react(first, turn)
    desk.react(again, turn)
    assert first.patience - again.patience == pytest.approx(W["cost_repeat"])
    assert again.frustration - first.frustration == pytest.approx(W["frustration_repeat"])


def test_turns_that_differ_in_anything_are_no_repetition(desk):
    parts = {"asked": "ask_need", "solved": "solve", "addressed": "address_objection", "product": "offer"}
    parts |= {"right": "inform_rate", "wrong": "inform_rate"}
    turns = [desk.turn(intent, **{name: value}) for name, intent in parts.items() for value in (1, 2, 4)]
    assert len({UserModel.signature(turn) for turn in turns}) == len(turns) == 18


def test_a_wrong_fact_destroys_trust_only_of_those_who_notice(desk):
    wrong = desk.turn("inform_rate", wrong=TOPIC["rate"])
    assert moved(desk, "trust", wrong, notice=0.49) == pytest.approx(W["trust_wrong"])
    assert moved(desk, "frustration", wrong, notice=0.49) == pytest.approx(W["frustration_wrong"])
    assert moved(desk, "trust", wrong, notice=0.51) == 0
    state = desk.state(identity=True)
    assert desk.react(state, wrong, notice=0.0) == "challenge" and state.topic == TOPICS.index("rate")
    assert desk.react(desk.state(identity=True), wrong, notice=1.0) != "challenge"


def test_trust_and_frustration_stay_within_0_and_1(desk):
    low = desk.state(identity=True, trust=0.01, frustration=0.99, turn=2)
    desk.react(low, desk.turn("urge", "inform_rate", wrong=TOPIC["rate"]), notice=0.0)
    high = desk.state(identity=True, trust=0.99)
    desk.react(high, desk.turn("inform_rate", rate_right=1, right=TOPIC["rate"]))
    assert (low.trust, low.frustration, high.trust) == (0.0, 1.0, 1.0)


def test_frustration_leads_to_asking_for_a_human(desk):
    for frustration, asks in ((0.50, 0), (0.66, 1)):
        state = desk.state(identity=True, frustration=frustration)
        said = desk.react(state, desk.turn("advise"), handover=0.1)
        assert (int(said == "request_human"), state.human_requests) == (asks, asks)


# -- cooperation ---------------------------------------------------------------------------------------------


def test_identity_and_needs_are_given_to_those_who_are_trusted(desk):
    for trust in (0.2, 0.8):
        chance = W["confirm"] + 0.7 * trust
        for draw, gives in ((chance - 0.01, True), (chance + 0.01, False)):
            state = desk.state(trust=trust)
            main = desk.react(state, desk.turn("ask_identity"), confirm=draw)
            assert state.identity == gives
            assert gives or main == "ask"  # wants to know about privacy first
        chance = W["disclose"] + 0.9 * trust
        for draw, gives in ((chance - 0.01, True), (chance + 0.01, False)):
            state = desk.state(trust=trust, identity=True)
            desk.react(state, desk.turn("ask_need", asked=SLOT["amount"]), disclose=draw)
            assert bool(state.known & SLOT["amount"]) == gives


def test_needs_are_not_told_to_strangers(desk):
    state = desk.state()
    desk.react(state, desk.turn("ask_need", asked=SLOT["amount"]))
    assert state.known == 0


def test_one_slot_at_a_time_and_what_needs_no_asking_comes_with_it(desk):
    state = desk.state(identity=True)
    desk.react(state, desk.turn("ask_need", asked=0b1111))
    assert state.known == SLOT["amount"] | SLOT["timing"]  # timing is not required, so it is volunteered
    desk.react(state, desk.turn("ask_need", asked=0b1111))
    assert state.known == SLOT["amount"] | SLOT["timing"] | SLOT["purpose"]


def test_a_mind_changes_once_after_its_turn(desk):
    state = desk.state(identity=True, change_turn=3, known=NEED, turn=1)
    said = [desk.react(state, desk.turn("advise")) for _ in range(4)]
    assert said.count("correct") == 1 and said[1] == "correct"
    assert (state.amount, state.mind_changed) == (1000, True)


# -- decision ------------------------------------------------------------------------------------------------


def utility(desk, turn=None, **changes):
    state = desk.state(**(READY | changes))
    return desk.users.utility(state, turn or desk.turn("close"))


@pytest.mark.parametrize(
    ("changes", "effect"),
    [
        ({"buyer": False}, W["non_buyer"] - W["strength"] * 0.8),
        ({"strength": 0.3}, W["strength"] * -0.5),
        ({"trust": 0.8}, W["trust"] * 0.2),
        ({"fits": [0.5, 0, 0, 0, 0]}, W["fit"] * -0.5),
        ({"rates": [2340, 0, 0, 0, 0]}, W["price"] * 0.5),
        ({"rates": [1170, 0, 0, 0, 0], "price_sensitivity": 1.0}, W["price"] * 0.5),
        ({"benefit": True}, W["benefit"] * 0.5),
        ({"benefit": True, "price_sensitivity": 0.2}, W["benefit"] * 0.2),
        ({"rate_told": 0}, W["no_terms"] - W["terms"]),
        ({"fee_told": 2}, W["no_terms"] - W["terms"]),
        ({"known": SLOT["amount"]}, W["need_unknown"]),
        ({"identity": False}, W["no_identity"]),
        ({"voiced": 0b11}, 2 * W["open_objection"]),
        ({"voiced": 0b11, "resolved": 0b01}, W["open_objection"]),
        ({"open_questions": 0b11}, W["open_question"]),
        ({"quoted": 750}, W["shortfall"] * 0.5),
        ({"quoted": 2250}, W["excess"] * 0.5),
        ({"quoted": 15_000}, W["excess"]),
        ({"offered": 0b11}, 0),
        ({"offered": 0b111}, W["overload"]),
        ({"offered": 0b11111}, 3 * W["overload"]),
        ({"declined": 2}, 2 * W["declined"]),
        ({"mind_changed": True}, W["changed"]),
        ({"timing": 0}, W["urgent"]),
        ({"timing": 2}, 0),
    ],
)
def test_each_term_of_the_utility(desk, changes, effect):
    assert utility(desk, **changes) - utility(desk) == pytest.approx(effect)


def test_pressing_repels_and_the_base_is_the_base(desk):
    assert utility(desk, desk.turn("close", "urge")) - utility(desk) == pytest.approx(W["urge"])
    by_hand = W["base"] + W["strength"] * 0.8 + W["trust"] * 0.1 + W["fit"] + W["terms"]
    assert utility(desk) == pytest.approx(by_hand)


def test_accepts_when_utility_plus_noise_is_positive(desk):
    threshold = -utility(desk) / W["noise"]
    for draw, accepts in ((threshold + 0.01, True), (threshold - 0.01, False)):
        state = desk.state(**READY)
        assert (desk.react(state, desk.turn("close"), choice=draw) == "accept") == accepts
        assert state.declined == int(not accepts)
        offer = desk.turn("offer", offers=1, product=0)
        assert desk.react(desk.state(**READY), offer, choice=draw) == ("agree" if accepts else "decline")


def test_objections_come_before_any_decision_and_lowest_first(desk):
    state = desk.state(**(READY | {"objections": OBJECTION["privacy"] | OBJECTION["enough_money"]}))
    said = [desk.react(state, desk.turn("close"), choice=60.0) for _ in range(3)]
    assert said == ["object", "object", "accept"]
    assert state.voiced == OBJECTION["privacy"] | OBJECTION["enough_money"]


def test_deliberates_at_most_twice_before_saying_no(desk):
    state = desk.state(**READY)
    said = [desk.react(state, desk.turn("close"), choice=-60.0, consider=0.0) for _ in range(3)]
    assert said == ["consider", "consider", "decline"] and state.declined == 1


def test_a_quantified_benefit_needs_a_right_cost_or_a_valid_coupon(desk):
    for topic, coupon_ok, helps in (
        ("interest", False, True), ("instalment", False, True), ("coupon", True, True),
        ("coupon", False, False), ("rate", True, False),
    ):  # fmt: skip
        state = desk.state(identity=True, coupon_ok=coupon_ok)
        desk.react(state, desk.turn(f"inform_{topic}", right=TOPIC[topic]))
        assert state.benefit == helps


def test_non_buyers_never_accept_whatever_is_said():
    count, rng = 4000, np.random.default_rng(0)
    space = DOMAIN.space(split="train", scenario=SCENARIOS[0], level=0)
    starts = DOMAIN.starts(space, np.arange(count), np.arange(count).astype(np.uint64))
    s, dynamics = starts.state, DOMAIN.array_dynamics
    s.buyer[:], s.reached[:], s.strength[:], s.trust[:], s.patience[:] = False, True, 1.0, 1.0, 99.0
    s.identity[:], s.known[:], s.rate_told[:], s.fee_told[:], s.benefit[:] = True, 15, 31, 31, True
    s.objections[:], s.questions[:] = 0, 0
    action = np.zeros((6, count), int)
    action[:4] = [[MOVE["close"]], [MOVE["offer"]], [0], [len(DOMAIN.rulebook.ladder)]]
    action[2] = np.argmax(s.fits, axis=1)
    for _ in range(4):
        s.declined[:], s.ended[:] = 0, RUNNING
        noise = {name: rng.random(count) for name in NOISE} | {"choice": rng.logistic(size=count)}
        reply = dynamics.step(s, dynamics.moves.read(action, s), noise)
        assert not (reply.main == USER["accept"]).any()
    s.buyer[:], s.declined[:] = True, 0
    reply = dynamics.step(s, dynamics.moves.read(action, s), noise)
    assert (reply.main == USER["accept"]).mean() > 0.8  # the same customers with a need


def test_pressure_after_two_refusals_ends_the_call():
    space = DOMAIN.space(split="test", scenario=SCENARIOS[0], level=0)
    starts = DOMAIN.starts(space, np.arange(50), np.zeros(50, np.uint64))
    row = int(np.flatnonzero(starts.shoppers.reached)[0])
    for declined, end in ((2, "user_hung_up"), (1, None)):
        dialogue = DOMAIN.begin(DOMAIN.task(row, level=0), starts, row)
        dialogue.state.declined, dialogue.state.identity = declined, True
        assert dialogue.step_action([MOVE["urge"], 0, 0, 0, 0, 0]).ended_by == end


# -- coefficients and styles ---------------------------------------------------------------------------------


def test_styles_decide_differently_on_the_same_facts(desk):
    situations = ({}, {"rate_told": 0}, {"trust": 0.9}, {"benefit": True}, {"timing": 0})
    seen = {tuple(round(utility(desk, style=i, **facts), 6) for facts in situations) for i in range(4)}
    assert len(seen) == len(STYLES)


def test_overrides_hold_for_every_style_and_unknown_names_are_refused():
    assert Coefficients(SCALAR, {"base": 2.0}).tables["base"] == (2.0,) * len(STYLES)
    changes = shipped()["styles"]
    bases = [(W | changes.get(style, {}))["base"] for style in STYLES]
    assert Coefficients(ARRAYS).tables["base"].tolist() == bases
    assert set(changes) <= set(STYLES) and all(set(change) <= set(W) for change in changes.values())
    with pytest.raises(DialogGymError, match="no coefficient 'charm'; known: base, strength") as caught:
        CreditDomain(coefficients={"charm": 1.0})
    assert "\n" not in str(caught.value)
    assert CreditDomain(coefficients={"base": 1.0}).config_hash != DOMAIN.config_hash
