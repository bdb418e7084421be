"""Served models as agents: what they are shown, and what becomes of what they say."""

import json

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.agents.served import IN_TOOLS, ServedAgent, turn_of
from dialog_gym.chat_faults import ChatOutage
from dialog_gym.chat_reply import ChatReply, ToolCall
from dialog_gym.core import DialogGymError
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import agent_seed, play, play_many


@pytest.fixture
def served(chat_server, monkeypatch):
    with chat_server.served() as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", chat_server.KEY)
        yield found


def begin(scenario="customer_service", task=3):
    return DialogueEnv(scenario=scenario, level=2).begin(task, 1)


def test_the_model_is_shown_guidelines_profile_and_dialogue(served):
    episode = begin()
    session = load_agent("openai:tiny", {"prompt": "You are Ada."}).start(5)
    session.reply(episode.observation)
    (asked,) = served.asked
    system, *turns = asked["messages"]
    assert system["role"] == "system" and system["content"].startswith("You are Ada.\n")
    assert episode.task.guidelines in system["content"]
    assert f"surname: {episode.task.profile.attributes['surname']}" in system["content"]
    assert turns == [{"role": "user", "content": episode.turns[0].text}]
    assert 0 <= asked["seed"] < 2**31 and asked["temperature"] == 0 and "tools" not in asked
    for name, value in episode.task.goal.persona.items():
        assert f"\n{name}: {value}\n" not in system["content"]


def test_where_the_shop_calls_the_customer_opens_by_picking_up(served):
    load_agent("openai:tiny").start(5).reply(begin("proactive_sale").observation)
    assert served.asked[0]["messages"][1] == {"role": "user", "content": "(the customer picks up the phone)"}


def test_thoughts_are_kept_from_the_customer(served):
    served.model = lambda asked: "<think>they look rich</think>Hello, how can I help?"
    played = play(begin(), load_agent("openai:tiny"))
    said = [turn for turn in played.turns if turn.role == "assistant"]
    assert {turn.text for turn in said} == {"Hello, how can I help?"}
    assert {turn.thought for turn in said} == {"they look rich"}
    assert "they look rich" not in json.dumps([asked["messages"] for asked in served.asked])


def test_tool_calls_are_acts(served):
    def call(asked):
        functions = [("greet", "{}"), ("ask_need", '{"slot": "amount"}')]
        calls = [
            {"id": str(i), "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(functions)
        ]
        return {"role": "assistant", "content": "Let me ask.", "tool_calls": calls}

    served.model = call
    episode = begin()
    agent = load_agent("openai:tiny?tools=true")
    assert agent.name == "openai:tiny?tools=true"
    played = play(episode, agent)
    said = next(turn for turn in played.turns if turn.role == "assistant")
    assert [(act.intent, dict(act.slots)) for act in said.acts] == [
        ("greet", {}), ("ask_need", {"slot": "amount"}),
    ]  # fmt: skip
    assert said.thought == "Let me ask." and "Let me ask." not in said.text
    asked = served.asked[0]
    assert {tool["function"]["name"] for tool in asked["tools"]} == set(episode.domain.assistant_acts)
    assert asked["messages"][0]["content"].endswith(IN_TOOLS)


@pytest.mark.parametrize(
    ("name", "arguments", "line"),
    [
        ("dance", "{}", "unknown act 'dance'"),
        ("offer", '{"product": "gold"}', "offer: product='gold'"),
        ("offer", "{not json", "slots must be a mapping"),
        ("offer", "[" * 100_000, "slots must be a mapping"),
    ],
)
def test_wrong_calls_are_the_agents_mistakes(name, arguments, line):
    turn = turn_of(ChatReply(text="", calls=(ToolCall(name=name, arguments=arguments),)))
    said = begin().understand(turn.text)
    assert line in said.error or "characters; at most" in said.error
    assert said.text == "..."


def test_together_and_alone_are_the_same(served):
    agent = load_agent("openai:tiny?temperature=0.8")
    env = DialogueEnv(scenario="customer_service", level=2)
    tasks, seeds = list(range(6)), list(range(6))
    together = play_many(env.begin_many(tasks, seeds), agent)
    alone = [play(env.begin(task, seed), agent) for task, seed in zip(tasks, seeds, strict=True)]
    assert together == alone
    assert len({asked["seed"] for asked in served.asked}) == len(served.asked) // 2


def test_a_dialogue_is_seeded_by_its_task_and_turn(served):
    episode = begin()
    agent = load_agent("openai:tiny")
    requests = [agent.request(episode.observation, agent_seed(episode.task.id, seed)) for seed in (1, 1, 2)]
    assert requests[0].seed == requests[1].seed != requests[2].seed


def test_an_outage_is_no_turn(monkeypatch):
    agent = load_agent("openai:tiny?base_url=http://127.0.0.1:9/v1&attempts=1")
    with pytest.raises(ChatOutage, match="cannot be reached"):
        play(begin(), agent)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("openai", "no model is named: write openai:MODEL"),
        ("openai:tiny?temprature=1", "did you mean 'temperature'"),
        ("openai:tiny?base_url=nowhere", "is no base URL"),
        ("openai:tiny?max_tokens=0", "max_tokens is 0; it must be above 0"),
        ("silent?word=1", r"agent 'silent\?word=1' cannot be built from its name"),
        ("openia:tiny", "openia:tiny cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_names_that_mean_nothing(spec, line):
    with pytest.raises(DialogGymError, match=line):
        load_agent(spec)


def test_models_with_slashes_and_colons():
    assert load_agent("openai:Qwen/Qwen3-4B:free").client.options.model == "Qwen/Qwen3-4B:free"


def test_settings_name_what_shapes_the_turns_only():
    near, far = (
        ServedAgent("tiny", base_url=url, concurrency=n)
        for url, n in (("http://a/v1", 1), ("http://b/v1", 9))
    )
    assert near.settings() == far.settings() and near.name == far.name == "openai:tiny"
    assert ServedAgent("tiny", prompt="Be brief.").settings() != near.settings()
