"""Language measures where there are no words: five of the seven, judged on act-level turns (*ours*).

They follow `dialog_gym.language`, act by act instead of word by word; 1 is best, NaN is "nothing to judge".
Naturalness and ROUGE are about wording: at act level they do not exist.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dialog_gym.domains.act_repetition import Said, ratio
from dialog_gym.domains.credit.moves import MOVE, MOVES
from dialog_gym.domains.credit.ontology import NEED_SLOTS
from dialog_gym.domains.credit.state import AgentTurn, State

_ASKS: Final = np.array([move.intent == "ask_need" for move in MOVES])
_NEED: Final = np.array([NEED_SLOTS.index(m.value) if m.intent == "ask_need" else 0 for m in MOVES])


class ActLanguage:
    """The measures of N running dialogues. Remembers the moves of the last turns."""

    def __init__(self, count: int) -> None:
        """``count`` dialogues of which nothing has been said."""
        self._said = Said(count)

    def begin(self, rows: np.ndarray) -> None:
        """Some rows begin anew."""
        self._said.begin(rows)

    def keep(self, running: np.ndarray) -> None:
        """Drop the rows where ``running``, bool[N], is false."""
        self._said.keep(running)

    def judge(self, s: State, t: AgentTurn, actions: np.ndarray) -> Mapping[str, np.ndarray]:
        """The measures of a turn that is about to be taken, float64[N] each.

        Args:
            s: The state before it.
            t: What it says, checked against the facts.
            actions: int64[N, K], the moves first.
        """
        asked, answered = np.bitwise_count(s.seen_open), np.bitwise_count(s.seen_open & t.right)
        right, wrong = np.bitwise_count(t.right), np.bitwise_count(t.wrong)
        judged = {
            "consistency": self._consistency(s, t, actions),
            "fidelity": ratio(right, right + wrong),
            "coverage": ratio(answered, asked),
        }
        moves = _bits(actions[:, 0]) | _bits(actions[:, 1])
        return judged | dict(self._said.judge(moves[:, None]))

    def _consistency(self, s: State, t: AgentTurn, actions: np.ndarray) -> np.ndarray:
        """1 - contradictions / checks: asked what is known, greeted again, proposed more than wanted."""
        checks: Any = 0
        wrong: Any = 0
        for move in (actions[:, 0], actions[:, 1]):
            for applies, contradicts in (
                (_ASKS[move], (s.seen_known >> _NEED[move]) & 1 != 0),
                (move == MOVE["ask_identity"], s.identity),
                (move == MOVE["greet"], self._said.turns > 0),
            ):
                checks, wrong = checks + applies, wrong + (applies & contradicts)
        proposed = (t.amount > 0) & (s.heard_amount > 0)
        checks, wrong = checks + proposed, wrong + (proposed & (t.amount > s.heard_amount))
        return np.where(checks == 0, 1.0, 1.0 - wrong / np.maximum(checks, 1))


def _bits(move: np.ndarray) -> np.ndarray:
    """uint64[N], one bit for a move, none for move 0."""
    bit: np.ndarray = np.left_shift(np.uint64(1), move.astype(np.uint64))
    return np.where(move == 0, np.uint64(0), bit)
