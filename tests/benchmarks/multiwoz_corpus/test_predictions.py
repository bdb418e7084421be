"""Predictions files, good and bad."""

import json

import pytest

from dialog_gym.benchmarks.multiwoz_corpus.predictions import PredictedTurn, read_predictions
from dialog_gym.core import DialogGymError

TURN = {"response": "hello"}
GOOD = {"mul0001": [TURN, TURN, TURN], "sng0002": [TURN]}


@pytest.fixture
def read(tmp_path, corpus):
    def from_content(content, partial=False):
        path = tmp_path / "p.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_predictions(path, corpus, partial)

    return from_content


def test_a_good_file(read):
    state = {"hotel": {"area": "east"}}
    full = {"response": "NAME", "state": state, "active_domains": ["hotel"], "more": 1}
    found = read(GOOD | {"sng0002": [full]})
    assert found["sng0002"] == [PredictedTurn("NAME", state, ["hotel"])]
    assert found["mul0001"][0] == PredictedTurn("hello", None, None)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "not JSON (Expecting value"),
        (b'{"mul0001": [', "not JSON (Expecting value"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "predictions are an object {dialogue id: [turns]}, not a list"),
        ({}, "not an empty object"),
        (GOOD | {"xyz": [TURN]}, "xyz: no dialogue of MultiWOZ has this id"),
        (
            GOOD | {"SNG0002.json": [TURN]},
            "SNG0002.json: ids are written in lower case without .json: sng0002",
        ),
        (GOOD | {"sng0008": [TURN]}, "sng0008: a dialogue of the validation split"),
        (
            GOOD | {"sng0009": [TURN]},
            "sng0009: a dialogue of the train split; this evaluation is of the test",
        ),
        ({"mul0001": [TURN] * 3}, "1 of 2 test dialogues are missing, for example sng0002; --partial"),
        (GOOD | {"mul0001": [TURN] * 2}, "mul0001: 2 turns, but the dialogue has 3 system turns; --partial"),
        (GOOD | {"mul0001": [TURN] * 4}, "mul0001: 4 turns, but the dialogue has 3 system turns"),
        (GOOD | {"mul0001": []}, "mul0001: 0 turns, but the dialogue has 3 system turns"),
        (GOOD | {"sng0002": TURN}, "sng0002: must be a list of turns, not an object"),
        (GOOD | {"sng0002": ["hi"]}, 'sng0002, turn 0: must be an object with "response", not a string'),
        (GOOD | {"sng0002": [{}]}, 'sng0002, turn 0: has no "response"'),
        (GOOD | {"sng0002": [{"response": None}]}, "turn 0, response: must be a string, not null"),
        (GOOD | {"sng0002": [{"response": 5}]}, "turn 0, response: must be a string, not a number"),
        (GOOD | {"sng0002": [TURN | {"state": []}]}, "state: must be an object {domain: {slot: value}}, not"),
        (
            GOOD | {"sng0002": [TURN | {"state": {"taxi": "x"}}]},
            "state, taxi: must be an object {slot: value}",
        ),
        (
            GOOD | {"sng0002": [TURN | {"state": {"hotel": {"stars": 4}}}]},
            "sng0002, turn 0, state, hotel, stars: must be a string, not a number",
        ),
        (
            GOOD | {"sng0002": [TURN | {"active_domains": "taxi"}]},
            "active_domains: must be a list of strings",
        ),
        (GOOD | {"sng0002": [TURN | {"active_domains": [True]}]}, "must be a list of strings, not a boolean"),
        (GOOD | {"sng0002": [TURN | {"active_domains": None}]}, "must be a list of strings, not null"),
    ],
)
def test_a_bad_file(read, content, line):
    with pytest.raises(DialogGymError) as error:
        read(content)
    assert line in str(error.value) and "\n" not in str(error.value) and "p.json: " in str(error.value)


def test_a_part_of_the_dialogues(read):
    assert len(read({"mul0001": [TURN]}, partial=True)) == 1
    with pytest.raises(DialogGymError, match=r"0 turns, but the dialogue has 3 system turns$"):
        read({"mul0001": []}, partial=True)
    with pytest.raises(DialogGymError, match=r"4 turns, but the dialogue has 3 system turns$"):
        read({"mul0001": [TURN] * 4}, partial=True)


def test_no_file(tmp_path, corpus):
    with pytest.raises(DialogGymError, match=r"no\.json: No such file"):
        read_predictions(tmp_path / "no.json", corpus)
    with pytest.raises(DialogGymError, match="Is a directory"):
        read_predictions(tmp_path, corpus)
