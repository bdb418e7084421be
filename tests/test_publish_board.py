"""Shipping a board: copied into the package and the README, or refused with a reason."""

import runpy
from pathlib import Path

import pytest

from dialog_gym.benchmarks.board import show_board

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts/publish_board.py"))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# x\n<!-- board -->\nold\n<!-- /board -->\nrest\n")
    return tmp_path


def test_the_shipped_board_may_be_shipped_again(root, tmp_path):
    board = show_board("credit-v1")
    board.write(tmp_path / "board.json")
    SCRIPT["publish"](tmp_path, root)
    assert (root / "benchmarks/results/credit-v1.json").read_text() == (tmp_path / "board.json").read_text()
    expected = f"# x\n<!-- board -->\n{board.main().markdown()}\n<!-- /board -->\nrest\n"
    assert (root / "README.md").read_text() == expected


def test_parts_of_a_board_are_refused(root, tmp_path, capsys):
    board = show_board("credit-v1")
    board.rows.pop(0)
    board.write(tmp_path / "board.json")
    assert SCRIPT["main"]([str(tmp_path)]) == 1
    assert "not published: the board lacks silent" in capsys.readouterr().err
    short = show_board("credit-v1")
    short.rows[0].result = short.rows[0].result.model_copy(update={"episodes": 200})
    short.write(tmp_path / "board.json")
    assert SCRIPT["main"]([str(tmp_path)]) == 1
    assert "silent played 200 dialogues of 9,200" in capsys.readouterr().err
    assert "old" in (root / "README.md").read_text()
