"""The checks of user simulators; see `dialog_gym.testing`."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from dialog_gym.core import DialogueAct, Task, Turn
from dialog_gym.noise import mix
from dialog_gym.speaking import load_simulator
from dialog_gym.testing_tools import (
    ODD_TEXTS,
    Bench,
    Check,
    Wrong,
    alone,
    attempt,
    blamed,
    failures,
    global_randomness,
    interleaved,
    same,
)

READ_BACK = 0.9
"""Share of turns that should be read as exactly the acts they had to express."""


class Heard(NamedTuple):
    """One utterance of a simulator."""

    acts: tuple[DialogueAct, ...]
    text: str
    dialogue: tuple[Turn, ...]
    garbled: bool
    seconds: float


class Listener:
    """A simulator under observation: passes everything on and writes down what is said."""

    def __init__(self, service: Any) -> None:
        """Wraps a simulator."""
        self.service = service
        self.name = str(service.name)
        self.dialogues: list[list[Heard]] = []

    def start(self, task: Task, seed: int) -> "ListenerSession":
        """A session that is written down."""
        session = self.service.start(task, seed)
        if not callable(getattr(session, "say", None)):
            kind = type(session).__name__
            raise Wrong(f"start(task, seed) gave a {kind} without say", "return an object with say(...)")
        self.dialogues.append([])
        return ListenerSession(self.service, session, self.dialogues[-1])

    def texts(self) -> list[list[str]]:
        """All utterances by dialogue."""
        return [[heard.text for heard in dialogue] for dialogue in self.dialogues]


class ListenerSession:
    """One dialogue of a `Listener`."""

    def __init__(self, service: Any, session: Any, heard: list[Heard]) -> None:
        """Wraps a session."""
        self.service, self.session, self.heard = service, session, heard

    def say(self, acts: Sequence[DialogueAct], dialogue: Sequence[Turn], *, garbled: bool) -> str:
        """What the simulator says.

        Raises:
            Wrong: it failed, or said something that is no text, or nothing.
        """
        began = perf_counter()
        asked = [act.intent for act in acts]
        try:
            text = self.session.say(acts, dialogue, garbled=garbled)
        except Exception as error:  # the author needs the line
            raise Wrong(f"say({asked}): {blamed(error, self.service)}") from error
        if not isinstance(text, str):
            raise Wrong(f"say({asked}) returned {type(text).__name__}", "return a text (str)")
        if not text.strip() and acts:
            raise Wrong(f"say({asked}) returned an empty text", "every act needs words")
        self.heard.append(Heard(tuple(acts), text, tuple(dialogue), garbled, perf_counter() - began))
        return text


def check_simulator(simulator: Any, *, domain: Any = "credit", seed: int = 0) -> list[Check]:
    """Try a user simulator out: what it says in real dialogues, and whether that is what it was asked to say.

    Args:
        simulator: A name, ``module:Class``, ``path.py[:Class]``, a class or an object.
        domain: The domain (name or object) to try it in.
        seed: Fixes the dialogues.

    Returns:
        One check per property; see `dialog_gym.testing.check_agent`.
    """
    built: list[Any] = []
    checks = [attempt("loads and builds without arguments", lambda: _built(built, simulator))]
    if failures(checks):
        return checks
    service, trial = built[0], Listener(built[0])

    def words(state: int, way: Any = alone, listener: Listener | None = None) -> list[list[str]]:
        from dialog_gym.agents.base import load_agent

        heard = listener or Listener(service)
        with global_randomness(state):
            way(load_agent("scripted"), Bench(domain, seed, heard).episodes())
        return heard.texts()

    def speaks() -> str:
        return f"{sum(map(len, words(1, listener=trial)))} turns"

    checks.append(attempt("words the users of both scenarios", speaks, service))
    if failures(checks):
        return checks
    tests: list[tuple[str, Callable[[], str]]] = [
        ("same seed, same words", lambda: _repeats(words)),
        ("dialogues do not disturb each other", lambda: _separate(words)),
        ("survives odd assistant texts", lambda: _hears(service, domain, seed)),
    ]
    checks += [attempt(name, test, service) for name, test in tests]
    heard = [one for dialogue in trial.dialogues for one in dialogue]
    return [*checks, _faithful(heard, Bench(domain, seed).domain), _speed(heard)]


def _built(built: list[Any], simulator: Any) -> str:
    service: Any = load_simulator(simulator() if isinstance(simulator, type) else simulator)
    built.append(service)
    if not callable(getattr(service, "start", None)):
        raise Wrong("it has no start(task, seed)", "see dialog_gym.core.UserSimulator")
    if not isinstance(getattr(service, "name", None), str):
        raise Wrong("it has no name", 'set the class attribute name = "my-users"')
    return str(service.name)


def _repeats(words: Callable[..., list[list[str]]]) -> str:
    first = words(1)
    same(first, words(1), "the second time", "draw only from a generator made of start's seed")
    remedy = "draw from a generator of your own, not from the global one of random, numpy or torch"
    same(first, words(2), "with another global random state", remedy)
    return ""


def _separate(words: Callable[..., list[list[str]]]) -> str:
    remedy = "keep what belongs to one dialogue on the session that start() returns"
    same(words(1), words(1, interleaved), "when dialogues run side by side", remedy)
    return ""


def _hears(service: Any, domain: Any, seed: int) -> str:
    listener = Listener(service)
    for episode in Bench(domain, seed).episodes():
        said = next((turn for turn in episode.record if turn.role == "user"), None)
        acts = said.acts if said else (DialogueAct(intent="greet"),)
        for number, text in enumerate(ODD_TEXTS):
            session = listener.start(episode.task, mix(seed, number))
            dialogue = (*episode.turns, Turn(role="assistant", text=text))
            for garbled in (False, True):
                session.say(acts, dialogue, garbled=garbled)
    return f"{len(ODD_TEXTS)} texts"


def _faithful(heard: Sequence[Heard], domain: Any) -> Check:
    """How often the words are read back as the acts they had to express."""
    name, clear = "says what it was asked to say", [one for one in heard if one.acts and not one.garbled]
    wrong = [one for one in clear if domain.read_user(one.text, one.dialogue) != one.acts]
    share = 1 - len(wrong) / max(1, len(clear))
    detail = f"{share:.0%} of {len(clear)} turns are read as exactly the acts meant"
    if share >= READ_BACK:
        return Check(name, detail=detail)
    acts = ", ".join(act.intent for act in wrong[0].acts)
    remedy = "read each turn back with the domain's read_user and word it again, as agenda does"
    return Check(name, "warning", f"{detail}; e.g. {wrong[0].text[:60]!r} for {acts}", remedy)


def _speed(heard: Sequence[Heard]) -> Check:
    times = [1000 * one.seconds for one in heard]
    return Check("time per turn", detail=f"{median(times):,.2f} ms, at most {max(times):,.2f} ms")
