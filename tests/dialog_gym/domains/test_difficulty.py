"""Difficulty: every axis alone makes it harder for the script, and the oracle still solves every level.

An axis is moved from its level-0 to its level-9 value while all others stand at level 4, on common random
numbers: the same tasks and the same user randomness in both arms. The slow tests print the tables.
"""

from dataclasses import astuple, fields
from functools import cache

import numpy as np
import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.core import LEVELS, DialogGymError
from dialog_gym.domains.credit.difficulty import Axes, axes
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS
from dialog_gym.domains.credit.shoppers import SCENARIOS, draw
from dialog_gym.envs.episode import Episode
from dialog_gym.speaking import load_simulator

NAMES = tuple(field.name for field in fields(Axes))
STRONG = ("trust", "discovery", "typos")
HARDER_WHEN_LOWER = ("trust", "patience")
MIDDLE = 4


def play(agent, count, level, scenario=SCENARIOS[0], split="test", **options):
    """Returns (0 where nobody is reached, the same for all agents) and outcomes of ``count`` tasks."""
    domain, agent, simulator = CreditDomain(**options), load_agent(agent), load_simulator("agenda")
    space = domain.space(split=split, scenario=scenario, level=level)
    seeds = np.arange(count).astype(np.uint64) * 7919 + 11
    starts = domain.starts(space, np.arange(count), seeds)
    returns, outcomes = np.zeros(count), []
    for row in np.flatnonzero(starts.shoppers.reached).tolist():
        task, seed = domain.write(space, starts, row, row), int(seeds[row])
        episode = Episode(domain, simulator, task, domain.begin(task, starts, row), seed)
        session = agent.start(row)
        while episode.ended_by is None:
            seen = episode.observation
            if agent.sees_hidden_state:
                seen = seen._replace(hidden=episode.dialogue)
            step = episode.assistant(episode.understand(session.reply(seen).text))
            returns[row] += sum(DEFAULT_REWARD_WEIGHTS[name] * value for name, value in step.rewards.items())
        outcomes.append(episode.dialogue.outcome() | {"ended": episode.ended_by})
    return returns, outcomes


def share(outcomes, name, among):
    chosen = [bool(o[name]) if name != "declined" else o["ended"] == "declined" for o in outcomes if among(o)]
    return sum(chosen) / max(1, len(chosen))


@cache
def solved(agent, level, count):
    """Shares of right outcomes: sold to solvable buyers, refused, walked away, served; and all outcomes."""
    _, sale = play(agent, count, level)
    _, service = play(agent, count // 2, level, SCENARIOS[1])
    shares = (
        share(sale, "converted", lambda o: o["buyer"] and o["solvable"]),
        share(sale, "refused", lambda o: not o["solvable"]),
        share(sale, "declined", lambda o: not o["buyer"] and o["solvable"]),
        share(service, "resolved", lambda o: True),
    )
    return shares, sale + service


def check_oracle(level, count):
    (sold, refused, walked, served), outcomes = solved("oracle", level, count)
    (script_sold, _, _, script_served), script = solved("scripted", level, count)
    print(
        f"{level}  oracle {sold:.3f} {refused:.3f} {walked:.3f} {served:.3f}"
        f"  script {script_sold:.3f} {script_served:.3f}"
    )
    assert sold >= 0.65 and refused >= 0.75 and walked >= 0.70 and served >= 0.90
    assert sold >= script_sold + 0.05 and served >= script_served - 0.02
    assert not any(o["mis_sold"] or o["wrong_claims"] or o["wrong_verdicts"] for o in outcomes)
    assert sum(bool(o["violation_count"]) for o in outcomes) <= len(outcomes) / 500
    assert all(0 <= o["tse"] <= 1 for o in outcomes + script)
    assert not any(o["converted"] and (o["mis_sold"] or not o["buyer"]) for o in outcomes + script)


def check_axis(name, count, z):
    arms = [
        play("scripted", count, MIDDLE, split="train", difficulty={name: getattr(axes(level), name)})[0]
        for level in (0, 9)
    ]
    difference = arms[1] - arms[0]
    score = difference.mean() / (difference.std(ddof=1) / np.sqrt(count))
    print(f"{name:18s} return {arms[0].mean():.4f} -> {arms[1].mean():.4f}  paired z {score:.1f}")
    assert score < -z


@pytest.mark.parametrize("name", STRONG)
def test_an_axis_alone_lowers_the_scripts_return(name):
    check_axis(name, 400, 1.64)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_axis_alone_lowers_the_scripts_return(name):
    check_axis(name, 6000, 2.54)  # one-sided 5 %, Bonferroni over nine axes


@pytest.mark.parametrize("level", [0, 9])
def test_the_oracle_solves_the_easiest_and_the_hardest_level(level):
    check_oracle(level, 500)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_the_oracle_solves_every_level(level):
    check_oracle(level, 2000)


def test_harder_levels_are_harder_for_the_script():
    (easy, *_), _ = solved("scripted", 0, 500)
    (hard, *_), _ = solved("scripted", 9, 500)
    assert easy > hard + 0.3


def test_every_axis_moves_one_way_and_ends_elsewhere():
    for name in NAMES:
        values = [getattr(axes(level), name) for level in LEVELS]
        sign = -1 if name in HARDER_WHEN_LOWER else 1
        assert [sign * value for value in values] == sorted(sign * value for value in values)
        assert values[0] != values[9]
    for level in LEVELS:
        a = axes(level)
        assert 1 <= a.discovery <= 3 and a.branches == level
        assert all(
            0 <= value <= 1
            for value in (a.trust, a.ineligible, a.price_sensitivity, a.typos, a.mind_change, a.missing)
        )


def test_levels_outside_0_to_9_are_refused():
    for bad in (-1, 10, 2.5, "3", None):
        with pytest.raises(DialogGymError, match="level must be an integer from 0 to 9"):
            axes(bad)
    with pytest.raises(DialogGymError, match="level must be"):
        CreditDomain().task(0, level=10)


def test_one_axis_can_be_overridden_alone():
    moved = CreditDomain(difficulty={"trust": 0.1}).space(split="test", scenario=SCENARIOS[0], level=3).axes
    assert moved.trust == 0.1
    assert [a == b for a, b in zip(astuple(moved), astuple(axes(3)), strict=True)].count(False) == 1
    with pytest.raises(DialogGymError, match="unknown difficulty axis") as caught:
        CreditDomain(difficulty={"luck": 1}).task(0)
    assert "\n" not in str(caught.value) and "trust, patience" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_axis_moves_only_what_it_should(name):
    """On the same keys, only the columns an axis is about differ."""
    concerns = {
        "trust": {"trust"}, "patience": {"patience"}, "discovery": {"required"},
        "price_sensitivity": {"price_sensitivity"},
        "typos": {"typos"}, "mind_change": {"change_turn"}, "missing": {"required", "missing_income"},
    }  # fmt: skip
    domain = CreditDomain()
    keys = domain.space(split="test", scenario=SCENARIOS[0], level=0).keys(np.arange(500))
    arms = []
    for level in (0, 9):
        moved = CreditDomain(difficulty={name: getattr(axes(level), name)})
        space = moved.space(split="test", scenario=SCENARIOS[0], level=0)
        arms.append(draw(keys, np.zeros(500, np.int64), domain.rulebook, space.axes, space.styles))
    columns = [f.name for f in fields(arms[0]) if f.name not in ("profiles", "facts")]
    different = {n for n in columns if (getattr(arms[0], n) != getattr(arms[1], n)).any()}
    if name in concerns:
        assert different == concerns[name]
    else:  # other customers, or fewer products for the same ones
        assert "solvable" in different and "trust" not in different and "style" not in different
