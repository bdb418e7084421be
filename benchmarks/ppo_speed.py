"""How fast PPO learns: ours on the net backbone beside Stable-Baselines3's, in one process, in turns.

    pip install 'dialog-gym[sb3,train]'
    python -m dialog_gym.benchmarks.ppo_speed [--seconds 150] [--json]

All maximise the default reward of `EcomDialogActs-v0` (sales, level 3, split ``train``) and are measured by
the mean return of their greedy policies on the same 2,000 dialogues of the split ``validation``. They take
turns of a few seconds, on one core, and only the CPU time of a learner's own training counts, so that a busy
machine favours nobody. The figure is how much sooner ours reaches the best return of Stable-Baselines3.

Stable-Baselines3 has the settings of ``examples/sb3_ppo.py``, once with its own vectorisation of the
environment and once on our native vector environment. Ours begins once with random weights like it, and once,
as `dialog-gym train ppo` does, with supervised fine-tuning, whose time counts, that of playing the
demonstrations included.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS
from dialog_gym.envs.episode import weighted_sum

if TYPE_CHECKING:
    from torch import Generator

    from dialog_gym.agents.net.policy import NetPolicy

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


def ours(domain: CreditDomain, *, demonstrated: bool, seed: int) -> Learner:
    """PPO of this package, from random weights or from supervised fine-tuning."""
    import torch

    from dialog_gym.agents.learning.ppo import PPO, PPOConfig
    from dialog_gym.agents.learning.rollout import Episodes
    from dialog_gym.agents.net.policy import NetConfig, NetPolicy

    policy, weights = NetPolicy(domain, NetConfig(level=LEVEL), seed=seed), dict(DEFAULT_REWARD_WEIGHTS)
    config = PPOConfig(anneal=False, weights=weights)
    if not demonstrated:
        config = replace(config, learning_rate=2e-3, dialogues=2048, epochs=2, discount=0.9, gae_lambda=0.9)
    algorithm = PPO(policy, config)
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    tasks, every = domain.size("train"), np.arange(config.dialogues)

    def act(observation: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            seen = torch.from_numpy(observation), torch.from_numpy(allowed)
            return policy.module.decide(*seen, None, None).action.numpy()

    def updates() -> Iterator[int]:
        steps = 0
        if demonstrated:
            fine_tune(policy, generator, seed)
            yield steps
        while True:
            seeds = random.integers(2**63, size=config.dialogues, dtype=np.uint64)
            episodes = Episodes(SCENARIO, random.integers(tasks, size=config.dialogues), seeds, every)
            rollout = policy.collect(episodes, generator)
            algorithm.update(rollout, generator)
            steps += rollout.env_steps
            yield steps

    return Learner(f"ours, {'from SFT' if demonstrated else 'from scratch'}", updates(), act)


def fine_tune(policy: "NetPolicy", generator: "Generator", seed: int) -> None:
    """Supervised fine-tuning with its default options, on sales only."""
    from dialog_gym.agents.learning.sft import SFT, SFTConfig

    config = SFTConfig()
    demonstrations, sft = policy.demonstrations(config.demonstrations, seed, SCENARIO), SFT(policy, config)
    for done in range(config.passes):
        sft.update(demonstrations, generator, done / config.passes)


def stable_baselines(domain: CreditDomain, *, native: bool, seed: int) -> Learner:
    """Stable-Baselines3's PPO with its own vectorisation, or on the native vector environment.

    Raises:
        DialogGymError: it is not installed.
    """
    try:
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env
    except ModuleNotFoundError:
        raise DialogGymError("this benchmark needs: pip install 'dialog-gym[sb3]'") from None
    from dialog_gym.envs.sb3 import SB3VecEnv

    env: Any = (
        SB3VecEnv(LANES, domain=domain, level=LEVEL)
        if native
        else make_vec_env("EcomDialogActs-v0", LANES, env_kwargs={"render_mode": None, "level": LEVEL})
    )
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

    return Learner(f"SB3, {'native vector env' if native else 'its own'}", updates(), act)


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


def compare(curves: dict[str, list[Point]]) -> list[dict[str, Any]]:
    """For the best return of each of theirs: when it and ours reached it."""
    found = []
    for theirs in (name for name in curves if name.startswith("SB3")):
        best = max(point.value for point in curves[theirs])
        there = reached(curves[theirs], best)
        assert there is not None
        for name in (theirs, *(name for name in curves if name.startswith("ours"))):
            at, last = reached(curves[name], best), curves[name][-1]
            found.append(
                {
                    "to": theirs, "held_out_return": best, "learner": name,
                    "steps_per_second": last.steps / last.seconds, "seconds": at and at.seconds,
                    "steps": at and at.steps, "times_faster": at and there.seconds / at.seconds,
                    "last_return": last.value,
                }
            )  # fmt: skip
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=150, help="CPU time of each learner")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print curves and comparison as JSON")
    chosen = parser.parse_args()
    from dialog_gym.agents.learning.registry import require_torch

    require_torch()
    import torch

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    domain = CreditDomain()
    learners = [stable_baselines(domain, native=native, seed=chosen.seed) for native in (False, True)]
    learners += [ours(domain, demonstrated=demonstrated, seed=chosen.seed) for demonstrated in (False, True)]
    curves = race(learners, chosen.seconds, domain)
    found = compare(curves)
    if chosen.json:
        print(json.dumps({"comparison": found, "curves": curves}))
        return
    titles = f"{'learner':<24}{'steps/s':>8}{'CPU s':>7}{'steps':>10}{'faster':>8}"
    print(f"{'to the best of':<24}{'return':>7}  {titles}")
    for row in found:
        when = ["-"] * 3
        if row["seconds"]:
            when = [f"{row['seconds']:.0f}", f"{row['steps']:,}", f"{row['times_faster']:.1f} x"]
        print(
            f"{row['to']:<24}{row['held_out_return']:>7.3f}  {row['learner']:<24}"
            f"{row['steps_per_second']:>8,.0f}{when[0]:>7}{when[1]:>10}{when[2]:>8}"
        )


if __name__ == "__main__":
    main()
