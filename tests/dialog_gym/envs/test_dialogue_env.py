"""Text environments: Gymnasium's contract, the encodings of an action, and everything an agent may send."""

import pickle

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics

from dialog_gym.core import DialogGymError, DialogueAct, Turn
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play

SCENARIOS = CreditDomain.scenarios
SERVICE = "customer_service"
BOTH = [*(("EcomDialog-v0", scenario) for scenario in SCENARIOS), ("MultiWOZ-v0", "booking")]
HELLO = "Hello, could you confirm who I am speaking with?"


@pytest.fixture(scope="module")
def env():
    return DialogueEnv(scenario=SERVICE)


def heard(env, action, seed=3):
    """The assistant turn that an action became, and the step's info."""
    before = len(env.reset(seed=seed)[0]["dialogue"])
    observation, _, _, _, info = env.step(action)
    return observation["dialogue"][before], info


@pytest.mark.parametrize("render_mode", [None, "ansi", "human"])
@pytest.mark.parametrize(("name", "scenario"), BOTH)
def test_passes_gymnasiums_checker_without_a_warning(name, scenario, render_mode, capsys):
    check_env(gym.make(name, scenario=scenario, render_mode=render_mode).unwrapped)


@pytest.mark.parametrize(("name", "scenario"), BOTH)
def test_passes_the_passive_checker_to_the_end_of_dialogues(name, scenario):
    env = RecordEpisodeStatistics(gym.make(name, scenario=scenario, render_mode="ansi", max_turns=4))
    env.action_space.seed(0)
    env.reset(seed=1)
    for _ in range(8):
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            total, over = total + reward, terminated or truncated
            assert observation in env.observation_space
            assert info["rewards"] and info["cost"] == len(info["costs"])
        assert not (terminated and truncated)
        assert truncated == (info["ended_by"] == "max_turns") and info["outcome"]["turns"] <= 4
        assert info["episode"]["r"] == pytest.approx(total)
        assert env.render() == "\n".join(f"{turn.role}: {turn.text}" for turn in observation["dialogue"])
        env.reset()
    pickle.loads(pickle.dumps(env.spec)).make().close()
    env.close()


@pytest.mark.parametrize(("name", "scenario"), BOTH[1:])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_many_in_gymnasiums_vector_environments(mode, name, scenario):
    extra = {"vector_kwargs": {"shared_memory": False}} if mode == "async" else {}
    envs = gym.make_vec(name, num_envs=2, vectorization_mode=mode, scenario=scenario, max_turns=2, **extra)
    try:
        observation, info = envs.reset(seed=5)
        alone = [gym.make(name, scenario=scenario, max_turns=2).reset(seed=5 + i)[0] for i in range(2)]
        assert observation["dialogue"] == tuple(one["dialogue"] for one in alone)
        for _ in range(6):
            observation, rewards, terminated, truncated, info = envs.step([HELLO] * 2)
        assert (
            rewards.shape == terminated.shape == truncated.shape == (2,) and len(observation["profile"]) == 2
        )
        assert set(info["task_id"]) and info["cost"].shape == (2,)
    finally:
        envs.close()


def test_reset_shows_what_a_tau2_agent_needs(env):
    observation, info = env.reset(seed=0)
    assert info["policy"] == observation["guidelines"] != ""
    assert {tool["function"]["name"] for tool in info["tools"]} == set(ASSISTANT_ACTS)
    assert info["task_id"].startswith("credit/customer_service/train/3/")
    assert observation["dialogue"][0].role == "user" and observation["dialogue"][0].acts == ()
    assert DialogueEnv().reset(seed=0)[0]["dialogue"] == ()


OFFER = DialogueAct(intent="offer", slots={"product": "pay_later", "amount": 5000})


@pytest.mark.parametrize(
    "action",
    [
        "offer(product=pay_later, amount=5000)",
        "offer(product='pay_later', amount=5000)",
        '{"name": "offer", "arguments": {"product": "pay_later", "amount": 5000}}',
        '[{"intent": "offer", "slots": {"product": "pay_later", "amount": 5000}}]',
        "I can offer you Pay Later with 5,000.",
        "respond(message='I can offer you Pay Later with 5,000.')",
        '{"name": "respond", "arguments": {"message": "I can offer you Pay Later with 5k."}}',
    ],
)
def test_every_encoding_of_an_offer_is_the_same_offer(env, action):
    turn, info = heard(env, action)
    assert info["acts"] == turn.acts == (OFFER,) and "action_error" not in info
    assert "Pay Later" in turn.text and env.domain.read_assistant(turn.text) == (OFFER,)


@pytest.mark.parametrize("action", ["done()", "###STOP###", '{"name": "done", "arguments": {}}', "goodbye()"])
def test_the_agent_can_leave(env, action):
    env.reset(seed=3)
    info = env.step(action)[4]
    assert info["acts"] == (DialogueAct(intent="goodbye"),) and info["ended_by"] == "agent_ended"


@pytest.mark.parametrize(
    ("action", "hint"),
    [
        ("", "nothing was said"),
        ("  \n ", "nothing was said"),
        ("[]", "nothing was said"),
        ("respond(message='')", "nothing was said"),
        ("<think>only a thought</think>", "nothing was said"),
        ("ofer(product=pay_later)", "did you mean 'offer'"),
        ("offer(product=pay_later, amount=lots)", "not a number"),
        ("offer(product=pay_later, amount=NaN)", "within"),
        ("offer(product=pay_later, amount=null", "breaks off"),
        (f"offer(product=pay_later, amount={'9' * 6000})", "not a number"),
        ("inform_reactivation(date=tomorrow)", "YYYY-MM-DD"),
        ('{"name": "respond", "arguments": "hi"}', "message"),
        ("a" * 100_001, "100,001 characters"),
    ],
)
def test_what_cannot_be_read_is_silence_with_an_explanation(env, action, hint):
    turn, info = heard(env, action)
    assert (
        hint in info["action_error"] and "\n" not in info["action_error"] and len(info["action_error"]) < 500
    )
    assert (turn.text, turn.acts, info["acts"]) == ("...", (), ())


@pytest.mark.parametrize(
    "action",
    [
        "a" * 100_000,
        "(" * 100_000,
        "9" * 100_000,
        "\x00\x1b[31m\x7f",
        "lone \ud800 surrogate",
        "\U0001f600 ünï\u202ecode",
        "{",
        "[[1]",
    ],
)
def test_odd_texts_are_said_and_can_be_stored(env, action):
    turn, info = heard(env, action)
    assert "action_error" not in info and turn.text
    assert Turn.model_validate_json(turn.model_dump_json()) == turn


@pytest.mark.parametrize(
    "action", [None, 5, b"hello", ["hello"], {"text": "hello"}, Turn(role="assistant", text="hi")]
)
def test_an_action_is_a_text(env, action):
    env.reset(seed=0)
    with pytest.raises(DialogGymError, match=r"an action is a text \(str\), not"):
        env.step(action)


class Eavesdropper:
    """A simulator that remembers every word and thought it was shown."""

    name = "eavesdropper"

    def __init__(self):
        self.shown = []

    def start(self, task, seed):
        return self

    def say(self, acts, dialogue, *, garbled):
        self.shown += [turn.text + str(turn.thought) for turn in dialogue]
        return "Yes."


class Thinker:
    """An agent with a private thought in every place where one can be."""

    name = "thinker"

    def start(self, seed):
        return self

    def reply(self, observation):
        return Turn(
            role="assistant", text="<think>SECRET</think>Hello.SECRET</think>How are you?", thought="SECRET"
        )


def test_thoughts_reach_nobody_but_the_record():
    spy = Eavesdropper()
    env = DialogueEnv(scenario=SERVICE, simulator=spy, max_turns=3)
    env.reset(seed=1)
    played = play(env.episode, Thinker())
    assert spy.shown and "SECRET" not in "".join(spy.shown)
    spoken = [turn for turn in played.turns if turn.role == "assistant"]
    assert {(turn.text, turn.thought) for turn in spoken} == {("How are you?", "SECRET")}


class Broken(Eavesdropper):
    """A simulator that fails in its second turn."""

    def say(self, acts, dialogue, *, garbled):
        if dialogue:
            raise ConnectionError("no answer from the model")
        return "Hello?"


def test_a_failing_simulator_makes_the_dialogue_void():
    env = DialogueEnv(scenario=SERVICE, simulator=Broken())
    env.reset(seed=1)
    _, _, terminated, truncated, info = env.step(HELLO)
    assert terminated and not truncated and info["ended_by"] == "error"
    assert info["failure"] == "ConnectionError: no answer from the model"
    assert env.trajectory().ended_by == "error"


def test_the_task_can_be_chosen_by_index_id_or_record(env):
    by_index = env.reset(seed=4, options={"task": 7})
    name = f"credit/{SERVICE}/train/3/7"
    assert by_index[1]["task_id"] == name
    again = [env.reset(seed=4, options={"task": task}) for task in (name, env.domain.task_by_id(name))]
    assert again == [by_index] * 2
    assert env.reset(seed=4, options={"task": None}) == env.reset(seed=4)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"tsk": 1}, "unknown reset option 'tsk'; known: "),
        ({"task": -1}, "task index -1 is outside 0..65535"),
        ({"task": 10**9}, "outside 0..65535"),
        ({"task": "nobody"}, "not of the form credit/scenario/split/level/index"),
        ({"task": f"credit/{SERVICE}/train/3/99999999"}, "outside 0..65535"),
        ({"task": f"credit/{SERVICE}/tran/3/1"}, "unknown split 'tran'"),
        ({"task": f"credit/{SERVICE}/train/11/1"}, "level must be an integer from 0 to 9"),
        ({"task": 1.5}, "must be an index, an id or a Task, not float"),
        ({"task": True}, "not bool"),
        ({"task": [1]}, "not list"),
    ],
)
def test_unknown_tasks_and_options_are_named(env, options, hint):
    with pytest.raises(DialogGymError) as caught:
        env.reset(seed=0, options=options)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


def test_a_ready_domain_takes_no_options():
    with pytest.raises(DialogGymError, match="domain given by name"):
        DialogueEnv(CreditDomain(), max_turns=3)


def test_steps_only_within_a_dialogue():
    fresh = DialogueEnv()
    for call in (lambda: fresh.step("hi"), fresh.trajectory):
        with pytest.raises(DialogGymError, match=r"call reset\(\)"):
            call()
    fresh.reset(seed=0)
    fresh.step("goodbye()")
    with pytest.raises(DialogGymError, match=r"call reset\(\) before step\(\)"):
        fresh.step("hi")


def test_weights_change_the_scalar_and_nothing_else():
    plain, heavy = DialogueEnv(), DialogueEnv(reward_weights={"turn": 5})
    found = []
    for one in (plain, heavy):
        one.reset(seed=2)
        found.append(one.step(HELLO))
    assert found[0][4]["rewards"] == found[1][4]["rewards"]
    assert found[0][1] - found[1][1] == pytest.approx(4.99)


def test_what_the_user_can_change_is_a_copy(env):
    first = env.reset(seed=0)[0]
    first["profile"]["age"] = 200
    assert env.step(HELLO)[0]["profile"]["age"] != 200
