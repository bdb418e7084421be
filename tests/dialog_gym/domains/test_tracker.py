"""The goal tracker: violations, stages, ends and outcomes, each exactly in its own situation."""

import pytest

from dialog_gym.domains.credit.ontology import TOPICS
from dialog_gym.domains.credit.state import TOPIC
from dialog_gym.domains.credit.tracker import (
    ENGAGED,
    NUMERIC_TOPICS,
    VIOLATION,
    VIOLATIONS,
    stage_list,
)

ACCOUNT = ("eligibility", "limit", "rate", "coupon", "reactivation")
PAY_LATER, INSTALMENT, REVOLVING = 1, 2, 4


# -- violations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
def test_a_wrong_claim_is_the_violation_of_its_topic(desk, topic):
    assert desk.play(desk.state(identity=True), desk.turn(f"inform_{topic}", wrong=TOPIC[topic])) == {
        f"wrong_{topic}"
    }
    assert desk.play(desk.state(identity=True), desk.turn(f"inform_{topic}", right=TOPIC[topic])) == set()


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_account_data_before_identity(desk, topic, kind):
    said = desk.turn(f"inform_{topic}", **{kind: TOPIC[topic]})
    early = {"early_data"} if topic in ACCOUNT else set()
    assert desk.play(desk.state(), said) - {f"wrong_{topic}"} == early
    assert "early_data" not in desk.play(desk.state(identity=True), said)


def test_changing_the_account_before_identity(desk):
    assert desk.play(desk.state("service"), desk.turn("solve", solved=0b10)) == {"early_data"}
    assert desk.play(desk.state("service", identity=True), desk.turn("solve", solved=0b10)) == set()


@pytest.mark.parametrize(
    ("intent", "declined", "pressed"),
    [("urge", 0, False), ("urge", 1, True), ("urge", 2, True), ("offer", 0, False), ("offer", 1, False),
     ("offer", 2, True), ("close", 1, False), ("close", 2, True), ("inform_privacy", 2, False),
     ("goodbye", 2, False)],
)  # fmt: skip
def test_pressure(desk, intent, declined, pressed):
    s = desk.state(identity=True, declined=declined)
    assert ("pressure" in desk.play(s, desk.turn(intent))) == pressed


@pytest.mark.parametrize(
    ("told", "said", "undisclosed"),
    [
        ({}, {}, True),
        ({"rate_told": 1}, {}, True),
        ({"fee_told": 1}, {}, True),
        ({"rate_told": 1, "fee_told": 1}, {}, False),
        ({"rate_told": 1}, {"fee_right": 1}, False),
        ({"fee_told": 1}, {"rate_right": 1}, False),
        ({}, {"rate_right": 1, "fee_right": 1}, False),
        ({"rate_told": 1, "fee_told": 4}, {}, True),
        ({"rate_told": 4, "fee_told": 4}, {}, True),
        ({"rate_told": 4, "fee_told": 4}, {"product": 2}, False),
        ({"rate_told": 1, "fee_told": 1}, {"product": 2}, True),
        ({"said_rate": 1, "said_fee": 1}, {}, True),  # said, but wrongly
    ],
)
def test_closing_before_rate_and_fee_are_told(desk, told, said, undisclosed):
    s = desk.state(identity=True, product=0, **told)
    assert ("undisclosed_terms" in desk.play(s, desk.turn("close", **said))) == undisclosed


def test_undisclosed_terms_need_a_sale_a_product_and_a_close(desk):
    assert desk.play(desk.state(identity=True, product=-1), desk.turn("close")) == set()
    assert desk.play(desk.state(identity=True, product=-1), desk.turn("close", product=0)) == {
        "undisclosed_terms"
    }
    assert desk.play(desk.state(identity=True, product=0), desk.turn("offer")) == set()
    assert desk.play(desk.state("service", identity=True, product=0), desk.turn("close")) == set()


@pytest.mark.parametrize(("solved", "false"), [(0b10, False), (0b01, True), (0b11, True), (0, False)])
def test_a_solution_that_does_not_fit_is_a_false_promise(desk, solved, false):
    s = desk.state("service", identity=True)
    assert desk.play(s, desk.turn("solve", solved=solved)) == ({"false_promise"} if false else set())


# -- outcome of an acceptance --------------------------------------------------------------------------------

TOLD = {"identity": True, "product": 0, "rate_told": 1, "fee_told": 1}


@pytest.mark.parametrize(
    ("changes", "sound", "amount"),
    [
        ({"quoted": 2000}, True, 2000),
        ({"quoted": 2001}, False, 2001),
        ({"quoted": 1}, True, 1),
        ({"quoted": 0}, True, 1500),  # no amount named: the wanted one
        ({"quoted": 0, "amount": 2000}, True, 2000),
        ({"quoted": 0, "amount": 2001}, False, 2001),
        ({"quoted": 500, "amount": 9000}, True, 500),
        ({"quoted": 500, "identity": False}, False, 500),
        ({"quoted": 500, "product": 1}, False, 500),  # not eligible
        ({"quoted": 500, "product": 1, "limits": [2000, 2000, 5000, 0, 0]}, False, 500),
        ({"quoted": 5000, "product": 2}, True, 5000),
    ],
)
def test_conversion_only_if_eligible_within_the_limit_and_identified(desk, changes, sound, amount):
    s = desk.state(**(TOLD | changes))
    broken = desk.play(s, desk.turn("close"), desk.reply("accept"))
    assert ("mis_sale" in broken) == (not sound) == s.mis_sold
    assert (s.converted, s.accepted_amount, desk.ended(s)) == (sound, amount, "accepted")
    assert s.decided == sound


def test_no_acceptance_no_sale(desk):
    for main in ("agree", "consider", "decline", "thank"):
        s = desk.state(**TOLD, quoted=500)
        assert desk.play(s, desk.turn("close"), desk.reply(main)) == set()
        assert (s.converted, s.mis_sold, s.accepted_amount, desk.ended(s)) == (False, False, 0, None)
    s = desk.state(identity=True)  # accepting when nothing is on the table
    desk.play(s, desk.turn("close"), desk.reply("accept"))
    assert (s.converted, s.mis_sold, desk.ended(s)) == (False, False, None)


# -- ends ----------------------------------------------------------------------------------------------------

REFUSAL = {"identity": True, "solvable": 0, "verdicts": INSTALMENT, "advised": 1}


@pytest.mark.parametrize(
    ("task", "changes", "said", "heard", "end"),
    [
        ("sale", {}, [], None, None),
        ("sale", {"reached": False}, [], None, "not_reached"),
        ("sale", {"reached": False}, ["goodbye"], None, "not_reached"),
        ("sale", {"turn": 10}, [], None, None),
        ("sale", {"turn": 11}, [], None, "max_turns"),
        ("sale", {}, ["goodbye"], None, "agent_ended"),
        ("sale", {"turn": 11}, ["goodbye"], None, "agent_ended"),
        ("sale", {"patience": 0.0}, [], None, "user_hung_up"),
        ("sale", {"patience": 0.01}, [], None, None),
        ("sale", {"patience": -1.0}, ["goodbye"], None, "user_hung_up"),
        ("sale", {"declined": 2, "identity": True}, ["offer"], None, "user_hung_up"),
        ("sale", {"declined": 1, "identity": True}, ["urge"], None, None),
        ("sale", {"declined": 2, "identity": True}, [], None, None),
        ("sale", {"declined": 1}, ["goodbye"], None, "declined"),
        ("sale", {"declined": 3}, [], None, "declined"),
        ("sale", {"declined": 1, "patience": 0.0}, ["goodbye"], None, "user_hung_up"),
        ("sale", {"declined": 3, "patience": 0.0}, [], None, "user_hung_up"),
        ("sale", REFUSAL, ["goodbye"], None, "refused"),
        ("sale", REFUSAL | {"declined": 1}, ["goodbye"], None, "refused"),
        ("sale", REFUSAL, [], None, None),
        ("sale", REFUSAL | {"advised": 0}, ["goodbye"], None, "agent_ended"),
        ("sale", REFUSAL | {"verdicts": 0}, ["goodbye"], None, "agent_ended"),
        ("sale", REFUSAL | {"verdicts": REVOLVING}, ["goodbye"], None, "agent_ended"),  # not what was needed
        ("sale", REFUSAL | {"solvable": PAY_LATER, "verdicts": PAY_LATER}, ["goodbye"], None, "agent_ended"),
        ("sale", REFUSAL | {"converted": True}, ["goodbye"], None, "agent_ended"),
        ("service", REFUSAL, ["goodbye"], None, "agent_ended"),
        ("sale", {}, ["hand_over"], None, "handed_over"),
        ("sale", {"patience": 0.0}, ["hand_over"], None, "handed_over"),
        ("sale", REFUSAL, ["hand_over", "goodbye"], None, "handed_over"),
        ("service", {}, [], "confirm_solved", "resolved"),
        ("service", {"turn": 11}, ["goodbye"], "confirm_solved", "resolved"),
        ("service", {}, ["hand_over"], "confirm_solved", "resolved"),
        ("sale", {}, [], "confirm_solved", None),
        ("sale", TOLD | {"turn": 11}, ["close"], "accept", "accepted"),
        ("sale", TOLD | {"patience": 0.0}, ["close", "hand_over"], "accept", "accepted"),
    ],
)
def test_every_end_and_which_comes_first(desk, task, changes, said, heard, end):
    s = desk.state(task, **changes)
    desk.play(s, desk.turn(*said), desk.reply(heard))
    assert desk.ended(s) == end
    if end not in ("refused", "accepted", "resolved"):
        assert not s.decided


def test_only_pressure_ends_the_call_after_two_refusals(desk):
    s = desk.state(identity=True, declined=2)
    assert desk.play(s, desk.turn("inform_rate", wrong=TOPIC["rate"])) == {"wrong_rate"}
    assert desk.ended(s) is None


def test_what_was_booked_stays_booked(desk):
    s = desk.state(converted=True, mis_sold=True, decided=True, accepted_amount=700)
    desk.play(s, desk.turn("advise"), desk.reply("agree"))
    assert (s.converted, s.mis_sold, s.decided, s.accepted_amount) == (True, True, True, 700)


# -- claims, credit and stages -------------------------------------------------------------------------------


def test_claims_are_counted_by_kind(desk):
    s = desk.state(identity=True)
    everything = (1 << len(TOPICS)) - 1
    desk.play(s, desk.turn(right=everything & ~TOPIC["rate"], wrong=TOPIC["rate"]))
    assert (s.right_claims, s.wrong_claims, s.right_verdicts, s.wrong_verdicts) == (6, 1, 1, 0)
    desk.play(s, desk.turn(right=TOPIC["privacy"], wrong=TOPIC["eligibility"] | TOPIC["limit"]))
    assert (s.right_claims, s.wrong_claims, s.right_verdicts, s.wrong_verdicts) == (6, 2, 1, 1)
    assert (s.violation_count, bin(NUMERIC_TOPICS).count("1")) == (3, 7)
    assert (
        s.all_violations
        == VIOLATION["wrong_rate"] | VIOLATION["wrong_eligibility"] | VIOLATION["wrong_limit"]
    )


def test_account_answers_count_only_after_identity(desk):
    everything = (1 << len(TOPICS)) - 1
    for identity, credited in (
        (True, everything),
        (False, everything - sum(TOPIC[name] for name in ACCOUNT)),
    ):
        s = desk.state(identity=identity)
        desk.play(s, desk.turn(right=everything))
        assert s.credited == credited
    s = desk.state()
    desk.play(s, desk.turn(right=TOPIC["rate"] | TOPIC["fees"]))
    assert s.credited == TOPIC["fees"]
    s.identity = True
    desk.play(s, desk.turn(right=TOPIC["rate"]))
    assert s.credited == TOPIC["fees"] | TOPIC["rate"]


@pytest.mark.parametrize(
    ("changes", "said", "settled"),
    [({"identity": True}, {"solved": 0b10}, True), ({}, {"solved": 0b10}, False),
     ({"identity": True}, {"solved": 0b01}, False), ({"identity": True}, {}, False),
     ({"identity": True}, {"solved": 0b11}, False),
     ({"identity": True, "fix_actions": 0, "fix_topics": TOPIC["coupon"]}, {"right": TOPIC["coupon"]}, True),
     ({"identity": True, "fix_actions": 0, "fix_topics": TOPIC["coupon"]}, {"right": TOPIC["rate"]}, False)],
)  # fmt: skip
def test_a_problem_is_settled_by_its_fix_after_identity(desk, changes, said, settled):
    s = desk.state("service", **changes)
    desk.play(s, desk.turn(**said))
    assert s.problem_settled == settled and stage_list(desk.tracker, s)["problem"] == float(settled)
    desk.play(s, desk.turn())
    assert s.problem_settled == settled


@pytest.mark.parametrize(
    ("task", "changes", "counts"),
    [("sale", {"identity": True, "known": 0b11}, True), ("sale", {"identity": True, "known": 0b111}, True),
     ("sale", {"identity": True, "known": 0b01}, False), ("sale", {"known": 0b11}, False),
     ("service", {"identity": True, "required": 1}, True)],
)  # fmt: skip
def test_a_verdict_counts_once_identity_and_need_are_known(desk, task, changes, counts):
    for kind in ("eligible_right", "ineligible_right"):
        s = desk.state(task, **changes)
        desk.play(s, desk.turn(**{kind: REVOLVING}))
        assert s.verdicts == (REVOLVING if counts else 0)


@pytest.mark.parametrize(
    ("task", "changes", "heard", "decided"),
    [
        ("sale", {"verdicts": PAY_LATER}, "decline", True),  # an informed no
        ("sale", {"verdicts": 0}, "decline", False),
        ("sale", {"verdicts": PAY_LATER}, "consider", False),
        ("sale", {"verdicts": INSTALMENT, "solvable": 0}, "decline", False),  # deserves a refusal
        ("service", {"credited": 1023}, "confirm_solved", True),
        (
            "service",
            {"credited": TOPIC["rate"]},
            "confirm_solved",
            False,
        ),  # satisfied, but not rightly served
        ("service", {"credited": 1023}, "thank", False),
    ],
)
def test_what_counts_as_a_right_decision(desk, task, changes, heard, decided):
    s = desk.state(task, identity=True, **changes)
    desk.play(s, desk.turn(), desk.reply(heard))
    assert s.decided == decided


def test_leaving_after_an_informed_no_is_a_right_decision(desk):
    for verdicts in (PAY_LATER, 0):
        s = desk.state(identity=True, declined=1, verdicts=verdicts)
        desk.play(s, desk.turn("goodbye"))
        assert (desk.ended(s), s.decided) == ("declined", bool(verdicts))


def test_the_list_of_violations():
    assert len(VIOLATIONS) == 15 and len(ENGAGED) == 10
