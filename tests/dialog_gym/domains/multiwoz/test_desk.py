"""Tasks of the MultiWOZ domain: splits, levels, records, options."""

import dataclasses

import numpy as np
import pytest

from dialog_gym.core import DialogGymError, Task
from dialog_gym.domains.multiwoz.difficulty import axes
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.goals import problems
from dialog_gym.domains.multiwoz.state import DRAWN_TYPE
from dialog_gym.domains.multiwoz.tasks import draw_user, read_task

DESK = MultiWOZDomain()


def space(desk=DESK, split="test", level=3):
    return desk.space(split=split, scenario="booking", level=level)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_task_record_holds_everything(split):
    for index in range(0, 300, 7):
        task = DESK.task(index, split=split, level=9)
        assert Task.model_validate_json(task.model_dump_json()) == task
        assert DESK.task_by_id(task.id) == task == DESK.write(space(split=split, level=9), None, 0, index)
        goal, user = read_task(task, DESK.lexicon)
        assert problems(goal, DESK.database) == ()
        drawn = DESK.draw(space(split=split, level=9), np.asarray([index]))
        again = DESK.encoder.encode([(goal, user)])
        assert all((drawn[name] == again[name]).all() for name in DRAWN_TYPE.names)


def test_goals_are_the_same_at_every_level_and_differ_between_splits():
    needs = {}
    for split in ("train", "validation", "test"):
        tasks = [DESK.task(i, split=split, level=0) for i in range(200)]
        assert all(
            DESK.task(i, split=split, level=9).goal.constraints == tasks[i].goal.constraints
            for i in range(0, 200, 20)
        )
        needs[split] = {task.goal.persona["goal_id"] for task in tasks}
        assert len(needs[split]) == 200
    assert not needs["train"] & needs["test"] and not needs["train"] & needs["validation"]
    keys = [space(split=split).keys(np.arange(1000)) for split in ("train", "validation", "test")]
    assert len(np.unique(np.concatenate(keys))) == 3000


def test_levels_move_every_axis():
    low, high = axes(0), axes(9)
    assert high.patience < low.patience and high.verbosity < low.verbosity and low.mind_change == 0
    users = {
        level: [
            draw_user(space(level=level).goal(i, DESK.sampler), i, axes(level)) for i in range(200)
        ]
        for level in (0, 9)
    }  # fmt: skip
    for name in ("patience", "verbosity"):
        easy, hard = (np.mean([getattr(user, name) for user in users[level]]) for level in (0, 9))
        assert hard < easy
    assert not any(user.changed for user in users[0]) and any(user.changed for user in users[9])


def test_an_overridden_axis_counts_alone():
    desk = MultiWOZDomain(difficulty={"patience": 3.0})
    assert desk.space(split="test", scenario="booking", level=0).axes == dataclasses.replace(
        axes(0), patience=3.0
    )
    assert desk.config_hash != DESK.config_hash == MultiWOZDomain().config_hash


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal_source": "dreams"}, "unknown goal_source 'dreams'"),
        ({"difficulty": {"rain": 1.0}}, "unknown difficulty axis"),
        ({"max_turns": 0}, "max_turns must be from 1 to 100"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(DialogGymError, match=message) as error:
        MultiWOZDomain(**options)
    assert "\n" not in str(error.value)


def test_unknown_names_and_indices_are_refused():
    for options in ({"split": "exam"}, {"scenario": "sale"}, {"level": 10}):
        with pytest.raises(DialogGymError):
            DESK.task(0, **options)
    with pytest.raises(DialogGymError, match=r"task index 1024 is outside 0\.\.1023"):
        DESK.task(1024)
    with pytest.raises(DialogGymError, match="is not of the form"):
        DESK.task_by_id("multiwoz/booking/test/3")


def test_training_goals_of_the_corpus_that_are_not_there(tmp_path):
    desk = MultiWOZDomain(goal_source="corpus", data_dir=tmp_path)
    with pytest.raises(DialogGymError, match="dialog-gym data get multiwoz"):
        desk.size("train")


def test_the_profile_is_what_the_desk_knows():
    for index in range(300):
        task = DESK.task(index)
        refused = {key.split(".")[0] for key in task.goal.constraints if ".fail_book." in key}
        desk = task.profile.attributes
        shown = {key[:-5] for key, value in desk.items() if key.endswith("_full") and value}
        assert shown == refused
        assert len(str(desk["taxi_phone"])) == 10
        assert task.guidelines == DESK.task(0).guidelines and "hotel_recommend" in task.guidelines


def test_text_reaches_the_same_tracker():
    for index in range(12):
        task = DESK.task(index, level=0)
        dialogue = DESK.start(task, 0)
        while dialogue.ended_by is None:
            text = DESK.word_assistant(dialogue.acts_of(dialogue.best_action()), index)
            dialogue.step(DESK.read_assistant(text))
        assert dialogue.ended_by == "resolved" and dialogue.outcome()["violation_count"] == 0
