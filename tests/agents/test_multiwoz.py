"""The agents of the booking desk: the script and the oracle meet their marks, the trivial ones do not."""

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.agents.multiwoz_scripted import MultiWOZScripted
from dialog_gym.core import DialogGymError, Observation, Turn
from dialog_gym.envs import DialogueEnv
from dialog_gym.rollout import agent_seed, observe, play

TASKS = range(60)


@pytest.fixture(scope="module")
def env():
    return DialogueEnv("multiwoz", split="test", goal_source="corpus")


def dialogues(env, agent):
    service = load_agent(agent)
    return [play(env.begin(task, 7), service) for task in TASKS]


@pytest.mark.parametrize("agent", ["scripted", "oracle"])
def test_who_knows_the_job_meets_nearly_every_goal(env, agent):
    played = dialogues(env, agent)
    assert sum(one.outcome["success"] for one in played) >= 0.98 * len(played)
    assert sum(one.outcome["complete"] for one in played) >= 0.99 * len(played)
    assert sum(one.outcome["violation_count"] for one in played) <= 1


def test_the_oracle_needs_fewer_turns(env):
    turns = [sum(len(one.rewards) for one in dialogues(env, agent)) for agent in ("oracle", "scripted")]
    assert turns[0] < 0.8 * turns[1]


@pytest.mark.parametrize("agent", ["silent", "random", "hello-and-stop"])
def test_trivial_agents_fail(env, agent):
    assert sum(one.outcome["success"] for one in dialogues(env, agent)) <= 0.05 * len(TASKS)


def test_the_script_says_what_it_means(env):
    """Its words are read as its acts: a claim that is read otherwise would be held against it."""
    service, differ, turns = MultiWOZScripted(), 0, 0
    for task in TASKS[:20]:
        episode = env.begin(task, 3)
        session = service.start(agent_seed(episode.task.id, 3))
        while episode.ended_by is None:
            turn = session.reply(observe(episode, service))
            said = episode.understand(turn.text)
            differ, turns = differ + (said.acts != turn.acts and {*said.acts} != {*turn.acts}), turns + 1
            episode.assistant(said)
    assert differ <= 0.02 * turns


def said(*texts):
    """An observation of some user turns, with the assistant's turns between them."""
    turns = [Turn(role="user", text=text) for text in texts]
    profile = {"restaurant_ref": "ABCD1234", "restaurant_full": "bookday=friday", "taxi_type": "red ford"}
    return Observation(tuple(turns), profile, "", domain="multiwoz")


def test_a_refused_booking_is_not_claimed():
    session = MultiWOZScripted().start(0)
    wanted = "I am looking for a restaurant called Curry Garden."
    session.acts(said(wanted))
    details = "Please book the restaurant for 2 people on friday at 12:00."
    assert [act.intent for act in session.acts(said(wanted, details))] == ["restaurant_no_book"]
    again = "Please book the restaurant for 2 people on sunday at 12:00."
    (act,) = session.acts(said(wanted, details, again))
    assert act.intent == "restaurant_book" and act.slots["ref"] == "ABCD1234"


def test_the_same_names_serve_every_domain():
    agent = load_agent("scripted")
    for name in ("credit", "multiwoz"):
        one = DialogueEnv(name, split="test")
        assert play(one.begin(0, 1), agent).agent == "scripted"


def test_an_unknown_domain_is_named():
    session = load_agent("oracle").start(0)
    with pytest.raises(
        DialogGymError, match=r"agent oracle does not know the domain 'multiwos'; did you mean"
    ):
        session.reply(Observation((), {}, "", domain="multiwos"))
