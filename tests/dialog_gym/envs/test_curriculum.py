"""The adaptive curriculum: when it moves and when it must not; levels can be switched between episodes."""

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import dialog_gym  # noqa: F401 - registers the environments
from dialog_gym.core import DialogGymError
from dialog_gym.envs.acts_env import ActsEnv
from dialog_gym.envs.curriculum import AdaptiveLevel, winnable_success
from dialog_gym.envs.dialogue_env import DialogueEnv

PARTING = {"acts": "goodbye()", "box": np.asarray([42, 0, 0, 0, 0, 0])}


def _curriculum(**options: Any) -> AdaptiveLevel:
    return AdaptiveLevel(ActsEnv(), **options)


def _top_levels(curriculum: AdaptiveLevel, wins: np.ndarray) -> list[int]:
    """The top level after each counted episode."""
    levels = []
    for win in wins:
        curriculum.count(bool(win))
        levels.append(curriculum.high)
    return levels


# -- the rule ------------------------------------------------------------------------------------------------


def test_a_perfect_agent_climbs_to_the_top_and_stays() -> None:
    curriculum = _curriculum(start=0, promote_at=0.7)
    levels = _top_levels(curriculum, np.ones(32 * 12))
    assert levels[30:33] == [0, 1, 1]
    assert levels[-1] == 9
    assert (curriculum.low, curriculum.high) == (6, 9)


def test_a_failing_agent_is_demoted_down_to_level_0() -> None:
    curriculum = _curriculum(start=3)
    levels = _top_levels(curriculum, np.zeros(32 * 6))
    assert levels[31] == 2
    assert levels[-1] == 0


def test_decisions_come_after_whole_blocks_only() -> None:
    assert _top_levels(_curriculum(promote_at=0.7), np.ones(31)) == [0] * 31
    assert _top_levels(_curriculum(promote_at=0.7, block=50), np.ones(49)) == [0] * 49


def test_thirty_two_of_thirty_two_do_not_prove_nine_in_ten() -> None:
    # Wilson's lower bound of 32/32 is .893; that of 64/64 is .943
    assert _top_levels(_curriculum(promote_at=0.9), np.ones(64))[31::32] == [0, 1]


def test_old_blocks_are_forgotten() -> None:
    curriculum = _curriculum(promote_at=0.9, demote_at=0.1)
    _top_levels(curriculum, np.zeros(32 * 8))
    # all failures would have to be outweighed for ever if they were kept
    assert 1 in _top_levels(curriculum, np.ones(32 * 8))


def test_an_episode_that_nobody_could_win_is_left_out() -> None:
    outcome = {"success": False, "reached": True, "buyer": True}
    assert winnable_success(outcome) is False
    assert winnable_success(outcome | {"reached": False}) is None
    assert winnable_success(outcome | {"buyer": False}) is None
    curriculum = _curriculum()
    before = curriculum.state()
    curriculum.count(None)
    assert curriculum.state() == before


def _published_rule(wins: np.ndarray, threshold: float) -> int:
    """Blocks of 32, counters reset either way, promotion on the point estimate, no demotion."""
    blocks = wins.reshape(-1, 32).mean(axis=1)
    return min(9, int((blocks >= threshold).sum()))


def test_luck_alone_promotes_far_more_rarely_than_under_the_published_rule() -> None:
    """An agent that succeeds in 80 % of episodes at every level, threshold .9, 3,200 episodes, 200 agents."""
    rng = np.random.default_rng(0)
    agents = rng.random((200, 3200)) < 0.8
    published = [_published_rule(wins, 0.9) for wins in agents]
    ours = [max(_top_levels(_curriculum(promote_at=0.9), wins)) for wins in agents]
    # measured: published rule: every agent promoted, 7.9 levels on average; ours: none
    assert np.mean(np.asarray(published) > 0) == 1.0
    assert np.mean(published) > 6
    assert np.mean(np.asarray(ours) > 0) < 0.01


def test_an_agent_that_deserves_it_is_promoted() -> None:
    rng = np.random.default_rng(1)
    agents = rng.random((50, 512)) < 0.97
    assert all(_top_levels(_curriculum(promote_at=0.9), wins)[-1] >= 1 for wins in agents)


# -- playing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("env_id", "action"), [("EcomDialog-v0", "acts"), ("EcomDialogActs-v0", "box")])
def test_levels_come_from_the_window_and_are_recorded(env_id: str, action: str) -> None:
    env = AdaptiveLevel(gym.make(env_id), start=5, width=3)
    env.reset(seed=0)
    seen = set()
    for _ in range(40):
        _, info = env.reset()
        level = info["level"]
        assert info["level_window"] == (3, 5)
        assert f"/{level}/" in info["task_id"]
        *_, info = env.step(PARTING[action])
        assert info["level"] == info["outcome"]["level"] == level
        seen.add(level)
    assert seen == {3, 4, 5}


def test_the_level_is_in_the_stored_trajectory() -> None:
    inner = DialogueEnv()
    env = AdaptiveLevel(inner, start=7, width=1)
    env.reset(seed=0)
    env.step("goodbye()")
    stored = inner.trajectory()
    assert stored.task.level == stored.outcome["level"] == 7
    assert "/7/" in stored.task.id


def _played(env: AdaptiveLevel, episodes: int, seed: int | None = None) -> list[str]:
    tasks = []
    for number in range(episodes):
        _, info = env.reset(seed=seed if number == 0 else None)
        tasks.append(info["task_id"])
        env.step(PARTING["box"])
    return tasks


def test_a_seed_fixes_levels_and_tasks() -> None:
    one, two = _curriculum(start=4), _curriculum(start=4)
    assert _played(one, 20, seed=3) == _played(two, 20, seed=3)
    assert _played(one, 20, seed=4) != _played(two, 20, seed=3)


def test_the_window_moves_while_playing() -> None:
    env = _curriculum(start=1, width=1, success=lambda outcome: False)
    _played(env, 32, seed=0)
    assert env.high == 0


def test_only_drawn_episodes_at_the_top_level_count() -> None:
    env = _curriculum(start=2, width=3, success=lambda outcome: True)
    tops = 0
    env.reset(seed=0)
    for _ in range(20):
        _, info = env.reset()
        tops += info["level"] == 2
        env.step(PARTING["box"])
    assert 0 < tops < 20
    assert env.state()["count"] == tops
    for options in ({"level": 2}, {"task": 5}):
        env.reset(options=options)
        env.step(PARTING["box"])
    assert env.state()["count"] == tops


def test_a_saved_curriculum_goes_on_where_it_was() -> None:
    env = _curriculum(start=6, success=lambda outcome: True)
    _played(env, 25, seed=0)
    kept = json.loads(json.dumps(env.state()))
    other = _curriculum(start=0, success=lambda outcome: True)
    other.reset(seed=9)
    other.restore(kept)
    assert other.state() == env.state()
    levels = [[each.reset()[1]["level"] for _ in range(30)] for each in (env, other)]
    assert levels[0] == levels[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 10}, "start in 0..9"),
        ({"width": 5}, "width in 1..4"),
        ({"block": 31}, "block >= 32"),
        ({"promote_at": 0.5}, "must be below promote_at"),
        ({"promote_at": 1.5}, "both in 0..1"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DialogGymError, match=message):
        _curriculum(**options)


def test_a_foreign_state_is_refused() -> None:
    with pytest.raises(DialogGymError, match="no curriculum state"):
        _curriculum().restore({"high": 2})
    with pytest.raises(DialogGymError, match="from 0 to 9"):
        _curriculum().restore(_curriculum().state() | {"high": 11})


# -- levels and seeds as reset options -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [ActsEnv, DialogueEnv])
def test_the_kth_episode_at_a_level_is_that_of_an_environment_made_for_it(make: Any) -> None:
    switching, fixed = make(level=0), make(level=6)
    switching.reset(seed=5)
    fixed_tasks = [fixed.reset(seed=5)[1]["task_id"], *(fixed.reset()[1]["task_id"] for _ in range(4))]
    tasks = []
    for _ in range(5):
        tasks.append(switching.reset(options={"level": 6})[1]["task_id"])
        switching.reset()
    assert tasks == fixed_tasks


@pytest.mark.parametrize("make", [ActsEnv, DialogueEnv])
def test_a_task_and_an_episode_seed_fix_the_dialogue(make: Any) -> None:
    options = {"task": 17, "episode_seed": 2**62 + 1}
    runs = []
    for before in (0, 3):
        env = make()
        env.reset(seed=before)
        _, info = env.reset(options=options)
        parting = "goodbye()" if make is DialogueEnv else PARTING["box"]
        *_, last = env.step(parting)
        runs.append((info["task_id"], last["outcome"], last["rewards"]))
    assert runs[0] == runs[1]
    assert runs[0][0].endswith("/17")


@pytest.mark.parametrize("make", [ActsEnv, DialogueEnv])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 10}, "level must be an integer from 0 to 9"),
        ({"level": True}, "level must be an integer from 0 to 9"),
        ({"level": 2.0}, "level must be an integer from 0 to 9"),
        ({"episode_seed": -1}, "seed must be an integer"),
        ({"episode_seed": "a"}, "seed must be an integer"),
        ({"levels": 3}, "unknown reset option 'levels'; known: episode_seed, level, task"),
    ],
)
def test_wrong_options_are_refused(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DialogGymError, match=message):
        make().reset(seed=0, options=options)


def test_an_id_has_its_own_level() -> None:
    with pytest.raises(DialogGymError, match="an id or Task has its own"):
        DialogueEnv().reset(options={"task": "credit/proactive_sale/train/3/1", "level": 4})
