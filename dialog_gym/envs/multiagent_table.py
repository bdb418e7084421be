"""The table at which the seats of one dialogue take turns: what the two PettingZoo environments share."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from dialog_gym.core import DialogGymError, Step, Turn
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.episode import Episode, Said, weighted_sum
from dialog_gym.envs.multiagent_seats import (
    ASSISTANT,
    EXPERT,
    USER,
    Hired,
    goal_text,
    seat_spaces,
    take_seats,
)

CHECKER_OPTION: Final = "options"
"""PettingZoo's own checks reset every environment with this key; it has no meaning."""


class Table:
    """One dialogue after another with several seats, some of them open to agents.

    Turns go round in the order expert, assistant, user. When the user seat is open, the assistant's turn and
    the user's answer are applied together once the user has spoken: the goal tracker judges them as a pair.

    Attributes:
        waiting: The open seat whose turn it is, or None when the dialogue is over (or never began).
        rewards: What the last action earned, per open seat.
    """

    def __init__(self, hierarchical: bool, players: Mapping[str, Any] | None, **options: Any) -> None:
        """Sets the table; ``options`` are those of `DialogueEnv`.

        Raises:
            DialogGymError: a seat, a player or an option is unknown, or no seat is open.
        """
        if "simulator" in options:
            raise DialogGymError("simulator is no option here; name it with players={'user_0': ...}")
        self.seats = take_seats(hierarchical, players)
        self.game = DialogueEnv(simulator=self.seats.simulator, **options)
        self.game.render_mode = (
            None  # checked there, but shown by the environment, which knows unanswered turns
        )
        domain, space = self.game.domain, {"split": self.game.split, "scenario": self.game.scenario}
        example = domain.task(0, level=self.game.level, **space)
        if hierarchical and not domain.strategies:
            raise DialogGymError(f"domain {domain.name} has no strategies for an expert: hierarchical=False")
        self._user_reward: str = domain.user_reward
        self.spaces = seat_spaces(domain, example, self.seats.order)
        self.strategies: tuple[str, ...] = domain.strategies if hierarchical else ()
        self.waiting: str | None = None
        self.rewards: dict[str, float] = {}
        self._hears: dict[str, Callable[[Any], None]] = {
            EXPERT: self._plan,
            ASSISTANT: self._answer,
            USER: self._respond,
        }

    @property
    def episode(self) -> Episode:
        """The dialogue on the table.

        Raises:
            DialogGymError: `reset` was not called.
        """
        if self.game.episode is None:
            raise DialogGymError("there is no dialogue yet: call reset() first")
        return self.game.episode

    # -- taking turns

    def reset(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Begin a dialogue; see `DialogueEnv.reset`, whose dialogues these are.

        Raises:
            DialogGymError: an option or the task is unknown.
        """
        self.waiting = None
        known = {name: value for name, value in (options or {}).items() if name != CHECKER_OPTION}
        self.game.reset(seed=seed, options=known)
        self._hired = Hired(self.seats, self.episode)
        self._pending: tuple[Said, Turn] | None = None
        self._strategy = ""
        self._news: dict[str, Step] = {}
        self._own: dict[str, dict[str, Any]] = {seat: {} for seat in self.seats.order}
        self._next = self.seats.order[0]
        self.rewards = dict.fromkeys(self.seats.open, 0.0)
        self._play_on()

    def act(self, action: Any, *, all_read: bool = False) -> None:
        """Take the waiting seat's action; the hired seats play on until an open one is to speak.

        Args:
            action: What the seat's action space holds.
            all_read: Whether every seat has read its last info, not only the one that acts.

        Raises:
            DialogGymError: the dialogue is over (or never began), or the action has the wrong type.
        """
        if self.waiting is None:
            raise DialogGymError("the dialogue is over (or never began): call reset() before step()")
        seat = self.waiting
        self._check(seat, action)
        self.rewards = dict.fromkeys(self.seats.open, 0.0)
        for reader in self.seats.open if all_read else (seat,):
            self._news.pop(reader, None)
        self._hears[seat](action)
        self._play_on()

    def _check(self, seat: str, action: Any) -> None:
        if seat != EXPERT:
            if not isinstance(action, str):
                raise DialogGymError(f"{seat}: an action is a text (str), not {type(action).__name__}")
        elif not self.spaces[EXPERT][1].contains(action):
            last = len(self.strategies) - 1
            raise DialogGymError(
                f"{EXPERT}: an action is the index of a strategy, 0 to {last}, not {action!r}"
            )

    def _play_on(self) -> None:
        """Let hired seats act until an open one is to speak or the dialogue is over."""
        while self.episode.ended_by is None and self._next not in self.seats.open:
            if self._next == EXPERT:
                self._plan(self._hired.choose(self.strategies))
            else:
                self._answer(self._hired.reply(ASSISTANT, self._strategy))
        self.waiting = self._next if self.episode.ended_by is None else None

    def _plan(self, action: int) -> None:
        """The expert's choice; one that the hard SOP rules forbid is not passed on."""
        name = self.strategies[int(action)]
        allowed = name in self.episode.dialogue.allowed_strategies()
        self._strategy = name if allowed else ""
        error = {} if allowed else {"action_error": f"strategy {name!r} is forbidden now; see action_mask"}
        self._own[EXPERT] = {"strategy": self._strategy} | error
        self._next = ASSISTANT

    def _answer(self, turn: "Turn | str") -> None:
        text, private = (turn, None) if isinstance(turn, str) else (turn.text, turn.thought)
        said = self.episode.understand(text)
        planned = f"strategy: {self._strategy}" if self._strategy else None
        thought = "\n".join(part for part in (planned, private) if part) or None
        self._own[ASSISTANT] = _heard(said)
        self._pending = said, Turn(role="assistant", text=said.text, acts=said.acts, thought=thought)
        if USER in self.seats.open:
            self._next = USER
        else:
            self._settle(None)

    def _respond(self, text: str) -> None:
        said = self.episode.understand_user(text, self._dialogue(private=False))
        self._own[USER] = _heard(said)
        self._settle(Turn(role="user", text=said.text, acts=said.acts))

    def _settle(self, user_turn: Turn | None) -> None:
        """Apply an assistant turn and the user's answer, and pay every open seat."""
        assert self._pending is not None
        said, turn = self._pending
        self._pending, self._strategy, self._next = None, "", self.seats.order[0]
        step = self.episode.assistant(said, turn.thought, user_turn)
        self._news = dict.fromkeys(self.seats.open, step)
        earned = float(weighted_sum(self.game.reward_weights, step.rewards))
        shares = {USER: float(step.rewards[self._user_reward])}
        self.rewards = {seat: shares.get(seat, earned) for seat in self.seats.open}

    # -- what seats see

    def _dialogue(self, *, private: bool) -> tuple[Turn, ...]:
        """All turns, also one that is yet unanswered; with the assistant's thoughts only for its own side."""
        turns = tuple(self.episode.turns) if private else self.episode.heard
        if self._pending is None:
            return turns
        turn = self._pending[1]
        return (*turns, turn if private else turn.model_copy(update={"thought": None}))

    def observe(self, seat: str) -> dict[str, Any]:
        """A seat's observation (see `aec_env`)."""
        task = self.episode.task
        seen: dict[str, Any] = {
            "dialogue": self._dialogue(private=seat != USER),
            "profile": task.profile.attributes,
        }
        if seat == USER:
            return seen | {"goal": goal_text(task)}
        seen["guidelines"] = task.guidelines
        if seat == EXPERT:
            seen["action_mask"] = self.mask()
        elif EXPERT in self.seats.order:
            seen["strategy"] = self._strategy
        return seen

    def mask(self) -> np.ndarray:
        """int8 per strategy, 1 where the hard SOP rules allow it now."""
        allowed = self.episode.dialogue.allowed_strategies()
        return np.asarray([name in allowed for name in self.strategies], np.int8)

    def info(self, seat: str) -> dict[str, Any]:
        """A seat's info: task, its own last action, and what was settled since it last read an info."""
        task, step = self.episode.task, self._news.get(seat)
        info = {"task_id": task.id, "level": task.level, "active": seat == self.waiting, **self._own[seat]}
        rewards, costs = (dict(step.rewards), dict(step.costs)) if step else ({}, {})
        if seat == USER:
            info["rewards"] = {name: value for name, value in rewards.items() if name == self._user_reward}
        else:
            info |= {"rewards": rewards, "cost": float(sum(costs.values())), "costs": costs}
        if seat == EXPERT:
            info["action_mask"] = self.mask()
        if self.episode.ended_by is not None:
            info |= {"ended_by": self.episode.ended_by, "outcome": dict(self.episode.dialogue.outcome())}
        return info

    @property
    def over(self) -> tuple[bool, bool]:
        """Whether the dialogue is terminated, and whether it is truncated."""
        reason = self.episode.ended_by
        return reason not in (None, "max_turns"), reason == "max_turns"

    def lines(self) -> list[str]:
        """The dialogue so far as ``role: text`` lines."""
        return [f"{turn.role}: {turn.text}" for turn in self._dialogue(private=False)]


def _heard(said: Said) -> dict[str, Any]:
    return {"acts": said.acts} | ({"action_error": said.error} if said.error else {})
