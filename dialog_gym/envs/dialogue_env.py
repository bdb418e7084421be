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
from dialog_gym.domains.credit.dynamics import REWARDS
from dialog_gym.envs.episode import Episode, Said, checked_weights, load_simulator
from dialog_gym.envs.seeding import EpisodeQueue, Prepared
from dialog_gym.spaces import DialogueSpace, ProfileSpace, UtteranceSpace

MAX_UTTERANCE = 100_000


def make_domain(domain: Any, **options: Any) -> Any:
    """A domain by name with its options, or a ready domain as it is.

    Raises:
        DialogGymError: unknown name, or options for a ready domain.
    """
    if isinstance(domain, str):
        maker = plugins.load("domains", domain)
        known = signature(maker).parameters
        for name in options:
            if name not in known:
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
        scenario: str = "proactive_sale",
        simulator: str | UserSimulator = "agenda",
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
            scenario: ``proactive_sale`` (the agent opens) or ``customer_service`` (the user opens).
            simulator: Who words the user's turns: a name, ``module:Class``, a path, or an object.
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
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise DialogGymError(f"render_mode {render_mode!r} is not one of ansi, human")
        self.scenario, self.split, self.level, self.render_mode = scenario, split, level, render_mode
        self.simulator = load_simulator(simulator)
        self.reward_weights = checked_weights(reward_weights, REWARDS)
        self.space = self.domain.space(split=split, scenario=scenario, level=level)
        example: Task = self.domain.task(0, split=split, scenario=scenario, level=level)
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
        self._queue = EpisodeQueue(self.domain, self.space)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Begin a dialogue.

        Args:
            seed: Fixes this and all following episodes.
            options: ``{"task": index | id | Task}`` picks the task; else it is drawn from the split.

        Returns:
            Observation and info (``task_id``, ``rewards``, ``cost``, and for tau2 users ``policy`` and
            ``tools``).

        Raises:
            DialogGymError: an option or the task is unknown.
        """
        super().reset(seed=seed)
        if seed is not None or not self._queue.started:
            self._queue.restart(self.np_random)
        self.episode = self._begin(options or {})
        self._show(self.episode.turns)
        info = {"policy": self.episode.task.guidelines, "tools": self._tools}
        return self._observe(), info | self._info({}, None)

    def _begin(self, options: Mapping[str, Any]) -> Episode:
        if unknown := sorted(set(options) - {"task"}):
            raise DialogGymError(f"unknown reset option {unknown[0]!r}; known: task")
        if options.get("task") is None:
            return self._drawn(self._queue.take())
        return self.begin(options["task"], self._queue.skip())

    def begin(self, task: Any, seed: int) -> Episode:
        """The episode of a task (index, id or record) with a given seed: what evaluation and replay call.

        Raises:
            DialogGymError: there is no such task.
        """
        if isinstance(task, str):
            task = self.domain.task_by_id(task)
        if isinstance(task, Task):
            return Episode(self.domain, self.simulator, task, self.domain.start(task, seed), seed)
        if isinstance(task, bool) or not isinstance(task, int | np.integer):
            raise DialogGymError(
                f"options['task'] must be an index, an id or a Task, not {type(task).__name__}"
            )
        starts = self.domain.starts(self.space, np.asarray([int(task)]), np.asarray([seed], np.uint64))
        return self._drawn(Prepared(seed, int(task), starts, 0))

    def begin_many(self, tasks: Sequence[int], seeds: Sequence[int]) -> list[Episode]:
        """The episodes of several task indices with their seeds: far cheaper than one at a time.

        Raises:
            DialogGymError: there is no such task.
        """
        starts = self.domain.starts(self.space, np.asarray(tasks, np.int64), np.asarray(seeds, np.uint64))
        pairs = zip(seeds, tasks, strict=True)
        return [self._drawn(Prepared(seed, index, starts, row)) for row, (seed, index) in enumerate(pairs)]

    def _drawn(self, ready: Prepared) -> Episode:
        task = self.domain.write(self.space, ready.starts.shoppers, ready.row, ready.task_index)
        dialogue = self.domain.begin(task, ready.starts, ready.row)
        return Episode(self.domain, self.simulator, task, dialogue, ready.seed)

    def step(self, action: str) -> tuple[Mapping[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Say ``action`` and hear the user's answer."""
        episode = self.running()
        said = episode.understand(action)
        before = len(episode.turns)
        step = episode.assistant(said)
        reward = sum(self.reward_weights[name] * value for name, value in step.rewards.items())
        truncated = step.ended_by == "max_turns"
        terminated = step.ended_by is not None and not truncated
        self._show(episode.turns[before:])
        info = self._info(step.costs, said) | {"rewards": dict(step.rewards)}
        if step.ended_by is not None:
            info |= {"ended_by": step.ended_by, "outcome": dict(episode.dialogue.outcome())}
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
        return {"dialogue": seen.dialogue, "profile": seen.profile, "guidelines": seen.guidelines}

    def _info(self, costs: Mapping[str, float], said: Said | None) -> dict[str, Any]:
        assert self.episode is not None
        info: dict[str, Any] = {
            "task_id": self.episode.task.id,
            "level": self.episode.task.level,
            "cost": float(sum(costs.values())),
            "costs": dict(costs),
            "rewards": {},
        }
        if said is not None:
            info["acts"] = said.acts
            if said.error:
                info["action_error"] = said.error
        return info

    def _show(self, turns: Sequence[Any]) -> None:
        if self.render_mode == "human":
            for turn in turns:
                print(f"{turn.role}: {turn.text}")
