"""What the checks of `dialog_gym.testing` are made of: one check's outcome, dialogues to try plug-ins on."""

import copy
import inspect
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from dialog_gym.core import DialogGymError, Turn
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.episode import EMPTY_REPLY, Episode
from dialog_gym.noise import mix, text_key
from dialog_gym.rollout import agent_seed

ODD_TEXTS: Final = (
    "",
    " \n\t ",
    "blah " * 2000,
    "\x00\x07\x1b[2J\u202e\ufeff",
    "\U0001f600" * 40,
    "<think>am I the agent?",
    '{"intent": ',
    "offer(product=",
    "\ufdfa \u0130stanbul \u4f60\u597d %s {0} \\",
)
"""Things that real people send: nothing, 10 kB, control characters, emoji, broken markup."""
ROUNDS: Final = 6
"""Turns per dialogue: enough to get past the greeting, few enough for a slow model."""
TASKS: Final = 2
"""Dialogues per scenario."""


class Check(NamedTuple):
    """One property of a plug-in: what was found and, unless all is well, what to do about it."""

    name: str
    status: Literal["ok", "warning", "failed"] = "ok"
    detail: str = ""
    remedy: str = ""

    @property
    def failed(self) -> bool:
        """Whether the plug-in must be changed."""
        return self.status == "failed"

    def line(self) -> str:
        """The check as one line, with a remedy unless it is ok."""
        mark = {"ok": "\u2713", "warning": "!", "failed": "\u2717"}[self.status]
        parts = [f"{mark} {self.name}", *([self.detail] if self.detail else [])]
        end = f"; {self.remedy}" if self.remedy else ""
        return " ".join((": ".join(parts) + end).split())


class Wrong(DialogGymError):
    """A check's finding against a plug-in."""

    def __init__(self, detail: str, remedy: str = "") -> None:
        """Keeps the remedy apart."""
        super().__init__(detail)
        self.remedy = remedy


def failures(checks: Sequence[Check]) -> list[str]:
    """The failed checks as lines: empty when the plug-in may be used."""
    return [check.line() for check in checks if check.failed]


def attempt(name: str, test: Callable[[], str], plugin: Any = None) -> Check:
    """Run one test; whatever it raises becomes a failed check that names the line of the plug-in's file.

    Args:
        name: The property.
        test: Returns a detail, or raises `Wrong`.
        plugin: The object whose file is the author's.
    """
    try:
        return Check(name, detail=test())
    except Wrong as wrong:
        return Check(name, "failed", str(wrong), wrong.remedy)
    except Exception as error:  # a plug-in may fail in any way: that is the finding
        return Check(name, "failed", blamed(error, plugin))


def blamed(error: BaseException, plugin: Any = None) -> str:
    """An exception with the last line of the plug-in's own file that led to it, if any."""
    cause: BaseException = error.__cause__ if error.__cause__ is not None else error
    frames = traceback.extract_tb(cause.__traceback__)
    home = _file_of(plugin)
    own = [frame for frame in frames if frame.filename == home] if home else []
    ours = Path(__file__).parent
    foreign = [f for f in frames if ours not in Path(f.filename).parents and not f.filename.startswith("<")]
    place = (own or foreign)[-1:]
    where = f" ({Path(place[0].filename).name}, line {place[0].lineno}: {place[0].line})" if place else ""
    text = str(error) if isinstance(error, DialogGymError) else f"{type(cause).__name__}: {cause}"
    return text + ("" if isinstance(cause, SyntaxError) else where)


def _file_of(plugin: Any) -> str | None:
    thing = getattr(plugin, "function", None) or type(plugin)  # a CallableAgent's file is its function's
    try:
        return inspect.getsourcefile(thing)
    except TypeError:
        return None


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Put the global random generators (random, numpy, torch if loaded) into a known state, then back."""
    python, numpy_state = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed)
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        if torch:
            torch.set_rng_state(torch_state)


class Talk:
    """One dialogue of an agent under observation: its replies, their times, and what was odd about them."""

    def __init__(self, service: Any, episode: Episode) -> None:
        """Starts the agent's session."""
        self.service, self.episode = service, episode
        self.session = service.start(agent_seed(episode.task.id, episode.seed))
        self.said: list[str] = []
        self.seconds: list[float] = []
        self.problems: list[str] = []
        self.mutated = ""

    def run(self, rounds: int) -> "Talk":
        """Play some turns, fewer if the dialogue ends.

        Raises:
            Wrong: the agent failed or returned something that is no turn.
        """
        for _ in range(rounds):
            if self.episode.ended_by is None:
                self._turn()
        return self

    def _turn(self) -> None:
        seen = self.episode.observation
        before = copy.deepcopy(dict(seen.profile))
        if getattr(self.service, "sees_hidden_state", False):
            seen = seen._replace(hidden=self.episode.dialogue)
        began = time.perf_counter()
        try:
            reply = self.session.reply(seen)
        except Exception as error:  # the author needs the line
            raise Wrong(f"task {self.episode.task.id}: {blamed(error, self.service)}") from error
        self.seconds.append(time.perf_counter() - began)
        if dict(seen.profile) != before:
            self.mutated = "profile"
        text = reply.text if isinstance(reply, Turn) else reply
        if not isinstance(text, str):
            raise Wrong(f"reply() returned {type(reply).__name__}", "return a text (str) or a Turn")
        self._say(text)

    def _say(self, text: str) -> None:
        said = self.episode.understand(text)
        self.said.append(text)
        if said.error:
            self.problems.append(said.error)
        elif "<think" in text.lower():
            self.problems.append("<think> in the text: it is cut out; put reasoning into Turn.thought")
        elif "\x00" in text or text.strip() == EMPTY_REPLY:
            self.problems.append(f"reply {text[:30]!r}")
        self.episode.assistant(said)


class Bench:
    """Identical fresh dialogues, with users who answer, to try a plug-in on."""

    def __init__(self, domain: Any = "credit", seed: int = 0, simulator: Any = "agenda") -> None:
        """Finds the tasks.

        Args:
            domain: Name or object.
            seed: Fixes the dialogues.
            simulator: Who words the users' turns.
        """
        first = DialogueEnv(domain, simulator=simulator)
        self.seed, self.domain = seed, first.domain
        self.envs = [
            DialogueEnv(first.domain, scenario=scenario, simulator=simulator)
            for scenario in first.domain.scenarios
        ]
        self._tasks = [(env, index) for env in self.envs for index in _answered(env)]

    def episodes(self, scenario: str | None = None) -> list[Episode]:
        """One fresh episode per task, of one scenario or all."""
        return [
            env.begin(index, mix(text_key("check"), self.seed, index))
            for env, index in self._tasks
            if scenario in (None, env.scenario)
        ]


def _answered(env: DialogueEnv) -> list[int]:
    found: list[int] = []
    for index in range(100):
        task = env.domain.task(index, split=env.split, scenario=env.scenario, level=env.level)
        if task.goal.persona.get("reached", True):
            found.append(index)
        if len(found) == TASKS:
            break
    return found


def alone(service: Any, episodes: Sequence[Episode]) -> list[list[str]]:
    """What an agent says in every dialogue, one dialogue after the other."""
    return [Talk(service, episode).run(ROUNDS).said for episode in episodes]


def interleaved(service: Any, episodes: Sequence[Episode]) -> list[list[str]]:
    """The same, all dialogues advancing together."""
    talks = [Talk(service, episode) for episode in episodes]
    for _ in range(ROUNDS):
        for talk in talks:
            talk.run(1)
    return [talk.said for talk in talks]


def same(one: Sequence[Sequence[str]], two: Sequence[Sequence[str]], when: str, remedy: str) -> None:
    """Raise `Wrong` at the first difference between two rounds of the same dialogues."""
    for number, (a, b) in enumerate(zip(one, two, strict=True), 1):
        for turn, (old, new) in enumerate(zip(a, b, strict=False), 1):
            if old != new:
                raise Wrong(f"dialogue {number}, turn {turn} was {old[:50]!r}, {when} {new[:50]!r}", remedy)
        if len(a) != len(b):
            raise Wrong(f"dialogue {number} had {len(a)} turns, {when} {len(b)}", remedy)
