"""How fast PPO learns: ours on the net backbone beside Stable-Baselines3's, in one process, in turns.

    pip install 'dialog-gym[sb3]'
    python -m dialog_gym.benchmarks.ppo_speed [--seconds 240] [--json]

Both begin with random weights and maximise the default reward of `EcomDialogActs-v0` (sales, level 3, split
``train``); both are measured by the mean return of their greedy policies on the same 2,000 dialogues of the
split ``validation``. They take turns of a few seconds, on one core, and only the CPU time of a learner's own
training counts, so that a busy machine favours neither. The figure is how much sooner ours reaches the best
return of Stable-Baselines3. That has the settings of ``examples/sb3_ppo.py``; it cannot use
``info["action_mask"]``, ours can, and is measured with and without.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS
from dialog_gym.envs.episode import weighted_sum

SCENARIO, LEVEL, EPISODES = "proactive_sale", 3, 2_000
LANES, ROLLOUT = 512, 8
"""Stable-Baselines3's parallel dialogues, and steps of each between two updates."""
SLICE = 8.0
"""Seconds that a learner trains before the other has its turn."""
Act = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From observations [n, F] and allowed moves [n, moves] to actions [n, 6]."""


class Point(NamedTuple):
    """A moment of a learner's training."""

    seconds: float
    steps: int
    value: float
    """Held-out return."""


class Learner(NamedTuple):
    """A learner: training goes on for one update per step of the iterator, which tells the steps so far."""

    name: str
    updates: Iterator[int]
    act: Act


def held_out(act: Act, domain: CreditDomain) -> float:
    """Mean return of a policy on the validation dialogues."""
    from dialog_gym.agents.net.arrays import ArrayDialogues

    dialogues = ArrayDialogues(domain, scenario=SCENARIO, split="validation", level=LEVEL)
    every = np.arange(EPISODES)
    dialogues.begin(every, every.astype(np.uint64))
    total = 0.0
    while len(dialogues.rows):
        view = dialogues.view()
        turns = dialogues.step(act(view.observation, view.allowed))
        total += float(np.sum(weighted_sum(DEFAULT_REWARD_WEIGHTS, turns.rewards)))
    return total / EPISODES


def ours(domain: CreditDomain, *, masked: bool, seed: int) -> Learner:
    """PPO of this package."""
    import torch

    from dialog_gym.agents.learning.ppo import PPO, PPOConfig
    from dialog_gym.agents.learning.rollout import Episodes
    from dialog_gym.agents.net.policy import NetConfig, NetPolicy

    policy = NetPolicy(domain, NetConfig(level=LEVEL, masked=masked), seed=seed)
    config = PPOConfig(
        learning_rate=1e-3, anneal=False, dialogues=1024, minibatch=64, epochs=2, entropy=0.01, discount=0.9,
        gae_lambda=0.9, weights=dict(DEFAULT_REWARD_WEIGHTS),
    )  # fmt: skip
    algorithm = PPO(policy, config)
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    tasks, every = domain.size("train"), np.arange(config.dialogues)

    def act(observation: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            seen = torch.from_numpy(observation), torch.from_numpy(allowed)
            return policy.module.decide(*seen, None, None).action.numpy()

    def updates() -> Iterator[int]:
        steps = 0
        while True:
            seeds = random.integers(2**63, size=config.dialogues, dtype=np.uint64)
            episodes = Episodes(SCENARIO, random.integers(tasks, size=config.dialogues), seeds, every)
            rollout = policy.collect(episodes, generator)
            algorithm.update(rollout, generator)
            steps += rollout.env_steps
            yield steps

    return Learner("ours" if masked else "ours, no mask", updates(), act)


def stable_baselines(domain: CreditDomain, *, seed: int) -> Learner:
    """Stable-Baselines3's PPO on the native vector environment.

    Raises:
        DialogGymError: it is not installed.
    """
    try:
        from stable_baselines3 import PPO
    except ModuleNotFoundError:
        raise DialogGymError("this benchmark needs: pip install 'dialog-gym[sb3]'") from None
    from dialog_gym.envs.sb3 import SB3VecEnv

    env = SB3VecEnv(LANES, domain=domain, level=LEVEL)
    model = PPO(
        "MlpPolicy", env, n_steps=ROLLOUT, batch_size=1024, n_epochs=4, learning_rate=1e-3, gamma=0.9,
        gae_lambda=0.9, ent_coef=0.02, policy_kwargs={"net_arch": [128, 128]}, seed=seed, device="cpu",
    )  # fmt: skip

    def updates() -> Iterator[int]:
        while True:
            model.learn(LANES * ROLLOUT, reset_num_timesteps=False)
            yield int(model.num_timesteps)

    def act(observation: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(observation, deterministic=True)[0])

    return Learner("stable-baselines3", updates(), act)


def race(learners: list[Learner], seconds: float, domain: CreditDomain) -> dict[str, list[Point]]:
    """Train in turns until each has had its time; returns are measured after every turn, off the clock."""
    curves: dict[str, list[Point]] = {learner.name: [] for learner in learners}
    spent = dict.fromkeys(curves, 0.0)
    while min(spent.values()) < seconds:
        for learner in learners:
            began, steps = process_time(), 0
            while process_time() - began < SLICE:
                steps = next(learner.updates)
            spent[learner.name] += process_time() - began
            value = held_out(learner.act, domain)
            curves[learner.name].append(Point(spent[learner.name], steps, value))
            print(
                f"{learner.name}: {spent[learner.name]:.0f} s, {steps:,} steps, {value:.3f}", file=sys.stderr
            )
    return curves


def reached(curve: list[Point], value: float) -> Point | None:
    """The first point with at least this return."""
    return next((point for point in curve if point.value >= value), None)


def compare(curves: dict[str, list[Point]]) -> dict[str, Any]:
    """For the best return of Stable-Baselines3: when each reached it, and speed."""
    best = max(point.value for point in curves["stable-baselines3"])
    theirs = reached(curves["stable-baselines3"], best)
    assert theirs is not None
    found: dict[str, Any] = {"held_out_return": best, "learners": {}}
    for name, curve in curves.items():
        at, last = reached(curve, best), curve[-1]
        found["learners"][name] = {
            "steps_per_second": last.steps / last.seconds,
            "seconds": at and at.seconds,
            "steps": at and at.steps,
            "times_faster": at and theirs.seconds / at.seconds,
            "last_return": last.value,
        }
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=240, help="CPU time of each learner")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print curves and comparison as JSON")
    chosen = parser.parse_args()
    from dialog_gym.agents.learning.registry import require_torch

    require_torch()
    import torch

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    domain = CreditDomain()
    learners = [ours(domain, masked=masked, seed=chosen.seed) for masked in (True, False)]
    curves = race([stable_baselines(domain, seed=chosen.seed), *learners], chosen.seconds, domain)
    found = compare(curves)
    if chosen.json:
        print(json.dumps(found | {"curves": curves}))
        return
    print(f"to a held-out return of {found['held_out_return']:.3f}")
    print(f"{'learner':<20}{'steps/s':>10}{'seconds':>10}{'steps':>12}{'times faster':>14}")
    for name, row in found["learners"].items():
        cells = [f"{row['steps_per_second']:,.0f}"]
        cells += (
            [f"{row['seconds']:,.0f}", f"{row['steps']:,}", f"{row['times_faster']:.1f}"]
            if row["seconds"]
            else ["-"] * 3
        )
        print(f"{name:<20}{cells[0]:>10}{cells[1]:>10}{cells[2]:>12}{cells[3]:>14}")


if __name__ == "__main__":
    main()
