"""What an agent is: a class, a function, a file, or anything that starts sessions."""

from pathlib import Path

import pytest

from dialog_gym import agents
from dialog_gym.agents.base import Agent, CallableAgent, load_agent, observation_text
from dialog_gym.core import DialogGymError, Observation, Turn
from dialog_gym.envs import DialogueEnv
from dialog_gym.plugins import names
from dialog_gym.rollout import agent_seed, play

SEEN = Observation(
    dialogue=(Turn(role="assistant", text="Hello.", thought="SECRET"), Turn(role="user", text="Hi.")),
    profile={"age": 30, "monthly_income": None},
    guidelines="Be honest.",
)


class Counter(Agent):
    """Counts its turns and draws a number."""

    def begin(self):
        self.turns = 0

    def reply(self, observation):
        self.turns += 1
        return f"turn {self.turns}, {self.rng.integers(10**6)}"


def test_sessions_share_nothing_and_depend_on_their_seed():
    agent = Counter()
    first, second, again = agent.start(1), agent.start(2), agent.start(1)
    said = [[one.reply(SEEN) for _ in range(3)] for one in (first, second, again)]
    assert said[0] == said[2] != said[1] and said[1][2].startswith("turn 3,")
    assert not hasattr(agent, "turns") and not hasattr(agent, "rng")


def test_interleaved_sessions_say_the_same():
    agent = Counter()
    a, b = agent.start(1), agent.start(2)
    mixed = [one.reply(SEEN) for one in (a, b, b, a)]
    c, d = agent.start(1), agent.start(2)
    assert mixed == [c.reply(SEEN), d.reply(SEEN), d.reply(SEEN), c.reply(SEEN)]


def test_an_agent_must_reply():
    with pytest.raises(NotImplementedError, match=r"Agent must define reply\(self, observation\)"):
        Agent().start(0).reply(SEEN)


def test_an_observation_as_text():
    text = observation_text(SEEN)
    assert text == (
        "Be honest.\n\nCustomer profile:\nage: 30\nmonthly_income: unknown\n\nDialogue:\n"
        "assistant: Hello.\nuser: Hi.\nassistant:"
    )


def test_functions_are_agents():
    def polite(text):
        return "Good day." if text.endswith("assistant:") else "?"

    agent = load_agent(polite)
    assert (agent.name, agent.start(0).reply(SEEN)) == ("polite", "Good day.")
    with pytest.raises(DialogGymError, match=r"agent 'mute' returned NoneType, not a text"):
        CallableAgent(lambda _: None, "mute").start(0).reply(SEEN)


@pytest.mark.parametrize("name", sorted({*names("agents")} - {"openai"}))  # that one needs a model
def test_every_registered_agent_plays(name):
    agent = load_agent(name)
    assert agent.name == name and agent.sees_hidden_state == (name == "oracle")
    for scenario in ("proactive_sale", "customer_service"):
        played = play(DialogueEnv(scenario=scenario).begin(3, 5), agent)
        assert played.agent == name and played.outcome["turns"] >= 1


AGENT_FILE = '''
from dialog_gym.agents.base import Agent

class Greeter(Agent):
    """Greets."""

    def __init__(self, word="Hello"):
        self.word = word

    def reply(self, observation):
        return self.word
'''


def test_agents_from_files_classes_and_objects(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(AGENT_FILE)
    for spec in (str(path), f"{path}:Greeter"):
        agent = load_agent(spec)
        assert (agent.name, agent.reply(SEEN)) == (spec, "Hello")
    assert load_agent(str(path), {"word": "Hi"}).reply(SEEN) == "Hi"
    assert load_agent(Counter).name == "Counter"
    ready = Counter()
    assert load_agent(ready) is ready


def test_a_file_with_two_agents_needs_a_name(tmp_path):
    path = tmp_path / "two.py"
    path.write_text(AGENT_FILE + "\n\ndef shout(text):\n    return 'HELLO'\n")
    with pytest.raises(
        DialogGymError, match=r"must define one public class or function \(Greeter, shout found\)"
    ):
        load_agent(str(path))
    assert load_agent(f"{path}:shout").reply(SEEN) == "HELLO"


@pytest.mark.parametrize(
    ("spec", "options", "hint"),
    [
        ("scriptd", None, "did you mean 'scripted'"),
        ("nowhere.py", None, "no such file: nowhere.py"),
        ("dialog_gym.agents.trivial:Silnt", None, "AttributeError"),
        ("no.such.module:Agent", None, "ModuleNotFoundError"),
        ("scripted", {"volume": 11}, "volume"),
        (5, None, "is no agent"),
        (object(), None, "is no agent"),
    ],
)
def test_what_is_no_agent(spec, options, hint):
    with pytest.raises(DialogGymError, match=hint) as caught:
        load_agent(spec, options)
    assert "\n" not in str(caught.value)


def test_a_file_that_fails_to_import(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_this_name\n")
    with pytest.raises(DialogGymError, match="ModuleNotFoundError: No module named 'nothing_of_this_name'"):
        load_agent(str(path))


def test_an_agents_seed_depends_on_task_and_seed_only():
    assert agent_seed("t", 1) == agent_seed("t", 1) != agent_seed("t", 2)
    assert agent_seed("t", 1) != agent_seed("u", 1)


def test_top_level_import_is_refused():
    source = Path(agents.__file__).read_text()
    with pytest.raises(ImportError, match=r"import dialog_gym\.agents, not agents"):
        exec(source, {"__name__": "agents"})
