"""A dialogue for several agents: PettingZoo AEC and Parallel environments, of any domain.

Seats: ``assistant_0`` (the shop), ``user_0`` (the customer) and, with ``hierarchical=True``, ``expert_0``,
GOPO's planner, who chooses a strategy for the assistant before each of its turns. Turns go round in the order
expert, assistant, user. Observations are dicts, all with ``dialogue`` and ``profile``:

- ``assistant_0`` also sees ``guidelines`` and, when there is an expert, ``strategy`` (a name, "" for none).
  Its action is a text as in `DialogueEnv`: plain, act notation or JSON acts.
- ``user_0`` also sees ``goal``, a text with the goal and persona that is hidden from the others. Its action
  is a text: plain, or user acts in notation or JSON, which the simulator then words.
- ``expert_0`` also sees ``guidelines`` and ``action_mask`` (the hard SOP rules). Its action is an index into
  ``strategies``; a forbidden strategy is not passed on and explained in ``info["action_error"]``.

An assistant's turn and the user's answer are judged as a pair once the user has spoken. A pair earns
``assistant_0`` and ``expert_0`` the weighted sum of the named rewards; ``user_0`` earns one of them, the
domain's choice (``satisfaction``, which is 0 before the end). Whoever plays the user, the goal tracker
decides the outcome from the acts read, and the user's moods follow the domain's user model. In a task where
nobody picks up the phone the dialogue ends with the first pair, and what the user says is not heard. Where
the user opens, as in ``customer_service``, the task gives their first turn.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from gymnasium import Space
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from dialog_gym.core import DialogGymError, Trajectory
from dialog_gym.envs.multiagent_table import Table
from dialog_gym.plugins import nearest


class _Shop:
    """What both environments offer around the table."""

    render_mode: str | None

    def __init__(
        self,
        *,
        hierarchical: bool = False,
        players: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Sets the environment up; see `aec_env`.

        Raises:
            DialogGymError: a seat, a player or an option is unknown, or no seat is open.
        """
        self.table = Table(hierarchical, players, render_mode=render_mode, **options)
        self.render_mode = render_mode
        self.possible_agents = list(self.table.seats.open)
        self.agents: list[str] = []
        self.strategies = self.table.strategies
        """Names of the expert's actions, by index."""
        self._shown = 0

    def observation_space(self, agent: str) -> Space[Any]:
        """A seat's observation space, always the same object."""
        return self.table.spaces[agent][0]

    def action_space(self, agent: str) -> Space[Any]:
        """A seat's action space, always the same object."""
        return self.table.spaces[agent][1]

    def render(self) -> str | None:
        """The dialogue so far as ``role: text`` lines (``ansi``); ``human`` prints turns as they happen."""
        return "\n".join(self.table.lines()) if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Nothing to release."""

    def trajectory(self, agent: str = "", trial: int = 0) -> Trajectory:
        """The dialogue as a record.

        Raises:
            DialogGymError: `reset` was not called.
        """
        return self.table.episode.trajectory(agent, trial, {})

    def _begin(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        self.table.reset(seed, options)
        self.agents = list(self.possible_agents)
        self._shown = 0
        self._show()

    def _show(self) -> None:
        """Print the turns that were said since the last time."""
        lines = self.table.lines() if self.render_mode == "human" else []
        for line in lines[self._shown :]:
            print(line)
        self._shown = len(lines)

    def _each(self, value: Any) -> dict[str, Any]:
        return dict.fromkeys(self.agents, value)

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {agent: self.table.info(agent) for agent in self.agents}


class DialogueAECEnv(_Shop, AECEnv[str, Any, Any]):  # type: ignore[misc]  # PettingZoo ships no types
    """One dialogue as a PettingZoo AEC environment; see the module's text for seats, turns and rewards.

    ``infos[agent]`` holds what was settled since the agent's own last action: ``rewards`` (named) and, not
    for the user, ``cost`` and ``costs``; further ``task_id``, ``level``, ``active``, what its own last action
    was read as (``acts`` or ``strategy``, ``action_error``), the expert's ``action_mask``, and at the end
    ``ended_by`` and ``outcome``.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "ecom_dialog_v0",
        "is_parallelizable": False,
        "render_modes": ["ansi", "human"],
        "render_fps": 4,
    }

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        """Begin a dialogue; the same seed gives the dialogue of `DialogueEnv`.

        Args:
            seed: Fixes this and all following episodes.
            options: ``{"task": index | id | Task}`` picks the task; else it is drawn from the split.

        Raises:
            DialogGymError: an option or the task is unknown.
        """
        self._begin(seed, options)
        self.rewards = self._each(0.0)
        self._cumulative_rewards = self._each(0.0)
        self._skip_agent_selection = None
        self._publish()

    def observe(self, agent: str) -> dict[str, Any]:
        """What a seat may see now."""
        return self.table.observe(agent)

    def step(self, action: Any) -> None:
        """The action of ``agent_selection``.

        Raises:
            DialogGymError: `reset` was not called, or the action has the wrong type.
        """
        if not self.agents:
            raise DialogGymError("the dialogue is over (or never began): call reset() before step()")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self.table.act(action)
        self._cumulative_rewards[agent] = 0.0
        self.rewards = dict(self.table.rewards)
        self._accumulate_rewards()
        self._publish()
        self._show()

    def _publish(self) -> None:
        terminated, truncated = self.table.over
        self.terminations, self.truncations = self._each(terminated), self._each(truncated)
        self.infos = self._infos()
        self.agent_selection = self.table.waiting or self.agents[0]


class DialogueParallelEnv(_Shop, ParallelEnv[str, Any, Any]):  # type: ignore[misc]  # as above
    """One dialogue as a PettingZoo Parallel environment.

    People take turns, so in every step one seat is active (``infos[seat]["active"]``): its action counts,
    those of the others are ignored and may be left out (``""`` is a way to wait). All seats live until the
    dialogue ends. Rewards and infos are those of the last step.
    """

    metadata: ClassVar[dict[str, Any]] = {**DialogueAECEnv.metadata, "is_parallelizable": True}

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin a dialogue; see `DialogueAECEnv.reset`.

        Returns:
            Observations and infos by seat.

        Raises:
            DialogGymError: an option or the task is unknown.
        """
        self._begin(seed, options)
        return self._observations(), self._infos()

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """The active seat's turn.

        Returns:
            Observations, rewards, terminations, truncations and infos by seat.

        Raises:
            DialogGymError: the dialogue is over (or never began), an unknown seat acts, the active one does
                not, or its action has the wrong type.
        """
        active = self.table.waiting
        if unknown := [seat for seat in actions if seat not in self.possible_agents]:
            raise DialogGymError(
                f"{unknown[0]!r} is no open seat; {nearest(str(unknown[0]), self.possible_agents)}"
            )
        if active is not None and active not in actions:
            raise DialogGymError(f"it is the turn of {active}, but actions hold none for it")
        self.table.act(actions.get(str(active)), all_read=True)
        self._show()
        terminated, truncated = self.table.over
        result = (
            self._observations(), dict(self.table.rewards), self._each(terminated), self._each(truncated),
            self._infos(),
        )  # fmt: skip
        if terminated or truncated:
            self.agents = []
        return result

    def _observations(self) -> dict[str, Any]:
        return {agent: self.table.observe(agent) for agent in self.agents}


def raw_env(**options: Any) -> DialogueAECEnv:
    """The AEC environment without wrappers; options as in `aec_env`.

    Raises:
        DialogGymError: a seat, a player or an option is unknown, or no seat is open.
    """
    return DialogueAECEnv(**options)


def aec_env(
    *,
    scenario: str | None = None,
    hierarchical: bool = False,
    players: Mapping[str, Any] | None = None,
    split: str = "train",
    level: int = 3,
    max_turns: int | None = None,
    reward_weights: Mapping[str, float] | None = None,
    render_mode: str | None = None,
    **options: Any,
) -> AECEnv[str, Any, Any]:
    """The AEC environment (`DialogueAECEnv`) in PettingZoo's wrapper that enforces the order of calls.

    Args:
        scenario: As in `DialogueEnv`; default the domain's first.
        hierarchical: Whether there is an expert who chooses the assistant's strategy.
        players: Who plays the seats that are not agents of the environment: for ``user_0`` a simulator, for
            the others an agent, each by name, ``module:Object``, path or as an object. ``expert_0`` also
            takes ``"graded"`` (the domain's best graded strategy); any other expert must reply with a
            strategy's name. A hired assistant reads the strategy at the end of its guidelines. Default: every
            seat is open.
        split: ``train``, ``validation`` or ``test``.
        level: Difficulty 0-9.
        max_turns: Assistant turns after which the dialogue is truncated; default the domain's.
        reward_weights: Changes to the default weights of the named rewards.
        render_mode: ``ansi`` returns the dialogue as text, ``human`` prints each turn.
        options: Further options of `DialogueEnv` (``domain``, e.g. ``"multiwoz"``, ``profile_source``, ...).

    Raises:
        DialogGymError: a seat, a player or an option is unknown, or no seat is open.
    """
    raw = raw_env(
        scenario=scenario, hierarchical=hierarchical, players=players, split=split, level=level,
        max_turns=max_turns, reward_weights=reward_weights, render_mode=render_mode, **options,
    )  # fmt: skip
    return OrderEnforcingWrapper(raw)


def parallel_env(
    *,
    scenario: str | None = None,
    hierarchical: bool = False,
    players: Mapping[str, Any] | None = None,
    split: str = "train",
    level: int = 3,
    max_turns: int | None = None,
    reward_weights: Mapping[str, float] | None = None,
    render_mode: str | None = None,
    **options: Any,
) -> DialogueParallelEnv:
    """The Parallel environment (`DialogueParallelEnv`); options as in `aec_env`.

    Raises:
        DialogGymError: a seat, a player or an option is unknown, or no seat is open.
    """
    return DialogueParallelEnv(
        scenario=scenario, hierarchical=hierarchical, players=players, split=split, level=level,
        max_turns=max_turns, reward_weights=reward_weights, render_mode=render_mode, **options,
    )  # fmt: skip
