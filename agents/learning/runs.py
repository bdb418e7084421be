"""A training run from its options to the folder of a trained agent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dialog_gym.agents.learning import checkpoint, registry, settings
from dialog_gym.agents.learning.algorithm import WEIGHTS, Algorithm, TrainingError
from dialog_gym.agents.learning.backbones import Backbone, backbone
from dialog_gym.agents.learning.card import AgentCard, read_card
from dialog_gym.agents.learning.rollout import Policy
from dialog_gym.agents.learning.run_log import Write, peak_memory, run_log
from dialog_gym.agents.learning.run_options import (
    Outcome,
    Progress,
    RunOptions,
    Watch,
    check_folder,
    first_stage,
    goes_on,
    make_config,
    make_domain,
    run_name,
)
from dialog_gym.agents.learning.sampler import EpisodeSampler, demonstrated
from dialog_gym.agents.learning.single_turns import SingleTurns
from dialog_gym.agents.learning.trainer import (
    Demonstrated,
    Experience,
    Played,
    Position,
    describe,
    play,
    train,
)
from dialog_gym.core import DialogGymError
from dialog_gym.noise import text_key

_VALIDATION = text_key("validation")


def run(options: RunOptions, watch: Watch) -> Outcome:
    """Train an agent, or go on with training it.

    Raises:
        DialogGymError: an option is impossible, or files cannot be read or written.
        TrainingError: the loss is not finite; the last good checkpoint is kept.
    """
    with _torch_settings(options.threads):
        kind = registry.load(options.algorithm)
        back = backbone(options.backbone)
        if back.name not in kind.backbones:
            can = " or ".join(kind.backbones)
            raise DialogGymError(f"{options.algorithm} trains backbone {can}, not {back.name}")
        domain = make_domain(options)
        config = make_config(kind, back, options, domain)
        back.check(options.model)
        back.check_domain(domain, {**kind.model.get(back.name, {}), **options.model})
        check_folder(options)
        if kind.online and options.init is None and not goes_on(options):
            watch.note(f"no --init: supervised fine-tuning first, into {options.out / 'sft'}")
            first = run(first_stage(options), watch)
            if not first.finished:
                return first
        return _Run(options, kind, back, config, domain, watch).play_out()


@contextmanager
def _torch_settings(threads: int | None) -> Iterator[None]:
    """Fast matrix products, and as many threads as asked for, until the run ends."""
    registry.require_torch()
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(threads or before[1])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.set_num_threads(before[1])


class _Run:
    """A run whose options are checked: sets everything up, then plays it out."""

    def __init__(
        self,
        options: RunOptions,
        kind: type[Algorithm],
        back: Backbone,
        config: Any,
        domain: Any,
        watch: Watch,
    ) -> None:
        self.options, self.back, self.config, self.watch = options, back, config, watch
        self.name = run_name(options.algorithm, options.backbone, options.domain, options.seed)
        self.online = kind.online
        self.domain = domain
        self.steps = (options.steps or back.steps) if kind.online else None
        self.start = self._start_card()
        usual = {setting.name: setting.default for setting in back.settings()}
        needed = kind.model.get(back.name, {})
        self.defaults = usual | {one.name: one.default for one in settings.settings(type(config))}
        self.model = {**usual, **(self.start.model if self.start else {}), **needed, **options.model}
        self.versions = {name: version(name) for name in ("dialog-gym", "numpy", "torch")}
        self.versions["domain"] = f"{domain.name} {domain.version} {domain.config_hash}"
        self.position, self.saved = Position(), -1
        self._check_start()
        policy = self._policy()
        self.algorithm = kind(policy, config)
        if goes_on(options):
            self.position = checkpoint.restore(options.out, self.algorithm, self.record(), self.defaults)
            self.saved = self.position.iteration
        self.experience = self._experience(policy)
        self.validation = self._validation(policy) if options.validate_every else None
        self.metrics: dict[str, float] = {}

    # -- setting up

    def _start_card(self) -> AgentCard | None:
        """The card of the agent that training starts from."""
        return read_card(self._start_folder) if self.online or self.options.init is not None else None

    @property
    def _start_folder(self) -> Path:
        """Where the agent is that training starts from, if it starts from one."""
        return self.options.init or self.options.out / "sft"

    def _check_start(self) -> None:
        if self.start is None:
            return
        where = self._start_folder
        if self.start.backbone != self.back.name:
            raise DialogGymError(
                f"{where} is an agent of backbone {self.start.backbone}, not {self.back.name}"
            )
        if self.start.domain != self.domain.name:
            raise DialogGymError(f"{where} is an agent of domain {self.start.domain}, not {self.domain.name}")
        for name in self.back.fixed:
            if (value := self.model[name]) != self.start.model.get(name):
                made = f"{settings.flag(name)} {self.start.model.get(name)}"
                raise DialogGymError(f"{where} was made with {made}, not {value}")

    def _policy(self) -> Policy:
        level = self.options.level
        if goes_on(self.options):
            made = checkpoint.options_of(self.options.out)
            checkpoint.compare(self.options.out, made, self.record(), self.defaults)
            return self.back.trained(self.options.out, self.domain, self.model, level=level)
        if self.start is not None:
            return self.back.trained(self._start_folder, self.domain, self.model, level=level)
        return self.back.policy(self.domain, self.model, level=level, seed=self.options.seed)

    def _sizes(self, split: str) -> dict[str, int]:
        level = self.options.level
        return {
            name: self.domain.space(split=split, scenario=name, level=level).size
            for name in self.domain.scenarios
        }

    def _experience(self, policy: Policy) -> Experience:
        config, seed = self.config, self.options.seed
        if self.steps is None:
            self.watch.note(f"{config.demonstrations:,} demonstrated dialogues are played first")
            return Demonstrated(policy, config.demonstrations, config.passes, seed, self.domain.scenarios)
        group = getattr(config, "group", 1)
        sampler = EpisodeSampler(self._sizes("train"), dialogues=config.dialogues, group=group, seed=seed)
        if getattr(config, "mode", "dialogue") == "single_turn":
            self.watch.note(f"{config.logged:,} calls are logged first")
            return SingleTurns(policy, sampler, self.steps, calls=config.logged, seed=seed)
        return Played(policy, sampler, self.steps)

    def _validation(self, policy: Policy) -> Callable[[], dict[str, float]]:
        """Plays the same dialogues of the validation split in every run, taking the likeliest decisions."""
        count = self.options.validation_episodes or self.back.validation
        sampler = EpisodeSampler(self._sizes("validation"), dialogues=count, seed=_VALIDATION)
        there, episodes = policy.on_split("validation"), sampler.episodes(0)
        weights = getattr(self.config, "weights", WEIGHTS)

        def measure() -> dict[str, float]:
            found = describe(play(there, episodes, None), weights)
            return {f"validation_{name}": value for name, value in found.items()}

        return measure

    # -- what is written

    def record(self) -> dict[str, Any]:
        """All options that decide what is learnt: a run only goes on with the same ones."""
        chosen = self.options
        return {
            "algorithm": chosen.algorithm, "backbone": chosen.backbone, "seed": chosen.seed,
            "steps": self.steps, "level": chosen.level, "init": str(chosen.init) if chosen.init else None,
            **({"styles": chosen.styles} if chosen.styles else {}), **self.model, **asdict(self.config),
        }  # fmt: skip

    def card(self) -> AgentCard:
        """The agent as it is now."""
        chosen, start = self.options, self.start
        shown = getattr(self.config, "demonstrations", 0)
        return AgentCard(
            name=self.name,
            algorithm=chosen.algorithm, backbone=self.back.name, domain=self.domain.name, seed=chosen.seed,
            env_steps=self.position.env_steps + (start.env_steps if start else 0),
            demonstrations=sum(demonstrated(shown, self.domain.scenarios).values())
            + (start.demonstrations if start else 0),
            config=self.record(), model=self.model, versions=self.versions,
        )  # fmt: skip

    def save(self) -> None:
        """Write agent and checkpoint, unless they are written already."""
        if self.saved != self.position.iteration:
            checkpoint.save(self.options.out, self.card(), self.algorithm, self.position)
            self.saved = self.position.iteration

    # -- running

    def play_out(self) -> Outcome:
        """Train to the end, or until asked to stop."""
        self.save()  # finds out early whether the folder can be written
        chosen = self.options
        with run_log(
            chosen.out, self.position.iteration, config=self.record(), tensorboard=chosen.tensorboard,
            wandb=chosen.wandb,
        ) as log:  # fmt: skip
            if self.position == Position() and self.validation:
                log({**asdict(self.position), **self.validation()})
            try:
                train(
                    self.algorithm, self.experience, seed=chosen.seed, position=self.position,
                    on_iteration=lambda position, metrics: self._after(position, metrics, log),
                    stop=self.watch.stop,
                )  # fmt: skip
            except TrainingError as error:
                kept = f"the checkpoint of iteration {self.saved} is kept in {chosen.out}"
                raise TrainingError(f"{error}; {kept}") from error
            self.save()
        done, total = self.experience.progress(self.position)
        return Outcome(self.card(), done >= total, self.metrics)

    def _after(self, position: Position, metrics: dict[str, float], log: Write) -> None:
        self.position = position
        done, total = self.experience.progress(position)
        every = self.options.validate_every
        if self.validation and (position.iteration % every == 0 or done >= total):
            metrics |= self.validation()
        memory = peak_memory()
        self.metrics = metrics | ({} if memory is None else {"memory_mib": memory})
        log(self.metrics)
        if position.iteration % self.options.save_every == 0:
            self.save()
        unit = "passes" if self.steps is None else "steps"
        self.watch.progress(Progress(self.name, done, total, unit, self.metrics))
