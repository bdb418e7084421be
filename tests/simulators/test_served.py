"""Users whose words come from a served model."""

import copy

import gymnasium
import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.chat_faults import ChatOutage
from dialog_gym.chat_options import ChatOptions
from dialog_gym.core import DialogGymError
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play, play_many
from dialog_gym.simulators.served import ServedGenerator, ServedUser
from dialog_gym.speaking import load_simulator


@pytest.fixture
def served(chat_server, monkeypatch):
    with chat_server.served() as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", chat_server.KEY)
        yield found


def test_words_for_many_prompts_at_once(served):
    served.model = lambda asked: f"<think>x</think>{asked['messages'][0]['content']} {asked['seed']}"
    generator = ServedGenerator(ChatOptions("tiny", temperature=0.7))
    prompts = [[{"role": "user", "content": f"say {i}"}] for i in range(5)]
    seeds = [2**63 + 7 * i for i in range(5)]
    assert generator.generate(prompts, seeds) == [f"say {i} {7 * i}" for i in range(5)]
    assert generator.name == "openai:tiny"


def test_a_served_user_says_what_the_domain_decides(served):
    """Whatever the model says, the outcome is that of the same dialogue with the agenda's words."""
    agent = load_agent("scripted")
    by_template = DialogueEnv(scenario="customer_service", level=2)
    env = DialogueEnv(scenario="customer_service", level=2, simulator="openai:tiny?retries=1")
    tasks = list(range(4))
    found = play_many(env.begin_many(tasks, tasks, greet=False), agent)
    expected = [play(by_template.begin(task, task), agent) for task in tasks]
    for one, other in zip(found, expected, strict=True):
        mine = [turn.acts for turn in one.turns if turn.role == "user"]
        theirs = [turn.acts for turn in other.turns if turn.role == "user"]
        assert (one.ended_by, mine) == (other.ended_by, theirs)
        assert one.outcome["simulator_errors"] == 0 < one.outcome["simulator_fallbacks"]
    firsts = [asked for asked in served.asked[:4] if len(asked["messages"]) == 2]
    assert len(firsts) == 4  # all customers open together


def test_faithful_words_are_said_as_they_are(served):
    """A model that repeats the plain wording of its prompt passes the audit."""
    env = DialogueEnv(scenario="customer_service", level=0, simulator="openai:tiny")
    plain = DialogueEnv(scenario="customer_service", level=0)
    words = iter([plain.begin(3, 1).turns[0].text] * 5)
    served.model = lambda asked: next(words)
    episode = env.begin(3, 1)
    assert episode.turns[0].text == plain.begin(3, 1).turns[0].text
    assert (episode.session.fallbacks, len(served.asked)) == (0, 1)
    assert served.asked[0]["temperature"] == 0.7 and served.asked[0]["max_tokens"] == 120


def test_a_prompt_of_ones_own_comes_first(served):
    user = "openai:tiny?retries=0&prompt=Speak+like+a+pirate."
    env = gymnasium.make("EcomDialog-v0", scenario="customer_service", simulator=user)
    env.reset(seed=0)
    (asked,) = served.asked
    assert asked["messages"][0]["content"].startswith("Speak like a pirate.\nYou play a customer")
    assert env.unwrapped.simulator.name == "openai:tiny"


def test_an_outage_voids_nothing_and_stops_the_run():
    env = DialogueEnv(
        scenario="customer_service", simulator="openai:tiny?base_url=http://127.0.0.1:9/v1&attempts=1"
    )
    with pytest.raises(ChatOutage, match="cannot be reached"):
        env.begin(3, 1)


def test_options_go_where_they_belong(served):
    user = load_simulator("openai:tiny?temperature=0.2&mode=free&verbosity=terse")
    assert isinstance(user, ServedUser) and (user.name, user.mode) == ("openai:tiny", "free")
    assert user.generator.client.options.temperature == 0.2 and user.persona == {"verbosity": "terse"}
    assert copy.deepcopy(user).generator.client.options == user.generator.client.options
    with pytest.raises(DialogGymError, match="openai"):
        load_simulator("openai:tiny?temprature=1")
    with pytest.raises(DialogGymError, match="no model is named"):
        load_simulator("openai")
