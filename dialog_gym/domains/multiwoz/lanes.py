"""The act level of the booking desk: N dialogues in arrays (`dialog_gym.envs.lanes`)."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from dialog_gym.core import DialogueAct
from dialog_gym.domains.act_repetition import ACT_MEASURES
from dialog_gym.domains.multiwoz.act_language import ActLanguage
from dialog_gym.domains.multiwoz.dynamics import DEFAULT_REWARD_WEIGHTS, noise_streams, turn_noise
from dialog_gym.domains.multiwoz.features import ActionMask, Features, View
from dialog_gym.domains.multiwoz.fitting import fit
from dialog_gym.domains.multiwoz.moves import MOVES, NVEC, action_array, used_decisions
from dialog_gym.domains.multiwoz.reference import Reference
from dialog_gym.domains.multiwoz.state import DRAWN_TYPE, State, keep_rows, put_rows, start_arrays
from dialog_gym.domains.multiwoz.strategies import StrategyBook
from dialog_gym.ops import ARRAYS


class MultiWOZActs:
    """Moves, sizes and prepared tasks of a domain's act level."""

    def __init__(self, domain: Any) -> None:
        """Uses the domain's array dynamics."""
        self.domain, self.moves, self.nvec = domain, MOVES, NVEC
        self.uses, self.reward_weights = used_decisions(), DEFAULT_REWARD_WEIGHTS
        agenda = domain.array_dynamics.agenda
        self.view = View(ARRAYS, agenda, domain.array_reader)
        self.features, self.action_mask = Features(agenda, domain.max_turns), ActionMask(ARRAYS, agenda)
        self.reference = Reference(ARRAYS, self.action_mask)
        self.profile_size, self.size = 0, self.features.size
        self.language_rewards = ACT_MEASURES
        self.book = StrategyBook(ARRAYS, agenda)
        self.carried = self.book.carried()

    def prepare(self, space: Any, tasks: np.ndarray) -> np.ndarray:
        """What the starts of some tasks differ in, as one structured array [T]."""
        drawn: np.ndarray = self.domain.draw(space, tasks)
        return drawn

    def lanes(self, count: int, *, language: bool = False) -> "MultiWOZLanes":
        """``count`` rows to be filled by `MultiWOZLanes.begin`, with or without `ACT_MEASURES` as rewards."""
        return MultiWOZLanes(self, count, language)

    def fit(self, dialogue: Any, acts: Sequence[DialogueAct], said: Set[str]) -> list[int]:
        """The action that says the first one or two of some acts; see `fitting.fit`."""
        return fit(dialogue.state, acts, said, self.domain.lexicon)


class MultiWOZLanes:
    """N running dialogues in arrays; see `dialog_gym.envs.lanes.Lanes`."""

    def __init__(self, act_level: MultiWOZActs, count: int, language: bool = False) -> None:
        """There are no dialogues before the first `begin`."""
        self.act_level, self.count = act_level, count
        self.dynamics, self.reader = act_level.domain.array_dynamics, act_level.domain.array_reader
        self.state: Any = None
        self._streams = np.zeros(count, np.uint64)
        self._seen: dict[str, np.ndarray] = {}
        parts = self.dynamics.agenda, self.dynamics.search
        self._language = ActLanguage(count, *parts) if language else None
        self._judged: Mapping[str, np.ndarray] = {}

    @property
    def ended(self) -> np.ndarray:
        """int64[N], index into `dialog_gym.core.END_REASONS`, -1 while running."""
        ended: np.ndarray = self.state.ended
        return ended

    @property
    def turn(self) -> np.ndarray:
        """int64[N], assistant turns so far."""
        turn: np.ndarray = self.state.turn
        return turn

    def begin(self, rows: np.ndarray, table: np.ndarray, index: np.ndarray, keys: np.ndarray) -> None:
        """Put fresh dialogues into some rows; the users speak first."""
        fresh, streams = start_arrays(table[index]), noise_streams(keys)
        self.dynamics.open(fresh, tuple(turn_noise(streams, np.zeros(len(index), np.int64))))
        if self.state is None:
            self.state = start_arrays(np.zeros(self.count, DRAWN_TYPE))
        put_rows(self.state, rows, fresh)
        self._streams[rows] = streams
        if self._language is not None:
            self._language.begin(rows)
        self._seen = {}

    def seen(self) -> dict[str, np.ndarray]:
        """What the agents can tell now (`features.View`)."""
        if not self._seen:
            self._seen = self.act_level.view.numbers(self.state)
        return self._seen

    def observe(self, out: np.ndarray) -> None:
        """Write what the agents see into ``out``, float32[N, size]."""
        self.act_level.features.fill(out, self.state, self.seen())

    def allowed(self) -> np.ndarray:
        """bool[N, moves], which first moves make sense now."""
        mask = self.act_level.action_mask
        return mask.flags(mask.moves(self.state, self.seen())).astype(bool)

    def mask(self, out: np.ndarray) -> None:
        """Write the action mask into ``out``, int8[N, sum(nvec)]."""
        mask = self.act_level.action_mask
        mask.fill(out, mask.moves(self.state, self.seen()))

    def best_actions(self) -> np.ndarray:
        """int64[N, 3], what the reference policy does now."""
        chosen = self.act_level.reference.choose(self.state, self.seen())
        return np.stack(chosen, axis=1)

    def allowed_strategies(self) -> np.ndarray:
        """bool[N, S], strategies that the hard rules allow now."""
        book = self.act_level.book
        return np.stack(book.allowed(book.facts(self.state, self.seen())), axis=1)

    def strategy_grades(self) -> np.ndarray:
        """int64[N, S], graded fit of every strategy now."""
        book = self.act_level.book
        return np.stack(book.grades(book.facts(self.state, self.seen())), axis=1)

    def strategy_gains(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Graded fit of the turn to be taken, and the best there was; float64[N] each, discounted."""
        book = self.act_level.book
        kinds = book.kinds(self.reader.read(action_array(actions), self.state))
        gain, best = book.gains(book.facts(self.state, self.seen()), kinds)
        discount = self.dynamics.tracker.discount[self.turn + 1]
        return gain * discount, best * discount

    def step(self, actions: np.ndarray) -> None:
        """One turn, int64[N, 3], in every dialogue; ended ones survive it."""
        s: State = self.state
        noise = turn_noise(self._streams, s.turn + 1)
        turn = self.reader.read(action_array(actions), s)
        if self._language is not None:
            self._judged = self._language.judge(s, turn)
        self.dynamics.step(s, turn, tuple(noise))
        self._seen = {}

    def rewards(self) -> Mapping[str, np.ndarray]:
        """The named rewards of the last turn, float64[N] each."""
        rewards: dict[str, np.ndarray] = self.dynamics.rewards(self.state)
        return {**rewards, **self._judged}

    def cost(self) -> np.ndarray:
        """float64[N], number of violations in the last turn."""
        cost: np.ndarray = self.dynamics.cost(self.state)
        return cost

    def facts(self) -> Mapping[str, np.ndarray]:
        """Facts about dialogues that ended, by name, [N] each."""
        facts: dict[str, np.ndarray] = self.dynamics.facts(self.state)
        return facts

    def keep(self, running: np.ndarray) -> None:
        """Drop the rows where ``running``, bool[N], is false; the others close up in their order."""
        if self._language is not None:
            self._language.keep(running)
        self.state, self._streams = keep_rows(self.state, running), self._streams[running]
        self._seen = {}
