"""`dialog-gym train`: options generated from configurations, one line per mistake, Ctrl-C and --resume."""

import json
import re
import signal
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from dialog_gym import cli, cli_train  # noqa: E402
from dialog_gym.agents.learning.algorithm import Algorithm, TrainingError  # noqa: E402
from dialog_gym.agents.learning.run_log import read_metrics  # noqa: E402
from dialog_gym.cli_training_progress import figures, training_progress  # noqa: E402

NET = ["--hidden", "16", "--threads", "1"]
SFT = ["train", "sft", "--demonstrations", "20", "--passes", "2", "--validation-episodes", "20", *NET]
PLAY = ["--steps", "150", "--dialogues", "16", "--minibatch", "8", "--validate-every", "0", *NET]


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def sft(tmp_path_factory):
    """A barely trained agent."""
    folder = tmp_path_factory.mktemp("sft") / "agent"
    assert cli.run([*SFT, "--out", str(folder)]) == 0
    return str(folder)


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


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("pppo", "no such command 'pppo'; did you mean 'ppo'? (see dialog-gym train --help)"),
        ("ppo --lerning-rate 1", "no such option --lerning-rate; did you mean '--learning-rate'?"),
        ("ppo --learning-rate fast", "invalid value for '--learning-rate'"),
        ("ppo --learning-rate -1", "--learning-rate must be above 0, not -1.0"),
        ("ppo --learning-rate nan", "--learning-rate must be a finite number, not nan"),
        ("ppo --discount 1.5", "--discount must be from 0 to 1, not 1.5"),
        ("ppo --epochs 0", "--epochs must be above 0, not 0"),
        ("ppo --entropy -1", "--entropy must be 0 or more, not -1.0"),
        ("ppo --group 2", "no such option --group"),
        ("grpo --group 1", "--group must be 2 or more, not 1: dialogues of a group are compared"),
        ("grpo --dialogues 100", "--dialogues 100 cannot be divided into groups of 8; e.g. 96 or 104"),
        ("grpo --dialogues 3", "--dialogues 3 cannot be divided into groups of 8; e.g. 8"),
        ("grpo --mix both", "invalid value for '--mix'"),
        ("ppo --weights conv=3", "--weights: unknown reward 'conv'; did you mean 'conversion'?"),
        ("ppo --weights conversion", "--weights: 'conversion' is not of the form NAME=W, e.g. conversion=3"),
        ("ppo --weights conversion=x", "--weights: 'x' is not a number"),
        (
            "ppo --weights conversion=inf",
            "--weights: the weight of conversion must be a finite number, not inf",
        ),
        ("ppo --backbone nett", "unknown backbone 'nett'; did you mean 'net'?"),
        ("ppo --hidden 0", "--hidden must be above 0, not 0"),
        ("ppo --seed -1", "invalid value for '--seed'"),
        ("ppo --init nowhere", "nowhere is no trained agent: it holds no agent.json"),
        (
            "ppo --resume",
            "runs/train/ppo-net-seed0 holds no run to go on with; leave --resume out to begin one",
        ),
        ("sft --steps 5", "no such option --steps"),
    ],
)
def test_mistakes(arguments, line, mistake):
    found = mistake("train", *arguments.split())
    assert found.startswith(line), found


def test_help_lists_algorithms_without_torch(tmp_path):
    program = (
        "import sys\nsys.modules['torch'] = None\nfrom dialog_gym import cli\n"
        "codes = [cli.run(['train', '--help']), cli.run(['list', 'algorithms']), cli.run(['train', 'ppo'])]\n"
        "print(codes)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    for name in ("sft", "ppo", "grpo", "dpo"):
        assert len(re.findall(rf"^ *{name}  ", done.stdout, re.MULTILINE)) == 2
    assert done.stdout.endswith("[0, 0, 2]\n")
    assert done.stderr == "dialog-gym: learning agents need PyTorch: pip install 'dialog-gym[train]'\n"


def test_help_shows_the_algorithms_own_options(capsys):
    assert cli.run(["train", "grpo", "--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "--learning-rate",
        "--anneal / --no-anneal",
        "--group",
        "--mix",
        "--weights NAME=W",
        "--steps",
    ):
        assert option in text
    assert cli.run(["train", "sft", "--help"]) == 0
    assert "--steps" not in capsys.readouterr().out


def test_options_reach_the_run(monkeypatch):
    seen = []
    monkeypatch.setattr(cli_train, "_played_out", lambda options: seen.append(options) or sys.exit(0))
    line = "ppo --seed 3 --no-anneal --length constant --weights conversion=1,turn=0 --hidden 8 --level 5"
    with pytest.raises(SystemExit):
        cli.run(["train", *line.split(), "--steps", "9"])
    found = seen[0]
    assert (found.algorithm, found.seed, found.level, found.steps) == ("ppo", 3, 5, 9)
    assert str(found.out) == "runs/train/ppo-net-seed3" and found.model == {"hidden": 8}
    assert found.config.keys() == {"anneal", "length", "weights"}
    assert (found.config["anneal"], found.config["length"]) == (False, "constant")
    assert found.config["weights"]["conversion"] == 1.0 and found.config["weights"]["violation"] > 0


def test_from_nothing_to_a_score(capsys, sft):
    assert cli.run(["train", "ppo", "--init", sft, "--out", "ppo", *PLAY]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("ppo: ppo on backbone net, seed 0, ") and "steps/s" in err
    assert out.endswith("score it with: dialog-gym evaluate --agent ppo\n")
    assert cli.run(["evaluate", "--agent", "ppo", "--episodes", "8", "--workers", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["backbone"] == "net" and result["env_steps"] >= 150
    assert cli.run(["train", "ppo", "--init", sft, "--out", "ppo", *PLAY, "--resume", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["agent"]["env_steps"] == result["env_steps"] and again["folder"] == "ppo"
    assert cli.run(["play", "--agent", "ppo", "--seed", "1"]) == 0


def test_validation_is_a_curve(sft):
    lines = read_metrics(Path(sft))
    assert [line["iteration"] for line in lines] == [0, 1, 2]
    assert [("validation_conversion" in line) for line in lines] == [True, False, True]
    assert lines[2]["memory_mib"] > 10 and lines[2]["loss"] < lines[1]["loss"]


def test_a_broken_loss_exits_with_1(mistake, monkeypatch, sft):
    def update(self, rollout, generator, progress=0.0):
        raise TrainingError("the loss is nan and the gradient's norm nan: not finite")

    monkeypatch.setattr(Algorithm, "update", update)
    line = mistake("train", "ppo", "--init", sft, "--out", "run", *PLAY, code=1)
    wanted = (
        "iteration 1, after 0 environment steps: the loss is nan and the gradient's norm nan: not finite; "
    )
    assert line == wanted + "the checkpoint of iteration 0 is kept in run"


def test_ctrl_c_saves_and_says_how_to_go_on(sft, tmp_path):
    arguments = ["train", "ppo", "--init", sft, "--out", "run", *PLAY, "--steps", "100000"]
    command = [sys.executable, "-m", "dialog_gym.cli", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().splitlines()
    assert process.returncode == 130 and "iteration 1" in first
    assert rest[-1].startswith(
        "dialog-gym: stopped and saved in run; go on with: dialog-gym train ppo --init "
    )
    assert rest[-1].endswith("--steps 100000 --resume")
    done = len(read_metrics(tmp_path / "run"))
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert saved["position"]["iteration"] == done >= 1


def test_a_second_ctrl_c_stops_at_once(monkeypatch, sft):
    from dialog_gym.agents.learning import runs

    def run(options, watch):
        signal.raise_signal(signal.SIGINT)
        assert watch.stop()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(runs, "run", run)
    assert cli.run(["train", "ppo", "--init", sft, "--out", "run"]) == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_tensorboard_writes_event_files(sft):
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorboard's own
        assert cli.run([*SFT, "--out", "run", "--tensorboard"]) == 0
    assert list(Path("run/tensorboard").iterdir())


def test_weights_and_biases_gets_every_iteration(monkeypatch):
    logged, began = [], []
    run = types.SimpleNamespace(log=lambda metrics, step: logged.append((step, metrics)), finish=lambda: None)
    fake = types.SimpleNamespace(init=lambda **options: began.append(options) or run)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    assert cli.run([*SFT, "--out", "run", "--wandb"]) == 0
    assert began[0]["mode"] == "offline" and began[0]["config"]["passes"] == 2
    assert [step for step, _ in logged] == [0, 1, 2] and "loss" in logged[1][1]


@pytest.mark.parametrize(
    ("package", "flag"), [("wandb", "--wandb"), ("torch.utils.tensorboard", "--tensorboard")]
)
def test_missing_loggers_are_named(package, flag, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.run([*SFT, "--out", "run", flag]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"dialog-gym: {flag} needs ") and f"pip install 'dialog-gym[{flag[2:]}]'" in line


def test_figures_leave_out_what_is_unknown():
    known = {
        "iteration": 3,
        "steps_per_second": 1234.5,
        "reward": 1.5,
        "conversion": float("nan"),
        "loss": 0.25,
    }
    assert figures(known) == "iteration 3, 1,234 steps/s, reward 1.50, loss 0.250"


def test_progress_on_a_terminal(monkeypatch, capsys):
    from dialog_gym.agents.learning.run_options import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with training_progress() as show:
        metrics = {"iteration": 1, "steps_per_second": 10.0, "seconds": 1.0, "reward": 2.0}
        show(Progress("ppo-net-seed0", 5, 10, "steps", metrics))
    assert "ppo-net-seed0" in capsys.readouterr().err
