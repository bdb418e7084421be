"""Any causal language model trains through the same command."""

import json

import pytest

pytest.importorskip("transformers")

from dialog_gym import cli
from dialog_gym.agents.base import load_agent
from dialog_gym.agents.learning.run_log import read_metrics

SMALL = [
    "--backbone",
    "lm",
    "--threads",
    "1",
    "--validate-every",
    "0",
    "--prompt",
    "compact",
    "--max-new-tokens",
    "8",
]


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
