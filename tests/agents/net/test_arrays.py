"""Dialogues in lock-step are the dialogues that the act-level environment plays alone."""

import numpy as np
import pytest
import torch

from dialog_gym.agents.net.arrays import ArrayDialogues
from dialog_gym.domains.credit.dynamics import REWARDS
from dialog_gym.domains.credit.moves import MOVES
from dialog_gym.envs.acts_env import ActsEnv


def lanes(rollout, episodes):
    """Task, seed, actions and row of each dialogue."""
    for row in range(len(rollout)):
        actions = rollout.inputs["action"][row][rollout.inputs["taken"][row]].numpy()
        yield row, int(episodes.tasks[row]), int(episodes.seeds[row]), actions


def test_a_lane_is_the_dialogue_played_alone(rollout, episodes):
    env = ActsEnv(scenario=episodes.scenario, split="train", level=3)
    lengths = set()
    for row, task, seed, actions in lanes(rollout, episodes):
        observation, info = env.reset(options={"task": task, "episode_seed": seed})
        for turn, action in enumerate(actions):
            assert (observation == rollout.inputs["observation"][row, turn].numpy()).all()
            allowed = rollout.inputs["allowed"][row, turn].numpy()
            assert (info["action_mask"][: len(MOVES)] == allowed).all()
            observation, _, terminated, truncated, info = env.step(action)
            rewards = np.array([info["rewards"][name] for name in REWARDS], np.float32)
            found = [rollout.rewards[name][row, turn].item() for name in REWARDS]
            assert rewards.tolist() == found
            assert info["cost"] == rollout.cost[row, turn].item()
            assert (terminated or truncated) == (turn == len(actions) - 1)
        lengths.add(len(actions))
        assert truncated == bool(rollout.outcome["truncated"][row])
        for name in ("converted", "mis_sold", "reached", "resolved", "refused", "violation_count", "turns"):
            assert info["outcome"][name] == rollout.outcome[name][row].item(), name
        assert info["outcome"]["tse"] == pytest.approx(rollout.outcome["tse"][row].item(), abs=1e-6)
        assert info["outcome"]["satisfaction"] == pytest.approx(
            rollout.outcome["satisfaction"][row].item(), abs=1e-5
        )
    assert len(lengths) > 3


def test_a_lane_does_not_depend_on_the_others(policy, rollout, episodes):
    some = np.array([50, 3, 17])
    fewer = episodes._replace(tasks=episodes.tasks[some], seeds=episodes.seeds[some], group=np.arange(3))
    alone = policy.replay(fewer, rollout.inputs["action"][some].numpy())
    for name, values in alone.rewards.items():
        assert values.equal(rollout.rewards[name][some]), name
    for name, values in alone.inputs.items():
        assert values.equal(rollout.inputs[name][some]), name
    for name, values in alone.outcome.items():
        assert values.equal(rollout.outcome[name][some]), name


def test_nothing_is_said_or_earned_after_the_end(rollout):
    after = ~rollout.inputs["taken"]
    assert not rollout.mask[after].any()
    assert not rollout.cost[after].any()
    assert not any(values[after].any() for values in rollout.rewards.values())
    assert (rollout.inputs["taken"].sum(1) == rollout.outcome["turns"]).all()
    assert rollout.env_steps == int(rollout.outcome["turns"].sum())


def test_dialogues_leave_the_view_as_they_end(domain):
    dialogues = ArrayDialogues(domain, scenario="proactive_sale", split="train", level=3)
    dialogues.begin(np.arange(30), np.arange(30).astype(np.uint64))
    before = 30
    for _ in range(domain.max_turns):
        view = dialogues.view()
        if not len(view.rows):
            break
        assert len(view.rows) == len(view.observation) == len(view.allowed) <= before
        assert (np.diff(view.rows) > 0).all()
        before = len(view.rows)
        moves = view.allowed.argmax(1)
        actions = np.stack([moves, *[np.zeros_like(moves)] * 5], 1)
        turns = dialogues.step(actions)
        assert len(turns.cost) == before
    assert not len(dialogues.view().rows)
    assert all(len(values) == 30 for values in dialogues.outcome.values())


def test_beginning_again_forgets_the_last_dialogues(policy, episodes):
    once = policy.collect(episodes, torch.Generator().manual_seed(0))
    policy.collect(episodes._replace(tasks=episodes.tasks[::-1].copy()), torch.Generator().manual_seed(5))
    again = policy.collect(episodes, torch.Generator().manual_seed(0))
    assert once.inputs["observation"].equal(again.inputs["observation"])
    assert once.inputs["action"].equal(again.inputs["action"])
