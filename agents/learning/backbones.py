"""The two backbones: where their policies and agents are, their options and their defaults.

Nothing here imports torch or transformers before a policy, an agent or the options are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, cast

from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.agents.learning.settings import Setting, check, settings
from dialog_gym.core import DialogGymError
from dialog_gym.plugins import nearest

if TYPE_CHECKING:
    from dialog_gym.agents.base import Agent
    from dialog_gym.agents.learning.rollout import Policy

Values = Mapping[str, Any]
PLACE = ("split", "level")
"""Fields of a policy's configuration that say where it plays; the others are the model's."""
WEIGHTS = "weights"
"""The option with the weights of named rewards."""


@dataclass(frozen=True)
class Backbone:
    """One kind of policy; its class takes (domain, config, seed), its ``load`` (folder, domain, config)."""

    name: str
    policy_path: str
    config_path: str
    agent_path: str
    fixed: tuple[str, ...]
    """Options of the model that come with its weights."""
    steps: int
    """Environment steps of a run unless told otherwise."""
    validation: int
    """Dialogues of a validation unless told otherwise."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Options of the model that need something of the domain, and the attribute that it must have."""
    blind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of the model and the values with which it is not shown what a desk looks up."""
    changes: Mapping[str, Values] = field(default_factory=dict)
    """Defaults of algorithms' options that are other than their own; those under ``""`` are for all.

    Of ``weights``, those of the named rewards only.
    """

    def defaults(self, algorithm: Any) -> dict[str, Any]:
        """The changes for an algorithm's class, of options that it has."""
        own = {setting.name: setting.default for setting in settings(algorithm)}
        found = {**self.changes.get("", {}), **self.changes.get(algorithm.__name__, {})}
        if WEIGHTS in found and WEIGHTS in own:
            found[WEIGHTS] = {**own[WEIGHTS], **found[WEIGHTS]}
        return {name: value for name, value in found.items() if name in own}

    def settings(self) -> list[Setting]:
        """The model's options."""
        return [one for one in settings(resolve_name(self.config_path)) if one.name not in PLACE]

    def check(self, model: Values) -> None:
        """Find values of the model's options that are impossible.

        Raises:
            DialogGymError: naming the option and what it may be.
        """
        check(resolve_name(self.config_path)(**model))

    def check_domain(self, domain: Any, model: Values) -> None:
        """Find options of the model that a domain has nothing for.

        Raises:
            DialogGymError: naming the option and what the domain lacks.
        """
        for option, values in self.blind.items():
            if model.get(option) in values and hasattr(domain, "desk"):
                raise DialogGymError(
                    f"--{option} {model[option]} does not show what domain {domain.name} looks up: "
                    "use another, or leave it out"
                )
        for option, attribute in self.needs.items():
            if model.get(option) and not getattr(domain, attribute, None):
                lacks = attribute.replace("_", " ")
                raise DialogGymError(f"--{option}: domain {domain.name} has no {lacks}")

    def policy(self, domain: Any, model: Values, *, level: int, seed: int) -> "Policy":
        """A policy that has learnt nothing from dialogues of this shop.

        Raises:
            DialogGymError: an option is impossible, or the model cannot be loaded.
        """
        return cast("Policy", resolve_name(self.policy_path)(domain, self._config(model, level), seed=seed))

    def trained(self, folder: Path, domain: Any, model: Values, *, level: int) -> "Policy":
        """The policy of a run's folder.

        Raises:
            DialogGymError: its weights are missing, broken, or of another model.
        """
        return cast("Policy", resolve_name(self.policy_path).load(folder, domain, self._config(model, level)))

    def _config(self, model: Values, level: int) -> Any:
        return resolve_name(self.config_path)(**model, level=level)

    def agent(self, folder: Path, card: AgentCard) -> "Agent":
        """The agent of a run's folder.

        Raises:
            DialogGymError: its weights are missing or broken.
        """
        return cast("Agent", resolve_name(self.agent_path).load(folder, card))


NET = Backbone(
    "net",
    policy_path="dialog_gym.agents.net.policy:NetPolicy",
    config_path="dialog_gym.agents.net.policy:NetConfig",
    agent_path="dialog_gym.agents.net.agent:NetAgent",
    fixed=("hidden", "masked"),
    needs={"strategies": "strategies", "reasoning": "closed_tasks"},
    steps=1_000_000,
    validation=1_000,
)
LM = Backbone(
    "lm",
    policy_path="dialog_gym.agents.lm.policy:LMPolicy",
    config_path="dialog_gym.agents.lm.policy:LMConfig",
    agent_path="dialog_gym.agents.lm.agent:LMAgent",
    fixed=("model", "lora", "lora_targets"),
    needs={"corpus": "human_dialogues"},
    blind={"prompt": ("compact",)},
    steps=80_000,
    validation=128,
    changes={
        # a model that misquotes learns to say nothing where a broken rule is as dear as on the net
        "": {
            "learning_rate": 3e-4,
            "dialogues": 320,
            "minibatch": 16,
            "epochs": 1,
            "entropy": 0.002,
            WEIGHTS: {"violation": 0.1},
        },
        "SFTConfig": {"learning_rate": 1e-3, "demonstrations": 6_000, "passes": 3},
        "MOREConfig": {
            WEIGHTS: {"violation": 0.3},
            "logged": 300,
            "rounds": 1,
            "customers": 16,
            "answers": 4,
            "imitated": 60,
            "measured": 32,
            "scaffold_rate": 6e-4,
            "scaffold_minibatch": 16,
            "scaffold_entropy": 0.002,
        },
        "MementoConfig": {"learning_rate": 1e-3, "minibatch": 32, "epochs": 3, "neighbours": 4, "pool": 16},
    },
)
BACKBONES: Mapping[str, Backbone] = {one.name: one for one in (NET, LM)}


def backbone(name: str) -> Backbone:
    """A backbone by name.

    Raises:
        DialogGymError: there is none of this name.
    """
    if name not in BACKBONES:
        raise DialogGymError(f"unknown backbone {name!r}; {nearest(name, BACKBONES)}")
    return BACKBONES[name]
