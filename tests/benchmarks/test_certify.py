"""Report cards of user simulators, and the cross-simulator matrix."""

import json
from dataclasses import replace

import pytest

from dialog_gym.benchmarks import certificate, certify, matrix
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.cli import run
from dialog_gym.core import DialogGymError
from dialog_gym.simulators.agenda import AgendaSimulator


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


def test_decisions_tell_buyers_from_others():
    found = certify.certify("agenda", dialogues=60)
    assert found.decisions["non-buyers"]["accepts"] == 0 < found.decisions["buyers"]["accepts"]
    assert found.decisions["non-buyers"]["leaves"] > found.decisions["buyers"]["leaves"]


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


# -- the matrix


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    names = ("agenda", "agenda?verbosity=terse")
    return matrix.run_matrix(
        ["scripted", "always-close"], names, load_suite("credit-v1"), folder, episodes=20, workers=1
    ), folder


def test_every_agent_meets_every_user(found):
    table, folder = found
    assert len(table.cells) == 4 and len(list(folder.glob("*.jsonl"))) == 4
    assert table.metrics[0] == load_suite("credit-v1").rank_by
    assert {"buyer_conversion", "non_buyer_acceptance", "simulator_error_rate"} <= set(table.metrics)
    assert table.score("scripted", "agenda", "simulator_error_rate").value == 0
    with pytest.raises(KeyError):
        table.score("scripted", "nobody", "success")


def test_tables_and_heat_map(found):
    table, folder = found
    for path in matrix.write_matrix(table, folder):
        assert path.stat().st_size > 500
    page = (folder / "matrix.html").read_text("utf-8")
    assert page.count("<table>") == len(table.metrics) and "http" not in page
    assert page.count("<td style") == 4 * len(table.metrics)
    stored = matrix.Matrix.model_validate_json((folder / "matrix.json").read_text("utf-8"))
    assert stored.model_dump_json() == table.model_dump_json()
    assert "| scripted |" in (folder / "matrix.md").read_text("utf-8")


@pytest.mark.parametrize(("agents", "users"), [([], ["agenda"]), (["scripted"], ["agenda", "agenda"])])
def test_names_are_given_once(agents, users, tmp_path):
    with pytest.raises(DialogGymError, match="once"):
        matrix.run_matrix(agents, users, load_suite("credit-v1"), tmp_path, episodes=2)
