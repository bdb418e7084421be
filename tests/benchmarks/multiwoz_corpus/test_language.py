"""BLEU and lexical richness."""

import math

import numpy as np
import pytest
from sacrebleu import corpus_bleu

from dialog_gym.benchmarks.multiwoz_corpus.language import bleu, bleu_counts, msttr, richness, words

RESPONSES = ["NAME is a nice TYPE in the AREA.", "have a good day!", "", "how about TIME or TIME?"]
REFERENCES = ["NAME is a TYPE in the AREA.", "have a great day!", "bye.", "do you like TIME or TIME?"]


def test_bleu_of_summed_counts_is_corpus_bleu():
    counts = [bleu_counts(RESPONSES[i : i + 2], REFERENCES[i : i + 2]) for i in (0, 2)]
    whole = corpus_bleu(RESPONSES, [REFERENCES]).score
    assert bleu(np.sum(counts, axis=0)) == pytest.approx(whole) and 20 < whole < 80
    assert bleu(bleu_counts(REFERENCES, REFERENCES)) == pytest.approx(100)
    assert bleu(bleu_counts(["", ""], ["a b", "c d"])) == 0


@pytest.mark.parametrize(
    ("response", "tokens"),
    [
        ("I'm at NAME, 9: 30!", ["im", "at", "name", "9", "30"]),
        ("a - b", ["a", "b"]),
        ("", [""]),
        ("?", [""]),
        ("- hello!", ["", "hello"]),
        ("check-in (free)", ["checkin", "free"]),
    ],
)
def test_words(response, tokens):
    assert words(response) == tokens


def test_richness_by_hand():
    found = richness(["a b a", "b"])
    assert found["avg_lengths"] == 2 and (found["num_unigrams"], found["num_bigrams"]) == (2, 2)
    assert found["num_trigrams"] == 1 and found["entropy"] == 1
    # ab: 1 of 4 tokens, 1 of 2 a's; ba: 1 of 4, 1 of 2 b's
    assert found["cond_entropy"] == pytest.approx(0.5)
    assert found["msttr"] == 0.5


def test_msttr():
    assert msttr(["a"] * 50 + ["b"] * 49) == 0.02, "the rest at the end does not count"
    assert msttr([str(i) for i in range(100)]) == 1
    assert math.isclose(msttr(["a", "b", "a"]), 2 / 3)
