"""The checks for plug-in authors find what they say they find."""

import random
import time

import pytest

from dialog_gym.agents.base import Agent
from dialog_gym.core import Turn
from dialog_gym.simulators.agenda import AgendaSimulator
from dialog_gym.testing import check_agent, check_simulator, failures


class Fine(Agent):
    name = "fine"

    def begin(self):
        self.turns = 0

    def reply(self, observation):
        self.turns += 1
        return f"Hello, you are number {self.rng.integers(100)} and this is turn {self.turns}."


class Changed(Fine):
    """Base of agents with one defect: what `odd` returns instead of the third reply."""

    def reply(self, observation):
        usual = super().reply(observation)
        return self.odd(observation) if self.turns == 3 else usual


class Raises(Changed):
    def odd(self, observation):
        return {}["the line to be blamed"]


class Returns(Changed):
    def odd(self, observation):
        return 7


class Mutates(Changed):
    def odd(self, observation):
        observation.profile["surname"] = "Nobody"
        return "Hello."


class GlobalRandom(Fine):
    def reply(self, observation):
        return f"Hello {random.random()}"


class Clock(Fine):
    def reply(self, observation):
        return f"Hello {time.perf_counter_ns()}"


class Sampled(Clock):
    deterministic = False


class Shared(Fine):
    seen = []  # noqa: RUF012 - the defect

    def reply(self, observation):
        self.seen.append(1)
        return f"Hello, turn {len(self.seen)}."


class Session:
    def __init__(self, owner):
        self.owner = owner

    def reply(self, observation):
        self.owner.latest = (
            observation.profile["surname"] if len(observation.dialogue) < 2 else self.owner.latest
        )
        return f"Hello, {self.owner.latest}."


class Leaks:
    """Sequentially right, wrong as soon as two dialogues run side by side."""

    name = "leaks"
    latest = ""

    def start(self, seed):
        return Session(self)


class Fragile(Fine):
    def reply(self, observation):
        last = observation.dialogue[-1].text if observation.dialogue else "Hi."
        return f"Hello {last[0]}"


class Mumbles(Fine):
    def reply(self, observation):
        return "offer(product=nonsense)"


class Thinks(Fine):
    def reply(self, observation):
        return "<think>hm</think>Hello."


class NoReply(Agent):
    name = "no-reply"


class NeedsArguments(Fine):
    def __init__(self, url):
        self.url = url


class NoSession:
    name = "no-session"

    def start(self, seed):
        return None


def found(agent):
    return "\n".join(check.line() for check in check_agent(agent))


@pytest.mark.parametrize(
    "agent", [Fine, Fine(), "scripted", "oracle", lambda text: "Hello.", Sampled], ids=lambda a: str(a)[:20]
)
def test_good_agents_pass(agent):
    assert not failures(check_agent(agent))


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        (Raises, 'KeyError: \'the line to be blamed\' (test_testing.py, line'),
        (Returns, "reply() returned int; return a text (str) or a Turn"),
        (Mutates, "reply() changed the observation's profile; work on a copy"),
        (GlobalRandom, "with another global random state"),
        (Clock, "the second time"),
        (Shared, "keep what belongs to one dialogue on its session"),
        (Leaks, "when dialogues run side by side"),
        (Fragile, "user text '': IndexError: string index out of range (test_testing.py, line"),
        (NoReply, "must define reply(self, observation)"),
        (NeedsArguments, "cannot be built without arguments"),
        (NoSession, "start(0) gave a NoneType without reply"),
        (7, "is no agent"),
    ],
)  # fmt: skip
def test_defects_are_named_with_a_remedy(agent, line):
    assert failures(check_agent(agent))
    assert line in found(agent)


@pytest.mark.parametrize(("agent", "line"), [(Mumbles, "nonsense"), (Thinks, "Turn.thought")])
def test_odd_replies_are_warnings(agent, line):
    checks = check_agent(agent)
    assert not failures(checks)
    assert [line in check.detail for check in checks if check.status == "warning"] == [True]


def test_a_thought_is_no_defect():
    class Ponders(Fine):
        def reply(self, observation):
            return Turn(role="assistant", text="Hello.", thought="hm")

    assert {check.status for check in check_agent(Ponders)} == {"ok"}


def test_the_global_random_state_is_left_as_it_was():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    check_agent(Fine)
    assert random.random() == expected


class Users(AgendaSimulator):
    """A right simulator whose words go through `change`."""

    name = "users"

    def start(self, task, seed):
        return Worded(super().start(task, seed), self.change)

    def change(self, text):
        return text


class Worded:
    def __init__(self, session, change):
        self.session, self.change = session, change

    def say(self, acts, dialogue, *, garbled):
        return self.change(self.session.say(acts, dialogue, garbled=garbled))


class NoWords(Users):
    def change(self, text):
        return " "


class NoText(Users):
    def change(self, text):
        return None


class Crashes(Users):
    def change(self, text):
        return text.nonsense


class Dice(Users):
    def change(self, text):
        return f"{text} {random.random()}"


class Counts(Users):
    said = 0

    def change(self, text):
        self.said += 1
        return text + "!" * self.said


class OffTopic(Users):
    def change(self, text):
        return "Nice weather today."


class NoSay(Users):
    def start(self, task, seed):
        return None


def test_good_simulators_pass():
    assert {check.status for check in check_simulator("agenda")} == {"ok"}
    assert not failures(check_simulator(Users))


@pytest.mark.parametrize(
    ("simulator", "line"),
    [
        (NoWords, "returned an empty text; every act needs words"),
        (NoText, "returned NoneType; return a text (str)"),
        (Crashes, "AttributeError: 'str' object has no attribute 'nonsense' (test_testing.py, line"),
        (Dice, "with another global random state"),
        (Counts, "draw only from a generator made of start's seed"),
        (NoSay, "gave a NoneType without say"),
        ("agend", "did you mean 'agenda'?"),
        (7, "it has no start(task, seed)"),
    ],
)
def test_simulator_defects_are_named(simulator, line):
    assert any(line in failure for failure in failures(check_simulator(simulator)))


def test_words_that_mean_something_else_are_a_warning():
    checks = check_simulator(OffTopic)
    assert "Nice weather today." in next(check.detail for check in checks if check.status == "warning")
