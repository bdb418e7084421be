"""`evaluate --predictions` on the small corpus: one JSON object, a table, or one line and exit code 2."""

import json

import pytest

from dialog_gym import cli

TURN = {
    "response": "[value_name] , [value_postcode] .",
    "state": {"attraction": {"type": "architecture"}},
    "active_domains": ["attraction"],
}


@pytest.fixture
def score(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DIALOG_GYM_DATA", "")

    def run(content, *options):
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(content))
        command = ["evaluate", "--suite", "multiwoz-corpus", "--predictions", str(path)]
        return cli.run([*command, "--data-dir", str(data), *options])

    return run


def test_json(score, capsys):
    assert score({"sng0002": [TURN]}, "--partial", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["agent"], result["suite"], result["episodes"]) == ("mine", "multiwoz-corpus", 1)
    scores = result["scores"]
    assert list(scores)[:4] == ["inform", "success", "bleu", "combined"]
    assert scores["success"] == {"value": 100.0, "low": 100.0, "high": 100.0, "n": 1}
    assert scores["combined"]["value"] == pytest.approx(100 + scores["bleu"]["value"])
    assert result["richness"]["num_unigrams"] == 2 and len(result["notes"]) == 1


def test_table(score, capsys):
    turn = {"response": TURN["response"]}
    assert score({"sng0002": [turn]}, "--partial") == 0
    out, err = capsys.readouterr()
    assert "mine on multiwoz-corpus v1: 1 dialogues, in points" in out and "inform_attraction" in out
    assert "gold states" in err and "estimated" in err and "2.2 are not there" in err


def test_a_bad_file_is_one_line(score, capsys):
    assert score({"sng0002": [TURN]}) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "1 of 2 test dialogues are missing" in err
