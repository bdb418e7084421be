"""Language measures at the booking desk where there are no words: five of the seven, on acts (*ours*).

They follow `dialog_gym.language`, act by act instead of word by word; 1 is best, NaN is "nothing to judge".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dialog_gym.domains.act_repetition import Said, ratio
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda
from dialog_gym.domains.multiwoz.search import Searcher
from dialog_gym.domains.multiwoz.state import GREET, AgentTurn, State

_WORDS = 4
_DEEDS = len(bits.DOMAIN)
_WORD = 64


class ActLanguage:
    """The measures of N running dialogues. Remembers what the last turns said."""

    def __init__(self, count: int, agenda: Agenda, search: Searcher) -> None:
        """``count`` dialogues of which nothing has been said; uses the array dynamics' parts."""
        self.agenda, self.search = agenda, search
        self._said = Said(count, _WORDS)

    def begin(self, rows: np.ndarray) -> None:
        """Some rows begin anew."""
        self._said.begin(rows)

    def keep(self, running: np.ndarray) -> None:
        """Drop the rows where ``running``, bool[N], is false."""
        self._said.keep(running)

    def judge(self, s: State, t: AgentTurn) -> Mapping[str, np.ndarray]:
        """The measures of a turn that is about to be taken, float64[N] each.

        Args:
            s: The state before it.
            t: What it says, checked against the databases.
        """
        open_questions = s.asked & ~s.heard & self.agenda.ops.take(self.agenda.askable, s.domain)
        judged = {
            "consistency": self._consistency(s, t),
            "fidelity": self._fidelity(s, t),
            "coverage": ratio(bits.size(open_questions & t.right), bits.size(open_questions)),
        }
        return judged | dict(self._said.judge(_said(t)))

    def _consistency(self, s: State, t: AgentTurn) -> np.ndarray:
        """1 - contradictions / checks: asked what is known, greeted again, offered what does not fit."""
        offers = (t.offer != bits.NOBODY) & (t.row >= 0)
        told = s.told & ~s.dontcare
        misfit = self.search.misfit(s, t.offer, np.where(offers, t.row, -1), told, s.differs) != 0
        greets = (t.manners & GREET) != 0
        checks = bits.size(t.requested) + offers + greets
        wrong = bits.size(t.requested & s.told) + (offers & misfit) + (greets & (self._said.turns > 0))
        return np.where(checks == 0, 1.0, 1.0 - wrong / np.maximum(checks, 1))

    def _fidelity(self, s: State, t: AgentTurn) -> np.ndarray:
        """Share of claims that are true: values told, "nothing fits", "it is booked"."""
        bit = 1 << s.domain
        entity = ((s.accepted & bit) != 0) | ((t.offer == s.domain) & (t.row >= 0))
        can_book = self.agenda.ready_to_book(s, s.domain, entity) & ~self.agenda.booked_out(s, s.domain)
        booked = bits.size(t.book & bit & ~t.false_book) * can_book
        right = bits.size(t.right) + bits.size(t.nothing) + booked
        return ratio(right, bits.size(t.right | t.wrong) + bits.size(t.denied) + bits.size(t.book))


def _said(t: AgentTurn) -> np.ndarray:
    """uint64[N, 4], what a turn says: questions, answers, deeds by domain and manners, the entity offered.

    An entity is one bit of 64, which it shares with every 64th of its database.
    """
    deeds: Any = t.manners
    for mask in (t.denied, t.select, t.propose, t.book, t.no_book):
        deeds = deeds << _DEEDS | mask
    place = ((t.row + _DEEDS * t.offer) % _WORD).astype(np.uint64)
    entity = np.where(t.row >= 0, np.left_shift(np.uint64(1), place), np.uint64(0))
    words = [np.asarray(word).astype(np.uint64) for word in (t.requested, t.right | t.wrong, deeds)]
    return np.stack([*words, entity], axis=1)
