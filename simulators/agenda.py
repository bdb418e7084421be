"""The agenda simulator: words the acts of the domain's user model with templates, and audits every turn.

The name is the one in the literature for users that work through an agenda (Schatzmann et al., "Agenda-based
user simulation for bootstrapping a POMDP dialogue system", NAACL 2007); here the agenda is the domain's.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dialog_gym.core import DialogGymError, DialogueAct, Scalar, Task, Turn
from dialog_gym.domains.credit.rulebook import Rulebook, load_rulebook
from dialog_gym.domains.credit.user_reader import UNCLEAR, read_user
from dialog_gym.domains.credit.user_templates import VERBOSITIES
from dialog_gym.domains.credit.user_wording import word_user
from dialog_gym.noise import mix

MAX_REWORDED: Final = 3
PLAINEST: Final[Mapping[str, Scalar]] = {"verbosity": "neutral", "buyer_style": "default", "typos": 0.0}


class AgendaSession:
    """The user side of one dialogue.

    Attributes:
        audited: Turns read back.
        reworded: Times a turn contradicted its acts and was worded again.
        fallbacks: Turns said in the plainest way after all rewordings failed.
        errors: Turns that contradict their acts even so; ``errors / audited`` is the simulator error rate.
    """

    def __init__(self, task: Task, seed: int, persona: Mapping[str, Scalar], rulebook: Rulebook) -> None:
        """Prepares a session; ``persona`` is what `word_user` takes."""
        self.seed, self.persona, self.rulebook = seed, persona, rulebook
        self.profile = task.profile.attributes
        self.strict = not persona.get("typos")
        self.audited = self.reworded = self.fallbacks = self.errors = 0

    def say(self, acts: Sequence[DialogueAct], dialogue: Sequence[Turn], *, garbled: bool) -> str:
        """The customer's next utterance expressing ``acts``.

        Args:
            acts: Chosen by the domain's user model.
            dialogue: All turns so far; only their number is used.
            garbled: Make it so badly typed that its content cannot be read.

        Raises:
            DialogGymError: an act or a slot value is not in the ontology.
        """
        turn = len(dialogue)
        self.audited += 1
        for attempt in range(MAX_REWORDED + 1):
            key = mix(self.seed, turn) if attempt == 0 else mix(self.seed, turn, attempt)
            text = self._word(acts, self.persona, key, garbled)
            if self._faithful(text, acts, garbled, self.strict):
                return text
            self.reworded += attempt < MAX_REWORDED
        self.fallbacks += 1
        text = self._word(acts, PLAINEST, mix(self.seed, turn), garbled)
        self.errors += not self._faithful(text, acts, garbled, strict=True)
        return text

    def counts(self) -> dict[str, int]:
        """The audit's counters: audited, reworded, fallbacks, errors."""
        return {name: getattr(self, name) for name in ("audited", "reworded", "fallbacks", "errors")}

    def _word(
        self, acts: Sequence[DialogueAct], persona: Mapping[str, Scalar], key: int, garbled: bool
    ) -> str:
        return word_user(acts, persona, key, profile=self.profile, rulebook=self.rulebook, garbled=garbled)

    def _faithful(self, text: str, acts: Sequence[DialogueAct], garbled: bool, strict: bool) -> bool:
        """Whether the text says the acts; with typos one may be missed, but none read that was not meant."""
        read = read_user(text, self.rulebook)
        if garbled or not acts:
            return read == (UNCLEAR,)
        if strict:
            return read == tuple(acts)
        return all(act in acts or act == UNCLEAR or _lesser(act, acts) for act in read)


def _lesser(read: DialogueAct, acts: Sequence[DialogueAct]) -> bool:
    """Whether an act was read in part: a slot may be missed (a mistyped product name), none may differ."""
    return any(read.intent == act.intent and read.slots.items() <= act.slots.items() for act in acts)


class AgendaSimulator:
    """Plays users with templates: deterministic, fast, and audited."""

    name = "agenda"

    def __init__(
        self,
        *,
        verbosity: str | None = None,
        typos: float | None = None,
        buyer_style: str | None = None,
        code_words: bool | None = None,
        rulebook: Rulebook | None = None,
    ) -> None:
        """Words every user by the task's persona, except for what is given here (for robustness studies).

        Args:
            verbosity: terse, neutral or chatty.
            typos: Share of mistyped words, 0 to 1.
            buyer_style: Colour of the wording only; what the user does is the domain's choice.
            code_words: Whether users use slang.
            rulebook: Product names; the shipped rulebook by default.

        Raises:
            DialogGymError: an option is out of range.
        """
        if verbosity is not None and verbosity not in VERBOSITIES:
            raise DialogGymError(f"agenda: verbosity {verbosity!r} is not one of {', '.join(VERBOSITIES)}")
        if typos is not None and not 0 <= typos <= 1:
            raise DialogGymError(f"agenda: typos {typos} is not between 0 and 1")
        options: dict[str, Scalar] = {
            "verbosity": verbosity, "typos": typos, "buyer_style": buyer_style, "code_words": code_words,
        }  # fmt: skip
        self.overrides = {name: value for name, value in options.items() if value is not None}
        self.rulebook = rulebook or load_rulebook()

    def start(self, task: Task, seed: int) -> AgendaSession:
        """A session for one dialogue; the same task and seed give the same words."""
        return AgendaSession(task, seed, {**task.goal.persona, **self.overrides}, self.rulebook)
