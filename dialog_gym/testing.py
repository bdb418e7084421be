"""Checks for plug-in authors: what is wrong with an agent or a user simulator, and how to put it right.

From a test suite::

    from dialog_gym.testing import check_agent, failures

    def test_my_agent():
        assert not failures(check_agent(MyAgent))
"""

import copy
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

from dialog_gym.core import DialogGymError, Observation, Turn, UserSimulator
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.episode import Episode, load_simulator
from dialog_gym.noise import mix, text_key
from dialog_gym.rollout import agent_seed
from dialog_gym.testing_tools import Check, Talk, Wrong, attempt, blamed, failures, global_randomness

__all__ = ["ODD_TEXTS", "Check", "check_agent", "check_simulator", "failures"]

ODD_TEXTS: Final = (
    "",
    " \n\t ",
    "blah " * 2000,
    "\x00\x07\x1b[2J\u202e\ufeff",
    "\U0001f600" * 40,
    "<think>am I the agent?",
    '{"intent": ',
    "offer(product=",
    "ﷺ \u0130stanbul 你好 %s {0} \\",
)
"""Things real users send: nothing, 10 kB, control characters, emoji, broken markup."""
ROUNDS: Final = 6
"""Turns per dialogue: enough to get past the greeting, few enough for a slow model."""
TASKS: Final = 2
"""Dialogues per scenario."""


class _Bench:
    """Fresh, identical dialogues to try a plug-in on."""

    def __init__(self, domain: Any, seed: int, simulator: Any = "agenda") -> None:
        first = DialogueEnv(domain, simulator=simulator)
        self.seed = seed
        self.envs = [first] + [
            DialogueEnv(first.domain, scenario=name, simulator=simulator)
            for name in first.domain.scenarios
            if name != first.scenario
        ]
        self.tasks = [(env, task) for env in self.envs for task in self._reached(env)]

    def _reached(self, env: DialogueEnv) -> list[int]:
        """Task indices whose user answers at all."""
        kept: list[int] = []
        for index in range(100):
            task = env.domain.task(index, split=env.split, scenario=env.scenario, level=env.level)
            if task.goal.persona.get("reached", True) and len(kept) < TASKS:
                kept.append(index)
        return kept

    def episodes(self) -> list[Episode]:
        """One fresh episode per task."""
        return [env.begin(task, mix(text_key("check"), self.seed, task)) for env, task in self.tasks]

    def alone(self, service: Any) -> list[list[str]]:
        """What an agent says in every dialogue, one dialogue after the other."""
        return [Talk(service, episode).run(ROUNDS).said for episode in self.episodes()]

    def interleaved(self, service: Any) -> list[list[str]]:
        """The same, all dialogues advancing together."""
        talks = [Talk(service, episode) for episode in self.episodes()]
        for _ in range(ROUNDS):
            for talk in talks:
                talk.run(1)
        return [talk.said for talk in talks]


def check_agent(agent: Any, *, domain: Any = "credit", seed: int = 0) -> list[Check]:
    """Try an agent out on real dialogues.

    Args:
        agent: A name, ``module:Class``, ``path.py[:Class]``, a class, a ``str -> str`` function or an object.
        domain: The domain (name or object) to try it in.
        seed: Fixes the dialogues.

    Returns:
        One check per property, in order; when the agent cannot be loaded or started, only those that could be
        tried. See `failures`.
    """
    from dialog_gym.agents.base import load_agent

    built: list[Any] = []
    first = attempt("loads and builds without arguments", lambda: _described(built, load_agent(agent)))
    if first.failed:
        return [first]
    service, bench = built[0], _Bench(domain, seed)
    checks = [first, attempt("start(seed) gives a session with reply(observation)", lambda: _starts(service))]
    if checks[-1].failed:
        return checks
    talks: list[Talk] = []
    for env in bench.envs:
        name = f"replies in {env.scenario}"
        checks.append(attempt(name, lambda env=env: _replies(service, bench, env, talks), service))
    if failures(checks):
        return checks

    def fresh() -> Any:
        return load_agent(agent) if isinstance(agent, str | type) else copy.deepcopy(service)

    tests: list[tuple[str, Callable[[], str]]] = [
        ("same seed, same replies", lambda: _repeats(fresh, bench)),
        ("dialogues do not disturb each other", lambda: _separate(fresh, bench)),
        ("leaves the observation as it is", lambda: _unchanged(talks)),
        ("survives odd user texts", lambda: _survives(service, bench)),
    ]
    checks += [attempt(name, test, service) for name, test in tests]
    return [*checks, _readable(talks), _speed([s for talk in talks for s in talk.seconds])]


def _described(built: list[Any], service: Any) -> str:
    built.append(service)
    name = getattr(service, "name", None)
    if not isinstance(name, str) or not name:
        raise Wrong("it has no name", 'set the class attribute name = "my-agent"')
    hidden = "; sees hidden state, so the board marks it as a reference and never ranks it"
    return f"{name}{hidden if getattr(service, 'sees_hidden_state', False) else ''}"


def _starts(service: Any) -> str:
    session = service.start(0)
    if not callable(getattr(session, "reply", None)):
        kind = type(session).__name__
        raise Wrong(f"start(0) gave a {kind} without reply", "return an object with reply(observation)")
    return ""


def _replies(service: Any, bench: _Bench, env: DialogueEnv, talks: list[Talk]) -> str:
    mine = [e for e in bench.episodes() if e.task.scenario == env.scenario]
    for episode in mine:
        talks.append(Talk(service, episode))
        talks[-1].run(ROUNDS)
    turns = sum(len(talk.said) for talk in talks[-len(mine) :])
    return f"{len(mine)} dialogues, {turns} turns"


def _repeats(fresh: Callable[[], Any], bench: _Bench) -> str:
    with global_randomness(1):
        one = bench.alone(fresh())
    with global_randomness(1):
        same = bench.alone(fresh())
    with global_randomness(2):
        other = bench.alone(fresh())
    if one != same:
        remedy = "draw from self.rng only; a language model: temperature 0, or pass the seed on"
        raise Wrong(_first_change(one, same, "the second time"), remedy)
    if one != other:
        change = _first_change(one, other, "when the global random state differs")
        raise Wrong(change, "draw from self.rng, not from random, np.random or torch's global generator")
    return ""


def _separate(fresh: Callable[[], Any], bench: _Bench) -> str:
    service = fresh()
    with global_randomness(1):
        one = bench.alone(service)
    for what, way in (("in a second round", bench.alone), ("when they run interleaved", bench.interleaved)):
        with global_randomness(1):
            again = way(service)
        if again != one:
            change = _first_change(one, again, what)
            raise Wrong(change, "keep a dialogue's state on its session: set it in begin(), never on the class")
    return ""


def _first_change(one: Sequence[Sequence[str]], two: Sequence[Sequence[str]], when: str) -> str:
    for number, (a, b) in enumerate(zip(one, two, strict=True), 1):
        for turn, (old, new) in enumerate(zip(a, b, strict=False), 1):
            if old != new:
                return f"dialogue {number}, reply {turn} was {old[:50]!r}, {when} {new[:50]!r}"
        if len(a) != len(b):
            return f"dialogue {number} has {len(a)} replies, {when} {len(b)}"
    return f"replies differ {when}"


def _unchanged(talks: Sequence[Talk]) -> str:
    if changed := [talk for talk in talks if talk.mutated]:
        raise Wrong(f"reply() changed the observation's {changed[0].mutated}", "work on a copy: dict(...)")
    return ""


def _survives(service: Any, bench: _Bench) -> str:
    for episode in bench.episodes()[:: max(1, TASKS)]:
        seen = episode.observation
        if getattr(service, "sees_hidden_state", False):
            seen = seen._replace(hidden=episode.dialogue)
        for text in ODD_TEXTS:
            session = service.start(agent_seed(episode.task.id, 0))
            opening = Turn(role="assistant", text="Hello.")
            shown = Observation((opening, Turn(role="user", text=text)), *seen[1:])
            try:
                reply = session.reply(shown)
            except Exception as error:  # any failure is the author's to see
                remedy = "users send anything: treat what you cannot read as unclear"
                raise Wrong(f"user text {text[:20]!r}: {blamed(error, service)}", remedy) from error
            if not isinstance(reply, str | Turn):
                raise Wrong(f"user text {text[:20]!r}: returned {type(reply).__name__}", "return a str or a Turn")
    return f"{len(ODD_TEXTS)} texts"


def _readable(talks: Sequence[Talk]) -> Check:
    name, problems = "every reply can be read", [line for talk in talks for line in talk.problems]
    if not problems:
        return Check(name)
    turns = sum(len(talk.said) for talk in talks)
    detail = f"{len(problems)} of {turns} replies: {problems[0]}"
    return Check(name, "warning", detail, "such a turn says nothing, or not what was meant")


def _speed(seconds: Sequence[float]) -> Check:
    if not seconds:
        return Check("time per turn", detail="no turn was played")
    middle, worst = 1000 * median(seconds), 1000 * max(seconds)
    return Check("time per turn", detail=f"{middle:,.2f} ms, at most {worst:,.2f} ms")


def check_simulator(simulator: Any, *, domain: Any = "credit", seed: int = 0) -> list[Check]:
    """Try a user simulator out: what it says in real dialogues, and whether it says what it was asked to.

    Args:
        simulator: A name, ``module:Class``, ``path.py[:Class]``, a class or an object.
        domain: The domain (name or object) to try it in.
        seed: Fixes the dialogues.

    Returns:
        One check per property; see `check_agent`.
    """
    built: list[UserSimulator] = []

    def load() -> str:
        given = simulator() if isinstance(simulator, type) else simulator
        built.append(load_simulator(given))
        if not callable(getattr(built[0], "start", None)):
            raise Wrong("it has no start(task, seed)", "see dialog_gym.core.UserSimulator")
        if not isinstance(getattr(built[0], "name", None), str):
            raise Wrong("it has no name", 'set the class attribute name = "my-users"')
        return built[0].name

    checks = [attempt("loads and builds without arguments", load)]
    if checks[0].failed:
        return checks
    service, talks = built[0], list[Talk]()
    name = "start(task, seed) gives a session; say(...) returns a text"
    checks.append(attempt(name, lambda: _speaks(service, domain, seed, talks), service))
    if checks[-1].failed:
        return checks
    tests: list[tuple[str, Callable[[], str]]] = [
        ("same seed, same words", lambda: _same_words(service, domain, seed)),
        ("dialogues do not disturb each other", lambda: _words_apart(service, domain, seed)),
        ("survives odd assistant texts", lambda: _hears(service, domain, seed)),
    ]
    return [*checks, *(attempt(n, test, service) for n, test in tests), _faithful(talks)]


def _speaks(service: Any, domain: Any, seed: int, talks: list[Talk]) -> str:
    from dialog_gym.agents.base import load_agent

    for episode in _Bench(domain, seed, service).episodes():
        talks.append(Talk(load_agent("scripted"), episode))
        talks[-1].run(ROUNDS)
        if episode.failure:
            raise Wrong(f"it failed: {episode.failure}", "say() must word any user acts")
        for turn in episode.record:
            if turn.role == "user" and not turn.text.strip() and turn.acts:
                raise Wrong(f"nothing was said for {turn.acts[0].intent}", "every act needs words")
    return f"{sum(_heard(talk) for talk in talks)} user turns"


def _heard(talk: Talk) -> int:
    return sum(turn.role == "user" for turn in talk.episode.record)


def _words(service: Any, domain: Any, seed: int, interleaved: bool = False) -> list[list[str]]:
    from dialog_gym.agents.base import load_agent

    talks = [Talk(load_agent("scripted"), episode) for episode in _Bench(domain, seed, service).episodes()]
    for _ in range(ROUNDS if interleaved else 1):
        for talk in talks:
            talk.run(1 if interleaved else ROUNDS)
    return [[turn.text for turn in talk.episode.turns if turn.role == "user"] for talk in talks]
