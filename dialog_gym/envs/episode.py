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
from dialog_gym.noise import mix, text_key
from dialog_gym.speaking import Request, ask, session_seed

_WORDING = text_key("wording")
EMPTY_REPLY = "..."
RESET_OPTIONS = ("episode_seed", "level", "task")
"""What `reset` of one dialogue takes as options."""


class Said(NamedTuple):
    """What an action said: text, acts, and one line if it could not be read."""

    text: str
    acts: tuple[DialogueAct, ...]
    error: str | None


def checked_weights(weights: Mapping[str, float] | None, usual: Mapping[str, float]) -> dict[str, float]:
    """Reward weights: the usual ones, changed where named.

    Raises:
        DialogGymError: a name is unknown, or a weight is no finite number.
    """
    for name, value in (weights or {}).items():
        if name not in usual:
            raise DialogGymError(f"unknown reward {name!r}; {plugins.nearest(name, usual)}")
        if not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise DialogGymError(f"the weight of reward {name} must be a finite number, not {value!r}")
    return dict(usual) | {name: float(value) for name, value in (weights or {}).items()}


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

    def __init__(
        self,
        domain: Any,
        simulator: UserSimulator,
        task: Task,
        dialogue: Any,
        seed: int,
        *,
        greet: bool = True,
    ) -> None:
        """Starts the dialogue.

        Args:
            domain: The shop.
            simulator: Who words the user's turns.
            task: The task.
            dialogue: The task's dialogue in the domain.
            seed: Of the user's randomness.
            greet: Whether the user's first turn is said where the user opens; else it is the first `waiting`.
        """
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
        self.waiting: Request | None = None
        """What the user is to say now, until `hear` is given the words."""
        self.simulator = simulator
        self.session: UserSession = simulator.start(task, session_seed(task, seed))
        self._chooses = bool(getattr(self.session, "chooses", False))
        if opening := dialogue.open():
            self._request(opening)
            if greet:
                self._speak()

    @property
    def observation(self) -> Observation:
        """What the assistant may see: user turns without their acts."""
        task = self.task
        return Observation(tuple(self.turns), task.profile.attributes, task.guidelines, domain=task.domain)

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
        return Said(parsed.text, self.domain.read_user(parsed.text, dialogue), None)

    def assistant(self, said: Said, thought: str | None = None, user_turn: Turn | None = None) -> Step:
        """Advance by one assistant turn; ``user_turn`` is the answer of a claimed user seat."""
        if user_turn is None:
            self.listen(said, thought)
            self._speak()
            return self._step
        self._assistant_says(said, thought)
        self._advance(user_turn.acts)
        self._user_said(user_turn)
        return self._step

    def listen(self, said: Said, thought: str | None = None) -> None:
        """Take in an assistant turn: decide what happens, and leave what the user is to say in `waiting`.

        Where the user's session chooses (``chooses``), the user speaks first and `hear` decides.
        """
        self._assistant_says(said, thought)
        if self._chooses:
            self.waiting = Request((), self.heard, False)
        else:
            self._decide()

    def hear(self, text: "str | Exception | None") -> None:
        """The words that were `waiting`; an exception makes the dialogue void.

        None, from a user who chooses, leaves the turn to the domain's user model: then more may be waiting.
        """
        request, self.waiting = self.waiting, None
        assert request is not None
        if isinstance(text, Exception):
            if not request.acts:
                self._advance(None)
            self.ended_by, self.failure = "error", f"{type(text).__name__}: {text}"
        elif request.acts:
            self._append(Turn(role="user", text=cast(str, text)), request.acts)
        elif text is None:
            self._decide()
        else:
            acts = self.domain.read_user(text, self.turns)
            self._advance(acts)
            self._user_said(Turn(role="user", text=text, acts=acts))

    def _speak(self) -> None:
        """Have the session say what is waiting."""
        while self.waiting is not None:
            try:
                said: str | Exception | None = ask(self.session, self.waiting)
            except DialogGymError:
                raise
            except Exception as error:  # a simulator may fail in any way: the episode is void, never a loss
                said = error
            self.hear(said)

    def _assistant_says(self, said: Said, thought: str | None) -> None:
        thought = None if thought is None else storable(thought)
        self._append(Turn(role="assistant", text=said.text, acts=said.acts, thought=thought), said.acts)
        self._said = said.acts

    def _decide(self) -> None:
        """The domain's user model chooses what the user does."""
        self._advance(None)
        if self._step.user_acts:
            self._request(self._step.user_acts)

    def _advance(self, user_acts: tuple[DialogueAct, ...] | None) -> None:
        self._step: Step = self.dialogue.step(self._said, user_acts)
        self.rewards.append(self._step.rewards)
        self.costs.append(self._step.costs)
        self.states.append(self.dialogue.snapshot())
        self.ended_by = self._step.ended_by

    def _request(self, acts: Sequence[DialogueAct]) -> None:
        self.waiting = Request(tuple(acts), self.heard, self.dialogue.garbled)

    def _user_said(self, turn: Turn) -> None:
        if self.ended_by != "not_reached":  # else nobody picked up: nothing was heard
            self._append(turn.model_copy(update={"acts": ()}), turn.acts)

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
        rejected: Mapping[str, int] = getattr(self.session, "rejected", {})
        outcome |= {f"simulator_{kind}": count for kind, count in sorted(rejected.items())}
        return Trajectory(
            task=self.task, agent=agent, seed=self.seed, trial=trial, turns=tuple(self.record),
            rewards=tuple(self.rewards), costs=tuple(self.costs), ended_by=self.ended_by or "max_turns",
            outcome=outcome, states=tuple(map(self.dialogue.describe, self.states)), versions=dict(versions),
        )  # fmt: skip
