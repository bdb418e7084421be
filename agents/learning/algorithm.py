"""What all algorithms share: a policy, an optimiser, and minibatches of whole dialogues."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from dialog_gym.agents.learning.rollout import Policy, Rollout, portions
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS


def option(default: Any, help_text: str) -> Any:
    """A field of a configuration with the help that the command line shows."""
    return field(default=default, metadata={"help": help_text})


class Batch(Protocol):
    """Examples to learn from: dialogues, or pairs of them."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def select(self, index: Tensor) -> Any:
        """Some of the examples."""
        ...


Loss: TypeAlias = Callable[[Any, Any], tuple[Tensor, dict[str, Tensor]]]
"""The loss of a part of a minibatch, given both, and what to log; see `Algorithm.loss`."""
AnyBatch = TypeVar("AnyBatch", bound=Batch)


def parts(batch: AnyBatch, size: int) -> Iterator[AnyBatch]:
    """A batch in parts of at most ``size`` examples; 0: undivided, and not copied."""
    if not 0 < size < len(batch):
        yield batch
        return
    for index in portions(len(batch), size):
        yield batch.select(index)


class TrainingError(DialogGymError):
    """Training cannot go on; the last good checkpoint is kept."""


@dataclass(frozen=True)
class Config:
    """Options of every algorithm."""

    learning_rate: float = option(1e-3, "Step size of Adam at the start.")
    anneal: bool = option(True, "Let the step size fall linearly to a tenth over the run.")
    minibatch: int = option(256, "Dialogues per gradient step.")
    microbatch: int = option(0, "Dialogues per backward pass, to be accumulated. 0: the minibatch.")
    epochs: int = option(1, "Passes over each batch of dialogues.")
    max_gradient: float = option(1.0, "Gradients are clipped to this norm.")
    weight_decay: float = option(0.0, "Decoupled weight decay.")


WEIGHTS: Mapping[str, float] = {**DEFAULT_REWARD_WEIGHTS, "violation": 0.5}
"""Weights of the named rewards: the environment's, but a broken rule is dear."""


@dataclass(frozen=True)
class OnlineConfig(Config):
    """Options of algorithms that learn from dialogues they play themselves."""

    learning_rate: float = option(1e-3, "Step size of Adam at the start.")
    minibatch: int = option(128, "Dialogues per gradient step.")
    dialogues: int = option(2048, "Dialogues played per iteration.")
    epochs: int = option(4, "Passes over each batch of dialogues.")
    weights: Mapping[str, float] = field(
        default_factory=lambda: dict(WEIGHTS), metadata={"help": "Weights of named rewards, NAME=W,..."}
    )


class Algorithm:
    """One way to learn. Subclasses say what the loss of a batch of dialogues is."""

    name = "algorithm"
    online = True
    """Whether it learns from dialogues it plays itself, or from demonstrations."""
    backbones: ClassVar[tuple[str, ...]] = ("net", "lm")
    """Those that it can train."""
    model: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Values of the model's options that it needs, by backbone; an option given by the user goes before."""
    config: Config

    def __init__(self, policy: Policy, config: Config, reference: Policy | None = None) -> None:
        """Sets up the optimiser.

        Args:
            policy: What is trained.
            config: Options.
            reference: Frozen model that KL terms refer to; default a copy of the policy, where one is needed.
        """
        self.policy, self.config = policy, config
        self.parameters = [p for p in policy.module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay, eps=1e-5, fused=True
        )
        self.reference = reference or (policy.clone() if self.needs_reference() else None)

    def needs_reference(self) -> bool:
        """Whether a frozen reference model is used."""
        return False

    def update(self, rollout: Rollout, generator: torch.Generator, progress: float = 0.0) -> dict[str, float]:
        """Learn from a batch of dialogues.

        Args:
            rollout: The dialogues.
            generator: Draws the minibatches.
            progress: Share of the run that is over, for the step size.

        Returns:
            What to log, by name.

        Raises:
            TrainingError: the loss or a gradient is not finite; the parameters are as before that step.
        """
        self._set_rate(progress)
        batch = self.prepare(rollout)
        logs: list[dict[str, float]] = []
        for _ in range(self.config.epochs if len(batch) else 0):
            order = torch.randperm(len(batch), generator=generator)
            logs += [self._step(batch.select(i)) for i in torch.split(order, self.config.minibatch)]
        return {name: sum(log[name] for log in logs) / len(logs) for name in (logs[0] if logs else {})}

    def prepare(self, rollout: Rollout) -> "Batch":
        """What to learn from in a rollout, with all that stays fixed during the update."""
        raise NotImplementedError

    def loss(self, part: Any, whole: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a part of a minibatch, divided by the size of the whole, so that parts add up.

        Returns:
            The loss and what to log beside it, which adds up too.
        """
        raise NotImplementedError

    def _step(self, minibatch: "Batch", loss_of: "Loss | None" = None) -> dict[str, float]:
        """One gradient step on a loss, default the algorithm's."""
        self.optimizer.zero_grad(set_to_none=True)
        logs: dict[str, float] = {}
        for part in parts(minibatch, self.config.microbatch):
            loss, found = (loss_of or self.loss)(part, minibatch)
            loss.backward()  # type: ignore[no-untyped-call]
            for name, value in {"loss": loss, **found}.items():
                logs[name] = logs.get(name, 0.0) + float(value.detach())
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_gradient or float("inf"))
        if not (torch.isfinite(norm) and math.isfinite(logs["loss"])):
            values = f"the loss is {logs['loss']} and the gradient's norm {float(norm)}"
            raise TrainingError(f"{values}: not finite")
        self.optimizer.step()
        return logs | {"gradient": float(norm)}

    def _set_rate(self, progress: float) -> None:
        factor = 1.0 - 0.9 * min(1.0, progress) if self.config.anneal else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor

    def state(self) -> dict[str, Any]:
        """Everything that a later `load_state` needs to go on exactly from here, parameters included."""
        found = {"module": self.policy.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        return found | ({"reference": self.reference.module.state_dict()} if self.reference else {})

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up an earlier `state`."""
        self.policy.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.reference is not None:
            self.reference.module.load_state_dict(state["reference"])
