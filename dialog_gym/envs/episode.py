"""One dialogue between an assistant and a user as plain Python: what the environments share."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from dialog_gym import plugins
from dialog_gym.acts import Ontology, parse_action, storable
from dialog_gym.core import (
    DialogGymError,
    DialogueAct,
    EndReason,
    Observation,
    Step,
    Task,
    Trajectory,
    Turn,
    UserSession,
    UserSimulator,
)
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS
from dialog_gym.noise import mix, text_key

_WORDING = text_key("wording")
EMPTY_REPLY = "..."
RESET_OPTIONS = ("episode_seed", "level", "task")
"""What `reset` of one dialogue takes as options."""


class Said(NamedTuple):
    """What an action said: text, acts, and one line if it could not be read."""

    text: str
    acts: tuple[DialogueAct, ...]
    error: str | None


def load_simulator(simulator: "str | UserSimulator") -> UserSimulator:
    """A simulator by name or as it is.

    Raises:
        DialogGymError: unknown name.
    """
    if not isinstance(simulator, str):
        return simulator
    found = plugins.load("simulators", simulator)
    return cast(UserSimulator, found() if isinstance(found, type) else found)


def checked_weights(weights: Mapping[str, float] | None, known: Sequence[str]) -> dict[str, float]:
    """Reward weights: the default ones, changed where named.

    Raises:
        DialogGymError: a name is unknown, or a weight is no finite number.
    """
    for name, value in (weights or {}).items():
        if name not in known:
            raise DialogGymError(f"unknown reward {name!r}; {plugins.nearest(name, known)}")
        if not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise DialogGymError(f"the weight of reward {name} must be a finite number, not {value!r}")
    return dict(DEFAULT_REWARD_WEIGHTS) | {name: float(value) for name, value in (weights or {}).items()}


class RenderModeError(DialogGymError, TypeError):
    """An unknown render mode. A TypeError too: Stable-Baselines3 asks for rgb_array, then does without."""


def checked_render_mode(mode: str | None, known: Sequence[str]) -> str | None:
    """A render mode that exists, or None.

    Raises:
        DialogGymError: it does not.
    """
    if mode is not None and mode not in known:
        raise RenderModeError(f"unknown render_mode {mode!r}; {plugins.nearest(str(mode), known)}")
    return mode


def checked_options(options: Mapping[str, Any] | None, known: Sequence[str]) -> Mapping[str, Any]:
    """Reset options that exist.

    Raises:
        DialogGymError: an option is unknown.
    """
    if unknown := sorted(set(options or {}) - set(known)):
        raise DialogGymError(f"unknown reset option {unknown[0]!r}; known: {', '.join(known) or 'none'}")
    return options or {}


def _in_short(line: str) -> str:
    """An error line may quote the whole action: what matters stands at its ends."""
    return line if len(line) <= 400 else f"{line[:200]} ... {line[-200:]}"


def weighted_sum(weights: Mapping[str, float], rewards: Mapping[str, Any]) -> Any:
    """The scalar reward, of one dialogue or of N.

    Added up one by one: Python's ``sum`` compensates rounding from 3.12 on and numpy does not, and a lane of
    a vector environment must get the very reward that a single one gets.
    """
    total: Any = 0.0
    for name, value in rewards.items():
        total = total + weights[name] * value
    return total


class Episode:
    """A dialogue in progress: turns, rewards and costs so far, and the user's wording."""

    def __init__(self, domain: Any, simulator: UserSimulator, task: Task, dialogue: Any, seed: int) -> None:
        """Starts the dialogue; in scenarios where the user opens, their first turn is said."""
        self.domain, self.task, self.dialogue, self.seed = domain, task, dialogue, seed
        self.turns: list[Turn] = []
        """What both sides can see: user turns carry no acts, the agent must read the words."""
        self.record: list[Turn] = []
        """The same turns with the acts the user meant."""
        self.rewards: list[Mapping[str, float]] = []
        self.costs: list[Mapping[str, float]] = []
        self.states: list[Any] = []
        self.ended_by: EndReason | None = None
        self.failure: str | None = None
        """What went wrong when the simulator failed; the episode is then void."""
        self.ontology = Ontology(domain.assistant_acts, domain.choices)
        self.user_ontology = Ontology(domain.user_acts, domain.choices)
        self._agent_key = mix(_WORDING, seed)
        self.session: UserSession = simulator.start(task, mix(text_key(task.id), seed))
        if opening := dialogue.open():
            self._user_says(opening)

    @property
    def observation(self) -> Observation:
        """What the assistant may see: user turns without their acts."""
        return Observation(tuple(self.turns), self.task.profile.attributes, self.task.guidelines)

    @property
    def heard(self) -> tuple[Turn, ...]:
        """What the user may see: every turn without the assistant's private thought."""
        return tuple(t if t.thought is None else t.model_copy(update={"thought": None}) for t in self.turns)

    def understand(self, action: str) -> Said:
        """Read an action in any encoding; what cannot be read says nothing and carries an error line."""
        if not isinstance(action, str):
            raise DialogGymError(f"an action is a text (str), not {type(action).__name__}")
        try:
            parsed = parse_action(action, self.ontology)
            if parsed.acts:
                return Said(self.worded(parsed.acts), parsed.acts, None)
        except DialogGymError as error:
            return Said(EMPTY_REPLY, (), _in_short(str(error)))
        if not parsed.text:
            return Said(EMPTY_REPLY, (), "empty action: nothing was said")
        return Said(parsed.text, self.domain.read_assistant(parsed.text, self.turns), None)

    def worded(self, acts: Sequence[DialogueAct]) -> str:
        """The words for acts that the assistant sends now: always the same for the same episode and turn.

        Raises:
            DialogGymError: a slot's value is of the wrong kind, e.g. a word for an amount.
        """
        return str(self.domain.word_assistant(acts, mix(self._agent_key, len(self.turns))))

    def understand_user(self, action: str, dialogue: Sequence[Turn]) -> Said:
        """As `understand`, for a claimed user seat: free text, or acts that the simulator words."""
        if not isinstance(action, str):
            raise DialogGymError(f"an action is a text (str), not {type(action).__name__}")
        try:
            parsed = parse_action(action, self.user_ontology)
            if parsed.acts:
                return Said(self.session.say(parsed.acts, dialogue, garbled=False), parsed.acts, None)
        except DialogGymError as error:
            return Said(EMPTY_REPLY, (), _in_short(str(error)))
        if not parsed.text:
            return Said(EMPTY_REPLY, (), "empty action: nothing was said")
        return Said(parsed.text, self.domain.read_user(parsed.text), None)

    def assistant(self, said: Said, thought: str | None = None, user_turn: Turn | None = None) -> Step:
        """Advance by one assistant turn; ``user_turn`` is the answer of a claimed user seat."""
        thought = None if thought is None else storable(thought)
        self._append(Turn(role="assistant", text=said.text, acts=said.acts, thought=thought), said.acts)
        step: Step = self.dialogue.step(said.acts, None if user_turn is None else user_turn.acts)
        self._book(step)
        if user_turn is not None:
            if step.ended_by != "not_reached":  # nobody picked up: nothing was heard
                self._append(user_turn.model_copy(update={"acts": ()}), user_turn.acts)
        elif step.user_acts:
            self._user_says(step.user_acts)
        return step

    def _book(self, step: Step) -> None:
        self.rewards.append(step.rewards)
        self.costs.append(step.costs)
        self.states.append(self.dialogue.snapshot())
        self.ended_by = step.ended_by

    def _user_says(self, acts: Sequence[DialogueAct]) -> None:
        try:
            said = self.session.say(acts, self.heard, garbled=self.dialogue.garbled)
            turn = Turn(role="user", text=said)
        except DialogGymError:
            raise
        except Exception as error:  # a simulator may fail in any way: the episode is void, never a loss
            self.ended_by, self.failure = "error", f"{type(error).__name__}: {error}"
            return
        self._append(turn, tuple(acts))

    def _append(self, visible: Turn, acts: tuple[DialogueAct, ...]) -> None:
        self.turns.append(visible)
        if visible.acts == acts:
            self.record.append(visible)
        else:  # a checked turn with other checked acts needs no second check
            said, thought = visible.text, visible.thought
            self.record.append(Turn.model_construct(role=visible.role, text=said, acts=acts, thought=thought))

    def trajectory(self, agent: str, trial: int, versions: Mapping[str, str]) -> Trajectory:
        """The finished dialogue as a record."""
        outcome = dict(self.dialogue.outcome())
        for name in ("audited", "reworded", "fallbacks", "errors"):
            outcome[f"simulator_{name}"] = int(getattr(self.session, name, 0))
        return Trajectory(
            task=self.task, agent=agent, seed=self.seed, trial=trial, turns=tuple(self.record),
            rewards=tuple(self.rewards), costs=tuple(self.costs), ended_by=self.ended_by or "max_turns",
            outcome=outcome, states=tuple(map(self.dialogue.describe, self.states)), versions=dict(versions),
        )  # fmt: skip
