"""The native vector environment: every lane is `ActsEnv`, bit for bit."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from dialog_gym.core import END_REASONS, DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.envs import ActsEnv, DialogueVectorEnv

SCENARIOS = CreditDomain.scenarios
DOMAINS = [*(("credit", scenario) for scenario in SCENARIOS), ("multiwoz", "booking")]
FACTS = (
    "reached",
    "converted",
    "mis_sold",
    "resolved",
    "refused",
    "violation_count",
    "turns",
    "solvable",
    "buyer",
)
LANES = 3


def masked_actions(masks, sizes, rng):
    """Random actions of moves that the masks allow, int64[N, K]."""
    draws = rng.random(masks.shape) * masks
    return np.stack([part.argmax(axis=1) for part in np.split(draws, np.cumsum(sizes)[:-1], axis=1)], axis=1)


def check_infos(info, single, lane, over):
    """One lane's part of the vector environment's info against the single environment's."""
    assert info["cost"][lane] == single["cost"]
    assert {name: values[lane] for name, values in info["rewards"].items()} == single["rewards"]
    assert bool(info.get("_ended_by", np.zeros(LANES, bool))[lane]) == over
    if over:
        assert END_REASONS[info["ended_by"][lane]] == single["ended_by"]
        found, outcome = info["outcome"], single["outcome"]
        facts = [name for name in FACTS if name in found]
        assert "turns" in facts and "reached" in facts
        assert {name: found[name][lane] for name in facts} == {name: outcome[name] for name in facts}
        assert round(float(found["tse"][lane]), 9) == outcome["tse"]
        assert round(float(found["satisfaction"][lane]), 6) == outcome["satisfaction"]


def play(mode, domain, scenario, level, masked, steps=320):
    """Steps a vector environment and as many single ones together; the number of dialogues that ended."""
    rng = np.random.default_rng([level, masked])
    many = DialogueVectorEnv(LANES, domain, scenario=scenario, level=level, autoreset_mode=mode)
    ones = [ActsEnv(domain, scenario=scenario, level=level) for _ in range(LANES)]
    sizes = many.single_action_space.nvec
    observations, info = many.reset(seed=17)
    for lane, one in enumerate(ones):
        observation, single = one.reset(seed=17 + lane)
        assert np.array_equal(observations[lane], observation)
        assert np.array_equal(info["action_mask"][lane], single["action_mask"])
    waiting, ended = [False] * LANES, 0
    for _ in range(steps):
        parts = np.split(info["action_mask"], np.cumsum(sizes)[:-1], axis=1)
        assert all(part.any(axis=1).all() for part in parts)
        actions = (
            masked_actions(info["action_mask"], sizes, rng)
            if masked
            else rng.integers(sizes, size=(LANES, len(sizes)))
        )
        observations, rewards, terminated, truncated, info = many.step(actions)
        assert observations in many.observation_space
        for lane, one in enumerate(ones):
            if waiting[lane]:
                observation, single = one.reset()
                expected, over = (0.0, False, False), False
                single |= {"rewards": dict.fromkeys(info["rewards"], 0.0)}
            else:
                observation, *expected, single = one.step(actions[lane])
                over = expected[1] or expected[2]
            assert (rewards[lane], terminated[lane], truncated[lane]) == tuple(expected)
            check_infos(info, single, lane, over)
            if over and mode == AutoresetMode.SAME_STEP:
                assert np.array_equal(info["final_obs"][lane], observation) and info["_final_obs"][lane]
                observation, single = one.reset()
            assert np.array_equal(observations[lane], observation)
            assert np.array_equal(info["action_mask"][lane], single["action_mask"])
            waiting[lane] = over and mode == AutoresetMode.NEXT_STEP
            ended += over
    return ended


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize(("domain", "scenario"), DOMAINS)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_every_lane_is_the_single_environment(mode, domain, scenario, level, masked):
    assert play(mode, domain, scenario, level, masked) > 60


def trace(env, steps=40, **reset):
    rng = np.random.default_rng(0)
    found = [env.reset(**reset)[0]]
    for _ in range(steps):
        found += env.step(rng.integers(env.single_action_space.nvec, size=(env.num_envs, 6)))[:4]
    return found


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_seeds():
    env = DialogueVectorEnv(2)
    first = trace(env, seed=5)
    assert same(trace(env, seed=5), first) and same(trace(DialogueVectorEnv(2), seed=[5, 6]), first)
    assert same(trace(env, seed=np.int64(5)), first)
    assert not same(trace(env, seed=6), first)
    assert not same(trace(env), trace(env, seed=None))
    swapped = trace(env, seed=[6, 5], steps=0)[0]
    assert np.array_equal(swapped, first[0][::-1])
    partly = env.reset(seed=[5, None])[0]
    assert np.array_equal(partly[0], first[0][0])
    for wrong in ([5], [5, 6, 7], []):
        with pytest.raises(DialogGymError, match=f"{len(wrong)} seeds given for 2 environments"):
            env.reset(seed=wrong)


def test_a_reset_goes_on_with_the_next_dialogues():
    env, one = DialogueVectorEnv(2), ActsEnv()
    env.reset(seed=5), one.reset(seed=6)
    env.step(np.zeros((2, 6), int))
    assert np.array_equal(env.reset()[0][1], one.reset()[0])


def test_the_number_of_lanes_changes_nothing():
    few, many = DialogueVectorEnv(2), DialogueVectorEnv(7)
    assert np.array_equal(few.reset(seed=3)[0], many.reset(seed=3)[0][:2])
    rng = np.random.default_rng(1)
    for _ in range(60):
        actions = rng.integers(few.single_action_space.nvec, size=(7, 6))
        for narrow, wide in zip(few.step(actions[:2])[:4], many.step(actions)[:4], strict=True):
            assert np.array_equal(narrow, wide[:2])


def test_what_was_returned_does_not_change_later():
    env = DialogueVectorEnv(4, autoreset_mode="SameStep", max_turns=3)
    rng = np.random.default_rng(1)
    env.reset(seed=1)
    kept = []
    for _ in range(30):
        observation, rewards, terminated, truncated, info = env.step(
            rng.integers(env.single_action_space.nvec, size=(4, 6))
        )
        arrays = [observation, rewards, terminated, truncated, info["cost"], *info["rewards"].values()]
        arrays += [info["action_mask"], *info.get("outcome", {}).values(), info.get("ended_by", rewards)]
        kept += [(array, array.copy()) for array in arrays]
    env.reset()
    assert all(np.array_equal(array, copy) for array, copy in kept)


@pytest.mark.parametrize("mode", list(AutoresetMode)[:2])
def test_made_by_gymnasium_and_wrapped(mode):
    env = gym.make_vec(
        "EcomDialogActs-v0",
        num_envs=3,
        vectorization_mode="vector_entry_point",
        autoreset_mode=mode,
        max_turns=3,
    )
    assert isinstance(env.unwrapped, DialogueVectorEnv) and env.metadata["autoreset_mode"] == mode
    env = RecordEpisodeStatistics(env)
    env.action_space.seed(0)
    env.reset(seed=0)
    seen = 0
    for _ in range(20):
        *_, info = env.step(env.action_space.sample())
        seen += int(info.get("_episode", np.zeros(3)).sum())
    assert seen >= 12
    env.close()


def test_masks_can_be_left_out():
    env = DialogueVectorEnv(2, action_masks=False)
    assert "action_mask" not in env.reset(seed=0)[1]
    assert "action_mask" not in env.step(np.zeros((2, 6), int))[4]


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True, None])
def test_wrong_numbers_of_lanes(count):
    with pytest.raises(DialogGymError, match="num_envs must be a whole number from 1 up"):
        DialogueVectorEnv(count)


@pytest.mark.parametrize("mode", ["Disabled", "sometimes", 3])
def test_wrong_autoreset_modes(mode):
    with pytest.raises(DialogGymError, match="NextStep"):
        DialogueVectorEnv(2, autoreset_mode=mode)


GOOD = np.zeros((2, 6), int)
BAD_ACTIONS = [
    None, 3, "ab", GOOD[:1], GOOD[:, :5], GOOD.T, np.zeros((3, 6), int), np.zeros((2, 6)),
    np.full((2, 6), 0.5),
    np.full((2, 6), np.nan), np.full((2, 6), "a"), GOOD - 1, GOOD + 99, [[0] * 6, [0] * 5 + [5]],
]  # fmt: skip


@pytest.mark.parametrize("actions", BAD_ACTIONS, ids=lambda a: repr(a)[:30])
def test_wrong_actions_change_nothing(actions):
    env = DialogueVectorEnv(2)
    with pytest.raises(DialogGymError, match=r"call reset\(\)"):
        env.step(GOOD)
    env.reset(seed=0)
    with pytest.raises(DialogGymError, match=r"not integers of shape \(2, 6\)|outside MultiDiscrete"):
        env.step(actions)
    fresh = DialogueVectorEnv(2)
    fresh.reset(seed=0)
    assert np.array_equal(env.step(GOOD)[0], fresh.step(GOOD)[0])


def test_reset_options_are_refused():
    with pytest.raises(DialogGymError, match="unknown reset option 'task'; known: none"):
        DialogueVectorEnv(2).reset(options={"task": 1})
