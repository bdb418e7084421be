"""Checks for plug-in authors: what is wrong with an agent or a user simulator, and how to put it right.

From a test suite::

    from dialog_gym.testing import check_agent, failures

    def test_my_agent():
        assert not failures(check_agent(MyAgent))
"""

import copy
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from dialog_gym.core import Observation, Turn
from dialog_gym.rollout import agent_seed
from dialog_gym.testing_tools import (
    ODD_TEXTS,
    ROUNDS,
    TASKS,
    Bench,
    Check,
    Talk,
    Wrong,
    alone,
    attempt,
    blamed,
    failures,
    global_randomness,
    interleaved,
    same,
)
from dialog_gym.testing_users import check_simulator

__all__ = ["ODD_TEXTS", "Check", "check_agent", "check_simulator", "failures"]

Tests = list[tuple[str, Callable[[], str]]]


def check_agent(agent: Any, *, domain: Any = "credit", seed: int = 0) -> list[Check]:
    """Try an agent out on real dialogues.

    Args:
        agent: A name, ``module:Class``, ``path.py[:Class]``, a class, a ``str -> str`` function or an object.
        domain: The domain (name or object) to try it in.
        seed: Fixes the dialogues.

    Returns:
        One check per property, in order; after a failure without which the rest cannot be tried, only those
        up to it. An agent with ``deterministic = False`` (a sampled language model) need not repeat itself.
    """
    from dialog_gym.agents.base import load_agent

    built: list[Any] = []
    checks = [attempt("loads and builds without arguments", lambda: _built(built, load_agent(agent)))]
    if failures(checks):
        return checks
    service, bench = built[0], Bench(domain, seed)
    checks.append(attempt("start(seed) gives a session with reply(observation)", lambda: _starts(service)))
    if failures(checks):
        return checks
    talks: list[Talk] = []
    for env in bench.envs:
        test = _replies(service, bench, env.scenario, talks)
        checks.append(attempt(f"replies in {env.scenario}", test, service))
    if failures(checks):
        return checks

    def fresh() -> Any:
        return load_agent(agent) if isinstance(agent, str | type) else copy.deepcopy(service)

    tests: Tests = []
    if getattr(service, "deterministic", True):
        tests.append(("same seed, same replies", lambda: _repeats(fresh, bench)))
        tests.append(("dialogues do not disturb each other", lambda: _separate(fresh, bench)))
    tests.append(("leaves the observation as it is", lambda: _unchanged(talks)))
    tests.append(("survives odd user texts", lambda: _survives(service, bench)))
    checks += [attempt(name, test, service) for name, test in tests]
    return [*checks, _readable(talks), _speed([seconds for talk in talks for seconds in talk.seconds])]


def _built(built: list[Any], service: Any) -> str:
    built.append(service)
    name = getattr(service, "name", None)
    if not isinstance(name, str) or not name:
        raise Wrong("it has no name", 'set the class attribute name = "my-agent"')
    hidden = getattr(service, "sees_hidden_state", False)
    return f"{name}{', a reference: it sees hidden state and is never ranked' if hidden else ''}"


def _starts(service: Any) -> str:
    session = service.start(0)
    if not callable(getattr(session, "reply", None)):
        kind = type(session).__name__
        raise Wrong(f"start(0) gave a {kind} without reply", "return an object with reply(observation)")
    return ""


def _replies(service: Any, bench: Bench, scenario: str, talks: list[Talk]) -> Callable[[], str]:
    def test() -> str:
        mine = [Talk(service, episode) for episode in bench.episodes(scenario)]
        talks.extend(mine)
        turns = sum(len(talk.run(ROUNDS).said) for talk in mine)
        return f"{len(mine)} dialogues, {turns} turns"

    return test


def _repeats(fresh: Callable[[], Any], bench: Bench) -> str:
    said = []
    for state in (1, 1, 2):
        with global_randomness(state):
            said.append(alone(fresh(), bench.episodes()))
    remedy = "draw from self.rng only; a sampled language model: temperature 0, or deterministic = False"
    same(said[0], said[1], "the second time", remedy)
    remedy = "draw from self.rng, not from the global generator of random, numpy or torch"
    same(said[0], said[2], "with another global random state", remedy)
    return ""


def _separate(fresh: Callable[[], Any], bench: Bench) -> str:
    service, said = fresh(), []
    for way in (alone, alone, interleaved):
        with global_randomness(1):
            said.append(way(service, bench.episodes()))
    remedy = (
        "keep what belongs to one dialogue on its session: set it in begin(), never change it on the class"
    )
    same(said[0], said[1], "in a second round", remedy)
    same(said[0], said[2], "when dialogues run side by side", remedy)
    return ""


def _unchanged(talks: Sequence[Talk]) -> str:
    if changed := [talk for talk in talks if talk.mutated]:
        raise Wrong(f"reply() changed the observation's {changed[0].mutated}", "work on a copy: dict(...)")
    return ""


def _survives(service: Any, bench: Bench) -> str:
    remedy = "users send anything: treat what you cannot read as unclear"
    for episode in bench.episodes()[::TASKS]:
        seen = episode.observation
        if getattr(service, "sees_hidden_state", False):
            seen = seen._replace(hidden=episode.dialogue)
        for text in ODD_TEXTS:
            dialogue = (Turn(role="assistant", text="Hello."), Turn(role="user", text=text))
            session = service.start(agent_seed(episode.task.id, 0))
            try:
                reply = session.reply(Observation(dialogue, *seen[1:]))
            except Exception as error:  # the finding
                raise Wrong(f"user text {text[:20]!r}: {blamed(error, service)}", remedy) from error
            if not isinstance(reply, str | Turn):
                raise Wrong(f"user text {text[:20]!r}: returned {type(reply).__name__}", remedy)
    return f"{len(ODD_TEXTS)} texts"


def _readable(talks: Sequence[Talk]) -> Check:
    problems = [line for talk in talks for line in talk.problems]
    if not problems:
        return Check("every reply can be read")
    detail = (
        f"{len(problems)} of {sum(len(talk.said) for talk in talks)} replies cannot; first: {problems[0]}"
    )
    return Check("every reply can be read", "warning", detail)


def _speed(seconds: Sequence[float]) -> Check:
    middle, worst = 1000 * median(seconds), 1000 * max(seconds)
    return Check("time per turn", detail=f"{middle:,.2f} ms, at most {worst:,.2f} ms")
