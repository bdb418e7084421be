"""One running dialogue of the booking desk: the N = 1 case of the array dynamics, in dialogue acts."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from dialog_gym.act_view import ActView
from dialog_gym.core import END_REASONS, RUNNING, DialogueAct, EndReason, Scalar, Step, Task
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.claims import TurnReader, acts_of
from dialog_gym.domains.multiwoz.ontology import DOMAINS
from dialog_gym.domains.multiwoz.played import played
from dialog_gym.domains.multiwoz.state import AgentTurn, State
from dialog_gym.domains.multiwoz.tasks import desk
from dialog_gym.domains.multiwoz.tracker import VIOLATIONS
from dialog_gym.domains.multiwoz.user_turns import row_of, user_acts

_SHOWN: Final = (
    "domain", "told", "dontcare", "differs", "offered", "accepted", "asked", "heard", "answered", "booked",
    "rows", "done", "patience", "info", "book", "asks", "bookings", "dcg", "ideal",
)  # fmt: skip
_SNAPSHOT: Final = attrgetter(*_SHOWN)


class MultiWOZDialogue:
    """A dialogue in progress."""

    garbled = False

    def __init__(
        self, task: Task, state: State, noise: list[tuple[float, ...]], domain: Any,
        judge_strategies: bool = True,
    ) -> None:  # fmt: skip
        """Takes a fresh state in scalars and lets the user speak first.

        Args:
            task: The task; at act level only its id and level are looked at.
            state: Its start state; owned and changed by this dialogue.
            noise: Per turn the draws named in `agenda.NOISE`; the opening is turn 0.
            domain: The `MultiWOZDomain`.
            judge_strategies: Whether to keep the sums of ESNDCG; without, the outcome's is None.
        """
        self.task, self.state, self._noise, self._domain = task, state, noise, domain
        self._dynamics, self._reader = domain.dynamics, domain.reader
        self._seen: dict[str, Any] = {}
        self._judge_strategies = judge_strategies
        self._strategy_gain = self._strategy_best = 0.0
        self._dynamics.open(state, noise[0])

    @cached_property
    def desk(self) -> Mapping[str, Scalar]:
        """References and the car of this dialogue; what is booked out is the profile's affair."""
        return desk(self.task.id)

    @property
    def ended_by(self) -> EndReason | None:
        """Why the dialogue is over, or None."""
        return None if self.state.ended == RUNNING else END_REASONS[self.state.ended]

    def open(self) -> tuple[DialogueAct, ...]:
        """The user's opening acts."""
        return user_acts(self.state, self._domain.lexicon)

    def step(self, acts: Sequence[DialogueAct], user_acts: Sequence[DialogueAct] | None = None) -> Step:
        """Advance by one assistant turn; see `dialog_gym.core.Dialogue.step`."""
        domain = self._domain
        turn = TurnReader(self.state, domain.lexicon, self._dynamics.agenda, self.desk).read(acts)
        if user_acts is None:
            return self._advance(turn, self._dynamics)
        return self._advance(turn, played(self._dynamics, user_acts, domain.lexicon), user_acts)

    def step_action(self, action: Sequence[int]) -> Step:
        """Advance by one act-level action (see `moves.py`)."""
        return self._advance(self._reader.read(action, self.state), self._dynamics)

    def acts_of(self, action: Sequence[int]) -> tuple[DialogueAct, ...]:
        """The dialogue acts of an act-level action in the present state."""
        turn = self._reader.read(action, self.state)
        return acts_of(turn, self.state, self._domain.lexicon, self._dynamics.agenda, self.desk)

    def act_view(self) -> ActView:
        """Observation and mask now."""
        domain, seen = self._domain, self.seen()
        vector = np.empty(domain.features.size, np.float32)
        domain.features.fill(vector, self.state, seen)
        mask = np.empty(sum(domain.act_level.nvec), np.int8)
        domain.action_mask.fill(mask, domain.action_mask.moves(self.state, seen))
        return ActView(vector, mask, self.acts_of, domain.act_level.nvec, self.allowed_strategies)

    def best_action(self) -> tuple[int, ...]:
        """What the reference policy does now; it sees what agents see."""
        chosen: tuple[int, ...] = self._domain.reference.choose(self.state, self.seen())
        return chosen

    def seen(self) -> dict[str, Any]:
        """What the agent can tell now (`features.View`)."""
        if not self._seen:
            self._seen = self._domain.view.numbers(self.state)
        return self._seen

    def _advance(self, turn: AgentTurn, dynamics: Any, said: Sequence[DialogueAct] | None = None) -> Step:
        state = self.state
        if self._judge_strategies:
            self._book_strategy(turn)
        dynamics.step(state, turn, self._noise[state.turn + 1])
        self._seen = {}
        broken = state.violations
        costs = {name: 1.0 for i, name in enumerate(VIOLATIONS) if broken >> i & 1} if broken else {}
        spoken = user_acts(state, self._domain.lexicon) if said is None else tuple(said)
        return Step(spoken, dynamics.rewards(state), costs, self.ended_by)

    def _book_strategy(self, turn: AgentTurn) -> None:
        book = self._domain.book
        chosen, best = book.gains(book.facts(self.state, self.seen()), book.kinds(turn))
        discount = self._dynamics.tracker.discount[self.state.turn + 1]
        self._strategy_gain += chosen * discount
        self._strategy_best += best * discount

    def allowed_strategies(self) -> tuple[str, ...]:
        """Strategies that the hard SOP rules allow now."""
        book = self._domain.book
        names: tuple[str, ...] = book.allowed_names(book.facts(self.state, self.seen()))
        return names

    def strategy_grades(self) -> dict[str, int]:
        """Graded fit (0 to 3) of every strategy now."""
        book = self._domain.book
        return dict(zip(book.names, book.grades(book.facts(self.state, self.seen())), strict=True))

    def hidden(self) -> dict[str, Any]:
        """Hidden user state and tracker now, JSON-ready."""
        return self.describe(self.snapshot())

    def snapshot(self) -> tuple[Any, ...]:
        """What `describe` needs of the present state: cheap enough for every turn."""
        found: tuple[Any, ...] = _SNAPSHOT(self.state)
        return found

    def describe(self, snapshot: tuple[Any, ...]) -> dict[str, Any]:
        """Hidden user state and tracker of an earlier moment, JSON-ready."""
        s: Any = SimpleNamespace(**dict(zip(_SHOWN, snapshot, strict=True)))
        return {
            "domain": None if s.domain == bits.NOBODY else DOMAINS[s.domain],
            "told": _dotted(s.told, bits.CONSTRAINTS),
            "untold": _dotted((s.info | s.book) & ~s.told, bits.CONSTRAINTS),
            "said_at_first": _dotted(s.told & s.differs, bits.CONSTRAINTS),
            "entities": self._entities(s),
            "accepted": _names(s.accepted),
            "open_questions": _dotted(s.asked & ~s.heard, bits.REQUESTS),
            "unanswered": _dotted(s.asks & ~s.answered, bits.REQUESTS),
            "booked": _names(s.booked),
            "to_book": _names(s.bookings & ~s.booked),
            "done": _names(s.done),
            "patience": round(s.patience, 4),
            "tse": round(min(1.0, s.dcg / s.ideal), 6),
        }

    def _entities(self, s: Any) -> dict[str, str]:
        tables = self._domain.database.tables
        rows = {domain: row_of(s, d) for d, domain in enumerate(DOMAINS) if domain in tables}
        names = {domain: tables[domain].rows[row] for domain, row in rows.items() if row >= 0}
        return {domain: row.get("name") or row.get("trainid", "") for domain, row in names.items()}

    def outcome(self) -> dict[str, Scalar]:
        """Facts about the dialogue so far that metrics are computed from."""
        s, reason = self.state, self.ended_by or "max_turns"
        facts: dict[str, Scalar] = dict(self._dynamics.facts(s))
        facts["tse"] = round(float(self._dynamics.tracker.tse(s)), 9)
        facts["satisfaction"] = round(float(self._dynamics.tracker.satisfaction(s)), 6)
        gain, best = self._strategy_gain, self._strategy_best
        return {
            "scenario": self.task.scenario,
            "level": self.task.level,
            **facts,
            "esndcg": round(gain / best, 9) if best else None,
            "success": s.converted,
            "handed_over": reason == "handed_over",
            "solvable": True,
            "violations": ",".join(name for i, name in enumerate(VIOLATIONS) if s.all_violations >> i & 1),
            "right_claims": s.right_claims,
            "wrong_claims": s.wrong_claims,
        }


def _dotted(mask: int, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{domain}.{slot}" for domain, slot in bits.names(mask, pairs)]


def _names(mask: int) -> list[str]:
    return [name for i, name in enumerate(DOMAINS) if mask >> i & 1]
