"""The goals that ship are the corpus's, and suites need no corpus to play them."""

import os
from pathlib import Path

import pytest

from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.domains.multiwoz import shipped_goals
from dialog_gym.domains.multiwoz.corpus import load_goals
from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.goals import problems

DATA = Path(os.environ.get("DIALOG_GYM_DATA", "nowhere")) / "multiwoz"


@pytest.mark.parametrize(("split", "count"), [("validation", 999), ("test", 1000)])
def test_goals_can_be_met_and_survive_packing(split, count):
    goals = shipped_goals.shipped_goals(split)
    assert len({goal.id for goal in goals}) == len(goals) == count
    assert shipped_goals.unpack(shipped_goals.pack(goals)) == goals
    unmet = [goal.id for goal in goals if problems(goal, load_database())]
    assert len(unmet) <= 0.03 * count  # some of the corpus's own goals ask for what no entry has


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the corpus in $DIALOG_GYM_DATA/multiwoz")
@pytest.mark.parametrize("split", shipped_goals.SPLITS)
def test_they_are_the_corpus_s(split):
    corpus = [goal.model_copy(update={"message": ()}) for goal in load_goals(split, DATA.parent).values()]
    assert tuple(corpus) == shipped_goals.shipped_goals(split)


def test_the_suite_plays_them_without_the_corpus(monkeypatch, tmp_path):
    monkeypatch.setenv("DIALOG_GYM_DATA", str(tmp_path))
    suite = load_suite("multiwoz-v1")
    domain = MultiWOZDomain(**suite.options)
    ids = [goal.id for goal in shipped_goals.shipped_goals("test")]
    assert suite.scenarios == {"booking": domain.size("test")} == {"booking": 1000}
    assert domain.task(17, split="test").goal.persona["goal_id"] == ids[17]
