"""Report cards of user simulators."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dialog_gym.benchmarks import certificate, certify
from dialog_gym.cli import run
from dialog_gym.core import DialogGymError
from dialog_gym.simulators.agenda import AgendaSimulator
from dialog_gym.simulators.worded import WordedSimulator

DATA = Path(os.environ.get("DIALOG_GYM_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(scope="module", autouse=True)
def no_corpus(tmp_path_factory):
    """Certificates are quick where there are no real users to compare with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIALOG_GYM_DATA", str(tmp_path_factory.mktemp("nothing")))
        yield


class Liar(AgendaSimulator):
    """Says goodbye now and then, whatever it means."""

    name = "liar"

    def start(self, task, seed):
        session = super().start(task, seed)
        honest = session.say

        def say(acts, dialogue, *, garbled):
            text = honest(acts, dialogue, garbled=garbled)
            return "Goodbye." if seed % 3 == 0 else text

        session.say = say
        return session


class Forgetful(AgendaSimulator):
    """Never says the same again."""

    name = "forgetful"
    count = 0

    def start(self, task, seed):
        Forgetful.count += 1
        return super().start(task, seed + Forgetful.count)


class Broken(AgendaSimulator):
    """Fails."""

    name = "broken"

    def start(self, task, seed):
        session = super().start(task, seed)
        session.say = None
        return session


class Agreeable:
    """A model that words what it is told, and buys whatever there is when it may choose."""

    name = "agreeable"

    def generate(self, prompts, seeds):
        told = [prompt[-1]["content"].rpartition("In plain words: ") for prompt in prompts]
        return [plain.removesuffix(")") if found else "Yes, I accept the offer." for _, found, plain in told]


class Eager(WordedSimulator):
    """Users of that model."""

    def __init__(self, **options):
        super().__init__(generator=Agreeable(), **options)


def card(simulator, **options):
    return certify.certify(simulator, dialogues=8, **options)


@pytest.fixture(scope="module")
def agenda():
    return card("agenda")


def test_the_template_user_is_certified(agenda):
    assert agenda.failures == [] and agenda.error_rate == 0 == agenda.fallback == agenda.voided
    assert agenda.consistency == 1 and 0.5 < agenda.variety <= 1
    assert agenda.turns > 30 and 0 < agenda.distinct_1 < agenda.distinct_2 < 1
    again = certify.certify("agenda", dialogues=8)
    assert replace(again, seconds_per_turn=0.0) == replace(agenda, seconds_per_turn=0.0)


@pytest.mark.parametrize(
    ("simulator", "failed"),
    [
        ("Liar", ("error_rate", "premature_stop")),
        ("Forgetful", ("consistency",)),
        ("Broken", ("voided",)),
    ],
)
def test_others_are_not(simulator, failed):
    found = card(f"{__file__}:{simulator}")
    assert [line.split()[0] for line in found.failures][: len(failed)] == list(failed)
    assert not found.to_json()["certified"] and "not certified" in found.to_markdown()


@pytest.fixture(scope="module")
def templates():
    return certify.certify("agenda", dialogues=60)


def test_decisions_tell_buyers_from_others(templates):
    assert list(templates.decisions) == ["worded"] and templates.buying_bias == {}
    buyers, others = (templates.decisions["worded"][who] for who in ("buyers", "non-buyers"))
    assert others["accepts"] == 0 < buyers["accepts"]
    assert others["declines"] + others["leaves"] > buyers["declines"] + buyers["leaves"]
    assert buyers["dialogues"] > 10 and buyers["turns"] > 2
    page = templates.to_markdown()
    assert page.count("| the domain (worded) |") == 2 and "Bias" not in page


@pytest.mark.parametrize("mode", ["worded", "free"])
def test_a_free_models_bias_is_measured_against_the_domain(templates, mode):
    found = certify.certify(f"{__file__}:Eager?mode={mode}", dialogues=60)
    assert list(found.decisions) == ["worded", "free"]
    assert found.decisions["worded"] == templates.decisions["worded"]  # the same customers
    bias = found.buying_bias["non-buyers"]
    assert bias["value"] == found.decisions["free"]["non-buyers"]["accepts"] > 0.3
    assert 0 < bias["low"] <= bias["value"] <= bias["high"] <= 1
    assert bias["dialogues"] == templates.decisions["worded"]["non-buyers"]["dialogues"]
    page = found.to_markdown()
    assert page.count("| the model (free) |") == 2 and f"non-buyers {bias['value']:+.3f} [" in page
    assert "(published: +0.40 " in page
    assert found.settings["mode"] == mode


def test_nobody_buys_where_nothing_is_sold():
    found = card("agenda", domain="multiwoz")
    assert found.decisions == {} and "nobody was reached by a sales call on multiwoz" in found.to_markdown()


def test_realism_needs_real_users(agenda):
    assert agenda.realism.startswith("not measured: ") and "MultiWOZ" in agenda.realism
    assert agenda.realism in agenda.to_markdown()


def test_realism_with_real_users(monkeypatch):
    if not (DATA / "multiwoz").is_dir():
        pytest.skip("set DIALOG_GYM_DATA")
    monkeypatch.setenv("DIALOG_GYM_DATA", str(DATA))
    found = card("agenda")
    assert found.realism["split"] == "test" and found.realism["simulated"]["dialogues"] == 20
    assert 0.5 < found.realism["classifier"]["accuracy"] <= 1
    page = found.to_markdown()
    assert f"| words_mean | {found.realism['real']['words_mean']:.4g} |" in page
    assert json.loads(json.dumps(found.to_json()))["realism"] == found.realism
    silent = card(f"{__file__}:Broken")
    assert silent.realism.startswith("not measured: users failed in 20 of 20 dialogues")


def test_distinct():
    assert certify.distinct(["a b a", "a b"], 1) == 2 / 5
    assert certify.distinct(["a b a", "a b"], 2) == 2 / 3
    assert certify.distinct([], 2) == 0


def test_written(agenda, tmp_path):
    certificate.write(agenda, tmp_path / "card.json")
    assert json.loads((tmp_path / "card.json").read_text("utf-8"))["certified"] is True
    certificate.write(agenda, tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text("utf-8").startswith("# agenda on credit\n\ncertified")
    with pytest.raises(DialogGymError, match=r"\.md or \.json"):
        certificate.write(agenda, tmp_path / "card.pdf")


def test_the_command(capsys):
    assert run(["certify", "simulator", "agenda", "--dialogues", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulator"] == "agenda"
    assert run(["certify", "simulator", "agnda"]) == 2
    assert "did you mean 'agenda'" in capsys.readouterr().err


def test_a_served_user_is_certified_and_the_key_is_nowhere(chat_server, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", chat_server.KEY)
    with chat_server.served() as served:
        user, path = f"openai:tiny?base_url={served.url}&retries=0&stream=true", tmp_path / "card.json"
        assert run(["certify", "simulator", user, "--dialogues", "3", "--out", str(path)]) == 1
        assert served.keys == {chat_server.KEY}
    shown, card = capsys.readouterr(), path.read_text("utf-8")
    assert json.loads(card)["usage"]["requests"] > 0 and "| served: requests |" in shown.out
    assert chat_server.KEY not in shown.out + shown.err + card
