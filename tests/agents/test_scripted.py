"""The scripted reference: it follows the script, says only what is true, and reads words only."""

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.agents.scripted import Customer, Scripted
from dialog_gym.core import Observation, Turn
from dialog_gym.domains.credit.memory import Memory
from dialog_gym.envs import DialogueEnv
from dialog_gym.rollout import play

SALE, SERVICE = "proactive_sale", "customer_service"


def dialogues(scenario, count=120, level=0, agent="scripted"):
    env, service = DialogueEnv(scenario=scenario, split="test", level=level), load_agent(agent)
    return [play(one, service) for one in env.begin_many(list(range(count)), list(range(count)))]


@pytest.fixture(scope="module")
def sales():
    return [one for one in dialogues(SALE) if one.outcome["reached"]]


@pytest.fixture(scope="module")
def services():
    return dialogues(SERVICE)


def intents(played):
    return [[act.intent for act in turn.acts] for turn in played.turns if turn.role == "assistant"]


def test_the_script_keeps_its_order(sales):
    stages = ("ask_identity", "ask_need", "inform_eligibility", "offer", "close")
    closed = 0
    for played in sales:
        said = [intent for turn in intents(played) for intent in turn]
        first = [said.index(stage) for stage in stages if stage in said]
        assert first == sorted(first), said
        assert said[0] == "greet" and said.count("close") <= 2
        closed += "close" in said
    assert closed > len(sales) / 3


def test_terms_are_told_before_every_offer(sales):
    for played in sales:
        for turn in intents(played):
            if "offer" in turn:
                assert turn.index("inform_rate") < turn.index("inform_fees") < turn.index("offer")


def test_what_it_says_is_true_where_it_knows_the_rules(sales, services):
    # level 0: the base rulebook is all there is, and nothing is misspelt
    wrong = [
        one.task.id
        for one in sales + services
        if one.outcome["wrong_claims"] or one.outcome["wrong_verdicts"]
    ]
    assert not wrong
    assert not any(one.outcome["mis_sold"] for one in sales)


def test_it_reads_and_means_the_same(sales, services):
    """Its words are read by the grounder as the acts it meant, so nothing is lost on the way."""
    agent = Scripted()
    for played in (sales + services)[:40]:
        session = agent.start(0)
        for at, turn in enumerate(played.turns):
            if turn.role == "assistant":
                visible = tuple(
                    t if t.role == "assistant" else Turn(role="user", text=t.text) for t in played.turns[:at]
                )
                reply = session.reply(Observation(visible, played.task.profile.attributes, ""))
                assert [act.intent for act in reply.acts] == [act.intent for act in turn.acts]


def test_it_is_shown_words_only():
    env = DialogueEnv(scenario=SERVICE, split="test", level=0)
    env.reset(seed=0)
    env.step("ask_identity()")
    users = [turn for turn in env.episode.observation.dialogue if turn.role == "user"]
    assert len(users) == 2 and all(turn.text and turn.acts == () for turn in users)
    assert env.episode.observation.hidden is None


def test_service_is_resolved(services):
    resolved = sum(bool(one.outcome["resolved"]) for one in services)
    assert resolved >= 0.9 * len(services)


def test_ineligible_customers_hear_a_reason_and_a_next_step(sales):
    refusals = [one for one in sales if one.outcome["refused"]]
    assert refusals
    for one in refusals:
        acts = [act for turn in one.turns if turn.role == "assistant" for act in turn.acts]
        assert any(act.slots.get("verdict") == "ineligible" and act.slots.get("reason") for act in acts)
        assert any(act.intent == "advise" for act in acts)


@pytest.mark.parametrize("level", [0, 3, 6, 9])
@pytest.mark.parametrize("scenario", [SALE, SERVICE])
def test_it_survives_every_level(scenario, level):
    for played in dialogues(scenario, 25, level):
        assert played.ended_by != "error" and played.outcome["turns"] <= 12


def test_a_missing_income_is_asked_for():
    attributes = DialogueEnv().domain.task(0).profile.attributes
    for income, asked in ((None, True), (5000, False)):
        customer = Customer(
            Scripted().rulebook, Observation((), {**attributes, "monthly_income": income}, ""), Memory()
        )
        assert ("income" in customer.unknown_slots()) is asked
    known = Memory(need={"income": 4000, "amount": 2000, "purpose": "home", "timing": "now"})
    customer = Customer(
        Scripted().rulebook, Observation((), {**attributes, "monthly_income": None}, ""), known
    )
    assert customer.unknown_slots() == [] and customer.amount == 2000 and customer.income_known
