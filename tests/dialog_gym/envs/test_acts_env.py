"""Act level: Gymnasium's contract, the mask, wrong input; the same dialogues as at text level."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics

from dialog_gym.acts import format_acts
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.moves import MOVE
from dialog_gym.envs import ActsEnv, DialogueEnv, DialogueVectorEnv

SCENARIOS = CreditDomain.scenarios
BOTH = [*(("EcomDialogActs-v0", scenario) for scenario in SCENARIOS), ("MultiWOZActs-v0", "booking")]
DOMAINS = [*(("credit", scenario) for scenario in SCENARIOS), ("multiwoz", "booking")]


def sample(env, rng, masked=True):
    """A random action; with the mask, of moves that make sense now."""
    sizes = env.action_space.nvec
    parts = np.split(env.action_masks(), np.cumsum(sizes)[:-1])
    assert all(part.any() for part in parts)
    choices = [np.flatnonzero(part) if masked else np.arange(len(part)) for part in parts]
    return np.array([rng.choice(allowed) for allowed in choices])


@pytest.mark.parametrize("render_mode", [None, "ansi"])
@pytest.mark.parametrize(("name", "scenario"), BOTH)
def test_passes_gymnasiums_checker_without_a_warning(name, scenario, render_mode):
    check_env(gym.make(name, scenario=scenario, render_mode=render_mode).unwrapped)


@pytest.mark.parametrize(("name", "scenario"), BOTH)
def test_passes_the_passive_checker_to_the_end_of_dialogues(name, scenario):
    env = RecordEpisodeStatistics(gym.make(name, scenario=scenario, render_mode="ansi", level=9))
    env.action_space.seed(0)
    env.reset(seed=1)
    for _ in range(20):
        total, over, turns = 0.0, False, 0
        while not over:
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            total, over, turns = total + reward, terminated or truncated, turns + 1
            assert observation in env.observation_space and observation.dtype == np.float32
            assert info["action_mask"].shape == (sum(env.action_space.nvec),)
        assert truncated == (info["ended_by"] == "max_turns")
        assert (info["episode"]["r"], info["episode"]["l"]) == (pytest.approx(total), turns)
        assert env.render().count("assistant: ") == turns
        env.reset()
    pickle.loads(pickle.dumps(env.spec)).make().close()


@pytest.mark.parametrize("name", ["EcomDialogActs-v0", "MultiWOZActs-v0"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_many_in_gymnasiums_vector_environments(mode, name):
    envs = gym.make_vec(name, num_envs=2, vectorization_mode=mode)
    native = gym.make_vec(name, num_envs=2, vectorization_mode="vector_entry_point")
    try:
        assert np.array_equal(envs.reset(seed=5)[0], native.reset(seed=5)[0])
        for _ in range(20):
            actions = envs.action_space.sample()
            for ours, theirs in zip(native.step(actions)[:4], envs.step(actions)[:4], strict=True):
                assert np.array_equal(ours, theirs)
    finally:
        envs.close()


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize(("domain", "scenario"), DOMAINS)
def test_the_same_dialogues_as_at_text_level(domain, scenario, level, masked):
    acts, text = (kind(domain, scenario=scenario, level=level) for kind in (ActsEnv, DialogueEnv))
    rng = np.random.default_rng(level)
    info = acts.reset(seed=11)[1]
    assert text.reset(seed=11)[1]["task_id"] == info["task_id"]
    ended = 0
    for _ in range(300):
        action = sample(acts, rng, masked)
        said = format_acts(acts.acts(action))
        _, reward, *over, info = acts.step(action)
        _, text_reward, *text_over, text_info = text.step(said)
        assert (text_reward, text_over) == (reward, over), said
        for name in ("rewards", "costs", "cost", "level"):
            assert text_info[name] == info[name], (name, said)
        if any(over):
            left, right = dict(info["outcome"]), dict(text_info["outcome"])
            assert left.pop("esndcg") is None and right.pop("esndcg") is not None
            assert left == right and text_info["ended_by"] == info["ended_by"]
            assert text.reset()[1]["task_id"] == acts.reset()[1]["task_id"]
            ended += 1
    assert ended > 20


def test_the_mask_follows_the_conversation():
    env = ActsEnv(scenario="customer_service")
    mask = env.reset(seed=0)[1]["action_mask"]
    assert mask[MOVE["ask_identity"]] and not mask[MOVE["offer"]]
    env.step(np.array([MOVE["ask_identity"], 0, 0, 0, 0, 0]))
    assert env._dialogue.state.identity
    assert not env.action_masks()[MOVE["ask_identity"]] and not env.action_masks()[MOVE["greet"]]
    assert env.action_masks().dtype == bool


def test_the_task_can_be_chosen_by_index_id_or_record():
    env = ActsEnv()
    first, info = env.reset(seed=4, options={"task": 7})
    assert info["task_id"] == "credit/proactive_sale/train/3/7"
    for task in (info["task_id"], env.domain.task_by_id(info["task_id"]), np.int64(7)):
        again = env.reset(seed=4, options={"task": task})
        assert np.array_equal(again[0], first) and again[1]["task_id"] == info["task_id"]
    assert np.array_equal(env.reset(seed=4, options={"task": None})[0], env.reset(seed=4)[0])


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"tsk": 1}, "unknown reset option 'tsk'"),
        ({"task": -1}, "outside 0..65535"),
        ({"task": "x"}, "not one of this environment's, e.g. 'credit/proactive_sale/train/3/0'"),
        ({"task": "credit/customer_service/train/3/7"}, "not one of this environment's"),
        ({"task": "credit/proactive_sale/train/3/²"}, "not one of this environment's"),
        ({"task": 1.5}, "must be an index, an id or a Task, not float"),
        ({"task": True}, "not bool"),
    ],
)
def test_unknown_tasks_and_options_are_named(options, hint):
    with pytest.raises(DialogGymError) as caught:
        ActsEnv().reset(seed=0, options=options)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


ZEROS = [0] * 6
BAD_ACTIONS = [
    None, 3, "abcdef", [0] * 5, [0] * 7, [ZEROS], [0.5] * 6, np.zeros(6), [float("nan")] * 6,
    [None] * 6, [True] * 6,
    [-1, 0, 0, 0, 0, 0], [0, 0, 5, 0, 0, 0], [2**62] * 6,
]  # fmt: skip


@pytest.mark.parametrize("action", BAD_ACTIONS, ids=str)
def test_wrong_actions_change_nothing(action):
    env = ActsEnv()
    env.reset(seed=0)
    for call in (env.step, env.acts):
        with pytest.raises(
            DialogGymError, match=r"an action is 6 integers, not|outside MultiDiscrete\(\[43, 43, 5"
        ):
            call(action)
    assert env._dialogue.state.turn == 0


def test_steps_only_within_a_dialogue():
    env = ActsEnv()
    for call in (lambda: env.step(np.array(ZEROS)), lambda: env.acts(np.array(ZEROS)), env.action_masks):
        with pytest.raises(DialogGymError, match=r"call reset\(\)"):
            call()
    env.reset(seed=0)
    env.step(np.array([MOVE["goodbye"], 0, 0, 0, 0, 0]))
    with pytest.raises(DialogGymError, match=r"call reset\(\) before step\(\)"):
        env.step(np.array(ZEROS))


WRONG_SETTINGS = [
    ({"senario": "customer_service"}, "did you mean 'scenario'"),
    ({"profile_sorce": "real"}, "did you mean 'profile_source'"),
    ({"domain": "credt"}, "did you mean 'credit'"),
    ({"scenario": "proactive"}, "proactive_sale"),
    ({"split": "tset"}, "test"),
    ({"level": 11}, "from 0 to 9"),
    ({"level": -1}, "from 0 to 9"),
    ({"reward_weights": {"conversoin": 1}}, "did you mean 'conversion'"),
    ({"reward_weights": {"conversion": "much"}}, "finite number"),
    ({"reward_weights": {"conversion": float("nan")}}, "finite number"),
    ({"max_turns": 0}, "from 1 to 100"),
    ({"profile_source": "generated"}, "generator"),
    ({"styles": ["skeptical"]}, "sceptical"),
    ({"difficulty": {"trst": 1}}, "trust"),
]


@pytest.mark.parametrize("kind", [DialogueEnv, ActsEnv, DialogueVectorEnv])
@pytest.mark.parametrize(("wrong", "hint"), WRONG_SETTINGS)
def test_wrong_settings_are_named_with_what_would_be_right(kind, wrong, hint):
    with pytest.raises(DialogGymError) as caught:
        kind(**wrong)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: DialogueEnv(simulator="agend"), "did you mean 'agenda'"),
        (lambda: DialogueEnv(render_mode="ansy"), "did you mean 'ansi'"),
        (lambda: ActsEnv(render_mode="human"), "known: ansi"),
        (lambda: gym.make("EcomDialogActs-v0", level=12), "from 0 to 9"),
        (lambda: gym.make("EcomDialog-v0", split="tset"), "test"),
    ],
)
def test_wrong_settings_of_one_environment(make, hint):
    with pytest.raises(DialogGymError, match=hint):
        make()
