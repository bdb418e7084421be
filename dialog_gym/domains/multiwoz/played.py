"""A user seat that somebody else plays: their acts replace the agenda's words; the tracker stays in charge.

What the assistant does is judged against the task's goal as ever. What the player tells is what searches and
bookings use, also when it is not the goal's. The dialogue ends when every domain of the goal is settled, and
as hung up when the player says goodbye before.
"""

import copy
from collections.abc import Mapping, Sequence

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda, Reaction
from dialog_gym.domains.multiwoz.dynamics import Dynamics
from dialog_gym.domains.multiwoz.ontology import DONTCARE
from dialog_gym.domains.multiwoz.search import Lexicon
from dialog_gym.domains.multiwoz.state import LEAVES, THANKS, AgentTurn, Lane, State
from dialog_gym.domains.multiwoz.values import normal


class PlayedAgenda(Agenda):
    """The agenda of one dialogue while a player chooses the user's acts, for one turn."""

    def __init__(self, agenda: Agenda, acts: Sequence[DialogueAct], lexicon: Lexicon) -> None:
        """Wraps the domain's agenda; ``acts`` are what the player says next."""
        vars(self).update(vars(agenda))
        self.acts, self.lexicon = acts, lexicon

    def react(self, s: State, t: AgentTurn) -> Reaction:
        """Let the agenda judge the assistant's turn, and take back what it would have said."""
        told, differs, dontcare = s.told, s.differs, s.dontcare
        reaction = super().react(s, t)
        s.told, s.differs, s.dontcare = told, differs, dontcare
        return reaction

    def finished(self, s: State) -> Lane:
        """Whether the present domain has just been settled."""
        settled = super().finished(s) and not s.asks & ~s.answered & bits.ASKABLE[s.domain]
        return bool(settled and not s.done >> s.domain & 1)

    def move_on(self, s: State, moves: Lane) -> None:
        """The goal is met when all of its domains are settled; what comes next is the player's choice."""
        goal = sum(1 << ((s.order >> (3 * i)) & 7) for i in range(s.domains))
        if not goal & ~s.done:
            s.at, s.domain = s.domains, bits.NOBODY

    def speak(self, s: State, r: Reaction, moved: Lane, u: tuple[Lane, ...]) -> None:
        """Book what the player says."""
        s.said = s.questions = s.manners = 0
        over = s.domain == bits.NOBODY
        for act in self.acts:
            domain, _, kind = act.intent.partition("_")
            if act.intent == "thank":
                s.manners |= THANKS
            elif act.intent == "goodbye":
                s.manners |= LEAVES
            elif domain in bits.DOMAIN:
                s.domain = s.domain if over else bits.DOMAIN[domain]
                if kind == "inform":
                    self._tell(s, domain, act.slots)
                else:
                    s.questions |= bits.REQUEST.get((domain, str(act.slots.get("slot"))), 0)
        s.asked |= s.questions
        if s.manners & LEAVES and not over:
            s.patience = 0.0

    def _tell(self, s: State, domain: str, slots: Mapping[str, Scalar]) -> None:
        for slot, value in slots.items():
            bit = bits.CONSTRAINT.get((domain, slot), 0)
            text = normal(domain, slot, value)
            if not bit or not text:
                continue
            at = bit.bit_length() - 1
            s.told, s.said, s.dontcare = s.told | bit, s.said | bit, s.dontcare & ~bit
            pointer = self.lexicon.pointer(domain, slot, text)
            if text == DONTCARE:
                s.dontcare |= bit
            elif pointer == s.value[at]:
                s.differs &= ~bit
            else:
                s.first[at], s.differs = pointer, s.differs | bit


def played(dynamics: Dynamics, acts: Sequence[DialogueAct], lexicon: Lexicon) -> Dynamics:
    """The scalar dynamics with a player's acts in place of the agenda's."""
    found = copy.copy(dynamics)
    found.agenda = PlayedAgenda(dynamics.agenda, acts, lexicon)
    return found
