"""`dialog-gym leaderboard --preset`: what it prints, how it stops, and how it goes on."""

import json
import sys
import warnings
from contextlib import contextmanager
from dataclasses import replace

import pytest

from dialog_gym import cli, cli_board, cli_preset
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
    assert cli.run(["leaderboard", "--show", "--out", "board", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out)
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


def test_only_some_of_a_preset_play(place, monkeypatch, capsys):
    told: list[str] = []

    def jobs_only(jobs, **_):
        told.extend(job.name for job in jobs)
        raise KeyboardInterrupt

    monkeypatch.setattr(preset_run, "run_jobs", jobs_only)
    assert cli.run([*ARGUMENTS, "--only", "silent"]) == 130
    assert told == ["play silent"]
    assert cli.run([*ARGUMENTS, "--only", "silnt"]) == 2
    assert "preset tiny has no 'silnt'; did you mean 'silent'?" in capsys.readouterr().err
    assert cli.run(["leaderboard", "--only", "silent"]) == 2
    assert "--only chooses from a preset" in capsys.readouterr().err


def test_how_long_it_takes_is_said_first(monkeypatch, capsys):
    monkeypatch.setattr(presets, "PRESETS", {"tiny": replace(TINY, takes="a moment")})

    def stopped(jobs, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preset_run, "run_jobs", stopped)
    assert cli.run(ARGUMENTS) == 130
    assert capsys.readouterr().err.startswith("preset tiny: a moment; Ctrl-C stops in order")


def test_a_terminal_has_a_bar_over_all_jobs(monkeypatch):
    told = []

    @contextmanager
    def bar(label):
        yield lambda done, total: told.append((label, done, total))

    monkeypatch.setattr(cli_preset, "progress", bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with cli_preset.job_progress() as tell:
        tell(Status((), {"a": 0.5, "b": 0.25}, 4))
        tell(Status(("a",), {"b": 0.5}, 4))
    assert told == [("all jobs, per cent", 18, 100), ("all jobs, per cent", 37, 100)]


def test_stored_rows_are_shown_or_missed_in_one_line(place, capsys):
    assert cli.run(["leaderboard", "--show", "--suite", "credit-v1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows and {row["backbone"] for row in rows} <= {None, "net", "lm"}
    for row in rows:
        assert row["seeds"] >= 1 and row["env_steps"] >= 0
        assert all(score.keys() == {"value", "low", "high", "n"} for score in row["scores"].values())
    assert cli.run(["leaderboard", "--show", "--out", "nothing"]) == 2
    assert capsys.readouterr().err == (
        "dialog-gym: nothing holds no board.json: no run of `dialog-gym leaderboard` was finished there\n"
    )
