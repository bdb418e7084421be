"""The realism measures see what they should, and the command prints them."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dialog_gym.benchmarks import user_realism
from dialog_gym.benchmarks.user_realism_measures import (
    compare,
    distinct,
    total_variation,
    two_sample_test,
    words,
)

DATA = Path(os.environ.get("DIALOG_GYM_DATA") or Path(__file__).parents[3] / "shared" / "data")
VOCABULARY = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60)]


def side(seed, dialogues=60, vocabulary=VOCABULARY, length=8):
    """Dialogues of random words with one act each."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return [
        [(" ".join(rng.choice(vocabulary, length)), ("inform",)) for _ in range(4)] for _ in range(dialogues)
    ]


def tokens(dialogues):
    return [[words(text) for text, _ in dialogue] for dialogue in dialogues]


def test_tokenised_and_plain_text_are_alike():
    assert words("I do n't care , it 's 10:15 .") == words("I don't care, it's 10:15.")


def test_total_variation_by_hand():
    assert total_variation(Counter(a=3, b=1), Counter(a=1, c=1)) == pytest.approx(0.5 * (0.25 + 0.25 + 0.5))
    assert total_variation(Counter(a=2), Counter(a=7)) == 0
    assert total_variation(Counter(a=2), Counter(b=7)) == 1


def test_distinct_by_hand():
    texts = [["a", "b", "a"], ["a", "b"]]
    assert distinct(texts, 1, 99) == 2 / 5
    assert distinct(texts, 2, 99) == 2 / 3
    assert distinct(texts, 1, 3) == 2 / 3  # only the first text fits


def test_the_same_speaker_cannot_be_told_apart():
    test = two_sample_test(tokens(side(1)), tokens(side(2)), 0)
    assert test["low"] < 0.5 < test["high"]
    assert abs(test["accuracy"] - 0.5) < 0.1


def test_another_vocabulary_is_told_apart():
    other = side(2, vocabulary=[*VOCABULARY[:40], "please", "thanks"])
    test = two_sample_test(tokens(side(1)), tokens(other), 0)
    assert test["low"] > 0.6


def test_lengths_alone_are_told_apart():
    figures = compare(side(1), side(2, length=14))
    assert figures["length_total_variation"] == 1
    assert figures["classifier"]["accuracy"] > 0.9


def test_figures_do_not_depend_on_the_run():
    assert compare(side(1), side(2), 3) == compare(side(1), side(2), 3)


@pytest.fixture
def corpus():
    if not (DATA / "multiwoz" / "convlab2_multiwoz21" / "val.json.zip").is_file():
        pytest.skip("set DIALOG_GYM_DATA")
    return str(DATA)


@pytest.mark.parametrize("source", ["corpus-acts", "played"])
def test_the_command_on_real_users(corpus, capsys, source):
    options = ["--dialogues", "40", "--data-dir", corpus, "--source", source, "--json"]
    assert user_realism.main(options) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["real"]["dialogues"] == figures["simulated"]["dialogues"] == 40
    assert 0.5 < figures["classifier"]["low"] <= figures["classifier"]["accuracy"] <= 1
    if source == "corpus-acts":
        assert figures["acts_total_variation"] < 0.02  # the same acts, but for turns without any
    else:
        assert figures["acts_total_variation"] > 0.05


def test_any_simulator_can_be_measured(corpus):
    figures = {
        name: user_realism.measure("played", "test", 20, 0, corpus, f"agenda?verbosity={name}")
        for name in ("terse", "chatty")
    }
    means = {name: one["simulated"]["words_mean"] for name, one in figures.items()}
    assert means["terse"] < means["chatty"]
    assert figures["terse"]["real"]["dialogues"] == figures["chatty"]["real"]["dialogues"] == 20


def test_realism_says_why_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("DIALOG_GYM_DATA", str(tmp_path))
    told = user_realism.realism("agenda", 20, 0)
    assert told.startswith("not measured: ") and "\n" not in told


def test_the_table():
    console = Console(record=True, width=100)
    figures = compare(side(1), side(2))
    console.print(user_realism.table({"source": "own", "split": "none", **figures}))
    shown = console.export_text()
    assert "own, none" in shown
    assert f"{figures['classifier']['accuracy']:.3f}" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "dreams"], "unknown source 'dreams'; known: corpus-acts, played"),
        (["--dialogues", "3"], "--dialogues must be at least 20, not 3"),
        (["--split", "tset"], "unknown split 'tset'"),
        (["--simulator", "lm"], "--simulator goes with --source played, not with corpus-acts"),
    ],
)
def test_bad_options(options, message, capsys):
    assert user_realism.main(options) == 2
    assert message in capsys.readouterr().err
