"""A pretraining run of the tiny language model: the model, its updates, checkpoints and export."""

import math
import os
import shutil
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lm_tokens import Ints
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dialog_gym.core import DialogGymError
from dialog_gym.files import replacing

LENGTH: Final = 768
BATCH: Final = 4
PEAK: Final = 1.5e-3
FLOOR: Final = 0.05
"""The learning rate ends at this share of its peak."""
WARM_UP: Final = 0.04
CLIP: Final = 1.0


@dataclass(frozen=True)
class Settings:
    """What fixes a run."""

    tokens: int
    seed: int
    corpus: str
    """Hash of the tokenised corpus."""

    @property
    def steps(self) -> int:
        """Updates."""
        return max(self.tokens // (BATCH * LENGTH), 1)


@dataclass
class Run:
    """A model in training."""

    settings: Settings
    model: LlamaForCausalLM
    optimizer: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0

    @property
    def seen(self) -> int:
        """Tokens trained on."""
        return self.step * BATCH * LENGTH


def new_run(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> Run:
    """Random weights that only the seed decides."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=1,
        intermediate_size=512,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    return Run(settings, model, torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95), fused=True))


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to `FLOOR` of the peak."""
    warm = max(round(WARM_UP * steps), 1)
    if step < warm:
        return PEAK * (step + 1) / warm
    done = (step - warm) / max(steps - warm, 1)
    return PEAK * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2)


def mixed_precision() -> Any:
    """bfloat16 where the processor has it; elsewhere its emulation is three times slower than float32."""
    fast = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)


def update(run: Run, batch: Ints) -> float:
    """One step on ``batch`` (``[BATCH, LENGTH]``); the loss in nats per token."""
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(run.step, run.settings.steps)
    ids = torch.from_numpy(batch.astype(np.int64))
    with mixed_precision():
        loss = run.model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), CLIP)
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.step += 1
    if not math.isfinite(nats := float(loss.detach())):
        raise DialogGymError(f"the loss is {nats} after step {run.step}; the last checkpoint is before that")
    return nats


def save(run: Run, path: Path) -> None:
    """Write a checkpoint under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "settings": asdict(run.settings),
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "seconds": run.seconds,
    }
    with replacing(path) as working:
        torch.save(state, working)


def load(path: Path, tokenizer: PreTrainedTokenizerFast) -> Run:
    """The run a checkpoint was written by."""
    try:
        state = torch.load(path, weights_only=True)
    except OSError as error:
        raise DialogGymError(f"cannot read {path}: {error}; train first, without --resume") from None
    run = new_run(Settings(**state["settings"]), tokenizer)
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step, run.seconds = state["step"], state["seconds"]
    return run


def export(run: Run, folder: Path) -> None:
    """Write the weights as float16; ``config.json`` says float32, in which they load and train on a CPU."""
    working = folder.with_name(f"{folder.name}.part")
    model = deepcopy(run.model).half()  # type: ignore[no-untyped-call]
    model.save_pretrained(working)
    model.config.dtype = torch.float32
    model.config.save_pretrained(working)
    for file in sorted(working.iterdir()):
        file.chmod(0o644)  # weights come readable by nobody else
        os.replace(file, folder / file.name)
    shutil.rmtree(working)
