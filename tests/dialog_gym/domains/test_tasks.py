"""Tasks: disjoint splits, the same alone and in a batch, and records that hold everything."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from dialog_gym.core import DialogGymError, Task
from dialog_gym.domains.credit import profiles as P
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.shoppers import SCENARIOS, STYLES, TRAINING_STYLES, Shoppers
from dialog_gym.domains.credit.state import State
from dialog_gym.domains.credit.tasks import SPLIT_SIZES, draw_tasks, read_task

DOMAIN = CreditDomain()
SPLITS = tuple(SPLIT_SIZES)
ROOT = Path(__file__).parents[3]


def space(split="test", scenario=SCENARIOS[0], level=3, domain=DOMAIN):
    return domain.space(split=split, scenario=scenario, level=level)


def drawn(index, domain=DOMAIN, **where):
    return draw_tasks(space(domain=domain, **where), np.asarray(index), domain.rulebook)


def columns(profiles):
    return np.column_stack([getattr(profiles, f.name) for f in fields(P.Profiles)])


# -- splits --------------------------------------------------------------------------------------------------


def test_no_task_key_is_shared_by_splits_scenarios_or_levels():
    keys = [
        space(split, scenario, level).keys(np.arange(SPLIT_SIZES[split]))
        for split in SPLITS for scenario in SCENARIOS for level in (0, 3, 6, 9)
    ]  # fmt: skip
    together = np.concatenate(keys)
    assert len(np.unique(together)) == len(together) == 8 * sum(SPLIT_SIZES.values())


@pytest.mark.parametrize("level", [0, 9])
def test_no_customer_appears_in_two_splits(level):
    seen = {split: set() for split in SPLITS}
    for split in SPLITS:
        for scenario in SCENARIOS:
            count = min(SPLIT_SIZES[split], 10_000)
            rows = columns(drawn(np.arange(count), split=split, scenario=scenario, level=level).profiles)
            found = {row.tobytes() for row in rows}
            assert len(found) == count  # and no customer twice within one
            seen[split] |= found
    assert not (
        seen["train"] & seen["validation"] | seen["train"] & seen["test"] | seen["validation"] & seen["test"]
    )


def test_the_held_out_style_is_only_in_the_test_split():
    held_out = STYLES.index("analytical")
    shares = {split: (drawn(np.arange(4096), split=split).style == held_out).mean() for split in SPLITS}
    assert shares["train"] == shares["validation"] == 0
    assert 0.2 < shares["test"] < 0.3
    assert set(STYLES) - set(TRAINING_STYLES) == {"analytical"}
    asked_for = CreditDomain(styles=["analytical"])
    assert (drawn(np.arange(50), asked_for, split="train").style == held_out).all()


def test_scenarios_and_shares():
    sale = drawn(np.arange(4096))
    service = drawn(np.arange(4096), scenario=SCENARIOS[1])
    assert 0.37 < sale.reached.mean() < 0.43 and service.reached.all()
    assert 0.72 < sale.buyer.mean() < 0.78 and service.buyer.all()
    assert (sale.problem == -1).all() and 0.4 < (service.problem >= 0).mean() < 0.6
    assert not service.required.any() and not service.objections.any() and not service.solvable.any()
    assert ((service.questions > 0) | (service.problem >= 0)).all()


@pytest.mark.parametrize("level", [0, 9])
def test_the_share_of_insolvable_shoppers_follows_the_axis(level):
    wanted = space(level=level).axes.ineligible
    assert abs((drawn(np.arange(4096), level=level).solvable == 0).mean() - wanted) < 0.03


def test_real_clients_come_from_disjoint_rows():
    data = os.environ.get("DIALOG_GYM_DATA") or ROOT.parent / "shared" / "data"
    if not Path(data, "uci_credit_default").is_dir():
        pytest.skip("needs the UCI credit-default data: set DIALOG_GYM_DATA")
    domain = CreditDomain(profile_source="real", data_dir=data)
    core = P.read_real(data)
    real = np.column_stack([core.limit, core.age, core.used, core.overdue])
    for split, (first, last) in {
        "train": (0, 20_000),
        "validation": (20_000, 25_000),
        "test": (25_000, 30_000),
    }.items():
        got = drawn(np.arange(300), domain, split=split).profiles
        rows = {row.tobytes() for row in real[first:last]}
        assert all(
            row.tobytes() in rows for row in np.column_stack([got.limit, got.age, got.used, got.overdue])
        )
    task = domain.task(5)
    again = read_task(task, domain.rulebook)
    assert columns(again.profiles).tolist() == columns(drawn([5], domain).profiles).tolist()


def test_without_the_data_real_clients_are_refused_in_one_line(tmp_path):
    with pytest.raises(DialogGymError, match="DIALOG_GYM_DATA") as caught:
        CreditDomain(profile_source="real", data_dir=tmp_path).task(0)
    assert "\n" not in str(caught.value)


# -- one task ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_task_is_the_same_alone_and_in_a_batch(scenario):
    indices = np.random.default_rng(0).permutation(4096)[:200]
    where = space(scenario=scenario)
    batch = DOMAIN.starts(where, indices, indices.astype(np.uint64))
    for row, index in enumerate(indices[:60].tolist()):
        alone = DOMAIN.task(index, scenario=scenario)
        assert alone == DOMAIN.write(where, batch, row, index)
        assert DOMAIN.task_by_id(alone.id) == alone


def state_row(state, row):
    return [np.asarray(getattr(state, f.name))[row].tolist() for f in fields(State)]


@pytest.mark.parametrize("level", [0, 3, 9])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_record_holds_everything(scenario, level):
    """300 tasks, written as JSON and read back, start the same dialogues as the arrays do."""
    where, count = space(scenario=scenario, level=level), 300
    seeds = np.arange(count).astype(np.uint64) * 31
    starts = DOMAIN.starts(where, np.arange(count), seeds)
    for row in range(count):
        task = Task.model_validate_json(DOMAIN.write(where, starts, row, row).model_dump_json())
        dialogue = DOMAIN.start(task, int(seeds[row]))
        assert [getattr(dialogue.state, f.name) for f in fields(State)] == state_row(starts.state, row)
        assert dialogue._noise == starts.noise[:, :, row].tolist()
        assert dialogue._income == starts.shoppers.profiles.income[row]


def test_reading_a_record_gives_every_field_of_the_shopper_back():
    for scenario in SCENARIOS:
        batch = drawn(np.arange(50), scenario=scenario, level=9)
        for row in range(50):
            again = read_task(DOMAIN.task(row, scenario=scenario, level=9), DOMAIN.rulebook)
            for field in fields(Shoppers):
                if field.name not in ("profiles", "facts"):
                    assert getattr(again, field.name)[0].tolist() == getattr(batch, field.name)[row].tolist()
            assert columns(again.profiles)[0].tolist() == columns(batch.profiles)[row].tolist()


def test_a_missing_income_is_hidden_from_the_agent_but_not_lost():
    batch = drawn(np.arange(200), level=9)
    row = int(np.flatnonzero(batch.missing_income)[0])
    task = DOMAIN.task(row, level=9)
    assert task.profile.attributes["monthly_income"] is None
    assert task.goal.persona["income"] == batch.profiles.income[row] > 0
    assert "income" in task.goal.persona["required"]
    shown = int(np.flatnonzero(~batch.missing_income)[0])
    assert DOMAIN.task(shown, level=9).profile.attributes["monthly_income"] == batch.profiles.income[shown]


# -- broken records ------------------------------------------------------------------------------------------

NAN = float("nan")
BROKEN = [
    *[("persona", name, NAN) for name in ("trust", "patience", "knowledge", "price_sensitivity", "strength",
      "garbled")],
    *[("persona", name, value) for name in ("trust", "branches", "new_amount") for value in (None, "much",
      True, -1)],
    ("persona", "buyer_style", "grumpy"), ("persona", "objections", "weather"),
    ("persona", "required", "shoe_size"),
    ("persona", "problem", "rain"), ("persona", "verbosity", "silent"), ("constraints", "amount", NAN),
    ("constraints", "amount", float("inf")), ("constraints", "purpose", "gambling"),
    ("constraints", "timing", "never"),
]  # fmt: skip


def refused(task):
    with pytest.raises(DialogGymError) as caught:
        DOMAIN.start(task, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(part, **values):
    task = DOMAIN.task(1)
    goal = task.goal.model_copy(update={part: dict(getattr(task.goal, part)) | values})
    return task.model_copy(update={"goal": goal})


@pytest.mark.parametrize(("part", "name", "value"), BROKEN)
def test_an_impossible_value_is_one_clear_line(part, name, value):
    message = refused(changed(part, **{name: value}))
    assert name.replace("buyer_", "").split("_")[0].rstrip("s")[:6] in message or str(value) in message


def test_an_amount_of_zero_is_refused():
    assert "amount must be at least 1" in refused(changed("constraints", amount=0))
    assert "new_amount must be at least 1" in refused(changed("persona", new_amount=0))


@pytest.mark.parametrize("part", ["persona", "constraints"])
def test_a_missing_field_is_named(part):
    task = DOMAIN.task(1)
    for name in getattr(task.goal, part):
        values = {k: v for k, v in getattr(task.goal, part).items() if k != name}
        if name in ("typos", "code_words", "verbosity", "income"):  # wording only, or shown in the profile
            continue
        broken = task.model_copy(update={"goal": task.goal.model_copy(update={part: values})})
        assert name in refused(broken)


def test_broken_profiles_requests_and_scenarios():
    task = DOMAIN.task(1)
    for name in task.profile.attributes:
        for attributes in (
            {k: v for k, v in task.profile.attributes.items() if k != name},
            dict(task.profile.attributes) | {name: NAN},
        ):
            profile = task.profile.model_copy(update={"attributes": attributes})
            assert name in refused(task.model_copy(update={"profile": profile}))
    goal = task.goal.model_copy(update={"requests": ("weather",)})
    assert "weather" in refused(task.model_copy(update={"goal": goal}))
    assert "teleshopping" in refused(task.model_copy(update={"scenario": "teleshopping"}))
    assert "max_turns" in refused(task.model_copy(update={"max_turns": 99}))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: DOMAIN.task(4096), "task index 4096 is outside 0..4095 of split 'test'"),
        (lambda: DOMAIN.task(-1), "outside 0..4095"),
        (lambda: space(split="dev"), "unknown split 'dev'; known: test, train, validation"),
        (lambda: space(scenario="chat"), "unknown scenario 'chat'"),
        (lambda: DOMAIN.task_by_id("credit/x"), "credit/scenario/split/level/index"),
        (lambda: space(domain=CreditDomain(styles=["grumpy"])), "unknown buyer style 'grumpy'"),
        (lambda: space(domain=CreditDomain(profile_source="invented")), "unknown profile_source 'invented'"),
        (lambda: DOMAIN.starts(space(), np.asarray([0, 5000]), np.zeros(2, np.uint64)), "task index 5000"),
    ],
)
def test_wrong_names_and_indices(call, says):
    with pytest.raises(DialogGymError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
