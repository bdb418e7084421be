"""Runs that are killed, stopped, or whose disk is full go on exactly where they were."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dialog_gym.agents.learning import checkpoint, runs
from dialog_gym.agents.learning.card import read_card
from dialog_gym.agents.learning.run_log import read_metrics
from dialog_gym.agents.learning.run_options import RunOptions
from dialog_gym.core import DialogGymError

SMALL = {"threads": 1, "save_every": 2, "validate_every": 0, "model": {"hidden": 16}}
PLAYED = {"dialogues": 16, "minibatch": 8, "epochs": 1, "learning_rate": 0.001}
REASONED = PLAYED | {"rounds": 1, "customers": 8, "answers": 2, "imitated": 2, "measured": 16}
RUNS = {
    "ppo": ("ppo", PLAYED), "grpo": ("grpo", PLAYED), "memento": ("memento", PLAYED),
    "more": ("more", REASONED), "single": ("more", REASONED | {"mode": "single_turn", "logged": 10}),
}  # fmt: skip
"""Algorithm and configuration by the name of a run."""
STEPS = 300


class Watch:
    """Follows a run; stops it after some iterations, or does something then."""

    def __init__(self, after=None, do=None):
        self.after, self.do, self.seen, self.notes = after, do, 0, []

    def progress(self, progress):
        if progress.unit == "steps":
            self.seen = progress.metrics["iteration"]
            if self.do and self.seen == self.after:
                self.do()

    def note(self, text):
        self.notes.append(text)

    def stop(self):
        return self.do is None and self.seen == self.after


@pytest.fixture(scope="module")
def sft(tmp_path_factory):
    """A barely trained agent to start from."""
    folder = tmp_path_factory.mktemp("sft") / "agent"
    runs.run(RunOptions("sft", folder, config={"demonstrations": 20, "passes": 2}, **SMALL), Watch())
    return folder


def options(algorithm, out, sft, **changes):
    kind, config = RUNS[algorithm]
    return RunOptions(**{
        "algorithm": kind, "out": out, "init": sft, "steps": STEPS, "config": config, **SMALL, **changes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def whole(sft, tmp_path_factory):
    """The folders of runs that nothing disturbed, by algorithm."""
    found = {}
    for name in RUNS:
        found[name] = tmp_path_factory.mktemp(name) / "whole"
        outcome = runs.run(options(name, found[name], sft), Watch())
        assert outcome.finished and outcome.card.env_steps >= STEPS
    return found


def same(first, second):
    assert (first / "net.safetensors").read_bytes() == (second / "net.safetensors").read_bytes()
    for name in ("cases.safetensors", "cases.jsonl"):
        assert (first / name).exists() == (second / name).exists()
        assert not (first / name).exists() or (first / name).read_bytes() == (second / name).read_bytes()
    assert read_card(first) == read_card(second)
    timed = ("seconds", "steps_per_second", "playing_seconds", "memory_mib")
    logs = [
        [{k: v for k, v in m.items() if k not in timed} for m in read_metrics(f)] for f in (first, second)
    ]
    assert repr(logs[0]) == repr(logs[1])  # some values are NaN


@pytest.mark.parametrize("algorithm", RUNS)
def test_a_stopped_run_ends_with_the_same_bytes(algorithm, sft, whole, tmp_path):
    out = tmp_path / "run"
    outcome = runs.run(options(algorithm, out, sft), Watch(after=1))
    assert not outcome.finished and len(read_metrics(out)) == 1
    runs.run(options(algorithm, out, sft, resume=True), Watch())
    same(out, whole[algorithm])


@pytest.mark.parametrize("algorithm", RUNS)
def test_a_run_interrupted_anywhere_ends_with_the_same_bytes(algorithm, sft, whole, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):  # after iteration 3; the last checkpoint is that of iteration 2
        runs.run(options(algorithm, out, sft), Watch(after=3, do=interrupt))
    assert [line["iteration"] for line in read_metrics(out)] == [1, 2, 3]
    runs.run(options(algorithm, out, sft, resume=True), Watch())
    same(out, whole[algorithm])


PROGRAM = """
import sys
from pathlib import Path
from dialog_gym.agents.learning import checkpoint, runs
from dialog_gym.agents.learning.run_options import RunOptions

class Watch:
    def progress(self, progress): print(progress.metrics["iteration"], flush=True)
    def note(self, text): pass
    def stop(self): return False

runs.run(RunOptions(
    sys.argv[1], Path(sys.argv[2]), init=Path(sys.argv[3]), steps=300, threads=1, save_every=2,
    validate_every=0, model={"hidden": 16},
    config={"dialogues": 16, "minibatch": 8, "epochs": 1, "learning_rate": 0.001},
), Watch())
"""


@pytest.mark.parametrize("algorithm", ["ppo", "grpo"])
def test_a_killed_process_ends_with_the_same_bytes(algorithm, sft, whole, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-c", PROGRAM, algorithm, str(out), str(sft)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) == 3:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    runs.run(options(algorithm, out, sft, resume=True), Watch())
    same(out, whole[algorithm])


def test_without_an_agent_to_start_from_there_is_a_run_before(tmp_path, monkeypatch):
    out, watch = tmp_path / "run", Watch(after=1)
    first = RunOptions("sft", out / "sft", config={"demonstrations": 20, "passes": 1}, **SMALL)
    monkeypatch.setattr(runs, "first_stage", lambda chosen: first)
    runs.run(options("ppo", out, None), watch)
    assert any(str(out / "sft") in note for note in watch.notes)
    card = read_card(out)
    assert card.demonstrations == 24 and read_card(out / "sft").algorithm == "sft"
    assert runs.run(options("ppo", out, None, resume=True), Watch()).finished


def test_a_full_disk_keeps_the_checkpoint_before(sft, tmp_path, monkeypatch):
    out, real = tmp_path / "run", Path.write_bytes

    def full():
        def write(path, data):
            real(path, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "write_bytes", write)

    def files():
        return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".jsonl"}

    with pytest.raises(
        DialogGymError, match="No space left on device; the checkpoint before it is intact"
    ) as caught:
        runs.run(options("ppo", out, sft), Watch(after=3, do=full))
    assert "\n" not in str(caught.value) and files().keys() == {
        "agent.json",
        "checkpoint.pt",
        "net.safetensors",
    }
    monkeypatch.undo()
    assert torch.load(out / "checkpoint.pt", weights_only=True)["position"]["iteration"] == 2
    runs.run(options("ppo", out, sft, resume=True), Watch())


def test_a_log_that_cannot_be_written(sft, tmp_path):
    out = tmp_path / "run"

    def full():
        (out / "metrics.jsonl").unlink()
        (out / "metrics.jsonl").symlink_to("/dev/full")

    with pytest.raises(DialogGymError, match=r"metrics\.jsonl cannot be written: No space left on device$"):
        runs.run(options("ppo", out, sft), Watch(after=1, do=full))


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(sft, tmp_path, monkeypatch):
    from dialog_gym.agents.learning.algorithm import TrainingError
    from dialog_gym.agents.learning.ppo import PPO

    real, calls = PPO.loss, []

    def loss(self, part, whole):
        calls.append(1)
        found, logs = real(self, part, whole)
        return found * (float("nan") if len(calls) > 5 else 1.0), logs

    monkeypatch.setattr(PPO, "loss", loss)
    out = tmp_path / "run"
    line = (
        r"^iteration 3, after \d+ environment steps: .* not finite; the checkpoint of iteration 2 is kept in "
    )
    with pytest.raises(TrainingError, match=line):
        runs.run(options("ppo", out, sft), Watch())
    assert torch.load(out / "checkpoint.pt", weights_only=True)["position"]["iteration"] == 2


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": 1}, "was made with --seed 0, not 1: go on with the same options, or choose another --out"),
        ({"algorithm": "grpo"}, "was made with --algorithm ppo, not grpo"),
        ({"steps": 2000}, "was made with --steps 300, not 2000"),
        ({"config": PLAYED | {"learning_rate": 0.01}}, "was made with --learning-rate 0.001, not 0.01"),
        (
            {"config": PLAYED | {"weights": {"conversion": 1.0}}},
            "--weights .*conversion=3,.*, not conversion=1",
        ),
        ({"model": {"hidden": 32}}, "was made with --hidden 16, not 32"),
        ({"resume": False}, "holds a run: go on with --resume, or choose another --out"),
    ],
)
def test_going_on_with_other_options(changes, line, sft, whole):
    wanted = {"algorithm": "ppo", "resume": True} | changes
    with pytest.raises(DialogGymError, match=line) as caught:
        runs.run(options(out=whole["ppo"], sft=sft, **wanted), Watch())
    assert "\n" not in str(caught.value)


def test_a_run_from_before_an_option_existed_goes_on_where_it_has_its_default(sft, whole, tmp_path):
    folder = tmp_path / "earlier"
    shutil.copytree(whole["ppo"], folder)
    made = torch.load(folder / checkpoint.CHECKPOINT, weights_only=True)
    before = {name: value for name, value in made["options"].items() if name not in ("reasoning", "clip_low")}
    assert len(before) == len(made["options"]) - 2
    torch.save(made | {"options": before}, folder / checkpoint.CHECKPOINT)
    resumed = runs.run(options("ppo", folder, sft, resume=True), Watch())
    assert resumed.finished
    same(folder, whole["ppo"])
    for changes, line in (
        ({"model": {"hidden": 16, "reasoning": True}}, "was made with --reasoning False, not True"),
        ({"config": PLAYED | {"clip_low": 0.1}}, "was made with --clip-low 0.2, not 0.1"),
    ):
        with pytest.raises(DialogGymError, match=line):
            runs.run(options("ppo", folder, sft, resume=True, **changes), Watch())


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "cannot be read .*: it is damaged"),
        (lambda path: torch.save({"weights": 1}, path), "is no checkpoint of this version"),
        (lambda path: path.unlink(), "holds no run to go on with"),
    ],
)
def test_damaged_checkpoints(damage, line, sft, tmp_path):
    out = tmp_path / "run"
    runs.run(options("ppo", out, sft, steps=100), Watch())
    damage(out / "checkpoint.pt")
    with pytest.raises(DialogGymError, match=line) as caught:
        runs.run(options("ppo", out, sft, steps=100, resume=True), Watch())
    assert "\n" not in str(caught.value)
