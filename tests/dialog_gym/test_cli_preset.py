"""`dialog-gym leaderboard --preset`: what it prints, how it stops, and how it goes on."""

import json
import sys
import warnings

import pytest

from dialog_gym import cli, cli_board
from dialog_gym.benchmarks import preset_run, presets
from dialog_gym.benchmarks.jobs import JobFailed, Status
from dialog_gym.benchmarks.presets import Course, Learner, Preset

ARGUMENTS = ["leaderboard", "--preset", "tiny", "--out", "board"]
COURSE = Course("lm", (Learner("sft"),), seeds=1, steps=1)
TINY = Preset("tiny", agents=("scripted", "silent"), courses=(), episodes=10)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(presets, "PRESETS", {"tiny": TINY})
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["dialog-gym", *ARGUMENTS])
    return tmp_path


def test_a_preset_writes_board_dialogues_and_report(place, capsys):
    pytest.importorskip("jinja2")
    pytest.importorskip("plotly")
    (place / "own.py").write_text("def answer(text):\n    return 'Goodbye.'\n")
    assert cli.run([*ARGUMENTS, "--agents", "own.py:answer", "--json"]) == 0
    out, err = capsys.readouterr()
    assert {row["agent"] for row in json.loads(out)["rows"]} == {"scripted", "silent", "own.py:answer"}
    assert "[3/3] play " in err and "agents, dialogues and board: board" in err
    found = {path.name for path in (place / "board").iterdir()}
    assert {"board.json", "board.md", "report.html", "scripted-seed0.jsonl.gz"} <= found


def test_the_report_is_left_out_where_it_cannot_be_made(monkeypatch, place, capsys):
    monkeypatch.setattr(cli_board, "find_spec", lambda name: None)
    monkeypatch.setattr(
        preset_run, "run_jobs", lambda jobs, **_: {job.name: job.run(*job.arguments, Idle()) for job in jobs}
    )
    assert cli.run(ARGUMENTS) == 0
    assert "no HTML report: it needs pip install" in capsys.readouterr().err


class Idle:
    def progress(self, done, total):
        pass

    def stop(self):
        return False


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def stopped(jobs, *, on_status, **_):
        on_status(Status(("play silent",), {"play scripted": 0.5}, 2, stopping=True))
        raise KeyboardInterrupt

    monkeypatch.setattr(preset_run, "run_jobs", stopped)
    assert cli.run(ARGUMENTS) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("[1/2] play silent done after ")
    assert lines[1] == "stopping when what runs has saved; Ctrl-C again stops at once"
    again = "dialog-gym leaderboard --preset tiny --out board --resume"
    assert lines[2] == f"dialog-gym: stopped; what is finished is in board; go on with: {again}"


def test_a_language_model_that_fails_can_be_left_out(monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setattr(presets, "PRESETS", {"tiny": Preset("tiny", ("silent",), (COURSE,), 4)})

    def failed(jobs, **_):
        assert next(job.name for job in jobs) == "train sft-lm-seed0"
        raise JobFailed("train sft-lm-seed0: the model is missing")

    monkeypatch.setattr(preset_run, "run_jobs", failed)
    assert cli.run(ARGUMENTS) == 1
    line = capsys.readouterr().err
    assert line.startswith("dialog-gym: train sft-lm-seed0: the model is missing; go on with: ")
    assert line.endswith("--resume (or leave language models out: --no-lm)\n")
    left: list[str] = []
    monkeypatch.setattr(preset_run, "run_jobs", lambda jobs, **_: left.extend(job.name for job in jobs) or {})
    with pytest.raises(KeyError):  # nothing was played
        cli.app([*ARGUMENTS, "--no-lm"], standalone_mode=False)
    assert left == ["play silent"]


def test_unknown_agents_are_found_before_anything_runs(place, capsys):
    assert cli.run([*ARGUMENTS, "--agents", "scriptd"]) == 2
    assert "did you mean 'scripted'?" in capsys.readouterr().err
    assert not (place / "board").exists()
