"""Suites: data that say which episodes are played, with which seeds."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from dialog_gym.benchmarks.suite import Suite, load_credit_v1, load_suite, parse_suite, trial_seed
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.metrics import METRICS

SUITE = load_suite("credit-v1")
SMALL = """
name = "small"
version = 2
domain = "credit"
split = "validation"
level = 1
simulator = "agenda"
trials = 2
scenarios = {proactive_sale = 6, customer_service = 3}
headline = ["conversion"]
rank_by = "success"
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_the_shipped_suite():
    assert load_credit_v1() == SUITE and (SUITE.name, SUITE.split) == ("credit-v1", "test")
    assert SUITE.size == SUITE.trials * sum(SUITE.scenarios.values()) == len(SUITE.episodes(None, 0))
    assert {SUITE.rank_by, *SUITE.headline} <= METRICS.keys()
    domain = CreditDomain()
    assert all(tasks <= domain.size(SUITE.split) for tasks in SUITE.scenarios.values())
    assert set(SUITE.scenarios) == set(domain.scenarios)


def test_a_suite_of_ones_own(small):
    suite = load_suite(str(small))
    assert suite == Suite.model_validate(tomllib.loads(SMALL)) == parse_suite(small)
    keys = suite.episodes(None, 5)
    assert [key[:3] for key in keys[:3]] == [
        ("proactive_sale", 0, 0),
        ("proactive_sale", 0, 1),
        ("proactive_sale", 1, 0),
    ]
    assert len(set(keys)) == suite.size == 18


@pytest.mark.parametrize("count", [1, 2, 3, 24, 100, 600, 2300, 9199, 9200])
def test_part_of_a_suite_keeps_its_proportions(count):
    keys = SUITE.episodes(count, 0)
    assert len(keys) == len(set(keys)) == count
    assert set(keys) <= set(SUITE.episodes(None, 0))
    by_scenario = Counter(key.scenario for key in keys)
    for scenario, tasks in SUITE.scenarios.items():
        assert abs(by_scenario[scenario] - count * tasks / sum(SUITE.scenarios.values())) <= 1
    trials = Counter(key[:2] for key in keys)
    assert sum(count < SUITE.trials for count in trials.values()) <= len(SUITE.scenarios)


def test_seeds_depend_on_suite_seed_and_trial_only():
    seeds = {key.trial: key.seed for key in SUITE.episodes(None, 3)}
    assert {key.seed for key in SUITE.episodes(None, 3)} == set(seeds.values())
    assert seeds == {trial: trial_seed("credit-v1", 3, trial) for trial in range(SUITE.trials)}
    drawn = {trial_seed(suite, seed, trial) for suite in "ab" for seed in range(20) for trial in range(20)}
    assert len(drawn) == 800 and all(0 <= seed < 2**63 for seed in drawn)


@pytest.mark.parametrize("count", [0, -1, 9201, 10**9])
def test_impossible_numbers_of_episodes(count):
    with pytest.raises(DialogGymError, match=r"episodes must be from 1 to 9,?200 for suite credit-v1, not "):
        SUITE.episodes(count, 0)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('name = "small"', "", "name: Field required"),
        ("version = 2", "version = 0", "version: .*greater than or equal to 1"),
        ("level = 1", "level = 12", "level: .*less than or equal to 9"),
        ("trials = 2", 'trials = "many"', "trials: .*integer"),
        ("level = 1", "lvel = 1", "level: Field required"),
        ("level = 1", "level = 1\nsurprise = 1", "surprise: Extra inputs"),
        ("level = 1", "level = = 1", "not a TOML file"),
    ],
)
def test_a_broken_suite_is_named_with_its_place(small, old, new, hint):
    small.write_text(SMALL.replace(old, new))
    with pytest.raises(DialogGymError, match=hint) as caught:
        load_suite(str(small))
    assert str(small) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_suite():
    with pytest.raises(DialogGymError, match="did you mean 'credit-v1'"):
        load_suite("credit-v2")
    for path in ("nowhere.toml", "/"):
        with pytest.raises(DialogGymError, match=f"suite {path}: "):
            parse_suite(Path(path))
