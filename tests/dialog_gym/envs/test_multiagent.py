"""PettingZoo environments: checkers pass, dialogues are those of `DialogueEnv`, every seat can be played."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent, load_agent
from dialog_gym.core import DialogGymError, Observation, Turn
from dialog_gym.domains.credit.ontology import USER_ACTS
from dialog_gym.envs import aec_env, parallel_env
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.multiagent import DialogueAECEnv, raw_env
from dialog_gym.rollout import play

SETUPS = {
    "flat": {},
    "hierarchical": {"hierarchical": True},
    "assistant": {"players": {"user_0": "agenda"}},
    "user": {"players": {"assistant_0": "scripted"}, "scenario": "customer_service"},
    "planned assistant": {"hierarchical": True, "players": {"user_0": "agenda"}},
    "expert": {"hierarchical": True, "players": {"assistant_0": "scripted", "user_0": "agenda"}},
    "user of a planned shop": {
        "hierarchical": True, "players": {"assistant_0": "scripted", "expert_0": "graded"},
    },
    "multiwoz": {"domain": "multiwoz"},
    "multiwoz assistant": {"domain": "multiwoz", "players": {"user_0": "agenda"}},
    "multiwoz user": {"domain": "multiwoz", "players": {"assistant_0": "scripted"}},
}  # fmt: skip
# the checker expects arrays unless the environment's name is on its own list (chess, go, hanabi, ...)
EXPECTED_WARNINGS = (
    "Observation is not a NumPy array",
    "Observation space for each agent probably should be",
    "Action space for each agent probably should be",
    "Agents have different observation space sizes",
)
both = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)


def reached(env: DialogueAECEnv, seed: int = 0) -> DialogueAECEnv:
    """Reset to the first dialogue whose customer picks up."""
    env.reset(seed=seed)
    while not env.table.episode.task.goal.persona["reached"]:
        env.reset()
    return env


def over(env: Any) -> bool:
    return any(env.terminations.values()) or any(env.truncations.values())


# -- PettingZoo's own checks ---------------------------------------------------------------------------------


@both
def test_aec_passes_the_api_test(setup: dict[str, Any], request: pytest.FixtureRequest) -> None:
    with pytest.warns() as caught:
        api_test(aec_env(**setup), num_cycles=60)
    strange = [str(w.message) for w in caught if not str(w.message).startswith(EXPECTED_WARNINGS)]
    assert not strange


@both
def test_aec_is_reproducible(setup: dict[str, Any]) -> None:
    seed_test(lambda: aec_env(**setup), 20)


@both
def test_parallel_passes_the_api_test(setup: dict[str, Any]) -> None:
    parallel_api_test(parallel_env(**setup), num_cycles=60)


@both
def test_parallel_is_reproducible(setup: dict[str, Any]) -> None:
    parallel_seed_test(lambda: parallel_env(**setup), 20)


@both
def test_observations_lie_in_their_spaces_and_never_use_the_key_observation(setup: dict[str, Any]) -> None:
    env = parallel_env(**setup)
    seen, infos = env.reset(seed=5)
    while env.agents:
        for seat in env.agents:
            assert env.observation_space(seat).contains(seen[seat])
            assert env.observation_space(seat).contains(env.observation_space(seat).sample())
            assert "observation" not in seen[seat]
        assert sum(info["active"] for info in infos.values()) == 1
        seen, _, _, _, infos = env.step({seat: env.action_space(seat).sample() for seat in env.agents})
    assert not any(info["active"] for info in infos.values())


def test_metadata_names_and_turn_order() -> None:
    env = aec_env(hierarchical=True, scenario="customer_service")
    assert env.metadata["name"] == "ecom_dialog_v0" and not env.metadata["is_parallelizable"]
    assert env.possible_agents == ["expert_0", "assistant_0", "user_0"]
    env.reset(seed=1)
    order = []
    for seat in env.agent_iter(6):
        order.append(seat)
        env.step(0 if seat == "expert_0" else "Could you say that again?")
    assert order == ["expert_0", "assistant_0", "user_0"] * 2


# -- the same dialogues as everywhere else -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "scenario"),
    [("credit", "proactive_sale"), ("credit", "customer_service"), ("multiwoz", "booking")],
)
@pytest.mark.parametrize("make", [aec_env, parallel_env])
def test_against_the_agenda_it_is_the_dialogue_of_the_gymnasium_env(
    make: Any, domain: str, scenario: str
) -> None:
    single = DialogueEnv(domain, scenario=scenario)
    env = make(domain=domain, scenario=scenario, players={"user_0": "agenda"})
    agent = load_agent("scripted")
    for episode in range(8):
        seed = 3 if episode == 0 else None  # later episodes continue the same sequence
        single.reset(seed=seed)
        env.reset(seed=seed)
        expected = play(single.running(), agent)
        texts = [turn.text for turn in expected.turns if turn.role == "assistant"]
        returned = 0.0
        for text in texts:
            if make is aec_env:
                env.step(text)
                returned += env.rewards["assistant_0"]
            else:
                returned += env.step({"assistant_0": text})[1]["assistant_0"]
        got = env.unwrapped.trajectory() if make is aec_env else env.trajectory()
        assert [turn.text for turn in got.turns] == [turn.text for turn in expected.turns]
        assert (got.ended_by, got.rewards, got.costs) == (
            expected.ended_by,
            expected.rewards,
            expected.costs,
        )
        weights = single.reward_weights
        assert returned == pytest.approx(sum(weights[n] * v for r in got.rewards for n, v in r.items()))


def test_a_hired_agent_plays_as_in_evaluation() -> None:
    single, env = (
        DialogueEnv(level=2),
        raw_env(level=2, hierarchical=True, players={"assistant_0": "scripted", "user_0": "agenda"}),
    )
    for seed in range(5):
        single.reset(seed=seed)
        env.reset(seed=seed)
        while not over(env):
            env.step(int(np.flatnonzero(env.observe("expert_0")["action_mask"])[0]))
        expected = play(single.running(), load_agent("scripted"))
        assert [turn.text for turn in env.trajectory().turns] == [turn.text for turn in expected.turns]


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_a_user_seat_that_says_what_the_user_model_would_say_has_its_outcome(scenario: str) -> None:
    options: dict[str, Any] = {"scenario": scenario, "level": 3, "difficulty": {"typos": 0.0}}
    single = DialogueEnv(**options)
    env = raw_env(players={"assistant_0": "scripted"}, **options)
    for seed in range(25):
        single.reset(seed=seed)
        expected = play(single.running(), load_agent("scripted"))
        env.reset(seed=seed)
        users = [turn for turn in expected.turns if turn.role == "user"][scenario == "customer_service" :]
        acts = iter([format_acts(turn.acts) for turn in users])
        while not over(env):
            env.step(next(acts, "smalltalk()"))
        got = env.trajectory()
        assert [(t.role, t.text, t.acts) for t in got.turns] == [
            (t.role, t.text, t.acts) for t in expected.turns
        ]
        assert (got.ended_by, got.rewards, got.costs) == (
            expected.ended_by,
            expected.rewards,
            expected.costs,
        )


# -- the user seat -------------------------------------------------------------------------------------------


def test_only_the_user_sees_the_goal_and_nobody_else_the_thought() -> None:
    env = raw_env(hierarchical=True, scenario="customer_service", players={"expert_0": "graded"})
    env.reset(seed=2)
    env.step("ask_identity()")
    user, shop = env.observe("user_0"), env.observe("assistant_0")
    task = env.table.episode.task
    assert f"patience: {task.goal.persona['patience']}" in user["goal"] and "goal" not in shop
    assert set(user) == {"dialogue", "profile", "goal"}
    assert all(turn.thought is None for turn in user["dialogue"])
    assert shop["dialogue"][-1].thought.startswith("strategy: ")
    assert user["dialogue"][-1].role == "assistant"  # hears what it is to answer
    env.step("confirm_identity()")
    assert all(not turn.acts for turn in env.observe("assistant_0")["dialogue"] if turn.role == "user")
    assert "rate" not in "".join(env.infos["user_0"]["rewards"])


def test_in_customer_service_the_task_gives_the_first_turn() -> None:
    env, single = raw_env(scenario="customer_service"), DialogueEnv(scenario="customer_service")
    env.reset(seed=4)
    seen, _ = single.reset(seed=4)
    assert env.agent_selection == "assistant_0"
    assert env.observe("user_0")["dialogue"] == seen["dialogue"] and len(seen["dialogue"]) == 1


def sale(env: DialogueAECEnv, *answers: str) -> dict[str, Any]:
    """The scripted sale up to an offer, to a customer who answers everything; the last answers are given."""
    reached(env)
    amount = env.table.episode.task.goal.constraints["amount"]
    told = (
        f"confirm_identity(); disclose(slot=amount, value={amount}); disclose(slot=purpose, value=shopping)"
    )
    told += "; disclose(slot=timing, value=now); disclose(slot=income, value=9000)"
    env.step("ask_identity(); ask_need(slot=amount)")
    env.step(told)
    for answer in answers:
        env.step("offer(product=pay_later, amount=100); close(product=pay_later, amount=100)")
        env.step(answer)
    return env.infos["user_0"] | {"reward": env.rewards["user_0"]}


def test_the_tracker_decides_from_the_acts_of_the_user_seat() -> None:
    info = sale(raw_env(level=0), "Yes, I accept the offer.")
    assert info["ended_by"] == "accepted" and info["outcome"]["accepted_amount"] == 100
    assert info["reward"] == info["rewards"]["satisfaction"] != 0.0
    info = sale(raw_env(level=0), "decline(); goodbye()")
    assert info["ended_by"] == "declined" and not info["outcome"]["converted"]
    assert sale(raw_env(level=0), "goodbye()")["ended_by"] == "user_hung_up"
    info = sale(raw_env(level=0), "consider()")
    assert "ended_by" not in info and info["reward"] == 0.0


def test_the_user_model_does_not_choose_for_a_claimed_seat() -> None:
    env = reached(raw_env(level=0))
    for _ in range(3):
        env.step("ask_identity(); ask_need(slot=amount)")
        env.step("smalltalk()")
        state = env.table.episode.dialogue.state
        assert (bool(state.identity), state.known, state.declined, state.human_requests) == (False, 0, 0, 0)
    env.step("offer(product=pay_later, amount=100); close(product=pay_later, amount=100)")
    env.step("I will think about it.")
    assert (env.table.episode.dialogue.state.declined, env.table.episode.dialogue.state.considered) == (0, 1)


def test_solved_is_only_what_is_solved() -> None:
    options: dict[str, Any] = {"scenario": "customer_service", "level": 0}
    env, single = raw_env(players={"assistant_0": "scripted"}, **options), DialogueEnv(**options)
    single.reset(seed=0)
    expected = play(single.running(), load_agent("scripted"))
    answers = [format_acts(turn.acts) for turn in expected.turns if turn.role == "user"][1:]
    assert len(answers) > 1 and answers[-1] == "confirm_solved()" and expected.ended_by == "resolved"
    env.reset(seed=0)
    env.step("confirm_solved()")  # too early: nothing was answered yet
    assert not over(env)
    env.reset(seed=0)
    for answer in answers[:-1]:
        env.step(answer)
    env.step("Thanks a lot, bye!")  # everything is answered: leaving contented is as good as saying so
    assert env.infos["user_0"]["ended_by"] == "resolved"


def test_an_unreached_customer_says_nothing() -> None:
    env = raw_env()
    env.reset(seed=0)
    while env.table.episode.task.goal.persona["reached"]:
        env.reset()
    env.step("ask_identity()")
    env.step("confirm_identity()")
    got = env.trajectory()
    assert got.ended_by == "not_reached" and [turn.role for turn in got.turns] == ["assistant"]
    assert got.rewards[0]["progress"] == 0.0 and not env.table.episode.dialogue.state.identity


@pytest.mark.parametrize("farewell", ["goodbye()", "hand_over()"])
def test_the_shop_ends_the_dialogue_and_the_user_still_answers(farewell: str) -> None:
    env = reached(raw_env())
    env.step(farewell)
    assert env.agent_selection == "user_0" and not over(env)
    env.step("Thanks, bye.")
    assert (
        env.infos["user_0"]["ended_by"]
        == {"goodbye()": "agent_ended", "hand_over()": "handed_over"}[farewell]
    )
    assert env.trajectory().turns[-1].text == "Thanks, bye."


def test_truncation_is_max_turns_and_nothing_else() -> None:
    env = parallel_env(max_turns=2, scenario="customer_service", level=0)
    env.reset(seed=0)
    for _ in range(2):
        env.step({"assistant_0": "ask_identity()"})
        _, _, terminated, truncated, infos = env.step({"user_0": "confirm_identity()"})
    assert set(truncated.values()) == {True} and set(terminated.values()) == {False} and not env.agents
    assert {info["ended_by"] for info in infos.values()} == {"max_turns"}


@settings(max_examples=60, deadline=None)
@given(
    intent=st.sampled_from(sorted(USER_ACTS)),
    values=st.dictionaries(
        st.sampled_from(["slot", "value", "topic", "product", "problem", "objection"]),
        st.sampled_from(
            ["amount", "rate", "fees", "pay_later", "null", "-1", "1e308", "nonsense", "true", '""']
        ),
        max_size=3,
    ),
    tail=st.sampled_from(["", "; goodbye()", "; nonsense()", "("]),
)
def test_no_user_act_breaks_a_dialogue(intent: str, values: dict[str, str], tail: str) -> None:
    env = FUZZED
    env.reset()
    slots = ", ".join(f"{name}={value}" for name, value in values.items())
    env.step("ask_need(slot=amount)")
    env.step(f"{intent}({slots}){tail}")
    info = env.infos["user_0"]
    assert info["acts"] or info["action_error"]


FUZZED = raw_env(level=9)


@pytest.mark.parametrize("text", ["", "   ", "<think>secret</think>", "disclose(slot=nonsense, value=1)"])
def test_what_cannot_be_heard_is_silence_with_a_reason(text: str) -> None:
    env = reached(raw_env())
    env.step("greet()")
    env.step(text)
    assert env.infos["user_0"]["action_error"] and env.trajectory().turns[-1].text == "..."


# -- the expert ----------------------------------------------------------------------------------------------


def test_the_mask_is_the_hard_sop_rules_and_the_choice_reaches_the_assistant() -> None:
    env = reached(raw_env(hierarchical=True, level=0))
    mask = env.observe("expert_0")["action_mask"]
    allowed = {name for name, ok in zip(env.strategies, mask, strict=True) if ok}
    assert "verify_identity" in allowed and not {"discover_need", "qualify", "clarify"} & allowed
    assert mask.dtype == np.int8 and np.array_equal(mask, env.infos["expert_0"]["action_mask"])
    env.step(env.strategies.index("verify_identity"))
    assert env.observe("assistant_0")["strategy"] == "verify_identity"
    env.step("ask_identity()")
    env.step("confirm_identity()")
    assert env.trajectory().turns[0].thought == "strategy: verify_identity"
    assert env.observe("expert_0")["action_mask"][env.strategies.index("qualify")]
    assert env.rewards["expert_0"] == env.rewards["assistant_0"] != 0.0


def test_a_forbidden_strategy_is_not_passed_on() -> None:
    env = reached(raw_env(hierarchical=True))
    env.step(env.strategies.index("qualify"))
    assert env.observe("assistant_0")["strategy"] == ""
    assert "forbidden" in env.infos["expert_0"]["action_error"]
    env.step("greet()")
    assert env.observe("assistant_0")["dialogue"][-1].thought is None


def test_infos_hold_what_was_settled_since_the_seats_own_last_action() -> None:
    env = reached(raw_env(hierarchical=True))
    for action in (0, "urge(); inform_rate(product=pay_later, rate=0.5)", "decline()"):
        env.step(action)
    assert all(env.infos[seat]["cost"] > 0 for seat in ("expert_0", "assistant_0"))
    env.step(0)
    assert env.infos["expert_0"]["cost"] == 0 and env.infos["assistant_0"]["cost"] > 0
    assert env.rewards["assistant_0"] == 0.0


class Planned(Agent):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def reply(self, observation: Observation) -> Turn:
        self.seen.append(observation)
        return Turn(role="assistant", text="ask_identity()", thought="mine")


def test_a_hired_assistant_reads_the_strategy_and_keeps_its_own_thought() -> None:
    agent = Planned()
    env = reached(raw_env(hierarchical=True, players={"assistant_0": agent, "user_0": "agenda"}))
    env.step(env.strategies.index("verify_identity"))
    assert agent.seen[-1].guidelines.endswith("Strategy for this turn: verify_identity")
    assert env.trajectory().turns[0].thought == "strategy: verify_identity\nmine"


def test_a_hired_expert_replies_with_a_name() -> None:
    def planner(_: str) -> str:
        return "strategy: verify_identity"

    env = reached(raw_env(hierarchical=True, players={"expert_0": planner}))
    assert env.agent_selection == "assistant_0"
    assert env.observe("assistant_0")["strategy"] == "verify_identity"
    with pytest.raises(DialogGymError, match=r"expert_0: 'verify' is no strategy; did you mean"):
        raw_env(hierarchical=True, players={"expert_0": lambda _: "verify"}).reset(seed=0)


# -- mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"players": {"user_0": "agenda", "assistant_0": "scripted"}}, "at least one seat open"),
        ({"players": {"assistent_0": "scripted"}}, "did you mean 'assistant_0'"),
        ({"players": {"expert_0": "graded"}}, "needs hierarchical=True"),
        ({"players": {"assistant_0": "scriptd"}}, "did you mean 'scripted'"),
        ({"players": {"user_0": "agendo"}}, "did you mean 'agenda'"),
        ({"players": {"user_0": 7}}, "is no simulator"),
        ({"players": {"assistant_0": 7}}, "is no agent"),
        ({"players": ["user_0"]}, "must map seats to players"),
        ({"simulator": "agenda"}, "players="),
        ({"scenario": "sale"}, "scenario"),
        ({"render_mode": "rgb"}, "render_mode"),
        ({"reward_weights": {"conversions": 1}}, "did you mean 'conversion'"),
    ],
)
@pytest.mark.parametrize("make", [aec_env, parallel_env])
def test_wrong_options_are_explained_in_one_line(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DialogGymError, match=message) as error:
        make(**options)
    assert "\n" not in str(error.value)


def test_wrong_actions_are_refused_and_change_nothing() -> None:
    env = reached(raw_env(hierarchical=True))
    for wrong in (99, -1, "verify_identity", None):
        with pytest.raises(DialogGymError, match="index of a strategy"):
            env.step(wrong)
    env.step(0)
    with pytest.raises(DialogGymError, match="text"):
        env.step(3)
    assert env.agent_selection == "assistant_0" and not env.table.episode.turns


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(DialogGymError, match="reset"):
        raw_env().step("hello")
    with pytest.raises(DialogGymError, match="reset"):
        raw_env().trajectory()
    env = parallel_env()
    with pytest.raises(DialogGymError, match="reset"):
        env.step({"assistant_0": "hello"})
    with pytest.raises(DialogGymError, match="unknown reset option 'tasks'"):
        env.reset(options={"tasks": 1})
    env.reset(seed=0)
    with pytest.raises(DialogGymError, match="turn of assistant_0"):
        env.step({"user_0": "hello"})
    with pytest.raises(DialogGymError, match=r"no open seat; did you mean 'user_0'"):
        env.step({"assistant_0": "hello", "users_0": "hello"})


class Broken(Agent):
    """Fails."""

    def reply(self, observation: Observation) -> str:
        raise ValueError("no answer")


class Mute(Agent):
    """Returns no text."""

    def reply(self, observation: Observation) -> Any:
        return 7


@pytest.mark.parametrize(("agent", "message"), [(Broken, "ValueError: no answer"), (Mute, "returned int")])
def test_a_failing_hired_agent_is_named(agent: type[Agent], message: str) -> None:
    with pytest.raises(DialogGymError, match=f"assistant_0: .*{message}"):
        raw_env(players={"assistant_0": agent}).reset(seed=0)


# -- the rest ------------------------------------------------------------------------------------------------


def test_tasks_can_be_picked() -> None:
    env = parallel_env(level=4, split="test")
    _, infos = env.reset(seed=1, options={"task": 12})
    assert infos["user_0"]["task_id"] == "credit/proactive_sale/test/4/12"


def test_rendering_shows_turns_as_they_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    env = reached(raw_env(render_mode="ansi"))
    env.step("Hello, who is there?")
    assert env.render() == "assistant: Hello, who is there?"
    env = raw_env(render_mode="human", scenario="customer_service")
    env.reset(seed=0)
    env.step("Hello, who is there?")
    env.step("It is me.")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["assistant: Hello, who is there?", "user: It is me."] and env.render() is None
    assert lines[0].startswith("user: ")


def test_what_inactive_seats_do_in_parallel_is_ignored() -> None:
    one, two = parallel_env(scenario="customer_service"), parallel_env(scenario="customer_service")
    one.reset(seed=0)
    two.reset(seed=0)
    for env, noise in ((one, {}), (two, {"user_0": "goodbye()"})):
        env.step({"assistant_0": "ask_identity()", **noise})
    assert one.step({"user_0": "Yes."})[0] == two.step({"user_0": "Yes.", "assistant_0": "goodbye()"})[0]
