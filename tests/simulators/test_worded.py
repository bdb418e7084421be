"""Users with a language model's words: who decides, the audit, batches, options and names."""

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.core import DialogGymError, UserSimulator
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play, play_many
from dialog_gym.simulators.agenda import AgendaSimulator
from dialog_gym.simulators.worded import WordedSimulator
from dialog_gym.speaking import load_simulator

TASKS, SEEDS = list(range(12)), [7] * 12


class Scripted:
    """A generator that answers with a function of the prompt, the seed and the number of the call."""

    name = "scripted"

    def __init__(self, words):
        self.words, self.calls, self.asked = words, [], 0

    def generate(self, prompts, seeds):
        self.calls.append(len(prompts))
        texts = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            texts.append(self.words(prompt, seed, self.asked))
            self.asked += 1
        return texts


def plain(prompt):
    """The example wording that a full prompt holds: a perfect, dull model."""
    return prompt[-1]["content"].rpartition("In plain words: ")[2].removesuffix(")")


def faithful(prompt, seed, number):
    return plain(prompt)


def wrong_first(prompt, seed, number):
    """Wrong with every other seed."""
    return "No, I'm not interested." if seed % 2 else plain(prompt)


def simulator(words=faithful, **options):
    return WordedSimulator(generator=Scripted(words), **options)


def env(users, scenario="proactive_sale"):
    return DialogueEnv(scenario=scenario, simulator=users, split="test")


def counts(trajectory):
    return {
        name.removeprefix("simulator_"): value
        for name, value in trajectory.outcome.items()
        if name.startswith("simulator_")
    }


def test_implements_the_protocol():
    assert isinstance(simulator(), UserSimulator)


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_the_words_are_the_models_and_everything_else_the_domains(scenario):
    users = simulator()
    worded = play_many(env(users, scenario).begin_many(TASKS, SEEDS), load_agent("oracle"))
    template = play_many(env("agenda", scenario).begin_many(TASKS, SEEDS), load_agent("oracle"))
    for one, other in zip(worded, template, strict=True):
        assert [turn.acts for turn in one.turns] == [turn.acts for turn in other.turns]
        assert (one.rewards, one.ended_by) == (other.rewards, other.ended_by)
        found = counts(one)
        assert found["audited"] == sum(turn.role == "user" for turn in one.turns)
        assert found["fallbacks"] == found["errors"] == 0
    assert max(users.generator.calls) > 1, "turns of many dialogues in one call"


@pytest.mark.parametrize("words", [faithful, wrong_first])
@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_alone_and_together_are_the_same(scenario, words):
    single, batch = env(simulator(words), scenario), env(simulator(words), scenario)
    alone = [
        play(single.begin(task, seed), load_agent("scripted"))
        for task, seed in zip(TASKS, SEEDS, strict=True)
    ]
    together = play_many(batch.begin_many(TASKS, SEEDS, greet=False), load_agent("scripted"))
    assert alone == together


def test_what_the_audit_rejects_is_said_again_then_by_a_template():
    found = [
        counts(one)
        for one in play_many(env(simulator(wrong_first)).begin_many(TASKS, SEEDS), load_agent("scripted"))
    ]
    assert sum(one["reworded"] for one in found) > 0 and sum(one["errors"] for one in found) == 0
    never = env(simulator(lambda *_: "No, I'm not interested.", retries=1))
    lines = env(AgendaSimulator())
    for worded, template in zip(
        play_many(never.begin_many(TASKS, SEEDS), load_agent("scripted")),
        play_many(lines.begin_many(TASKS, SEEDS), load_agent("scripted")),
        strict=True,
    ):
        meant = [turn.acts for turn in worded.turns if turn.role == "user"]
        declined = sum([act.intent for act in acts] == ["decline"] for acts in meant)
        one = counts(worded)
        garbled = one["audited"] - one["fallbacks"] - declined
        assert 0 <= garbled <= one["audited"]
        rejected = sum(one.get(kind, 0) for kind in ("contradicted", "premature_stop", "omitted"))
        assert rejected == 2 * one["fallbacks"] and one["reworded"] == one["fallbacks"]
        assert [t.acts for t in worded.turns] == [t.acts for t in template.turns]


def test_a_model_that_fails_makes_its_dialogues_void():
    def fails(prompt, seed, number):
        raise RuntimeError("out of memory")

    episodes = env(simulator(fails), "customer_service").begin_many(TASKS, SEEDS, greet=False)
    for one in play_many(episodes, load_agent("scripted")):
        assert (one.ended_by, one.turns) == ("error", ())
    alone = env(simulator(fails)).begin(0, 7)
    play(alone, load_agent("scripted"))
    assert alone.ended_by == "not_reached" or "out of memory" in str(alone.failure)


def test_an_outage_is_no_outcome():
    def out(prompt, seed, number):
        raise DialogGymError("the server is down")

    with pytest.raises(DialogGymError, match="down"):
        play_many(env(simulator(out), "customer_service").begin_many(TASKS, SEEDS, greet=False), None)


# -- free mode


def said(*lines):
    """A model that says these lines in turn, whatever was asked."""
    return lambda prompt, seed, number: lines[min(number, len(lines) - 1)]


def reached(users):
    """The first episode of a customer who answers the call."""
    game = env(users)
    return next(one for one in (game.begin(i, 7) for i in range(50)) if one.dialogue.state.reached)


def test_who_chooses_decides_what_is_said_and_the_tracker_what_comes_of_it():
    episode = reached(
        simulator(said("Yes, speaking.", "What is the interest rate?", "Goodbye."), mode="free")
    )
    for action in ("ask_identity()", "ask_need(slot=amount)", "acknowledge()"):
        episode.assistant(episode.understand(action))
    meant = [turn.acts[0].intent for turn in episode.record if turn.role == "user"]
    assert meant == ["confirm_identity", "ask", "goodbye"]
    assert episode.ended_by == "user_hung_up"
    assert all(turn.acts == () for turn in episode.turns if turn.role == "user")
    assert len(episode.rewards) == 3


def test_a_false_acceptance_is_left_to_the_domain():
    episode = reached(simulator(said("Great, I'll take it."), mode="free", retries=1))
    episode.assistant(episode.understand("ask_identity()"))
    user = episode.record[-1]
    assert user.role == "user" and "accept" not in {act.intent for act in user.acts}
    assert episode.session.rejected["premature_stop"] >= 2
    assert episode.session.fallbacks >= 1
    assert len(episode.rewards) == 1


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_free_users_alone_and_together_are_the_same(scenario):
    def words(prompt, seed, number):
        options = ("Yes, that's me.", "How much is the rate?", "I need 5,000.", "Great, I'll take it.", "Hm.")
        return plain(prompt) if "In plain words" in prompt[-1]["content"] else options[seed % 5]

    single, batch = (env(simulator(words, mode="free"), scenario) for _ in range(2))
    alone = [
        play(single.begin(task, seed), load_agent("scripted"))
        for task, seed in zip(TASKS, SEEDS, strict=True)
    ]
    together = play_many(batch.begin_many(TASKS, SEEDS, greet=False), load_agent("scripted"))
    assert alone == together
    assert any(counts(one)["fallbacks"] for one in alone)
    assert any(counts(one)["audited"] > counts(one)["fallbacks"] for one in alone)


# -- options and names


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"mode": "fre"}, "did you mean 'free'"),
        ({"style": "long"}, "prompt style"),
        ({"retries": 99}, "0 to 10"),
        ({"verbosity": "loud"}, "verbosity"),
        ({"max_new_tokens": 0}, "at least 1"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_wrong_options(options, line):
    with pytest.raises(DialogGymError, match=line):
        WordedSimulator(**options)


def test_by_name_with_options():
    users = load_simulator("lm?mode=free&retries=0&temperature=0")
    assert (users.mode, users.retries, users.generator.temperature) == ("free", 0, 0)
    assert load_simulator("lm", {"verbosity": "terse"}).persona == {"verbosity": "terse"}
    assert load_simulator("lm:some/folder?retries=1").generator.model == "some/folder"
    with pytest.raises(DialogGymError, match="cannot be built"):
        load_simulator("lm?loudness=3")
    with pytest.raises(DialogGymError, match="given by name"):
        load_simulator(users, {"mode": "free"})
