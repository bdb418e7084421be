"""`EcomDialog-v0`: the agent speaks (text, act notation or JSON acts), a simulated shopper answers."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dialog_gym import plugins
from dialog_gym.acts import Ontology, tool_schemas
from dialog_gym.core import DialogGymError, Task, Trajectory, UserSimulator
from dialog_gym.envs.episode import (
    RESET_OPTIONS,
    Episode,
    Said,
    checked_options,
    checked_render_mode,
    checked_weights,
    weighted_sum,
)
from dialog_gym.envs.seeding import EpisodeSource, Prepared
from dialog_gym.spaces import DialogueSpace, ProfileSpace, UtteranceSpace
from dialog_gym.speaking import load_simulator

MAX_UTTERANCE = 100_000
ENV_OPTIONS = ("domain", "scenario", "simulator", "split", "level", "reward_weights", "render_mode")
"""What environments take beside the options of their domain."""


def make_domain(domain: Any, **options: Any) -> Any:
    """A domain by name with its options, or a ready domain as it is.

    Raises:
        DialogGymError: unknown name, or options for a ready domain.
    """
    if isinstance(domain, str):
        maker = plugins.load("domains", domain)
        taken = signature(maker).parameters
        for name in options:
            if name not in taken and not any(one.kind == one.VAR_KEYWORD for one in taken.values()):
                known = {*taken, *ENV_OPTIONS}
                raise DialogGymError(f"unknown option {name!r}; {plugins.nearest(name, known)}")
        return maker(**options)
    if any(value is not None for value in options.values()):
        raise DialogGymError("domain options only go with a domain given by name")
    return domain


class DialogueEnv(gym.Env[Mapping[str, Any], str]):
    """A shop's dialogue as a Gymnasium environment.

    Observation: ``dialogue`` (tuple of `Turn`), ``profile`` (visible CRM attributes), ``guidelines`` (text).
    Action: a text. Plain text is read by the grounder; act notation, JSON acts and tau2-bench's encodings
    are read as acts. Reward: weighted sum of the named rewards in ``info["rewards"]``; ``info["cost"]``
    counts violations. An action that cannot be read is heard as silence and explained in
    ``info["action_error"]``.
    """

    metadata = {"render_modes": ["ansi", "human"], "render_fps": 4}  # noqa: RUF012 - Gymnasium's own annotation

    def __init__(
        self,
        domain: Any = "credit",
        *,
        scenario: str | None = None,
        simulator: str | UserSimulator = "agenda",
        simulator_options: Mapping[str, Any] | None = None,
        split: str = "train",
        level: int = 3,
        max_turns: int | None = None,
        reward_weights: Mapping[str, float] | None = None,
        profile_source: str | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Sets the environment up.

        Args:
            domain: Name of a domain, or a domain object.
            scenario: In the credit shop ``proactive_sale`` (the agent opens) or ``customer_service`` (the
                user opens); default the domain's first.
            simulator: Who words the user's turns: a name, ``module:Class``, a path, or an object (see
                `dialog_gym.speaking.load_simulator`).
            simulator_options: Options of a simulator given by name, e.g. ``{"mode": "free"}``.
            split: ``train``, ``validation`` or ``test``.
            level: Difficulty 0-9.
            max_turns: Assistant turns after which the dialogue is truncated; default the domain's.
            reward_weights: Changes to the default weights of the named rewards.
            profile_source: ``generator`` or ``real``.
            render_mode: ``ansi`` returns the dialogue as text, ``human`` prints each turn.
            options: Further options of the domain (``rulebook``, ``styles``, ``difficulty``, ``data_dir``,
            ...).

        Raises:
            DialogGymError: an option has an unknown name or value.
        """
        chosen = {"max_turns": max_turns, "profile_source": profile_source, **options}
        self.domain = make_domain(domain, **{k: v for k, v in chosen.items() if v is not None})
        checked_render_mode(render_mode, self.metadata["render_modes"])
        self.scenario = scenario or self.domain.scenarios[0]
        self.split, self.level, self.render_mode = split, level, render_mode
        self.simulator = load_simulator(simulator, simulator_options)
        self.reward_weights = checked_weights(reward_weights, self.domain.act_level.reward_weights)
        self.space = self.domain.space(split=split, scenario=self.scenario, level=level)
        example: Task = self.domain.task(0, split=split, scenario=self.scenario, level=level)
        self._tools = tool_schemas(Ontology(self.domain.assistant_acts, self.domain.choices))
        self.observation_space = spaces.Dict(
            {
                "dialogue": DialogueSpace(2 * self.domain.max_turns + 1),
                "profile": ProfileSpace(example.profile.attributes),
                "guidelines": UtteranceSpace(MAX_UTTERANCE, (example.guidelines,)),
            }
        )
        self.action_space = UtteranceSpace(MAX_UTTERANCE, self.domain.sample_utterances)
        self.episode: Episode | None = None
        self._source = EpisodeSource(self.domain, self.space)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Begin a dialogue.

        Args:
            seed: Fixes this and all following episodes.
            options: ``{"task": index | id | Task, "level": 0-9, "episode_seed": int}``, each optional: which
                task (else one is drawn from the split), at which difficulty (of this episode; default the
                environment's), and the seed of the user's randomness: with a task it fixes the dialogue, as
                evaluation does.

        Returns:
            Observation and info (``task_id``, ``level``, ``rewards``, ``cost``, and for tau2 users
            ``policy`` and ``tools``).

        Raises:
            DialogGymError: an option is unknown or there is no such task or level.
        """
        super().reset(seed=seed)
        chosen = checked_options(options, RESET_OPTIONS)
        if seed is not None or not self._source.started:
            self._source.restart(self.np_random)
        self.episode = self._begin(chosen)
        self._show(self.episode.turns)
        info = {"policy": self.episode.task.guidelines, "tools": self._tools}
        return self._observe(), info | self._info({}, None)

    def _begin(self, chosen: Mapping[str, Any]) -> Episode:
        task, level, seed = (chosen.get(name) for name in ("task", "level", "episode_seed"))
        space = self._source.space_at(level)
        if not isinstance(task, str | Task):
            return self._drawn(self._source.next(space, _index(task), seed), space)
        if level is not None:
            raise DialogGymError("options['level'] only goes with a task index: an id or Task has its own")
        return self.begin(task, self._source.skip(space) if seed is None else seed)

    def begin(self, task: Any, seed: int) -> Episode:
        """The episode of a task (index, id or record) with a given seed: what evaluation and replay call.

        Raises:
            DialogGymError: there is no such task.
        """
        if isinstance(task, str):
            task = self.domain.task_by_id(task)
        if isinstance(task, Task):
            return Episode(self.domain, self.simulator, task, self.domain.start(task, seed), seed)
        return self._drawn(self._source.at(self.space, _index(task), seed), self.space)

    def begin_many(self, tasks: Sequence[int], seeds: Sequence[int], *, greet: bool = True) -> list[Episode]:
        """The episodes of several task indices with their seeds: far cheaper than one at a time.

        Args:
            tasks: Task indices.
            seeds: One per dialogue.
            greet: See `Episode`: without, `dialog_gym.rollout.answer_together` has the users open together.

        Raises:
            DialogGymError: there is no such task.
        """
        starts = self.domain.starts(self.space, np.asarray(tasks, np.int64), np.asarray(seeds, np.uint64))
        pairs = zip(seeds, tasks, strict=True)
        return [
            self._drawn(Prepared(seed, index, starts, row), self.space, greet)
            for row, (seed, index) in enumerate(pairs)
        ]

    def _drawn(self, ready: Prepared, space: Any, greet: bool = True) -> Episode:
        task = self.domain.write(space, ready.starts, ready.row, ready.task_index)
        dialogue = self.domain.begin(task, ready.starts, ready.row)
        return Episode(self.domain, self.simulator, task, dialogue, ready.seed, greet=greet)

    def step(self, action: str) -> tuple[Mapping[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Say ``action`` and hear the user's answer."""
        episode = self.running()
        said = episode.understand(action)
        before = len(episode.turns)
        step = episode.assistant(said)
        reward = weighted_sum(self.reward_weights, step.rewards)
        # not the step's: when the simulator fails after it, the episode is void
        ended_by = episode.ended_by
        truncated = ended_by == "max_turns"
        terminated = ended_by is not None and not truncated
        self._show(episode.turns[before:])
        info = self._info(step.costs, said) | {"rewards": dict(step.rewards)}
        if ended_by is not None:
            info["outcome"] = dict(episode.dialogue.outcome())
        return self._observe(), float(reward), terminated, truncated, info

    def running(self) -> Episode:
        """The episode in progress.

        Raises:
            DialogGymError: `reset` was not called, or the dialogue is over.
        """
        if self.episode is None or self.episode.ended_by is not None:
            raise DialogGymError("the dialogue is over (or never began): call reset() before step()")
        return self.episode

    def render(self) -> str | None:
        """The dialogue so far as ``role: text`` lines (``ansi``); ``human`` prints turns as they happen."""
        if self.render_mode != "ansi" or self.episode is None:
            return None
        return "\n".join(f"{turn.role}: {turn.text}" for turn in self.episode.turns)

    def trajectory(self, agent: str = "", trial: int = 0) -> Trajectory:
        """The episode as a record.

        Raises:
            DialogGymError: `reset` was not called.
        """
        if self.episode is None:
            raise DialogGymError("there is no dialogue yet: call reset() first")
        return self.episode.trajectory(agent, trial, {})

    def _observe(self) -> Mapping[str, Any]:
        assert self.episode is not None
        seen = self.episode.observation
        return {"dialogue": seen.dialogue, "profile": dict(seen.profile), "guidelines": seen.guidelines}

    def _info(self, costs: Mapping[str, float], said: Said | None) -> dict[str, Any]:
        assert self.episode is not None
        info: dict[str, Any] = {
            "task_id": self.episode.task.id,
            "level": self.episode.task.level,
            "cost": float(sum(costs.values())),
            "costs": dict(costs),
            "rewards": {},
        }
        if self.episode.ended_by is not None:
            info["ended_by"] = self.episode.ended_by
        if self.episode.failure is not None:
            info["failure"] = self.episode.failure
        if said is not None:
            info["acts"] = said.acts
            if said.error:
                info["action_error"] = said.error
        return info

    def _show(self, turns: Sequence[Any]) -> None:
        if self.render_mode == "human":
            for turn in turns:
                print(f"{turn.role}: {turn.text}")


def _index(task: Any) -> int | None:
    if task is not None and (isinstance(task, bool) or not isinstance(task, int | np.integer)):
        raise DialogGymError(f"options['task'] must be an index, an id or a Task, not {type(task).__name__}")
    return None if task is None else int(task)
