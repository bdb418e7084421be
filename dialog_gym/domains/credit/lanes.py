"""The shop at act level: what environments and learners ask for (`dialog_gym.envs.lanes`)."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import fields
from typing import Any

import numpy as np

from dialog_gym.core import RUNNING, DialogueAct
from dialog_gym.domains.act_repetition import ACT_MEASURES
from dialog_gym.domains.credit.act_language import ActLanguage
from dialog_gym.domains.credit.dynamics import (
    DEFAULT_REWARD_WEIGHTS,
    named_noise,
    noise_streams,
    turn_noise,
)
from dialog_gym.domains.credit.features import ActionMask, Features, profile_features
from dialog_gym.domains.credit.fitting import Fitter
from dialog_gym.domains.credit.moves import MOVES, action_array, used_decisions
from dialog_gym.domains.credit.state import ACT, State, begin_rows, drawn_record, empty_state
from dialog_gym.ops import ARRAYS

_FIELDS = tuple(field.name for field in fields(State))


class CreditActs:
    """The act level of a credit domain."""

    def __init__(self, domain: Any) -> None:
        """Takes a `CreditDomain`, whose options are fixed by now."""
        self.domain, self.dynamics = domain, domain.array_dynamics
        self.nvec: tuple[int, ...] = self.dynamics.moves.nvec
        self.moves = tuple(move.name for move in MOVES)
        self.uses = used_decisions()
        self.reward_weights = DEFAULT_REWARD_WEIGHTS
        self.language_rewards = ACT_MEASURES
        self.features = Features(len(domain.products), domain.max_turns)
        self.mask = ActionMask(ARRAYS, self.nvec)
        self.book = self.mask.book
        kinds = [ACT.get(move.intent, 0) for move in MOVES]
        self.carried = np.asarray([[bool(acts & kind) for kind in kinds] for acts in self.book.intents])
        self._fitter = Fitter(domain.rulebook)
        self.profile_size: int = domain.profile_feature_count
        self.size = self.profile_size + self.features.size

    def prepare(self, space: Any, tasks: np.ndarray) -> np.ndarray:
        """Starts of some tasks of ``space``: the fields `state.DRAWN` and ``profile``, as one array [T]."""
        shoppers = self.domain.draw(space, tasks)
        return drawn_record(self.domain.start_states(shoppers), profile=profile_features(shoppers))

    def lanes(self, count: int, *, language: bool = False) -> "CreditLanes":
        """``count`` rows to be filled by `CreditLanes.begin`, with or without `ACT_MEASURES` as rewards."""
        return CreditLanes(self, count, language)

    def fit(self, dialogue: Any, acts: Sequence[DialogueAct], said: Set[str]) -> list[int]:
        """The action that says the first one or two of some acts; see `fitting.Fitter`."""
        return self._fitter.fit(acts, said, int(dialogue.state.heard_amount))


class CreditLanes:
    """N running dialogues in arrays."""

    def __init__(self, acts: CreditActs, count: int, language: bool) -> None:
        """Nothing has begun yet."""
        self._acts, self._dynamics = acts, acts.dynamics
        self._profile = np.empty((count, acts.profile_size), np.float32)
        self._streams = np.empty(count, np.uint64)
        self._state: State | None = None
        self._language = ActLanguage(count) if language else None
        self._judged: Mapping[str, np.ndarray] = {}

    @property
    def state(self) -> State:
        """The state in arrays; the first `begin` makes it."""
        assert self._state is not None
        return self._state

    @property
    def ended(self) -> np.ndarray:
        """int64[N], index into `END_REASONS`, -1 while running."""
        ended: np.ndarray = self.state.ended
        return ended

    @property
    def turn(self) -> np.ndarray:
        """int64[N], assistant turns so far."""
        turn: np.ndarray = self.state.turn
        return turn

    def begin(self, rows: np.ndarray, table: np.ndarray, index: np.ndarray, keys: np.ndarray) -> None:
        """Put fresh dialogues into some rows; see `dialog_gym.envs.lanes.Lanes.begin`."""
        drawn = table.take(index)
        if self._state is None:
            self._state = empty_state(len(self._streams), drawn)
        begin_rows(self._state, rows, drawn)
        self._profile[rows] = drawn["profile"]
        if self._language is not None:
            self._language.begin(rows)
        self._streams[rows] = noise_streams(keys)

    def observe(self, out: np.ndarray) -> None:
        """Write what the agents see into ``out``, float32[N, size]."""
        out[:, : self._acts.profile_size] = self._profile
        self._acts.features.fill(out[:, self._acts.profile_size :], self.state)

    def allowed(self) -> np.ndarray:
        """bool[N, moves], moves that the shop's rules allow."""
        return self._acts.mask.flags(self.state).astype(bool)

    def mask(self, out: np.ndarray) -> None:
        """Write the action mask into ``out``, int8[N, sum(nvec)]."""
        self._acts.mask.fill(out, self.state)

    def step(self, actions: np.ndarray) -> None:
        """One turn, int64[N, 6], in every dialogue."""
        s = self.state
        s.turn = np.where(s.ended == RUNNING, s.turn, 0)  # what has ended must not run out of tables
        noise = named_noise(turn_noise(self._streams, s.turn))
        turn = self._dynamics.moves.read(action_array(actions), s)
        if self._language is not None:
            self._judged = self._language.judge(s, turn, actions)
        self._dynamics.step(s, turn, noise)

    def allowed_strategies(self) -> np.ndarray:
        """bool[N, S], strategies that the hard rules allow now."""
        return np.stack(self._acts.book.allowed(self._acts.book.facts(self.state)), 1)

    def strategy_grades(self) -> np.ndarray:
        """int64[N, S], graded fit of every strategy now."""
        return np.stack(self._acts.book.grades(self._acts.book.facts(self.state)), 1)

    def strategy_gains(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Graded fit of the turn to be taken, and the best there was; float64[N] each, discounted."""
        book, act, (first, second) = self._acts.book, self._dynamics.moves.act, actions[:, :2].T
        gain, best = book.gains(book.facts(self.state), act[first] | act[second])
        discount = self._dynamics.tracker.discount[self.turn + 1]
        return gain * discount, best * discount

    def rewards(self) -> Mapping[str, np.ndarray]:
        """The named rewards of the last turn, float64[N] each."""
        rewards: dict[str, np.ndarray] = self._dynamics.rewards(self.state)
        return {**rewards, **self._judged}

    def cost(self) -> np.ndarray:
        """float64[N], violations in the last turn."""
        count: np.ndarray = self._dynamics.ops.take(self._dynamics.tracker.bits.count, self.state.violations)
        return 1.0 * count

    def facts(self) -> Mapping[str, np.ndarray]:
        """Facts about dialogues that ended, by name."""
        facts: dict[str, np.ndarray] = self._dynamics.facts(self.state)
        return facts

    def keep(self, running: np.ndarray) -> None:
        """Drop the rows where ``running``, bool[N], is false."""
        if self._language is not None:
            self._language.keep(running)
        self._state = State(*[getattr(self.state, name)[running] for name in _FIELDS])
        self._profile, self._streams = self._profile[running], self._streams[running]
