"""Users whose words come from a language model.

In ``worded`` mode the domain's user model chooses the acts and the model puts them into words; in ``free``
mode the model chooses too, its words are read back into acts, and the goal tracker still decides the outcome.
Every turn is audited; one that fails is sampled again with another seed, and at last said by a template
(``worded``) or left to the domain's user model (``free``).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dialog_gym import plugins
from dialog_gym.core import DialogGymError, DialogueAct, Scalar, Task, Turn, UserSimulator
from dialog_gym.noise import mix, text_key
from dialog_gym.simulators.agenda import AgendaSimulator
from dialog_gym.simulators.audit import Facts, Kind, judge
from dialog_gym.simulators.generation import ChatPrompt, Generator
from dialog_gym.simulators.local import LocalGenerator
from dialog_gym.simulators.prompts import MODES, STYLES, Mode, Style, chat, system_message, utterance
from dialog_gym.simulators.trained import CARD, shipped_user
from dialog_gym.speaking import Request

_SEEDS: Final = text_key("words of a language model's user")
MAX_RETRIES: Final = 10


class WordedSession:
    """The user side of one dialogue.

    Attributes:
        audited: Turns read back.
        reworded: Turns sampled again.
        fallbacks: Turns that no sample said right: a template or the domain's user model took over.
        errors: Turns that contradict their acts even so; ``errors / audited`` is the simulator error rate.
        rejected: Samples that the audit rejected, by kind.
    """

    def __init__(self, service: "WordedSimulator", task: Task, seed: int) -> None:
        """Prepares a session; see `WordedSimulator.start`."""
        self.service, self.task, self.seed = service, task, seed
        self.chooses = service.mode == "free"
        self.facts = Facts(task)
        self.persona: dict[str, Scalar] = {**task.goal.persona, **service.persona}
        self.template: Any = service.template.start(task, seed)
        self.plain: Any = service.plain.start(task, seed)
        self.system = system_message(task, self.persona, service.mode, service.style)
        self.audited = self.reworded = self.fallbacks = self.errors = 0
        self.rejected: Counter[Kind] = Counter()

    def say(self, acts: Sequence[DialogueAct], dialogue: Sequence[Turn], *, garbled: bool) -> str | None:
        """The user's next utterance; see `WordedSimulator.say_many`."""
        return self.service.say_many([self], [Request(tuple(acts), tuple(dialogue), garbled)])[0]

    def prompt(self, request: Request) -> ChatPrompt:
        """What the model is asked."""
        style, acts = self.service.style, request.acts
        plain = self.plain.say(acts, request.dialogue, garbled=False) if acts and style == "full" else ""
        return chat(self.system, request.dialogue, acts, style, plain)

    def fault(self, text: str, request: Request) -> Kind | None:
        """What the audit finds wrong with an utterance."""
        read = self.plain.voice.read(text, request.dialogue) if text else ()
        return judge(text, read, request.acts, self.facts, request.dialogue)

    def fall_back(self, request: Request) -> str | None:
        """The template's words for what was to be said; None where there are no acts to say."""
        if not request.acts:
            return None
        before = self.template.errors
        text: str = self.template.say(request.acts, request.dialogue, garbled=request.garbled)
        self.errors += self.template.errors - before
        return text


class WordedSimulator:
    """Plays users with the words of a language model."""

    name = "lm"

    def __init__(
        self,
        model: str | Path = "",
        *,
        generator: Generator | None = None,
        template: UserSimulator | None = None,
        mode: Mode = "worded",
        style: Style | None = None,
        retries: int = 2,
        temperature: float = 0.7,
        max_new_tokens: int = 48,
        device: str = "auto",
        **persona: Scalar,
    ) -> None:
        """Sets the simulator up; no model is loaded before the first turn.

        Args:
            model: A folder or a name on the hub; default the shipped user model.
            generator: Another source of words than a model in this process.
            template: Says what no sample says right; default the agenda simulator.
            mode: ``worded`` or ``free``, see above.
            style: Of the prompt, ``compact`` or ``full``; default what the model was trained on, else full.
            retries: Further samples after one that the audit rejects, 0 to 10.
            temperature: 0 takes the likeliest token, and the same words at every retry.
            max_new_tokens: Longest utterance, in tokens.
            device: Where the model runs: ``auto``, ``cpu``, ``cuda``, ...
            persona: Parts of every customer's persona to override: ``verbosity``, ``buyer_style``, ...

        Raises:
            DialogGymError: an option is unknown or out of range.
        """
        if mode not in MODES:
            raise DialogGymError(f"unknown mode {mode!r}; {plugins.nearest(str(mode), MODES)}")
        if style is not None and style not in STYLES:
            raise DialogGymError(f"unknown prompt style {style!r}; {plugins.nearest(str(style), STYLES)}")
        if not 0 <= retries <= MAX_RETRIES:
            raise DialogGymError(f"retries is {retries}; give 0 to {MAX_RETRIES}")
        self.template: Any = template or AgendaSimulator(**persona)  # type: ignore[arg-type]
        self.plain: Any = AgendaSimulator(
            verbosity="neutral", typos=0.0, buyer_style="default", code_words=False
        )
        self.mode, self.retries, self.persona = mode, retries, persona
        folder = Path(model).expanduser() if str(model) else shipped_user()
        trained = (folder / CARD).is_file()
        self.style: Style = style or (
            "compact" if trained or (not str(model) and generator is None) else "full"
        )
        self.generator: Generator = generator or LocalGenerator(
            str(folder) if trained else str(model), temperature=temperature, max_new_tokens=max_new_tokens,
            device=device,
        )  # fmt: skip
        self.name = self.generator.name if str(model) or generator else "lm"

    def settings(self) -> dict[str, Any]:
        """What the words depend on beside the task and the seed: a run's store keeps it."""
        fingerprint = getattr(self.generator, "fingerprint", None)
        return {
            "model": fingerprint() if callable(fingerprint) else self.generator.name,
            "temperature": getattr(self.generator, "temperature", None),
            "mode": self.mode,
            "style": self.style,
            "retries": self.retries,
            "persona": dict(self.persona),
        }

    def start(self, task: Task, seed: int) -> WordedSession:
        """A session for one dialogue; the same task, seed and dialogue give the same words."""
        return WordedSession(self, task, seed)

    def say_many(self, sessions: Sequence[WordedSession], requests: Sequence[Request]) -> list[str | None]:
        """What the users of some sessions say next: sampled together, audited each.

        Raises:
            DialogGymError: the model cannot be had, or an act has no wording.
        """
        said: list[str | None] = [None] * len(requests)
        for i, (session, request) in enumerate(zip(sessions, requests, strict=True)):
            session.audited += 1
            if request.garbled:  # bad typing is no wording: the template knows how
                said[i] = session.fall_back(request)
        waiting = [i for i, request in enumerate(requests) if not request.garbled]
        prompts = {i: sessions[i].prompt(requests[i]) for i in waiting}
        for attempt in range(self.retries + 1):
            if not waiting:
                break
            seeds = [mix(_SEEDS, sessions[i].seed, len(requests[i].dialogue), attempt) for i in waiting]
            texts = self.generator.generate([prompts[i] for i in waiting], seeds)
            said_now = zip(waiting, map(utterance, texts), strict=True)
            passed = {i: text for i, text in said_now if self._passes(text, sessions[i], requests[i])}
            for i, text in passed.items():
                said[i] = text
            waiting = [i for i in waiting if i not in passed]
            for i in waiting:
                sessions[i].reworded += attempt < self.retries
        for i in waiting:
            sessions[i].fallbacks += 1
            said[i] = sessions[i].fall_back(requests[i])
        return said

    def _passes(self, text: str, session: WordedSession, request: Request) -> bool:
        """Whether the audit finds nothing wrong with an utterance; else it is booked."""
        kind = session.fault(text, request)
        if kind is not None:
            session.rejected[kind] += 1
        return kind is None
