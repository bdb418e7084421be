"""The readers on the corpus's real turns, with the bounds they are held to."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
BOUNDS = {
    ("user", "label_f1"): 0.84,
    ("user", "inform_f1"): 0.86,
    ("user", "inform_precision"): 0.83,
    ("user", "inform_recall"): 0.89,
    ("assistant", "label_f1"): 0.82,
    ("assistant", "value_f1"): 0.90,
    ("assistant", "inform_f1"): 0.84,
}
DIALOGUES = 120


@pytest.fixture(scope="module")
def script():
    """The measuring script as a module."""
    path = ROOT / "scripts" / "measure_multiwoz_grounder.py"
    spec = importlib.util.spec_from_file_location("measure_multiwoz_grounder", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_reads_real_turns(script, corpus, split, role):
    dialogues = [one for one in corpus if one.split == split][:DIALOGUES]
    figures = script.measure(dialogues, role)
    assert figures["turns"] > 500
    for (side, name), bound in BOUNDS.items():
        if side == role:
            assert figures[name] >= bound, name


def test_an_empty_reading_scores_nothing(script, corpus, monkeypatch):
    monkeypatch.setitem(script.READERS, "user", lambda text, dialogue: ())
    figures = script.measure(corpus[:20], "user")
    assert figures["inform_recall"] == 0
    assert figures["label_f1"] == 0


def test_gold_against_itself_is_perfect(script, corpus):
    acts = [act for dialogue in corpus[:50] for turn in dialogue.turns for act in turn.acts]
    tally = script.Tally()
    tally.add(script.values(acts, "assistant"), script.values(acts, "assistant"))
    assert tally.figures("value")["value_f1"] == 1


@pytest.mark.parametrize(
    ("slot", "a", "b"),
    [
        ("name", "the Gonvile Hotel", "gonville hotel"),
        ("postcode", "CB2 1AB", "cb21ab"),
        ("price", "10.10 GBP", "10.1 pounds"),
        ("choice", "five", "5"),
        ("entrancefee", "no entrance fee", "free"),
    ],
)
def test_spellings_that_count_as_the_same(script, slot, a, b):
    from dialog_gym.core import DialogueAct

    read = [
        script.values([DialogueAct(intent="hotel_inform", slots={slot: value})], "assistant")
        for value in (a, b)
    ]
    assert read[0] == read[1]
