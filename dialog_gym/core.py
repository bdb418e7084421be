"""The central types and protocols. What is written to disk is defined here and nowhere else.

Every record is frozen, refuses unknown keys, and survives a JSON round trip exactly (NaN included).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dialog_gym.act_view import ActView

Scalar: TypeAlias = bool | int | float | str | None
Role: TypeAlias = Literal["user", "assistant"]
EndReason: TypeAlias = Literal[
    "accepted",  # the user took a product
    "declined",  # the user decided against it
    "resolved",  # every question answered and the problem solved
    "refused",  # the agent refused an ineligible user and the user understood
    "handed_over",  # passed to a human
    "agent_ended",  # the agent said goodbye with the task unfinished
    "user_hung_up",  # the user lost patience or was pressed
    "not_reached",  # nobody answered
    "max_turns",  # the only truncation
    "error",  # simulator or infrastructure failure: the episode is void, never a loss
]
END_REASONS: Final[tuple[EndReason, ...]] = get_args(EndReason)[:-1]
"""How dynamics can end a dialogue; arrays hold the index. Errors come from outside."""
END: Final[Mapping[str, int]] = {name: i for i, name in enumerate(END_REASONS)}
LEVELS: Final = range(10)
"""Difficulty levels."""
RUNNING: Final = -1
"""The index of no end yet."""


class DialogGymError(Exception):
    """A user's mistake with one clear line of explanation; the command line prints it and exits with 2."""


class Record(BaseModel):
    """Base of everything stored: frozen, strict about keys, NaN kept in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class DialogueAct(Record):
    """One dialogue act, e.g. ``offer(product=pay_later, amount=5000)``."""

    intent: str
    slots: Mapping[str, Scalar] = Field(default_factory=dict)


class Turn(Record):
    """One utterance.

    ``acts`` are the acts meant (user) or read by the grounder (assistant). ``thought`` is the agent's private
    strategy or reasoning: no simulator and no language reward ever sees it.
    """

    role: Role
    text: str
    acts: tuple[DialogueAct, ...] = ()
    thought: str | None = None


class UserProfile(Record):
    """The CRM attributes an agent may see. ``None`` marks an attribute missing from the CRM."""

    id: str
    attributes: Mapping[str, Scalar]


class Goal(Record):
    """What the user wants, hidden from the agent.

    ``constraints`` are the wanted values, ``requests`` what the user wants to be told, ``persona`` the hidden
    user state at the start (trust, patience, style, ...).
    """

    need: str
    constraints: Mapping[str, Scalar] = Field(default_factory=dict)
    requests: tuple[str, ...] = ()
    persona: Mapping[str, Scalar] = Field(default_factory=dict)


class Task(Record):
    """One reproducible problem: a profile, a hidden goal and the shop's guidelines."""

    id: str
    domain: str
    scenario: str
    split: str
    level: int = Field(ge=LEVELS[0], le=LEVELS[-1])
    profile: UserProfile
    goal: Goal
    guidelines: str = ""
    max_turns: int = Field(default=20, ge=1)


class Trajectory(Record):
    """One finished dialogue.

    ``rewards`` and ``costs`` have one entry per assistant turn; a reward that could not be judged is NaN.
    ``outcome`` is what the goal tracker decided (facts for the metrics), ``states`` its view after every
    assistant turn (stages, hidden user state), ``versions`` pins what produced it.
    """

    task: Task
    agent: str
    seed: int
    trial: int = 0
    turns: tuple[Turn, ...]
    rewards: tuple[Mapping[str, float], ...]
    costs: tuple[Mapping[str, float], ...]
    ended_by: EndReason
    outcome: Mapping[str, Scalar] = Field(default_factory=dict)
    states: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = Field(default_factory=dict)


class Score(Record):
    """A metric's value with its 95 % interval and the number of episodes it is computed on."""

    value: float
    low: float
    high: float
    n: int


class Result(Record):
    """One agent's scores on one suite: what the leaderboard ranks and `grade` recomputes."""

    agent: str
    suite: str
    suite_version: int
    simulator: str
    backbone: Literal["net", "lm"] | None = None
    seeds: int = 1
    seed: int = 0
    env_steps: int = 0
    episodes: int = 0
    trials: int = 1
    scores: Mapping[str, Score]
    higher_is_better: Mapping[str, bool] = Field(default_factory=dict)
    reference: bool = False
    versions: Mapping[str, str] = Field(default_factory=dict)
    trajectories: str | None = None
    wall_seconds: float = 0.0
    usage: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    """What served models were asked for, by role: requests, tokens, cost, latency."""


class Observation(NamedTuple):
    """What an agent is given each turn.

    ``hidden`` is None unless the agent is a declared reference (oracle), ``act_view`` unless it declares
    ``sees_act_view``.
    """

    dialogue: tuple[Turn, ...]
    profile: Mapping[str, Scalar]
    guidelines: str
    hidden: Mapping[str, Any] | None = None
    act_view: ActView | None = None
    domain: str = "credit"
    """Name of the domain that the dialogue is of."""


class Step(NamedTuple):
    """What one assistant turn led to: the user's acts, named rewards and costs, why it ended (or None)."""

    user_acts: tuple[DialogueAct, ...]
    rewards: Mapping[str, float]
    costs: Mapping[str, float]
    ended_by: EndReason | None


class Dialogue(Protocol):
    """One running dialogue of a domain: hidden user state, goal tracker and outcome. No wording in here."""

    task: Task

    def open(self) -> tuple[DialogueAct, ...]:
        """The user's opening acts; empty when the agent speaks first."""
        ...

    def step(self, acts: Sequence[DialogueAct], user_acts: Sequence[DialogueAct] | None = None) -> Step:
        """Advance by one assistant turn; ``user_acts`` replaces the user model's choice (a claimed seat)."""
        ...

    def hidden(self) -> Mapping[str, Any]:
        """The hidden user state and tracker now, JSON-ready."""
        ...

    def snapshot(self) -> Any:
        """What `describe` needs of the present moment: taken every turn, so it must be cheap."""
        ...

    def describe(self, snapshot: Any) -> Mapping[str, Any]:
        """`hidden` as it was when the snapshot was taken."""
        ...

    def outcome(self) -> Mapping[str, Scalar]:
        """Facts about the finished dialogue that metrics are computed from."""
        ...

    @property
    def garbled(self) -> bool:
        """Whether the user's last turn is so badly typed that its content is hard to read."""
        ...


class Domain(Protocol):
    """A shop: tasks, dynamics, and the two readers from text to acts."""

    name: str
    version: str
    scenarios: tuple[str, ...]

    def task(self, index: int, *, split: str, scenario: str, level: int, **options: Any) -> Task:
        """The ``index``-th task of a split; same arguments, same task, on every machine."""
        ...

    def start(self, task: Task, seed: int) -> Dialogue:
        """Begin a dialogue; ``seed`` fixes all of the user's randomness."""
        ...

    def read_assistant(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """The grounder: acts and claims in free agent text. Never raises, linear time."""
        ...

    def read_user(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """Acts in free user text, said after ``dialogue``. Never raises, linear time."""
        ...


class UserSession(Protocol):
    """The user side of one dialogue: puts the acts chosen by the domain's user model into words."""

    def say(self, acts: Sequence[DialogueAct], dialogue: Sequence[Turn], *, garbled: bool) -> str:
        """The user's next utterance expressing ``acts``."""
        ...


@runtime_checkable
class UserSimulator(Protocol):
    """A service that plays users. It words turns; the domain decides what happens."""

    name: str

    def start(self, task: Task, seed: int) -> UserSession:
        """A session for one dialogue with its own randomness."""
        ...


class AgentSession(Protocol):
    """The agent side of one dialogue."""

    def reply(self, observation: Observation) -> str | Turn:
        """The agent's next turn: free text, act notation, JSON acts, or a `Turn` (to carry a thought)."""
        ...


@runtime_checkable
class AgentProtocol(Protocol):
    """A service that answers users. See `dialog_gym.agents.base.Agent` for the class to subclass."""

    name: str
    sees_hidden_state: bool

    def start(self, seed: int) -> AgentSession:
        """A session for one dialogue with its own randomness."""
        ...


class Reward(Protocol):
    """A named per-turn reward. NaN means: cannot be judged here."""

    name: str

    def __call__(self, task: Task, dialogue: Sequence[Turn], *, final: bool) -> float:
        """The reward of the last assistant turn in ``dialogue``."""
        ...


class Metric(Protocol):
    """A named score that is a ratio of sums over episodes, so that it can be bootstrapped.

    ``rows`` gives per trajectory a numerator and a denominator weight; a weight of 0 leaves the episode out.
    """

    name: str
    higher_is_better: bool

    def rows(self, trajectories: Sequence[Trajectory]) -> tuple[np.ndarray, np.ndarray]:
        """Arrays ``(value, weight)`` of shape ``[len(trajectories)]``."""
        ...
