"""The agenda simulator: faithful wording, audited and counted."""

import subprocess
import sys
from pathlib import Path

import pytest

from dialog_gym.core import DialogGymError, DialogueAct, Goal, Task, Turn, UserProfile, UserSimulator
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.domains.credit.user_reader import UNCLEAR, read_user
from dialog_gym.domains.multiwoz import user_reader as multiwoz_reader
from dialog_gym.simulators import agenda
from dialog_gym.simulators.agenda import AgendaSimulator

RULEBOOK = load_rulebook()
ROOT = Path(__file__).parents[2]


def act(intent, **slots):
    return DialogueAct(intent=intent, slots=slots)


ACTS = (act("confirm_identity"), act("disclose", slot="amount", value=5000), act("ask", topic="rate"))
OPENING = (Turn(role="assistant", text="Hello, who am I speaking to?"),)


def task(**persona):
    return Task(
        id="t0", domain="credit", scenario="proactive_sale", split="test", level=0,
        profile=UserProfile(id="u0", attributes={"surname": "Novak", "phone": "*******4821"}),
        goal=Goal(need="borrow", persona=persona),
    )  # fmt: skip


def test_implements_the_protocol():
    assert isinstance(AgendaSimulator(), UserSimulator)
    assert AgendaSimulator.name == "agenda"


def test_says_the_acts():
    session = AgendaSimulator().start(task(verbosity="chatty"), seed=3)
    assert read_user(session.say(ACTS, OPENING, garbled=False), RULEBOOK) == ACTS
    assert session.counts() == {"audited": 1, "reworded": 0, "fallbacks": 0, "errors": 0}


def test_same_seed_and_turn_same_words():
    first, again, other = (AgendaSimulator().start(task(), seed) for seed in (3, 3, 4))
    texts = [session.say(ACTS, OPENING, garbled=False) for session in (first, again, other)]
    assert texts[0] == texts[1] != texts[2]
    assert first.say(ACTS, OPENING * 3, garbled=False) != texts[0]
    assert first.say(ACTS, OPENING, garbled=False) == texts[0]  # whatever was said in between


def test_garbled_turns_cannot_be_read():
    session = AgendaSimulator().start(task(typos=0.05), seed=9)
    for turn in range(40):
        text = session.say(ACTS, OPENING * turn, garbled=True)
        assert read_user(text, RULEBOOK) == (UNCLEAR,)
    assert session.counts() == {"audited": 40, "reworded": 0, "fallbacks": 0, "errors": 0}


def test_typos_survive_the_audit_and_contradict_nothing():
    typed = AgendaSimulator(typos=0.3).start(task(), seed=1)
    clean = AgendaSimulator(typos=0.0).start(task(), seed=1)
    changed = 0
    for turn in range(100):
        text = typed.say(ACTS, OPENING * turn, garbled=False)
        changed += text != clean.say(ACTS, OPENING * turn, garbled=False)
        for read in read_user(text, RULEBOOK):
            assert read == UNCLEAR or any(
                read.intent == meant.intent and read.slots.items() <= meant.slots.items() for meant in ACTS
            )
    assert changed > 80
    assert typed.errors == 0
    assert clean.counts() == {"audited": 100, "reworded": 0, "fallbacks": 0, "errors": 0}


def test_contradicting_words_are_said_again(monkeypatch):
    real, calls = agenda.credit_wording.word_user, []

    def sometimes_wrong(acts, persona, key, **options):
        calls.append(key)
        wrong = (act("decline"),) if len(calls) <= 2 else acts
        return real(wrong, persona, key, **options)

    monkeypatch.setattr(agenda.credit_wording, "word_user", sometimes_wrong)
    session = AgendaSimulator().start(task(), seed=3)
    assert read_user(session.say(ACTS, OPENING, garbled=False), RULEBOOK) == ACTS
    assert session.counts() == {"audited": 1, "reworded": 2, "fallbacks": 0, "errors": 0}
    assert len(set(calls)) == 3


def test_falls_back_to_the_plainest_wording(monkeypatch):
    real = agenda.credit_wording.word_user

    def chatty_is_wrong(acts, persona, key, **options):
        wrong = persona["verbosity"] == "chatty"
        return real((act("decline"),) if wrong else acts, persona, key, **options)

    monkeypatch.setattr(agenda.credit_wording, "word_user", chatty_is_wrong)
    session = AgendaSimulator().start(task(verbosity="chatty", typos=0.2), seed=3)
    assert read_user(session.say(ACTS, OPENING, garbled=False), RULEBOOK) == ACTS
    assert session.counts() == {"audited": 1, "reworded": 3, "fallbacks": 1, "errors": 0}


def test_counts_errors_that_remain(monkeypatch):
    monkeypatch.setattr(agenda.credit_wording, "word_user", lambda *_, **__: "No, I'm not interested.")
    session = AgendaSimulator().start(task(), seed=3)
    session.say(ACTS, OPENING, garbled=False)
    assert session.counts() == {"audited": 1, "reworded": 3, "fallbacks": 1, "errors": 1}


def test_overrides_replace_the_persona():
    terse = AgendaSimulator(verbosity="terse", buyer_style="analytical", code_words=True)
    session = terse.start(task(verbosity="chatty", buyer_style="default", typos=0.1), seed=3)
    assert session.voice.persona == {
        "verbosity": "terse",
        "buyer_style": "analytical",
        "typos": 0.1,
        "code_words": True,
    }


@pytest.mark.parametrize("options", [{"verbosity": "shouty"}, {"typos": 1.5}, {"typos": -0.1}])
def test_refuses_bad_options(options):
    with pytest.raises(DialogGymError, match="agenda: "):
        AgendaSimulator(**options)


def test_nothing_to_say_is_silence():
    session = AgendaSimulator().start(task(), seed=3)
    assert session.say((), (), garbled=False) == ""
    assert session.errors == 0


HOTEL = (
    act("hotel_inform", area="east", stars="4", internet="yes"),
    act("hotel_request", slot="phone"),
    act("thank"),
)


def visitor(domain="multiwoz"):
    return Task(
        id="t1", domain=domain, scenario="booking", split="test", level=0,
        profile=UserProfile(id="u1", attributes={}), goal=Goal(need="booking", persona={"verbosity": 3}),
    )  # fmt: skip


def test_says_the_acts_of_multiwoz_too():
    read = []
    for seed in range(60):
        session = AgendaSimulator().start(visitor(), seed)
        first = session.say(HOTEL, (), garbled=False)
        read.append(first)
        assert multiwoz_reader.read_user(first) == HOTEL
        before = (
            Turn(role="user", text=first, acts=HOTEL),
            Turn(role="assistant", text="Which day?", acts=(act("hotel_request", slot="bookday"),)),
        )
        answer = (act("hotel_inform", bookday="friday"),)
        assert multiwoz_reader.read_user(session.say(answer, before, garbled=False), before) == answer
        assert session.counts() == {"audited": 2, "reworded": 0, "fallbacks": 0, "errors": 0}
    assert len(set(read)) > 50


def test_multiwoz_users_differ_in_how_much_they_say():
    drawn = {AgendaSimulator().start(visitor(), seed).voice.persona["verbosity"] for seed in range(30)}
    assert drawn == {"terse", "neutral", "chatty"}
    session = AgendaSimulator(verbosity="terse", typos=0.4).start(visitor(), 1)
    assert session.voice.persona == {"verbosity": "terse", "typos": 0.4}


def test_mistyped_multiwoz_turns_say_nothing_else():
    session = AgendaSimulator(typos=0.2).start(visitor(), 5)
    for turn in range(30):
        text = session.say(HOTEL, (Turn(role="assistant", text="Yes?"),) * turn, garbled=False)
        for read in multiwoz_reader.read_user(text):
            assert any(read.intent == one.intent and read.slots.items() <= one.slots.items() for one in HOTEL)


def test_an_unknown_domain_is_refused():
    with pytest.raises(DialogGymError, match="agenda has no words for the domain 'multiwox'; did you mean"):
        AgendaSimulator().start(visitor("multiwox"), 1)


def test_importing_the_folder_itself_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import simulators"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "import dialog_gym.simulators, not simulators" in done.stderr
