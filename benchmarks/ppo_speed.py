"""How fast PPO learns: ours on the net backbone beside Stable-Baselines3's, in one process, in turns.

    pip install 'dialog-gym[sb3,train]'
    python -m dialog_gym.benchmarks.ppo_speed [--seconds 64] [--seed 0] [--threads 1] [--json]

All maximise the default reward of `EcomDialogActs-v0` (sales, level 3, split ``train``) and are measured by
the mean return of their greedy policies on the same 2,000 dialogues of the split ``validation``. They take
turns of a few seconds, and only a learner's own training counts. On one thread times are CPU times, so that a
busy machine favours nobody; on more they are wall-clock times, which need as many idle cores.

The figures are environment steps per second of training end to end, and how much sooner ours reaches the
best return that Stable-Baselines3 found in its time. A return counts as reached at the end of the turn in
which it was.

Stable-Baselines3 has the settings of ``examples/sb3_ppo.py`` and 4,096 steps between updates, once with its
own vectorisation of 16 environments, as its users have it, and once on our native vector environment, which
sets the speed of the learner apart from that of the environment. Ours begins once with random weights like
it, with the settings of `SCRATCH`, and once, as `dialog-gym train ppo` does, with supervised fine-tuning,
whose time counts for the returns, that of playing the demonstrations included. Ours never takes moves that
the shop's rules forbid; Stable-Baselines3's PPO has no such mask and learns what they cost.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS
from dialog_gym.envs.episode import weighted_sum

if TYPE_CHECKING:
    from torch import Generator

    from dialog_gym.agents.net.arrays import ArrayDialogues
    from dialog_gym.agents.net.policy import NetPolicy

SCENARIO, LEVEL, EPISODES = "proactive_sale", 3, 2_000
LANES = {False: 16, True: 512}
"""Stable-Baselines3's parallel dialogues with its own vectorisation, and on the native vector environment."""
BETWEEN = 4096
"""Its steps between two updates, those of all parallel dialogues together."""
SCRATCH: Mapping[str, Any] = {
    "learning_rate": 2e-3, "minibatch": 256, "epochs": 2, "entropy": 0.03, "discount": 0.9,
    "gae_lambda": 0.9,
}  # fmt: skip
"""Options of ours from random weights, chosen on the split ``validation``; the others are the defaults."""
SLICE = 3.0
"""Seconds that a learner trains before the next has its turn."""
Act = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From observations [n, F] and allowed moves [n, moves] to actions [n, 6]."""


class Point(NamedTuple):
    """A moment of a learner's training."""

    seconds: float
    steps: int
    value: float
    """Held-out return."""


Curves = dict[str, list[Point]]
"""By learner."""


class Learner(NamedTuple):
    """A learner: training goes on for one update per step of the iterator, which tells the steps so far."""

    name: str
    updates: Iterator[int]
    act: Act


def held_out(act: Act, dialogues: "ArrayDialogues") -> float:
    """Mean return of a policy on the first dialogues of a split."""
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
    config = PPOConfig(anneal=False, weights=weights, **({} if demonstrated else SCRATCH))
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

    lanes = LANES[native]
    env: Any = (
        SB3VecEnv(lanes, domain=domain, level=LEVEL)
        if native
        else make_vec_env("EcomDialogActs-v0", lanes, env_kwargs={"render_mode": None, "level": LEVEL})
    )
    model = PPO(
        "MlpPolicy", env, n_steps=BETWEEN // lanes, batch_size=BETWEEN // 4, n_epochs=4, learning_rate=1e-3,
        gamma=0.9, gae_lambda=0.9, ent_coef=0.02, policy_kwargs={"net_arch": [128, 128]}, seed=seed,
        device="cpu",
    )  # fmt: skip

    def updates() -> Iterator[int]:
        while True:
            model.learn(BETWEEN, reset_num_timesteps=False)
            yield int(model.num_timesteps)

    def act(observation: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(observation, deterministic=True)[0])

    return Learner(f"SB3, {'native vector env' if native else 'its own'}", updates(), act)


def race(
    learners: list[Learner], seconds: float, dialogues: "ArrayDialogues", clock: Callable[[], float]
) -> Curves:
    """Train in turns until each has had its time; returns are measured after every turn, off the clock."""
    curves: Curves = {learner.name: [] for learner in learners}
    spent = dict.fromkeys(curves, 0.0)
    while min(spent.values()) < seconds:
        for learner in learners:
            began, steps = clock(), 0
            while clock() - began < SLICE:
                steps = next(learner.updates)
            spent[learner.name] += clock() - began
            point = Point(spent[learner.name], steps, held_out(learner.act, dialogues))
            curves[learner.name].append(point)
            print(
                f"{learner.name}: {point.seconds:.0f} s, {steps:,} steps, {point.value:.3f}", file=sys.stderr
            )
    return curves


def reached(curve: list[Point], value: float) -> Point | None:
    """The first point with at least this return."""
    return next((point for point in curve if point.value >= value), None)


def describe(curves: Curves) -> list[dict[str, Any]]:
    """Speed and returns of each learner; a first turn, with fine-tuning or the like, is no speed."""
    found = []
    for name, curve in curves.items():
        began, last = curve[0] if len(curve) > 1 else Point(0.0, 0, 0.0), curve[-1]
        speed = (last.steps - began.steps) / (last.seconds - began.seconds)
        found.append(
            {
                "learner": name, "steps_per_second": speed, "seconds": last.seconds, "steps": last.steps,
                "best_return": max(point.value for point in curve), "last_return": last.value,
            }
        )  # fmt: skip
    return found


def compare(curves: Curves) -> list[dict[str, Any]]:
    """For the best return of each of Stable-Baselines3's: when it and ours reached it."""
    found = []
    for theirs in (name for name in curves if name.startswith("SB3")):
        best = max(point.value for point in curves[theirs])
        there = reached(curves[theirs], best)
        assert there is not None
        for name in (theirs, *(name for name in curves if name.startswith("ours"))):
            at = reached(curves[name], best)
            found.append(
                {
                    "to": theirs, "held_out_return": best, "learner": name, "seconds": at and at.seconds,
                    "steps": at and at.steps, "times_faster": at and there.seconds / at.seconds,
                }
            )  # fmt: skip
    return found


def table(speeds: list[dict[str, Any]], found: list[dict[str, Any]], unit: str) -> str:
    """Both lists to read."""
    lines = [f"{'learner':<24}{'steps/s':>9}{unit:>8}{'steps':>12}{'best return':>13}{'last':>8}"]
    for row in speeds:
        lines.append(
            f"{row['learner']:<24}{row['steps_per_second']:>9,.0f}{row['seconds']:>8.0f}{row['steps']:>12,}"
            f"{row['best_return']:>13.3f}{row['last_return']:>8.3f}"
        )
    lines += ["", f"{'to the best of':<24}{'return':>7}  {'learner':<24}{unit:>8}{'steps':>12}{'faster':>9}"]
    for row in found:
        when = ["-"] * 3
        if row["seconds"]:
            when = [f"{row['seconds']:.1f}", f"{row['steps']:,}", f"{row['times_faster']:.1f} x"]
        lines.append(
            f"{row['to']:<24}{row['held_out_return']:>7.3f}  {row['learner']:<24}"
            f"{when[0]:>8}{when[1]:>12}{when[2]:>9}"
        )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=64, help="training time of each learner, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of torch; more than one: wall-clock times")
    parser.add_argument("--json", action="store_true", help="print curves and comparison as JSON")
    chosen = parser.parse_args()
    from dialog_gym.agents.learning.registry import require_torch

    require_torch()
    import torch

    from dialog_gym.agents.net.arrays import ArrayDialogues

    torch.set_num_threads(chosen.threads)
    torch.set_float32_matmul_precision("medium")  # as the command line trains
    clock, unit = (process_time, "CPU s") if chosen.threads == 1 else (perf_counter, "wall s")
    domain = CreditDomain()
    learners = [stable_baselines(domain, native=native, seed=chosen.seed) for native in (False, True)]
    learners += [ours(domain, demonstrated=demonstrated, seed=chosen.seed) for demonstrated in (False, True)]
    dialogues = ArrayDialogues(domain, scenario=SCENARIO, split="validation", level=LEVEL)
    curves = race(learners, chosen.seconds, dialogues, clock)
    speeds, found = describe(curves), compare(curves)
    if chosen.json:
        settings = {"clock": unit, "threads": chosen.threads, "seed": chosen.seed, "scratch": dict(SCRATCH)}
        settings |= {"lanes": {"SB3, its own": LANES[False], "SB3, native vector env": LANES[True]}}
        print(json.dumps({"settings": settings, "learners": speeds, "comparison": found, "curves": curves}))
        return
    print(table(speeds, found, unit))


if __name__ == "__main__":
    main()
