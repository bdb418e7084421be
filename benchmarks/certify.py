"""A report card for a user simulator: does it say what it means, keep its secrets, and repeat itself?

Any simulator can be certified, templates, language models and plug-ins alike, because nothing here is taken
from it but its words: they are read and judged here, also where it has audited them itself.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.certificate import Certificate
from dialog_gym.benchmarks.certify_decisions import SALE, buying_bias, decisions, mode_of, other_mode, sales
from dialog_gym.benchmarks.evaluate import simulator_settings
from dialog_gym.benchmarks.user_realism import realism
from dialog_gym.chat_records import chat_records
from dialog_gym.core import Task, Trajectory
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.noise import mix, text_key
from dialog_gym.rollout import play_many
from dialog_gym.simulators.audit import KINDS, Facts, Kind, judge, shares
from dialog_gym.simulators.prompts import MODES
from dialog_gym.speaking import Request, ask_many, load_simulator

AGENTS: Final = ("oracle", "scripted")
"""Who the users talk to: the dialogues of the first end well, those of the second often do not."""
_SEED: Final = text_key("certificates of simulators")


class _Watched:
    """A simulator under a stopwatch, whose words are judged as they come."""

    def __init__(self, users: Any, domain: Any) -> None:
        self.users, self.name, self.domain = users, str(users.name), domain
        self.seconds = 0.0
        self.verdicts: list[Kind | None] = []
        """Of each turn that can be judged: bad typing is not."""
        self._facts: dict[int, tuple[Any, Facts]] = {}

    def start(self, task: Task, seed: int) -> Any:
        session = self.users.start(task, seed)
        self._facts[id(session)] = session, Facts(task)  # the session is kept, or another gets its id
        return session

    def say_many(self, sessions: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
        began = time.perf_counter()
        said = ask_many(self.users, sessions, requests)
        self.seconds += time.perf_counter() - began
        for session, request, text in zip(sessions, requests, said, strict=True):
            if isinstance(text, str) and not request.garbled:
                facts = self._facts[id(session)][1]
                read = self.domain.read_user(text, request.dialogue)
                self.verdicts.append(judge(text, read, request.acts, facts, request.dialogue))
        return said


class _OtherSeed:
    """A simulator whose words have another seed."""

    def __init__(self, users: Any) -> None:
        self.users, self.name = users, str(users.name)

    def start(self, task: Any, seed: int) -> Any:
        return self.users.start(task, mix(seed, _SEED))


class _Calls:
    """The dialogues of a certificate: the same ones for whoever plays them."""

    def __init__(self, domain: str, count: int, level: int, seed: int) -> None:
        self.domain, self.level = domain, level
        self.scenarios: tuple[str, ...] = tuple(DialogueEnv(domain).domain.scenarios)
        self.seeds = [mix(_SEED, seed, number) >> 1 for number in range(count)]

    def played(self, users: Any, agent: str, *scenarios: str, apart: bool = False) -> list[Trajectory]:
        """Dialogues of some scenarios, default all, together or one at a time."""
        found: list[Trajectory] = []
        service, numbers = load_agent(agent), list(range(len(self.seeds)))
        for scenario in scenarios or self.scenarios:
            env = DialogueEnv(self.domain, scenario=scenario, simulator=users, split="test", level=self.level)
            for group in [[n] for n in numbers] if apart else [numbers]:
                episodes = env.begin_many(group, [self.seeds[n] for n in group], greet=False)
                found += play_many(episodes, service)
        return found

    def both(self, users: Any, *scenarios: str) -> list[Trajectory]:
        """Those with either agent."""
        return [one for agent in AGENTS for one in self.played(users, agent, *scenarios)]


def certify(
    simulator: str,
    *,
    domain: str = "credit",
    dialogues: int = 64,
    level: int = 0,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Certificate:
    """Play a simulator against two reference agents, judge its words, and compare its users with people.

    Args:
        simulator: Its name (see `dialog_gym.speaking.load_simulator`).
        domain: Name of the domain.
        dialogues: Per scenario and agent, from the test split, and of MultiWOZ for the realism.
        level: Difficulty 0-9; at level 0 nobody mistypes, so that every turn can be judged strictly.
        seed: Of the dialogues.
        on_progress: Called with (finished, all) passes.

    Raises:
        DialogGymError: unknown names, or a served model that cannot be had.
    """
    users = _Watched(load_simulator(simulator), DialogueEnv(domain).domain)
    calls = _Calls(domain, dialogues, level, seed)
    passes: dict[str, Callable[[], Any]] = {
        **{agent: partial(calls.played, users, agent) for agent in AGENTS},
        "again": lambda: calls.played(load_simulator(simulator), AGENTS[0], apart=True),
        "other seed": lambda: calls.played(_OtherSeed(users.users), AGENTS[0]),
        "realism": lambda: realism(users.users, dialogues, seed),
    }
    other = other_mode(users.users) if SALE in calls.scenarios else None
    if other is not None:
        passes["other mode"] = lambda: calls.both(load_simulator(simulator, {"mode": other}), SALE)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="dialog-gym-certify-") as folder:
        for number, (name, run) in enumerate(passes.items()):
            with chat_records(Path(folder) / name.replace(" ", "-"), resume=False) as records:
                found[name] = run()
            if name == AGENTS[0]:
                usage = dict(records.ledger.summary().get("user", {})) if records.ledger else {}
            if on_progress:
                on_progress(number + 1, len(passes))
    return _certificate(simulator, domain, users, found, usage)


def _certificate(
    simulator: str,
    domain: str,
    users: _Watched,
    found: Mapping[str, Any],
    usage: dict[str, float],
) -> Certificate:
    mine: list[Trajectory] = [one for agent in AGENTS for one in found[agent]]
    modes: dict[str, list[Trajectory]] = {mode_of(users.users): sales(mine)}
    if "other mode" in found:
        modes[str(other_mode(users.users))] = found["other mode"]
    verdicts = users.verdicts
    wrong = Counter(kind for kind in verdicts if kind is not None)
    audited = sum(_counted(one, "audited") for one in mine)
    rejected: dict[Kind, int] = {kind: sum(_counted(one, kind) for one in mine) for kind in KINDS}
    texts = [turn.text for one in mine for turn in one.turns if turn.role == "user"]
    first = found[AGENTS[0]]
    return Certificate(
        simulator=simulator,
        domain=domain,
        settings=simulator_settings(users.users).get("simulator_settings", {}),
        dialogues=len(mine),
        turns=len(texts),
        error_rate=sum(wrong.values()) / max(len(verdicts), 1),
        errors=shares(wrong, len(verdicts)),
        fallback=sum(_counted(one, "fallbacks") for one in mine) / max(audited, 1),
        rejected=shares(rejected, audited),
        consistency=_alike(first, found["again"]),
        variety=1 - _alike(first, found["other seed"]),
        distinct_1=distinct(texts, 1),
        distinct_2=distinct(texts, 2),
        words=fmean(len(text.split()) for text in texts) if texts else 0.0,
        voided=fmean(one.ended_by == "error" for one in mine),
        seconds_per_turn=users.seconds / max(len(texts), 1),
        usage=usage,
        decisions={mode: told for mode in MODES if (told := decisions(modes.get(mode, [])))},
        buying_bias=buying_bias(modes["free"], modes["worded"]) if len(modes) > 1 else {},
        realism=found["realism"],
    )


def _counted(one: Trajectory, name: str) -> int:
    return int(one.outcome.get(f"simulator_{name}") or 0)


def _alike(some: Sequence[Trajectory], others: Sequence[Trajectory]) -> float:
    """Share of user turns with the same words in two sets of the same dialogues; 1 for none."""
    same: list[bool] = []
    for one, other in zip(some, others, strict=True):
        ours, theirs = ([turn.text for turn in t.turns if turn.role == "user"] for t in (one, other))
        same += [i < len(theirs) and theirs[i] == text for i, text in enumerate(ours)]
    return fmean(same) if same else 1.0


def distinct(texts: Sequence[str], size: int) -> float:
    """Distinct runs of ``size`` words among all of them (distinct-n, Li et al. 2016); 0 for none."""
    runs = Counter(
        tuple(words[i : i + size])
        for words in (text.lower().split() for text in texts)
        for i in range(len(words) - size + 1)
    )
    return len(runs) / sum(runs.values()) if runs else 0.0
