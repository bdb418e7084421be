"""Any causal language model trains through the same command, and goes on exactly where it was killed."""

import json
import signal
import subprocess
import sys
from time import sleep

import pytest

pytest.importorskip("transformers")

from dialog_gym import cli
from dialog_gym.agents.base import load_agent
from dialog_gym.agents.learning.run_log import read_metrics

SMALL = ["--backbone", "lm", "--threads", "1", "--validate-every", "0", "--prompt", "compact"]
SMALL += ["--max-new-tokens", "8"]
PLAYED = ["--dialogues", "4", "--group", "2", "--minibatch", "2", "--no-drop-equal", "--kl", "0.1"]
PLAYED += ["--steps", "60", "--save-every", "1"]


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_random_weights_train_for_two_steps(family, model_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = ["--model", str(model_folder(family))]
    first = ["--demonstrations", "5", "--passes", "2", "--minibatch", "6", "--out", "sft"]
    assert cli.run(["train", "sft", *SMALL, *model, *first]) == 0
    assert len(read_metrics(tmp_path / "sft")) >= 2
    play = ["--init", "sft", "--dialogues", "10", "--group", "2", "--minibatch", "5", "--no-drop-equal"]
    play += ["--steps", "12", "--out", "grpo", "--json"]
    assert cli.run(["train", "grpo", *SMALL, *play]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "grpo" / "agent.json").read_text("utf-8"))["env_steps"] >= 12
    assert load_agent(str(tmp_path / "grpo")).backbone == "lm"


def test_a_killed_run_ends_with_the_same_bytes(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = ["--model", str(model_folder("qwen2")), "--demonstrations", "5", "--passes", "1", "--out", "sft"]
    assert cli.run(["train", "sft", *SMALL, *first]) == 0
    grpo = ["train", "grpo", *SMALL, *PLAYED, "--init", "sft", "--out"]
    assert cli.run([*grpo, "whole"]) == 0
    command = [sys.executable, "-m", "dialog_gym.cli", *grpo, "killed"]
    log = tmp_path / "killed" / "metrics.jsonl"
    with subprocess.Popen(command) as process:
        while process.poll() is None and not (log.exists() and log.read_text("utf-8").count("\n") >= 2):
            sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 2 <= len(read_metrics(tmp_path / "killed")) < len(read_metrics(tmp_path / "whole"))
    assert cli.run([*grpo, "killed", "--resume"]) == 0
    for weights in (tmp_path / "whole").glob("**/*.safetensors"):
        again = tmp_path / "killed" / weights.relative_to(tmp_path / "whole")
        assert again.read_bytes() == weights.read_bytes()
