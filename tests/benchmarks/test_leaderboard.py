"""The leaderboard: ranks with ties, references beside them, and boards recomputed from stores."""

import json
import math

import pytest

from dialog_gym.benchmarks.board import Board, Row, read_board
from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.leaderboard import NO_LEARNING, assemble, board_of_stores, run_board
from dialog_gym.benchmarks.rows import make_rows, played
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError, Result, Score
from dialog_gym.metrics import METRICS
from dialog_gym.paired import Paired
from dialog_gym.store import StoreHeader, read_store, write_store

SUITE = load_suite("credit-v1")
AGENTS = ("silent", "scripted", "stall", "oracle")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("board")


@pytest.fixture(scope="module")
def board(folder):
    return run_board(SUITE, AGENTS, folder=folder, episodes=40, workers=1)


def test_ranks_ties_and_references(board):
    assert board.ranks("success") == {"scripted": 1, "silent": 2, "stall": 2, "oracle": None}
    order = [row.result.agent for row, _ in board.ordered()]
    assert order[:2] == ["oracle", "scripted"] and set(order[2:]) == {"silent", "stall"}
    # shorter dialogues rank first where lower is better
    assert board.ranks("turns")["oracle"] is None


def test_pairs_cover_every_two_agents_on_every_headline_metric(board):
    assert board.pairs.keys() == {SUITE.rank_by, *SUITE.headline}
    pair = board.pairs["success"]["silent", "scripted"]
    assert pair.difference < 0 and pair.high < 0
    assert len(board.pairs["success"]) == 6
    assert all(value > 0 and math.isfinite(value) for value in board.detectable.values())


def test_json_has_the_agreed_shape(board):
    data = board.to_json()
    assert (data["suite"], data["suite_version"], data["rank_by"]) == ("credit-v1", SUITE.version, "success")
    assert [row["agent"] for row in data["rows"]][:2] == ["oracle", "scripted"]
    for row in data["rows"]:
        assert {"agent", "backbone", "seeds", "env_steps", "rank", "reference", "scores"} <= row.keys()
        assert row["scores"].keys() == METRICS.keys()
        assert all(score.keys() == {"value", "low", "high", "n"} for score in row["scores"].values())
        assert row["reference"] == (row["agent"] == "oracle") == (row["rank"] is None)
    assert json.loads(json.dumps(data))["rows"][1]["rank"] == 1


def test_markdown_shows_ties_and_references(board):
    lines = board.markdown().splitlines()
    assert lines[0].startswith("| rank | agent | backbone | success | ")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[:2] for row in cells[:2]] == [["ref", "oracle"], ["1", "scripted"]]
    assert [row[0] for row in cells[2:]] == ["2=", "2="]
    assert all(len(row) == len(cells[0]) == lines[1].count("---") for row in cells)
    assert cells[1][3].count("[") == 1


def test_a_board_survives_disk(board, folder):
    again = read_board((folder / "board.json").read_text(), SUITE)
    assert again.markdown() == board.markdown() == (folder / "board.md").read_text().rstrip("\n")
    assert repr(again.to_json()) == repr(board.to_json())
    assert repr(again.pairs) == repr(board.pairs)  # NaN is unequal to itself
    assert not list(folder.glob(".*"))
    assert str(folder) not in (folder / "board.json").read_text()


def test_a_board_of_its_stores_is_the_same_board(board, folder):
    stores = sorted(folder.glob("*.jsonl*"))
    assert len(stores) == len(AGENTS)
    again = board_of_stores(stores)
    assert again.markdown() == board.markdown() and again.detectable == board.detectable
    assert again.ranks("success") == board.ranks("success")


def test_the_same_run_gives_the_same_bytes(folder, tmp_path):
    run_board(SUITE, AGENTS, folder=tmp_path, episodes=40, workers=1)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_a_board_of_another_version_is_refused(folder):
    newer = SUITE.model_copy(update={"version": SUITE.version + 1})
    with pytest.raises(
        DialogGymError, match=r"of credit-v1 version \d+, this is credit-v1 version \d+"
    ) as caught:
        read_board((folder / "board.json").read_text(), newer)
    assert "\n" not in str(caught.value)


def changed(source, target, **change):
    """A copy of a store with another header."""
    found = read_store(source)
    config = {**found.header.config, **change.pop("config", {})}
    header = {**found.header.model_dump(exclude={"config_hash"}), "config": config, **change}
    write_store(target, StoreHeader(**header), found.trajectories)
    return target


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({}, "agent 'scripted' is already on this board"),
        ({"agent": "new", "seed": 9}, "seed is 9, in .* 0; a board compares agents on the same dialogues"),
        ({"agent": "new", "simulator": "other"}, "simulator is 'other', in"),
        ({"agent": "new", "config": {"level": 4}}, "level is 4, in .* 3; a board"),
        ({"agent": "new", "suite_version": 99}, "version 99 cannot be on a board of credit-v1 version"),
        ({"agent": "new", "suite": "other"}, "suite other .* cannot be on a board"),
    ],
)
def test_stores_that_cannot_be_compared_are_refused(board, folder, tmp_path, change, hint):
    (scripted,) = folder.glob("scripted*.jsonl*")
    other = changed(scripted, tmp_path / "other.jsonl", **dict(change))
    with pytest.raises(DialogGymError, match=hint) as caught:
        board_of_stores([scripted, other])
    assert "\n" not in str(caught.value)


def test_boards_of_nothing_and_of_unknown_suites(folder, tmp_path):
    with pytest.raises(DialogGymError, match="no trajectory store given"):
        board_of_stores([])
    (scripted,) = folder.glob("scripted*.jsonl*")
    with pytest.raises(DialogGymError, match="unknown suite 'elsewhere'"):
        board_of_stores([changed(scripted, tmp_path / "x.jsonl", suite="elsewhere")])


def result(agent, value, backbone=None, reference=False):
    score = Score(value=value, low=value - 0.1, high=value + 0.1, n=100)
    return Result(
        agent=agent, suite="credit-v1", suite_version=1, simulator="agenda", backbone=backbone,
        reference=reference, scores=dict.fromkeys({SUITE.rank_by, *SUITE.headline}, score),
    )  # fmt: skip


def test_backbones_are_ranked_apart_and_ties_need_the_paired_interval():
    names = ["a", "b", "c", "lm"]
    rows = [
        Row(result("a", 0.60)),
        Row(result("b", 0.58)),
        Row(result("c", 0.2)),
        Row(result("lm", 0.9, "lm")),
    ]
    rest = {"n": 100, "relative": 0.1, "relative_low": 0.0, "relative_high": 0.2, "p_superior": 0.9}
    tied = Paired(difference=0.02, low=-0.01, high=0.05, **rest)
    apart = Paired(difference=0.4, low=0.3, high=0.5, **rest)
    pairs = {(x, y): apart for i, x in enumerate(names) for y in names[i + 1 :]} | {("a", "b"): tied}
    board = Board(SUITE, rows, {"success": pairs}, {})
    assert board.ranks("success") == {"a": 1, "b": 1, "c": 3, "lm (lm)": 1}
    assert [(row.name, place) for row, place in board.places()] == [
        ("lm (lm)", "1"), ("a", "1="), ("b", "1="), ("c", "3"),
    ]  # fmt: skip
    assert "Ranks are within a backbone" in board.markdown().splitlines()[-1]


def test_rows_keep_a_sample_and_no_more(board, folder):
    found = read_store(next(folder.glob("scripted*.jsonl*"))).trajectories
    (row,) = make_rows([played(result("scripted", 0.5), found)], SUITE)
    assert row.keys == sorted((one.task.id, one.trial) for one in found) and len(row.sample) <= 60
    assert set(assemble(SUITE, [row], 0).pairs) == set()


def test_the_shipped_agents_all_exist(tmp_path):
    assert {"scripted", "oracle", "random", "silent"} <= set(NO_LEARNING)
    for name in NO_LEARNING:
        evaluate(RunConfig(SUITE, name, episodes=1), store=tmp_path / f"{name}.jsonl", workers=1)
    with pytest.raises(DialogGymError, match="did you mean 'scripted'"):
        run_board(SUITE, ["scriptd"], folder=tmp_path, episodes=1)
