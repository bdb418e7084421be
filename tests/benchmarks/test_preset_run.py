"""A preset from training to board: seeds merged, resumed after a kill, learning curves, mistakes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from dialog_gym.agents.learning.card import read_card
from dialog_gym.benchmarks import preset_run, presets
from dialog_gym.benchmarks.board import read_board
from dialog_gym.benchmarks.jobs import Status, Stopped
from dialog_gym.benchmarks.leaderboard import board_of_stores, run_board, write_board_report
from dialog_gym.benchmarks.preset_run import check_preset, run_preset, train_agent, trainees
from dialog_gym.benchmarks.presets import FULL, PRESETS, QUICK, Course, Learner, Preset, load_preset
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError

SUITE = load_suite("credit-v1")
LEARNERS = (
    Learner("sft", {"demonstrations": 60, "passes": 2}),
    Learner("ppo", {"dialogues": 32, "minibatch": 16}),
)
TINY = Preset(
    "tiny",
    agents=("scripted",),
    courses=(
        Course(
            "net", LEARNERS, seeds=2, steps=300, validate_every=1, validation_episodes=30,
            model={"hidden": 16},
        ),
    ),
    episodes=24,
)  # fmt: skip


class Killed(Exception):
    pass


class Here:
    """Runs jobs in this process, which is quicker than a new one for each, up to a given one."""

    def __init__(self, limit: int = 100) -> None:
        self.limit, self.done = limit, []

    def __call__(self, jobs, *, workers, on_status):
        values = {}
        for job in jobs:
            assert all(name in values for name in job.after)
            if len(self.done) == self.limit:
                raise Killed
            values[job.name] = job.run(*job.arguments, self)
            self.done.append(job.name)
            on_status(Status(tuple(values), {}, len(jobs)))
        return values

    def progress(self, done, total):
        assert 0 <= done <= total

    def stop(self):
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("preset")


@pytest.fixture(scope="module")
def board(folder):
    """Killed after five jobs and resumed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preset_run, "run_jobs", Here(5))
        with pytest.raises(Killed):
            run_preset(TINY, SUITE, folder)
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("net.safetensors")}
        assert len(before) == 3
        patch.setattr(preset_run, "run_jobs", Here())
        found = run_preset(TINY, SUITE, folder, resume=True)
        assert {path: path.stat().st_mtime_ns for path in before} == before, "trained again"
    return found


def test_runs_that_differ_in_the_seed_make_one_row(board):
    rows = {row["agent"]: row for row in board.to_json()["rows"]}
    assert rows.keys() == {"scripted", "sft", "ppo"}
    assert [rows[name]["backbone"] for name in rows] == [
        None if name == "scripted" else "net" for name in rows
    ]
    assert (rows["ppo"]["seeds"], rows["sft"]["seeds"], rows["scripted"]["seeds"]) == (2, 2, 1)
    assert rows["ppo"]["env_steps"] >= 300 and rows["sft"]["env_steps"] == 0
    assert (rows["ppo"]["episodes"], rows["scripted"]["episodes"]) == (48, 24)
    score = rows["ppo"]["scores"]["turns"]
    assert score["low"] <= score["value"] <= score["high"]
    assert score["n"] == 2 * rows["scripted"]["scores"]["turns"]["n"]
    alone = [run["scores"]["turns"] for run in board.to_json()["runs"] if run["agent"] == "ppo (net)"]
    assert score["value"] == pytest.approx(np.mean(alone))
    assert set(board.pairs["success"]) == {
        ("scripted", "sft (net)"), ("scripted", "ppo (net)"), ("sft (net)", "ppo (net)"),
    }  # fmt: skip
    assert "| seeds |" in board.markdown() and "over tasks and seeds" in board.markdown()


def test_every_agent_starts_from_the_sft_agent_of_its_seed(board, folder):
    for seed in (0, 1):
        card = read_card(folder / "agents" / f"ppo-net-seed{seed}")
        assert Path(card.config["init"]) == folder / "agents" / f"sft-net-seed{seed}"
        assert (card.seed, card.config["steps"]) == (seed, 300)


def test_options_logs_and_curves_are_kept_beside_the_scores(board, folder):
    text = (folder / "board.json").read_text()
    assert str(folder) not in text and "init" not in json.loads(text)["runs"][0]["training"]["options"]
    runs = [run for row in board.rows for run in row.runs]
    assert [(run.agent, run.training.seed) for run in runs] == [
        ("sft (net)", 0), ("sft (net)", 1), ("ppo (net)", 0), ("ppo (net)", 1),
    ]  # fmt: skip
    assert runs[2].training.options["minibatch"] == 16 and runs[2].log.steps_per_second > 0
    assert runs[2].training.weights != runs[3].training.weights
    (ppo,) = (row for row in board.rows if row.name == "ppo (net)")
    assert {"violations", "reward"} <= {curve.metric for curve in ppo.curves}
    for curve in ppo.curves:
        assert curve.env_steps[0] == 0 and len(curve.env_steps) == len(curve.mean)
        assert all(a <= b <= c for a, b, c in zip(curve.low, curve.mean, curve.high, strict=True))
    again = read_board(text, SUITE)
    assert repr(again.to_json()) == repr(board.to_json())
    assert [row.curves for row in again.rows] == [row.curves for row in board.rows]


def test_a_board_of_its_stores_or_folders_is_the_same(board, folder, tmp_path):
    again = board_of_stores(sorted(folder.glob("*.jsonl.gz"), key=lambda path: "scripted" not in path.name))
    assert again.ranks("success") == board.ranks("success")
    (here,), (there,) = (
        [row for row in one.rows if row.result.agent == "ppo"] for one in (board, again)
    )  # fmt: skip
    assert repr(here.result.scores) == repr(there.result.scores)
    agents = [str(folder / "agents" / f"ppo-net-seed{seed}") for seed in (1, 0)]
    played = run_board(SUITE, agents, folder=tmp_path, episodes=24, workers=1)
    assert repr(played.rows[0].result.scores) == repr(here.result.scores)


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    """A board with an ablation, and its folder."""
    folder = tmp_path_factory.mktemp("arms")
    other = replace(LEARNERS[1], config={"dialogues": 32, "minibatch": 32}, variant="large")
    course = replace(TINY.courses[0], learners=(LEARNERS[0], LEARNERS[1], other), seeds=1, steps=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preset_run, "run_jobs", Here())
        return run_preset(replace(TINY, courses=(course,)), SUITE, folder, episodes=24), folder


def test_ablations_stand_beside_the_board(arms):
    board, folder = arms
    again = read_board((folder / "board.json").read_text(), SUITE)
    for found in (board, again):
        assert [row.name for row in found.rows] == [
            "scripted", "sft (net)", "ppo (net)", "ppo [large] (net)",
        ]  # fmt: skip
        assert [row.name for row in found.ablations()] == ["ppo [large] (net)"]
        assert "ppo [large] (net)" not in [row.name for row, _ in found.places()]
        assert found.ranks("success")["ppo [large] (net)"] is None
        machines = found.to_json()
        assert {row["agent"] for row in machines["rows"]} == {"scripted", "sft", "ppo"}
        assert [row["agent"] for row in machines["ablations"]] == ["ppo [large]"]
        ranked, beside = found.markdown().split("Ablations and control arms:")
        assert "ppo [large]" in beside and "ppo [large]" not in ranked
        assert "Ablations" not in found.main().markdown()
        pair = found.pair("success", "ppo (net)", "ppo [large] (net)")
        assert pair.difference == -found.pair("success", "ppo [large] (net)", "ppo (net)").difference
        assert pair.n > 0
        assert found.pair("naturalness", "ppo (net)", "ppo [large] (net)") is not None
        assert found.pair("naturalness", "ppo (net)", "scripted") is None
        assert found.pair("success", "ppo [large] (net)", "scripted") is None, "trained in no way"
        assert found.pair("success", "ppo (net)", "scripted") is not None


def test_runs_with_other_options_are_another_row(arms, tmp_path):
    agents = [str(arms[1] / "agents" / f"{name}-net-seed0") for name in ("ppo", "ppo-large")]
    found = run_board(SUITE, agents, folder=tmp_path, episodes=6, workers=1)
    assert [row.name for row in found.rows] == ["ppo [minibatch=16] (net)", "ppo [minibatch=32] (net)"]


def test_a_stopped_job_goes_on_to_the_same_weights(board, folder, tmp_path):
    class Impatient(Here):
        polls = 0

        def stop(self):
            self.polls += 1
            return self.polls > 1

    def options(out):
        return {
            "algorithm": "ppo", "out": out, "seed": 0, "level": 3, "threads": 1, "validate_every": 0,
            "init": folder / "agents" / "sft-net-seed0", "steps": 150, "config": LEARNERS[1].config,
        }  # fmt: skip

    with pytest.raises(Stopped):
        train_agent(options(tmp_path / "stopped"), Impatient())
    assert len((tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()) == 1
    for name in ("stopped", "whole"):
        train_agent(options(tmp_path / name), Here())
    ends = [(tmp_path / name / "net.safetensors").read_bytes() for name in ("stopped", "whole")]
    assert ends[0] == ends[1]


def test_the_report_shows_curves(board, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("plotly")
    page = write_board_report(board, tmp_path / "report.html").read_text()
    assert 'id="runs-table"' in page and 'id="curves"' in page
    plain = run_board(SUITE, ["scripted"], folder=tmp_path, episodes=6, workers=1)
    assert 'id="learning"' not in write_board_report(plain, tmp_path / "plain.html").read_text()


def test_mistakes_are_found_before_anything_is_trained(folder, board, tmp_path):
    with pytest.raises(DialogGymError, match="unknown preset 'quik'; did you mean 'quick'"):
        load_preset("quik")
    with pytest.raises(DialogGymError, match="exists: go on with --resume, or choose another --out"):
        run_preset(TINY, SUITE, folder)
    course = TINY.courses[0]
    for change, line in (
        ({"backbone": "nett"}, "unknown backbone 'nett'; did you mean 'net'"),
        ({"learners": (*LEARNERS, Learner("pp0"))}, "unknown algorithm 'pp0'; did you mean 'ppo'"),
        ({"learners": LEARNERS[1:]}, "the first learner on net must be sft"),
        ({"learners": (Learner("sft", {"passes": 0}),)}, "--passes must be above 0"),
    ):
        with pytest.raises(DialogGymError, match=line):
            run_preset(replace(TINY, courses=(replace(course, **change),)), SUITE, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_shipped_presets_can_be_trained():
    for preset in PRESETS.values():
        check_preset(preset.without("lm"), SUITE)
        for course in preset.courses:
            assert len({learner.name for learner in course.learners}) == len(course.learners)
    assert {one.course.backbone for one in trainees(QUICK.without("lm"))} == {"net"}
    assert len(trainees(FULL)) == 3 * len(presets.LM_LEARNERS) + 10 * len(
        presets.NET_LEARNERS + presets.NET_ABLATIONS
    )
    assert {one.learner.algorithm for one in trainees(QUICK) if one.course.backbone == "lm"} == {
        "sft", "grpo", "more"
    }  # fmt: skip
    assert all(bool(one.variant) == (one in presets.NET_ABLATIONS) for one in FULL.courses[1].learners)


def test_a_part_of_a_preset():
    def names(*chosen):
        found = FULL.only(chosen)
        return found.agents, sorted({f"{one.learner.name}-{one.course.backbone}" for one in trainees(found)})

    assert names("more-net", "scripted") == (("scripted",), ["more-net", "sft-net"])
    assert names("grpo") == ((), ["grpo-lm", "grpo-net", "sft-lm", "sft-net"])
    assert names("more-uniform", "sft-lm") == ((), ["more-uniform-net", "sft-lm", "sft-net"])
    assert names("lm")[1] == ["grpo-lm", "more-lm", "sft-lm"]
    with pytest.raises(DialogGymError, match="preset full has no 'moer'; did you mean 'more'"):
        FULL.only(["moer"])
