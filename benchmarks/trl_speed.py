"""Seconds per optimisation step of GRPO: ours on the language-model backbone beside TRL's, in one process.

    pip install 'dialog-gym[train,bench]'
    python -m dialog_gym.benchmarks.trl_speed [--kl 0.04] [--fp32] [--hidden 256] [--layers 6] [--json]

A step samples a group of 8 answers of exactly 40 tokens to each of 4 prompts (openings of the shop's calls,
about 110 tokens), scores them and updates the weights once. Both begin with the same Llama of random weights
(one key-value head, 4,096 tokens, float32; products in bfloat16 where the processor has them) and share the
prompts, the reward, AdamW and its settings, the clipping and the mean over tokens. They take turns, step by
step; on one thread times are CPU times, otherwise wall-clock times. TRL's time is that of its training step,
without its data loader and its logging; its gradient checkpointing, on by default, is off. What a step did is
counted, and the benchmark fails when the two differ. The ratio is the median of the steps' ratios.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple

from dialog_gym.core import DialogGymError, Observation

try:
    import torch
    from transformers import PrinterCallback, TrainerCallback
except ImportError as error:
    raise DialogGymError("this needs torch and transformers: pip install 'dialog-gym[train]'") from error

from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.lm.playing import Seats
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy
from dialog_gym.agents.lm.prompts import messages, system_message
from dialog_gym.agents.lm.transcript import Shape, decisions
from dialog_gym.benchmarks.lm_speed import Shape as ModelShape
from dialog_gym.benchmarks.lm_speed import build
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.lm.engine import Sampling
from dialog_gym.lm.loading import load, quiet
from dialog_gym.noise import mix

GROUP, CONTEXT = 8, 512
LEARNING_RATE = 1e-5
"""Small: random weights stay such, whatever is measured."""
OURS, TRL = "ours", "TRL"


@dataclass(frozen=True)
class Setting:
    """What is trained, on what."""

    hidden: int
    layers: int
    prompts: int
    tokens: int
    kl: float
    fp32: bool

    @property
    def half(self) -> bool:
        """Whether products are computed in bfloat16."""
        return not self.fp32 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Work(NamedTuple):
    """What a step did."""

    completions: int
    prompt_tokens: int
    sampled_tokens: int
    updates: int


@dataclass
class Steps:
    """One side's steps so far; the first is a warm-up."""

    seconds: list[float] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)


def reward(completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
    """Of each completion: how many of its tokens have even ids."""
    return [float(sum(token % 2 == 0 for token in ids)) for ids in completion_ids]


class Ours:
    """GRPO of this package, on prompts that are answered once."""

    def __init__(self, model: Path, setting: Setting) -> None:
        config = LMConfig(
            model=str(model), max_new_tokens=setting.tokens, device="cpu", prompt="compact",
            precision="bf16" if setting.half else "fp32",
        )  # fmt: skip
        self.setting, self.policy = setting, LMPolicy(CreditDomain(), config)
        count = setting.prompts * GROUP
        options = GRPOConfig(
            learning_rate=LEARNING_RATE, anneal=False, epochs=1, minibatch=count, entropy=0.0, kl=setting.kl,
            group=GROUP, drop_equal=False, weights={"reward": 1.0},
        )  # fmt: skip
        self.algorithm = GRPO(self.policy, options)
        self.generator = torch.Generator().manual_seed(0)

    def observations(self, step: int) -> list[Observation]:
        """What the shop sees when it makes the calls of a step."""
        tasks = [step * self.setting.prompts + n for n in range(self.setting.prompts)]
        calls = self.policy.env("proactive_sale").begin_many(tasks, tasks)
        return [call.observation for call in calls]

    def step(self, prompts: Sequence[Observation], step: int) -> Work:
        """Sample, score, update."""
        rollout = self._rollout(prompts, [mix(step, n) for n in range(len(prompts) * GROUP)])
        before = updates(self.algorithm.optimizer)
        self.algorithm.update(rollout, self.generator)
        done = updates(self.algorithm.optimizer) - before
        sampled = int(rollout.mask.sum())
        return Work(len(rollout), int(rollout.inputs["lengths"].sum()) - sampled, sampled, done)

    def _rollout(self, prompts: Sequence[Observation], keys: Sequence[int]) -> Rollout:
        policy, tokens = self.policy, self.setting.tokens
        sampling = Sampling(stop=(), max_new_tokens=tokens)
        seats = Seats(policy.engine(), policy.chat, sampling, keys, CONTEXT)
        for row in range(len(keys)):
            seats.begin(row, policy.transcript(prompts[row // GROUP]))
        seats.speak(range(len(keys)))
        inputs, logprob, mask = decisions(seats.transcripts, Shape(1, tokens, CONTEXT))
        sampled = [said.ids[said.spoken[0].start :] for said in seats.transcripts]
        return Rollout(
            logprob=logprob,
            mask=mask,
            rewards={"reward": torch.tensor(reward(sampled))[:, None]},
            cost=torch.zeros(len(keys), 1),
            group=torch.arange(len(keys)) // GROUP,
            outcome={},
            inputs=inputs,
        )


def updates(optimizer: torch.optim.Optimizer) -> int:
    """How often an optimiser has changed its parameters."""
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)


class Turns(TrainerCallback):
    """Times TRL's steps and lets ours follow each."""

    def __init__(self, after: Callable[[int], None]) -> None:
        self.after, self.steps = after, Steps()
        self.completions: list[Sequence[int]] = []
        self._began = self._updates = self._tokens = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Before the prompts of a step are tokenised."""
        self._tokens = state.num_input_tokens_seen
        self._began = clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """After the weights have changed."""
        self.steps.seconds.append(clock() - self._began)
        done = updates(known["optimizer"])
        sampled = sum(map(len, self.completions))
        read = state.num_input_tokens_seen - self._tokens - sampled
        self.steps.work.append(Work(len(self.completions), int(read), sampled, int(done - self._updates)))
        self._updates = done
        self.after(state.global_step - 1)

    def reward(self, completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        """The reward, for TRL to call; notes what was sampled."""
        self.completions = list(completion_ids)
        return reward(completion_ids)


def trl_trainer(
    model: Path, setting: Setting, prompts: list[Any], turns: Turns, adam: torch.optim.Optimizer
) -> Any:
    """TRL's trainer with the same settings, and an optimiser like this one.

    Raises:
        DialogGymError: TRL is not installed.
    """
    try:
        from datasets import Dataset
        from trl.trainer.grpo_config import GRPOConfig as TheirConfig
        from trl.trainer.grpo_trainer import GRPOTrainer
    except ImportError:
        raise DialogGymError("this benchmark needs: pip install 'dialog-gym[bench]'") from None
    known = load(str(model), device="cpu")
    count = setting.prompts * GROUP
    arguments = TheirConfig(
        output_dir=str(model / "trl"), use_cpu=True, bf16=setting.half, report_to="none", save_strategy="no",
        logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=False, gradient_checkpointing=False,
        max_steps=len(prompts) // setting.prompts, shuffle_dataset=False, per_device_train_batch_size=count,
        num_generations=GROUP, max_completion_length=setting.tokens, temperature=1.0, beta=setting.kl,
        # no early end; ours samples without a token that stops
        generation_kwargs={"min_new_tokens": setting.tokens},
        loss_type="bnpo", scale_rewards="group", lr_scheduler_type="constant", max_grad_norm=1.0,
    )  # fmt: skip
    settings = {name: adam.defaults[name] for name in ("lr", "betas", "eps", "weight_decay", "fused")}
    optimizer = torch.optim.AdamW(known.model.parameters(), **settings)
    score: Any = turns.reward
    trainer = GRPOTrainer(
        model=known.model, reward_funcs=score, args=arguments, processing_class=known.tokenizer,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]), callbacks=[turns],
        optimizers=(optimizer, None),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def clock() -> float:
    """CPU time on one thread, otherwise wall-clock time."""
    return process_time() if torch.get_num_threads() == 1 else perf_counter()


def measure(setting: Setting, rounds: int) -> dict[str, Steps]:
    """Steps of both in turns, after one of each that is not kept.

    Raises:
        DialogGymError: TRL is not installed, or the two did not do the same work.
    """
    with TemporaryDirectory() as folder:
        model = Path(folder)
        with quiet():
            build(ModelShape(hidden=setting.hidden, layers=setting.layers)).save_pretrained(model)
        load(device="cpu").tokenizer.save_pretrained(model)
        ours, spent = Ours(model, setting), Steps()
        calls = [ours.observations(step) for step in range(rounds + 1)]

        def follow(step: int) -> None:
            began = clock()
            spent.work.append(ours.step(calls[step], step))
            spent.seconds.append(clock() - began)

        chats = [messages(system_message(o.profile, "", style="compact"), ()) for call in calls for o in call]
        turns = Turns(follow)
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore")  # what transformers is about to rename
            trl_trainer(model, setting, chats, turns, ours.algorithm.optimizer).train()
    found = {OURS: spent, TRL: turns.steps}
    if spent.work != turns.steps.work:
        raise DialogGymError(f"the two did not do the same: {spent.work} and {turns.steps.work}")
    return {name: Steps(steps.seconds[1:], steps.work[1:]) for name, steps in found.items()}


def compare(found: dict[str, Steps]) -> dict[str, Any]:
    """Median seconds per step of both, what a step did, and how much faster ours is."""
    rows = {name: {"seconds_per_step": median(steps.seconds)} for name, steps in found.items()}
    pairs = zip(found[TRL].seconds, found[OURS].seconds, strict=True)
    return rows | {
        "ratio": median(theirs / own for theirs, own in pairs),
        "work": found[OURS].work[0]._asdict(),
    }


def table(result: dict[str, Any]) -> str:
    """The figures as text."""
    work, ratio = result["work"], {OURS: result["ratio"], TRL: 1.0}
    lines = [f"{'GRPO':<8}{'s / step':>10}{'tokens / s':>12}{'ratio':>8}"]
    for name in (OURS, TRL):
        seconds = result[name]["seconds_per_step"]
        lines.append(f"{name:<8}{seconds:>10.2f}{work['sampled_tokens'] / seconds:>12.0f}{ratio[name]:>8.2f}")
    return "\n".join(
        [*lines, "a step: " + ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in work.items())]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m dialog_gym.benchmarks.trl_speed", description=__doc__)
    counts = {"hidden": 256, "layers": 6, "prompts": 4, "tokens": 40, "rounds": 3, "threads": 1}
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kl", type=float, default=0.0, help="weight of the KL term; 0: no reference model")
    parser.add_argument("--fp32", action="store_true", help="no bfloat16")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    if wrong := [name for name in counts if getattr(chosen, name) < 1]:
        parser.error(f"--{wrong[0]} is {getattr(chosen, wrong[0])}; give at least 1")
    if not 0 <= chosen.kl < inf:
        parser.error(f"--kl is {chosen.kl}; give 0 or more")
    torch.set_num_threads(chosen.threads)
    torch.set_float32_matmul_precision("medium")  # as the command line trains
    setting = Setting(chosen.hidden, chosen.layers, chosen.prompts, chosen.tokens, chosen.kl, chosen.fp32)
    try:
        result = compare(measure(setting, chosen.rounds))
    except DialogGymError as mistake:
        parser.error(str(mistake))
    print(json.dumps(result) if chosen.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
