"""The README says what the code does: its board is the stored one, its examples run."""

import re
from pathlib import Path

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.board import show_board
from dialog_gym.cli import run
from dialog_gym.rollout import play

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_board_is_the_stored_one():
    shown = README.split("<!-- board -->")[1].split("<!-- /board -->")[0].strip()
    assert shown == show_board("credit-v1").main().markdown()


def test_the_environment_example_runs():
    example = next(block for block in blocks("python") if "gym.make" in block)
    scope = {}
    exec(compile(example, "README", "exec"), scope)
    assert "conversion" in scope["info"]["rewards"]


def test_the_agent_example_plays(tmp_path):
    source = next(block for block in blocks("python") if "class Polite" in block)
    path = tmp_path / "my_agent.py"
    path.write_text(source, "utf-8")
    from dialog_gym.envs import DialogueEnv

    trajectory = play(DialogueEnv(split="test").begin(0, 1), load_agent(str(path)))
    assert trajectory.turns[0].acts[-1].intent == "ask_identity"


@pytest.mark.parametrize("line", [line for block in blocks("bash") for line in block.splitlines()])
def test_every_command_named_exists(line):
    words = line.split("#")[0].split()
    if words[:1] != ["dialog-gym"]:
        return
    options = [word for word in words[2:] if word.startswith("--")]
    command = words[1:3] if words[1] == "train" else words[1:2]
    assert run([*command, "--help"]) == 0
    import subprocess
    import sys

    shown = subprocess.run(
        [sys.executable, "-m", "dialog_gym.cli", *command, "--help"], capture_output=True, text=True
    )
    assert all(option in shown.stdout for option in options), options


def test_the_stored_board_belongs_to_this_shop():
    """A change of rules, wording or users needs a new board and a new suite version."""
    from dialog_gym.domains.credit.domain import CreditDomain

    made_with = {row.result.versions["domain"].split()[-1] for row in show_board("credit-v1").rows}
    assert made_with == {CreditDomain().config_hash}
