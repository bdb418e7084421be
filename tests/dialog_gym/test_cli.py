"""The command line: every mistake is one line and exit code 2; --json prints one object."""

import io
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from dialog_gym import cli, cli_evaluate
from dialog_gym.store import read_store

COMMAND = [sys.executable, "-m", "dialog_gym.cli"]
SMALL = ["--workers", "1"]


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("DIALOG_GYM_DATA", "")


@pytest.fixture
def mistake(capsys):
    """Runs a command that must fail in one line; returns that line."""

    def run(*arguments, code=2):
        assert cli.run([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        lines = err.splitlines()
        assert out == "" and len(lines) == 1 and lines[0].startswith("dialog-gym: "), err
        return lines[0].removeprefix("dialog-gym: ")

    return run


@pytest.fixture
def store(tmp_path, capsys):
    """A small finished run."""
    path = tmp_path / "small.jsonl"
    assert cli.run(["evaluate", "--agent", "scripted", "--episodes", "12", "--out", str(path), *SMALL]) == 0
    capsys.readouterr()
    return path


# -- mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("evalute", "no such command 'evalute'; did you mean 'evaluate'? (see dialog-gym --help)"),
        ("evaluate", "missing option '--agent'"),
        ("evaluate --agent scriptd", "unknown agent 'scriptd'; did you mean 'scripted'?"),
        ("evaluate --agent scripted --suite credit", "unknown suite 'credit'; did you mean 'credit-v1'?"),
        ("evaluate --agent scripted --suite no.toml", "suite no.toml: No such file"),
        ("evaluate --agent scripted --simulator agend", "unknown simulator 'agend'; did you mean 'agenda'?"),
        ("evaluate --agent scripted --episodes 0", "episodes must be from 1 to"),
        ("evaluate --agent scripted --episodes -1", "episodes must be from 1 to"),
        ("evaluate --agent scripted --episodes 99999999", "episodes must be from 1 to"),
        ("evaluate --agent scripted --episodes many", "invalid value for '--episodes'"),
        ("evaluate --agent scripted --workers 0", "invalid value for '--workers'"),
        ("evaluate --agent scripted --level 12", "invalid value for '--level'"),
        ("evaluate --agent scripted --seed -1", "invalid value for '--seed'"),
        ("evaluate --agent scripted --episods 3", "no such option --episods; did you mean '--episodes'?"),
        ("evaluate --agent scripted --profiles rel --episodes 4", "unknown profile_source 'rel'"),
        ("evaluate --agent scripted --profiles real --episodes 4", "set DIALOG_GYM_DATA"),
        ("evaluate --agent scripted --episodes 4 --out .", "Is a directory"),
        ("grade", "missing argument 'FILE'"),
        ("grade nope.jsonl", "nope.jsonl: no such file"),
        ("grade .", ". is a folder; name a file"),
        ("replay nope.jsonl", "nope.jsonl: no such file"),
        ("play --agent scriptd", "unknown agent 'scriptd'; did you mean 'scripted'?"),
        ("play --scenario proactive", "unknown scenario 'proactive'; did you mean 'proactive_sale'?"),
        ("play --split tst", "unknown split 'tst'; did you mean 'test'?"),
        ("play --task 99999999999", "is outside 0.."),
        ("play --task sale/3", "is not of the form credit/scenario/split/level/index"),
        ("play --simulator agend", "unknown simulator 'agend'; did you mean 'agenda'?"),
        ("list agent", "unknown kind 'agent'; did you mean 'agents'?"),
        ("check", "missing command (see dialog-gym check --help)"),
        ("check agnt x", "no such command 'agnt'; did you mean 'agent'?"),
        ("check agent scriptd", "unknown agent 'scriptd'; did you mean 'scripted'?"),
        ("check agent no.py", "no such file: no.py"),
        ("check suite no.toml", "no such file: no.toml"),
        ("check rulebook no.toml", "no such file: no.toml"),
        ("leaderboard --agents scripted,silnt --episodes 4", "unknown agent 'silnt'; did you mean 'silent'?"),
        ("leaderboard --agents silent,silent --episodes 4", "an agent is named twice"),
        ("leaderboard --preset quik", "unknown preset 'quik'; did you mean 'quick'?"),
        ("leaderboard --suite credit --show", "unknown suite 'credit'; did you mean 'credit-v1'?"),
        ("report", "missing argument 'FILES...'"),
        ("report nope.jsonl", "nope.jsonl: no such file"),
        ("data get multiwz", "unknown data set 'multiwz'; did you mean 'multiwoz'?"),
        ("data get multiwoz --from no", "no such folder: no"),
        ("data get multiwoz --from .", "has no file of MultiWOZ; give a clone of"),
        ("--verson", "no such option --verson; did you mean '--version'?"),
    ],
)
def test_a_mistake_is_one_line(mistake, arguments, line, tmp_path):
    assert line in mistake(*arguments.split(" "))
    assert not list(tmp_path.rglob("*.jsonl")), "a mistake must leave no file behind"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00binary", "not a trajectory store"),
        (b'{"agent": "x"}\n', "not a trajectory store"),
        (b'{"format":"dialog-gym-trajectories","format_version":9}\n', "written in format version 9"),
    ],
)
@pytest.mark.parametrize("command", ["grade", "replay", "report"])
def test_files_that_are_no_store(mistake, tmp_path, command, content, line):
    (tmp_path / "odd.jsonl").write_bytes(content)
    assert line in mistake(command, "odd.jsonl")


def test_no_permission(mistake, store, monkeypatch):
    def refused(path, *_, **__):  # root may read everything, so a mode of 0 would prove nothing there
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refused)
    assert mistake("grade", store).endswith("small.jsonl: Permission denied")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(mistake):
    line = mistake("evaluate", "--agent", "scripted", "--episodes", "4", "--out", "/dev/full", *SMALL)
    assert line == "cannot write /dev/full: No space left on device"


def test_a_disk_that_fills_up_while_writing(mistake, store, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("builtins.open", lambda path, mode="r", buffering=-1, **_: Full(path, mode))
    line = mistake("evaluate", "--agent", "silent", "--episodes", "4", "--out", "new.jsonl", *SMALL)
    assert line == "cannot write new.jsonl: No space left on device"


AGENTS = {
    "syntax.py": ("def reply(:\n", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    "no_reply.py": (
        "from dialog_gym.agents.base import Agent\nclass Mine(Agent):\n    pass\n",
        "Mine must define reply(self, observation)",
    ),
    "third.py": (
        "from dialog_gym.agents.base import Agent\nclass Mine(Agent):\n    def reply(self, observation):\n"
        "        return 'Hello.' if len(observation.dialogue) < 4 else 1 / 0\n",
        "ZeroDivisionError",
    ),
    "number.py": ("def answer(text):\n    return 7\n", "returned int, not a text (str)"),
    "two.py": ("class A: ...\nclass B: ...\n", "must define one public class or function"),
}


@pytest.mark.parametrize("name", AGENTS)
def test_broken_agents_in_files(mistake, capsys, tmp_path, name):
    code, line = AGENTS[name]
    (tmp_path / name).write_text(code)
    assert line in mistake("evaluate", "--agent", name, "--episodes", "40", *SMALL)
    assert cli.run(["check", "agent", name]) == 1
    out = capsys.readouterr().out
    assert "✗" in out and (line in out or line.split(",")[0] in out)
    if name == "third.py":
        assert "(third.py, line 4: return 'Hello.' if" in out


def test_a_defect_of_our_own_is_told_apart(mistake, monkeypatch):
    monkeypatch.setattr("dialog_gym.plugins.names", lambda kind: 1 / 0)
    line = mistake("list", "agents", code=70)
    assert line.startswith("internal error: ZeroDivisionError: division by zero (")


def test_terminal_control_characters_are_not_repeated(mistake):
    assert "\x1b" not in mistake("evaluate", "--agent", "\x1b[2Jx")


def test_stopped(mistake, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dialog_gym.plugins.names", stopped)
    assert mistake("list", "agents", code=130) == "stopped"


def test_ctrl_c_says_how_to_go_on(mistake, monkeypatch):
    arguments = ["evaluate", "--agent", "scripted", "--episodes", "4", "--workers", "1"]
    monkeypatch.setattr("sys.argv", ["dialog-gym", *arguments])

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dialog_gym.benchmarks.playing.play", stopped)
    line = mistake(*arguments, code=130)
    assert line.startswith(
        "stopped; finished dialogues are in runs/credit-v1/scripted-seed0.jsonl; go on with: "
    )
    assert line.endswith("dialog-gym evaluate --agent scripted --episodes 4 --workers 1 --resume")


def test_a_closed_pipe():
    process = subprocess.Popen([*COMMAND, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    line = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 2
    assert line == "dialog-gym: the output was closed before everything was written\n"


# -- what works ------------------------------------------------------------------------------------------


def test_help_and_version(capsys):
    assert cli.run([]) == 0
    assert "play --agent scripted" in " ".join(capsys.readouterr().out.split())
    for command in (
        ["play"],
        ["evaluate"],
        ["grade"],
        ["replay"],
        ["leaderboard"],
        ["report"],
        ["list"],
        ["check"],
    ):
        assert cli.run([*command, "--help"]) == 0
        assert f"Usage: dialog-gym {command[0]}" in capsys.readouterr().out
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dialog-gym ")


def test_starting_imports_no_heavy_module():
    heavy = {"torch", "pandas", "plotly", "dialog_gym.benchmarks.evaluate", "dialog_gym.agents.base"}
    code = f"import sys, dialog_gym.cli; print(sorted({heavy} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_evaluate_prints_a_table_and_names_its_file(capsys):
    assert cli.run(["evaluate", "--agent", "scripted", "--episodes", "20", *SMALL]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("scripted on credit-v1 v")
    assert "conversion" in out and "95 % interval" in out and "mis_sale_rate" not in out
    assert err == "dialogues: runs/credit-v1/scripted-seed0.jsonl\n"
    assert len(read_store("runs/credit-v1/scripted-seed0.jsonl").trajectories) == 20


def test_a_second_run_keeps_the_first_ones_file(capsys):
    first = ["evaluate", "--agent", "silent", "--episodes", "4", *SMALL]
    assert cli.run(first) == 0 and cli.run([*first[:-1], "2", "--seed", "0"]) == 0
    assert "the earlier run is kept as runs/credit-v1/silent-seed0.jsonl.old" in capsys.readouterr().err
    folder = Path("runs/credit-v1")
    assert (folder / "silent-seed0.jsonl.old").read_bytes() == (folder / "silent-seed0.jsonl").read_bytes()


def test_json_is_one_object_and_standard(capsys, store):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert cli.run(["grade", str(store), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert set(found["scores"]["conversion"]) == {"value", "low", "high", "n"}
    assert found["scores"]["rouge"]["n"] == 0 or found["scores"]["rouge"]["value"] is not None
    assert "conversion" in found["detectable_difference"]
    assert any(score["value"] is None for score in found["scores"].values())  # not judged on so few dialogues


def test_grade_gives_the_scores_of_the_run(capsys, store):
    run = [
        "evaluate",
        "--agent",
        "scripted",
        "--episodes",
        "12",
        "--out",
        str(store),
        "--resume",
        "--json",
        *SMALL,
    ]
    assert cli.run(run) == 0
    played = json.loads(capsys.readouterr().out)
    assert cli.run(["grade", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == played["scores"]


def test_grade_tells_of_a_cut_off_and_unfinished_store(capsys, store):
    store.write_bytes(store.read_bytes()[:-100])
    assert cli.run(["grade", str(store)]) == 0
    err = capsys.readouterr().err
    assert "the last line is cut off and was skipped" in err
    assert "an unfinished run, 11 of 12 dialogues" in err


def test_replay(capsys, store):
    assert cli.run(["replay", str(store)]) == 0
    assert "all the same" in capsys.readouterr().out
    lines = store.read_text().splitlines()
    record = json.loads(lines[-1])
    record["outcome"]["satisfaction"] = 5.0
    store.write_text("\n".join([*lines[:-1], json.dumps(record)]) + "\n")
    assert cli.run(["replay", str(store)]) == 1
    assert f"differs: {record['task']['id']} trial {record['trial']}: outcome" in capsys.readouterr().out
    assert cli.run(["replay", str(store), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["dialogues"], len(found["mismatches"])) == (False, 12, 1)


def test_list(capsys):
    assert cli.run(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agents"]["scripted"].startswith("dialog_gym.agents.per_domain:Scripted (dialog-gym")
    assert found["envs"]["EcomDialog-v0"] and found["metrics"]["conversion"]
    assert cli.run(["list", "rewards"]) == 0


def test_checks_of_files(capsys, tmp_path):
    suite = tmp_path / "mine.toml"
    text = 'name = "mine"\nversion = 1\ndomain = "credit"\nsplit = "test"\nlevel = 3\nsimulator = "agenda"\n'
    text += "trials = 2\n"
    text += 'headline = ["tse"]\nrank_by = "sucess"\n[scenarios]\nproactive_sale = 10\ncustomer_sale = 5\n'
    suite.write_text(text)
    assert cli.run(["check", "suite", str(suite)]) == 1
    out = capsys.readouterr().out
    assert "✗ metrics: unknown metric 'sucess'; did you mean 'success'?" in out
    assert "✗ scenario customer_sale: unknown scenario" in out
    suite.write_text(text.replace("sucess", "success").replace("customer_sale", "customer_service"))
    assert cli.run(["check", "suite", str(suite), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    book = tmp_path / "book.toml"
    shipped = Path(cli.__file__).parent / "domains" / "credit" / "rulebook.toml"
    book.write_text(shipped.read_text("utf-8"), "utf-8")
    assert cli.run(["check", "rulebook", str(book)]) == 0
    book.write_bytes(b"\xff\xfe")
    assert cli.run(["check", "rulebook", str(book)]) == 1
    book.write_text("version = 1\n")
    assert cli.run(["check", "rulebook", str(book)]) == 1


def test_data_path(capsys, tmp_path):
    assert cli.run(["data", "path", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path)


def test_module_in_the_present_folder(capsys, tmp_path):
    (tmp_path / "my_own_agents.py").write_text("def answer(text):\n    return 'Hello.'\n")
    assert cli.run(["evaluate", "--agent", "my_own_agents:answer", "--episodes", "4", *SMALL]) == 0


def test_leaderboard_and_report(capsys, tmp_path):
    arguments = ["leaderboard", "--agents", "scripted,silent", "--episodes", "40", *SMALL]
    assert cli.run([*arguments, "--json", "--report", "board.html"]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)["rows"]
    assert [row["agent"] for row in rows] == ["scripted", "silent"]
    assert {"backbone", "seeds", "env_steps", "scores"} <= set(rows[0])
    assert "report: board.html" in err and (tmp_path / "board.html").stat().st_size > 1000
    assert cli.run([*arguments, "--resume"]) == 0
    assert capsys.readouterr().out.startswith("| rank | agent |")
    stores = sorted(str(path) for path in Path("runs/leaderboard").glob("*.jsonl*"))
    assert cli.run(["report", *stores, "--out", "again.html"]) == 0
    assert capsys.readouterr().out == "again.html\n"


def test_the_board_fits_a_terminal(capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdout", screen := Terminal())
    assert cli.run(["leaderboard", "--agents", "scripted,silent", "--episodes", "20", *SMALL]) == 0
    lines = screen.getvalue().splitlines()
    assert "95 % interval" in lines[0] and max(map(len, lines[:-1])) <= 80
    assert lines[-1].startswith("not shown here: ")


def test_a_dead_worker_is_explained(mistake, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    def died(*_, **__):
        raise BrokenProcessPool("x")

    monkeypatch.setattr("dialog_gym.benchmarks.evaluate.run_episodes", died)
    line = mistake("evaluate", "--agent", "scripted", "--episodes", "4")
    assert line.startswith("a worker process died (out of memory?); go on with: ")
    assert cli_evaluate.again().endswith("--resume")
