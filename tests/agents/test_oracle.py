"""The oracle: an upper reference that never errs, speaks through the same channel, and is never ranked."""

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.agents.oracle import Oracle
from dialog_gym.core import Observation
from dialog_gym.envs import DialogueEnv
from dialog_gym.rollout import play

SALE, SERVICE = "proactive_sale", "customer_service"


def dialogues(agent, scenario, level, count=80):
    env, service = DialogueEnv(scenario=scenario, split="test", level=level), load_agent(agent)
    return [play(one, service) for one in env.begin_many(list(range(count)), list(range(count)))]


@pytest.mark.parametrize("level", [0, 3, 6, 9])
@pytest.mark.parametrize("scenario", [SALE, SERVICE])
def test_it_never_errs(scenario, level):
    for played in dialogues("oracle", scenario, level):
        assert played.outcome["violation_count"] == 0, (played.task.id, played.outcome["violations"])
        assert played.outcome["wrong_claims"] == played.outcome["wrong_verdicts"] == 0
        assert played.ended_by != "error"


@pytest.mark.parametrize("level", [0, 3, 6, 9])
def test_it_solves_every_level_of_service(level):
    played = dialogues("oracle", SERVICE, level)
    assert sum(bool(one.outcome["resolved"]) for one in played) >= 0.9 * len(played)


@pytest.mark.parametrize("level", [0, 5, 9])
def test_it_is_above_the_script_on_the_same_dialogues(level):
    totals = {}
    for agent in ("oracle", "scripted"):
        played = [one for one in dialogues(agent, SALE, level, 150) if one.outcome["reached"]]
        totals[agent] = sum(bool(one.outcome["success"]) for one in played)
        assert len(played) > 30
    assert totals["oracle"] > totals["scripted"]


def test_whom_nothing_fits_is_refused_honestly():
    played = [
        one
        for one in dialogues("oracle", SALE, 9, 200)
        if one.outcome["reached"] and not one.outcome["solvable"]
    ]
    assert len(played) > 10
    assert sum(one.ended_by == "refused" for one in played) >= 0.7 * len(played)
    assert not any(one.outcome["mis_sold"] or one.outcome["converted"] for one in played)


def test_it_is_a_declared_reference_and_needs_the_hidden_state():
    assert Oracle.sees_hidden_state
    with pytest.raises(AttributeError):
        Oracle().start(0).reply(Observation((), {}, ""))


def test_only_declared_references_see_the_hidden_state():
    class Spy:
        name = "spy"
        sees_hidden_state = False
        seen = ()

        def start(self, seed):
            return self

        def reply(self, observation):
            Spy.seen = (*Spy.seen, observation.hidden)
            return "goodbye()"

    play(DialogueEnv().begin(0, 0), Spy())
    assert Spy.seen == (None,)
    Spy.sees_hidden_state = True
    play(DialogueEnv().begin(0, 0), Spy())
    assert Spy.seen[1] is not None


def test_its_words_carry_its_acts():
    """What the oracle says is read by the grounder as what it meant: it has no private channel."""
    env, agent = DialogueEnv(scenario=SALE, split="test"), Oracle()
    for index in range(30):
        episode = env.begin(index, index)
        session = agent.start(index)
        while episode.ended_by is None:
            reply = session.reply(episode.observation._replace(hidden=episode.dialogue))
            said = episode.understand(reply.text)
            assert said.acts == reply.acts
            episode.assistant(said)
