"""Evaluation: play a suite with an agent, store every dialogue, score the store.

The same result whatever the number of workers; a killed run resumes without repeating finished episodes.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import dialog_gym
from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.playing import run_episodes
from dialog_gym.benchmarks.suite import EpisodeKey, Suite
from dialog_gym.benchmarks.training_runs import folder_of, training_of
from dialog_gym.chat_records import chat_records
from dialog_gym.core import DialogGymError, Result, Trajectory
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.metrics import HIGHER_IS_BETTER, score_all
from dialog_gym.store import Store, StoreHeader, TrajectoryWriter, read_store, write_sorted, write_store
from dialog_gym.store_format import config_hash, key_of


@dataclass(frozen=True)
class RunConfig:
    """What an evaluation run does; everything that may change its result is in the store's header."""

    suite: Suite
    agent: str
    """Name or path of the agent."""
    agent_options: dict[str, Any] = field(default_factory=dict, kw_only=True)
    """What an agent given by name is built with; what of it shapes the turns is among its `settings`."""
    episodes: int | None = None
    """Number of episodes, default the whole suite."""
    seed: int = 0
    simulator: str | None = None
    """Another simulator than the suite's."""
    level: int | None = None
    """Another difficulty level than the suite's."""
    domain_options: dict[str, Any] = field(default_factory=dict)

    @property
    def simulator_name(self) -> str:
        """The simulator played against."""
        return self.simulator or self.suite.simulator

    def env(self, scenario: str) -> DialogueEnv:
        """The environment of one scenario."""
        return _env(self.suite.domain, scenario, self.simulator_name, self.suite.split,
                    self.suite.level if self.level is None else self.level,
                    self._options())  # fmt: skip

    def _options(self) -> str:
        """The domain's options as JSON: hashable, and in a store's header as they are replayed."""
        chosen = {**self.suite.options, **self.domain_options}
        return json.dumps(chosen, sort_keys=True, default=str)

    def header(
        self,
        agent_name: str,
        reference: bool = False,
        trained: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> StoreHeader:
        """The run's store.

        Args:
            agent_name: Of the agent.
            reference: Whether it sees hidden state.
            trained: What `trained` says.
            settings: What else shapes its turns.
        """
        env = self.env(next(iter(self.suite.scenarios)))
        config = {
            "episodes": self.episodes or self.suite.size,
            "trials": self.suite.trials,
            "reference": reference,
            "split": self.suite.split,
            "level": env.level,
            "simulator": self.simulator_name,
            "domain": self.suite.domain,
            "domain_hash": env.domain.config_hash,
            "domain_options": json.loads(self._options()),
        }
        config |= {"trained": dict(trained)} if trained else {}
        config |= {"settings": dict(settings)} if settings else {}
        config |= simulator_settings(env.simulator)
        if training := training_of(self.agent):
            config["training"] = training.model_dump()
        return StoreHeader(
            suite=self.suite.name,
            suite_version=self.suite.version,
            agent=agent_name,
            simulator=self.simulator_name,
            config=config,
            simulator_hash=config_hash({"simulator": self.simulator_name, "domain": env.domain.config_hash}),
            package_version=dialog_gym.__version__,
            seed=self.seed,
        )


@lru_cache(maxsize=16)
def _env(domain: str, scenario: str, simulator: str, split: str, level: int, options: str) -> DialogueEnv:
    extra = json.loads(options)
    return DialogueEnv(domain, scenario=scenario, simulator=simulator, split=split, level=level, **extra)


def simulator_settings(simulator: Any) -> dict[str, Any]:
    """What a simulator says of what its words depend on, such as its weights; nothing if it is but code."""
    told = getattr(simulator, "settings", None)
    return {"simulator_settings": told()} if callable(told) else {}


def default_store(config: RunConfig, agent_name: str, folder: Path = Path("runs")) -> Path:
    """Where a run's dialogues are stored unless told otherwise."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in agent_name)
    return folder / config.suite.name / f"{safe}-seed{config.seed}.jsonl"


def evaluate(
    config: RunConfig,
    *,
    agent: Any = None,
    store: Path | None = None,
    workers: int | None = None,
    resume: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
) -> tuple[Result, list[Trajectory]]:
    """Play, store and score.

    Args:
        config: The run.
        agent: An agent object instead of ``config.agent``'s name; it is then played in this process.
        store: Where to write the dialogues; default ``runs/<suite>/<agent>-seed<seed>.jsonl``.
        workers: Processes; default one per core.
        resume: Keep the finished episodes of an earlier run with the same header.
        on_progress: Called with (finished, all) episodes.
        cache: A file that keeps the replies of served models beyond the run; see `chat_records`.

    Returns:
        The result and the dialogues in (task, trial) order.

    Raises:
        ChatOutage: a served model cannot be had now; what is finished is in the store, to be resumed.
        DialogGymError: unknown names, an agent that fails, or a store of another run.
    """
    began = time.monotonic()
    service = load_agent(config.agent, config.agent_options) if agent is None else load_agent(agent)
    known = agent is None and folder_of(config.agent) is None
    settings = service.settings() if callable(getattr(service, "settings", None)) else None
    name = config.agent if known and settings is None else str(getattr(service, "name", "agent"))
    keys = config.suite.episodes(config.episodes, config.seed)
    path = store or default_store(config, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    working = _working_file(path, resume)
    reference = bool(getattr(service, "sees_hidden_state", False))
    header, fresh = config.header(name, reference, trained(service), settings), not resume
    with (
        TrajectoryWriter(working, header, resume=resume, overwrite=fresh) as writer,
        chat_records(path, resume=resume, cache=cache) as records,
    ):
        done = {(key[0], key[1]) for key in writer.finished}
        left = [key for key in keys if (task_id(config, key), key.trial) not in done]
        finished = len(keys) - len(left)
        if on_progress:
            on_progress(finished, len(keys))
        for batch in run_episodes(config, agent or config.agent, left, workers or os.cpu_count() or 1):
            for trajectory in batch:
                writer.write(trajectory)
            finished += len(batch)
            if on_progress:
                on_progress(finished, len(keys))
        usage = records.ledger.summary() if records.ledger else {}
    # in canonical order: the resampling of scores depends on it, and workers finish in any order
    trajectories = sorted(_finish(working, path).trajectories, key=key_of)
    result = score(config, name, trajectories, reference=reference, facts=trained(service))
    seconds = round(time.monotonic() - began, 3)
    told = {"trajectories": str(path), "wall_seconds": seconds, "usage": usage}
    return result.model_copy(update=told), trajectories


def _working_file(path: Path, resume: bool) -> Path:
    """The file a run appends to; a compressed store is unpacked beside itself first."""
    if path.suffix != ".gz":
        return path
    working = path.with_suffix("")
    if resume and path.exists() and not working.exists():
        packed = read_store(path)
        write_store(working, packed.header, packed.trajectories)
    return working


def _finish(working: Path, path: Path) -> Store:
    """Bring a complete store into canonical order, and pack it when its name ends in .gz."""
    if working == path:
        return write_sorted(path)
    found = read_store(working)
    write_store(path, found.header, found.trajectories)
    working.unlink()
    return read_store(path)


def task_id(config: RunConfig, key: EpisodeKey) -> str:
    """The id of an episode's task."""
    env = config.env(key.scenario)
    return str(env.domain.task_id(env.space, key.task_index))


def trained(agent: Any) -> dict[str, Any]:
    """What a trained agent says of itself for the board: backbone, environment steps, training seeds."""
    backbone = getattr(agent, "backbone", None)
    if backbone is None:
        return {}
    return {"backbone": backbone, "env_steps": int(agent.env_steps), "seeds": int(getattr(agent, "seeds", 1))}


def score(
    config: RunConfig,
    name: str,
    trajectories: Sequence[Trajectory],
    *,
    reference: bool,
    facts: Mapping[str, Any],
) -> Result:
    """The result of stored dialogues; ``facts``: see `trained`."""
    return Result(
        agent=name,
        suite=config.suite.name,
        suite_version=config.suite.version,
        simulator=config.simulator_name,
        seed=config.seed,
        episodes=len(trajectories),
        trials=config.suite.trials,
        scores=score_all(trajectories, seed=config.seed),
        higher_is_better=dict(HIGHER_IS_BETTER),
        reference=reference,
        versions=versions(config),
        **facts,
    )


def grade(path: Path) -> Result:
    """Scores recomputed from a store.

    Raises:
        DialogGymError: the file is no store, or is empty.
    """
    found = read_store(path)
    if not found.trajectories:
        raise DialogGymError(f"{path}: the store holds no dialogue")
    header = found.header
    return Result(
        agent=header.agent,
        suite=header.suite,
        suite_version=header.suite_version,
        simulator=header.simulator,
        seed=header.seed,
        episodes=len(found.trajectories),
        trials=int(header.config.get("trials", 1)),
        scores=score_all(found.trajectories, seed=header.seed),
        higher_is_better=dict(HIGHER_IS_BETTER),
        reference=bool(header.config.get("reference", False)),
        versions={"dialog-gym": header.package_version, "config": str(header.config_hash)},
        trajectories=str(path),
        **header.config.get("trained", {}),
    )


def versions(config: RunConfig) -> dict[str, str]:
    """Versions that a result depends on."""
    env = config.env(next(iter(config.suite.scenarios)))
    return {
        "dialog-gym": dialog_gym.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": version("gymnasium"),
        "domain": f"{config.suite.domain} {env.domain.version} {env.domain.config_hash}",
    }
