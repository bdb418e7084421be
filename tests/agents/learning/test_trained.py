"""Trained agents are named by their folder and played like all others."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from dialog_gym import plugins
from dialog_gym.agents.base import Agent, load_agent
from dialog_gym.agents.learning import registry, runs
from dialog_gym.agents.learning.card import read_card
from dialog_gym.agents.learning.run_options import RunOptions
from dialog_gym.agents.learning.sft import SFT
from dialog_gym.benchmarks.evaluate import RunConfig, evaluate, grade
from dialog_gym.benchmarks.playing import play_chunk
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError, Turn
from dialog_gym.envs import DialogueEnv
from dialog_gym.rollout import play, play_many

SUITE = load_suite("credit-v1")


class Quiet:
    """Nobody watches."""

    def progress(self, progress):
        pass

    def note(self, text):
        pass

    def stop(self):
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A barely trained agent."""
    found = tmp_path_factory.mktemp("runs") / "agent"
    config = {"demonstrations": 30, "passes": 2}
    runs.run(
        RunOptions("sft", found, threads=1, model={"hidden": 16}, config=config, validation_episodes=20),
        Quiet(),
    )
    return found


def test_a_folder_is_an_agent(folder):
    for spec in (str(folder), folder):
        agent = load_agent(spec)
        assert (agent.name, agent.backbone, agent.env_steps) == ("sft-net-seed0", "net", 0)
        assert not agent.sees_hidden_state
    card = read_card(folder)
    assert (card.algorithm, card.backbone, card.demonstrations, card.temperature) == ("sft", "net", 36, 0.0)
    shape = {"hidden": 16, "masked": True, "strategies": False}
    assert card.model == shape | {"reasoning": False, "language_rewards": False}
    assert card.config["passes"] == 2
    assert {"dialog-gym", "torch", "numpy", "domain"} == card.versions.keys()


def test_evaluation_says_how_an_agent_was_trained(folder, tmp_path):
    store = tmp_path / "run.jsonl"
    config = RunConfig(SUITE, str(folder), episodes=24)
    result, played = evaluate(config, store=store, workers=1)
    assert (result.backbone, result.env_steps, result.seeds) == ("net", 0, 1)
    graded = grade(store)
    assert (graded.backbone, graded.env_steps, graded.seeds) == ("net", 0, 1)
    over, again = evaluate(config, store=tmp_path / "two.jsonl", workers=2)
    assert again == played and over.scores["tse"] == result.scores["tse"]
    untrained, _ = evaluate(RunConfig(SUITE, "stall", episodes=4), store=tmp_path / "s.jsonl", workers=1)
    assert untrained.backbone is None


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda path: None,
            "is no trained agent: it holds no agent.json; `dialog-gym train` writes such folders",
        ),
        (lambda path: path.write_text("{"), "agent.json is no agent card: JSON: Invalid JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "agent.json is no agent card: not a text in UTF-8"),
        (
            lambda path: path.write_text('{"name": "x"}'),
            "agent.json is no agent card: algorithm: Field required",
        ),
    ],
)
def test_folders_that_are_no_agents(make, line, tmp_path):
    make(tmp_path / "agent.json")
    with pytest.raises(DialogGymError, match=line) as caught:
        load_agent(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_cards_of_other_backbones_and_broken_weights(folder, tmp_path):
    card = json.loads((folder / "agent.json").read_text())
    (tmp_path / "agent.json").write_text(json.dumps(card))
    with pytest.raises(DialogGymError, match=r"net\.safetensors: No such file"):
        load_agent(str(tmp_path))
    (tmp_path / "agent.json").write_text(json.dumps(card | {"backbone": "nett"}))
    with pytest.raises(DialogGymError, match="unknown backbone 'nett'; did you mean 'net'"):
        load_agent(str(tmp_path))
    (tmp_path / "agent.json").write_text(json.dumps(card | {"colour": "red"}))
    with pytest.raises(DialogGymError, match="colour: Extra inputs are not permitted"):
        load_agent(str(tmp_path))


def test_a_path_that_does_not_exist():
    with pytest.raises(DialogGymError, match="no such folder: runs/none"):
        load_agent("runs/none")


def test_starting_from_an_agent_that_does_not_fit(folder, tmp_path):
    start = {"out": tmp_path / "run", "init": folder, "steps": 100, "threads": 1}
    with pytest.raises(DialogGymError, match="was made with --hidden 16, not 32"):
        runs.run(RunOptions("ppo", model={"hidden": 32}, **start), Quiet())
    card = json.loads((folder / "agent.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    (other / "agent.json").write_text(json.dumps(card | {"backbone": "lm"}))
    with pytest.raises(DialogGymError, match="is an agent of backbone lm, not net"):
        runs.run(RunOptions("ppo", **start | {"init": other}), Quiet())


def test_torch_is_asked_for_when_it_is_missing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DialogGymError, match=r"need PyTorch: pip install 'dialog-gym\[train\]'"):
        load_agent(str(folder))


def test_third_party_algorithms(monkeypatch):
    mine = EntryPoint("mine", "dialog_gym.agents.learning.sft:SFT", "dialog_gym.algorithms")
    real = plugins._points
    monkeypatch.setattr(
        plugins, "_points", lambda kind: {"mine": mine} if kind == "algorithms" else real(kind)
    )
    assert registry.names()[-1] == "mine" and registry.load("mine") is SFT
    assert "dialog_gym.agents.learning.sft:SFT" in registry.about("mine")
    with pytest.raises(DialogGymError, match="unknown algorithm 'pppo'; did you mean 'ppo'"):
        registry.load("pppo")


# -- agents that answer many dialogues at once


class Together(Agent):
    """Counts the user's words and draws a number; alone and in a batch."""

    name = "together"
    batches: list = []  # noqa: RUF012 - shared by all sessions, for the test

    def reply(self, observation):
        return self._reply(observation, self.rng)

    @staticmethod
    def _reply(observation, rng):
        words = sum(len(turn.text.split()) for turn in observation.dialogue)
        if len(observation.dialogue) > 6 + 2 * int(rng.integers(3)):
            return "goodbye()"
        return f"I heard {words} words and think of {rng.integers(1000)}."

    def start_many(self, seeds):
        table = Together()
        table.sessions = [self.start(seed) for seed in seeds]
        return table

    def reply_many(self, rows, observations):
        type(self).batches.append(len(rows))
        return [
            Turn(role="assistant", text=self._reply(seen, self.sessions[row].rng))
            for row, seen in zip(rows, observations, strict=True)
        ]


def test_dialogues_played_together_are_those_played_alone():
    env = DialogueEnv(split="test")
    tasks, seeds = list(range(40)), list(range(100, 140))
    alone = [play(one, Together(), trial=n) for n, one in enumerate(env.begin_many(tasks, seeds))]
    Together.batches.clear()
    together = play_many(env.begin_many(tasks, seeds), Together(), trials=list(range(40)))
    assert together == alone
    assert Together.batches[0] == 40 and Together.batches == sorted(Together.batches, reverse=True)


def test_evaluation_plays_batches_of_those_who_can():
    keys = [key for key in SUITE.episodes(200, 0) if key.scenario == "proactive_sale"]
    Together.batches.clear()
    played = play_chunk(RunConfig(SUITE, "together"), Together(), keys[:64])
    assert len(played) == 64 and Together.batches[0] == 64
    seeds = [one.seed for one in played]
    assert seeds == [key.seed for key in keys[:64]]


@pytest.mark.parametrize(
    ("replies", "line"),
    [
        (lambda rows: ["Hello."], "the agent gave 1 replies in 3 dialogues"),
        (lambda rows: [1] * len(rows), r"returned int, not a text \(str\) or a Turn"),
        (lambda rows: 1 / 0, "the agent failed on task credit/.*: ZeroDivisionError"),
    ],
)
def test_batches_that_go_wrong(replies, line, monkeypatch):
    monkeypatch.setattr(Together, "reply_many", lambda self, rows, observations: replies(rows))
    with pytest.raises(DialogGymError, match=line):
        play_many(DialogueEnv(split="test").begin_many([0, 1, 2], [0, 1, 2]), Together())


def test_workers_have_one_thread():
    """In a fresh process, as a worker is: the variables are read when torch is imported."""
    program = (
        "from dialog_gym.benchmarks.playing import _begin_worker; _begin_worker()\n"
        "import torch; print(torch.get_num_threads())"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OMP")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=plain)
    assert done.stdout.strip() == "1", done.stderr


def test_training_on_some_buyer_styles_only(tmp_path):
    config = {"config": {"demonstrations": 20, "passes": 1}, "model": {"hidden": 16}, "threads": 1}
    options = RunOptions("sft", tmp_path / "run", styles="default", validation_episodes=20, **config)
    runs.run(options, Quiet())
    assert read_card(tmp_path / "run").config["styles"] == "default"
    with pytest.raises(DialogGymError, match="unknown buyer style 'angry'"):
        runs.run(RunOptions("sft", tmp_path / "other", styles="angry", **config), Quiet())
