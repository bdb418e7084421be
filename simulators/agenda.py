"""The agenda simulator: words the acts of the domain's user model with templates, and audits every turn.

The name is the one in the literature for users that work through an agenda (Schatzmann et al., "Agenda-based
user simulation for bootstrapping a POMDP dialogue system", NAACL 2007); here the agenda is the domain's.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from dialog_gym.core import DialogGymError, DialogueAct, Scalar, Task, Turn
from dialog_gym.domains.credit import user_reader as credit_reader
from dialog_gym.domains.credit import user_wording as credit_wording
from dialog_gym.domains.credit.rulebook import Rulebook, load_rulebook
from dialog_gym.domains.credit.user_reader import UNCLEAR
from dialog_gym.domains.credit.user_templates import VERBOSITIES
from dialog_gym.domains.multiwoz import user_reader as multiwoz_reader
from dialog_gym.domains.multiwoz import user_wording as multiwoz_wording
from dialog_gym.domains.multiwoz.reading import context_of
from dialog_gym.noise import mix, text_key
from dialog_gym.plugins import nearest

MAX_REWORDED: Final = 3
PLAINEST: Final[Mapping[str, Scalar]] = {"verbosity": "neutral", "buyer_style": "default", "typos": 0.0}
_VERBOSITY: Final = text_key("how much a MultiWOZ user says")


class Voice(Protocol):
    """How one user speaks a domain's language: acts into words and back."""

    persona: Mapping[str, Scalar]

    def word(
        self,
        acts: Sequence[DialogueAct],
        persona: Mapping[str, Scalar],
        key: int,
        dialogue: Sequence[Turn],
        garbled: bool,
    ) -> str:
        """An utterance that says the acts."""
        ...

    def read(self, text: str, dialogue: Sequence[Turn]) -> tuple[DialogueAct, ...]:
        """The acts of an utterance."""
        ...


class CreditVoice:
    """A customer of the credit shop, worded by the task's persona."""

    def __init__(self, task: Task, persona: Mapping[str, Scalar], rulebook: Rulebook) -> None:
        """``persona`` is what `credit.user_wording.word_user` takes."""
        self.persona, self.rulebook, self.profile = persona, rulebook, task.profile.attributes

    def word(
        self,
        acts: Sequence[DialogueAct],
        persona: Mapping[str, Scalar],
        key: int,
        dialogue: Sequence[Turn],
        garbled: bool,
    ) -> str:
        """See `Voice.word`; what was said before makes no difference."""
        return credit_wording.word_user(
            acts, persona, key, profile=self.profile, rulebook=self.rulebook, garbled=garbled
        )

    def read(self, text: str, dialogue: Sequence[Turn]) -> tuple[DialogueAct, ...]:
        """See `Voice.read`."""
        return credit_reader.read_user(text, self.rulebook)


class MultiWOZVoice:
    """A visitor of MultiWOZ's Cambridge. How much they say is drawn from the seed; they are never garbled."""

    def __init__(self, options: Mapping[str, Scalar], seed: int) -> None:
        """``options`` are verbosity and typos, as far as the simulator was given them."""
        drawn = VERBOSITIES[mix(seed, _VERBOSITY) % len(VERBOSITIES)]
        self.persona: Mapping[str, Scalar] = {"verbosity": drawn, "typos": 0.0, **options}

    def word(
        self,
        acts: Sequence[DialogueAct],
        persona: Mapping[str, Scalar],
        key: int,
        dialogue: Sequence[Turn],
        garbled: bool,
    ) -> str:
        """See `Voice.word`."""
        recent = context_of(dialogue, "assistant").recent
        return multiwoz_wording.word_user(
            acts,
            key,
            verbosity=str(persona["verbosity"]),
            typos=float(persona["typos"] or 0.0),
            about=next(iter(recent), None),
        )

    def read(self, text: str, dialogue: Sequence[Turn]) -> tuple[DialogueAct, ...]:
        """See `Voice.read`."""
        return multiwoz_reader.read_user(text, dialogue)


class AgendaSession:
    """The user side of one dialogue.

    Attributes:
        audited: Turns read back.
        reworded: Times a turn contradicted its acts and was worded again.
        fallbacks: Turns said in the plainest way after all rewordings failed.
        errors: Turns that contradict their acts even so; ``errors / audited`` is the simulator error rate.
    """

    def __init__(self, voice: Voice, seed: int) -> None:
        """Prepares a session."""
        self.voice, self.seed = voice, seed
        self.strict = not voice.persona.get("typos")
        self.audited = self.reworded = self.fallbacks = self.errors = 0

    def say(self, acts: Sequence[DialogueAct], dialogue: Sequence[Turn], *, garbled: bool) -> str:
        """The customer's next utterance expressing ``acts``.

        Args:
            acts: Chosen by the domain's user model.
            dialogue: All turns so far.
            garbled: Make it so badly typed that its content cannot be read.

        Raises:
            DialogGymError: an act or a slot value is not in the ontology.
        """
        turn, voice = len(dialogue), self.voice
        self.audited += 1
        for attempt in range(MAX_REWORDED + 1):
            key = mix(self.seed, turn) if attempt == 0 else mix(self.seed, turn, attempt)
            text = voice.word(acts, voice.persona, key, dialogue, garbled)
            if _faithful(voice.read(text, dialogue), acts, garbled, self.strict):
                return text
            self.reworded += attempt < MAX_REWORDED
        self.fallbacks += 1
        text = voice.word(acts, PLAINEST, mix(self.seed, turn), (), garbled)
        self.errors += not _faithful(voice.read(text, dialogue), acts, garbled, strict=True)
        return text

    def counts(self) -> dict[str, int]:
        """The audit's counters: audited, reworded, fallbacks, errors."""
        return {name: getattr(self, name) for name in ("audited", "reworded", "fallbacks", "errors")}


def _faithful(read: Sequence[DialogueAct], acts: Sequence[DialogueAct], garbled: bool, strict: bool) -> bool:
    """Whether the text says the acts; with typos one may be missed, but none read that was not meant."""
    if garbled or not acts:
        return tuple(read) in ((UNCLEAR,), ())
    if strict:
        return tuple(read) == tuple(acts)
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
            buyer_style: Colour of the wording only; what the user does is the domain's choice (credit only).
            code_words: Whether users use slang (credit only).
            rulebook: Product names; the shipped rulebook by default (credit only).

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
        """A session for one dialogue; the same task and seed give the same words.

        Raises:
            DialogGymError: the task is of a domain whose language this simulator does not have.
        """
        if task.domain == "multiwoz":
            return AgendaSession(MultiWOZVoice(self.overrides, seed), seed)
        if task.domain == "credit":
            persona = {**task.goal.persona, **self.overrides}
            return AgendaSession(CreditVoice(task, persona, self.rulebook), seed)
        known = nearest(task.domain, ("credit", "multiwoz"))
        raise DialogGymError(f"agenda has no words for the domain {task.domain!r}; {known}")
