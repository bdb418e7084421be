"""Strategies of the desk: what fits when, what the SOP forbids, ESNDCG alone and in arrays."""

import numpy as np
import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.core import DialogueAct
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.moves import MOVES
from dialog_gym.domains.multiwoz.strategies import FACTS, KINDS, load_strategies
from dialog_gym.domains.strategies import BEST_GRADE
from dialog_gym.envs import DialogueEnv
from dialog_gym.envs.multiagent import aec_env
from dialog_gym.rollout import play
from tests.dialog_gym.domains.multiwoz.test_act_level import begin, dialogues, random_actions

DESK = MultiWOZDomain()
ACTS = DESK.act_level
COUNT = 60


def walk(turns=12, seed=0):
    """Lanes turn by turn, half of whose actions are the reference's; yields them with who is still there."""
    rng = np.random.default_rng(seed)
    index, seeds = np.arange(COUNT), rng.integers(2**60, size=COUNT)
    _, lanes = begin(index, seeds)
    running = lanes.ended < 0
    for _ in range(turns):
        yield lanes, running
        lanes.step(random_actions(rng, lanes, COUNT))
        running = running & (lanes.ended < 0)


def test_every_kind_of_act_and_every_fact_is_used():
    book = load_strategies().values()
    assert {kind for strategy in book for kind in strategy.intents} == set(KINDS)
    facts = [{*s.sop.needs, *s.sop.forbidden_when, *(f for fit in s.fits for f in (*fit.when, *fit.unless))}
             for s in book]  # fmt: skip
    assert set.union(*facts) == set(FACTS)
    assert ACTS.carried.shape == (len(DESK.strategies), len(MOVES))
    assert ACTS.carried.any(axis=0).tolist() == [move != "none" for move in MOVES]


def test_every_open_move_carries_an_allowed_strategy_out_and_every_allowed_strategy_has_one():
    seen = np.zeros(len(DESK.strategies), bool)
    for lanes, running in walk():
        moves, plans = lanes.allowed(), lanes.allowed_strategies()
        carried = (plans @ ACTS.carried.astype(int)) > 0
        assert (carried | ~moves | (np.arange(len(MOVES)) == 0))[running].all()
        feasible = (moves @ ACTS.carried.T.astype(int)) > 0
        assert (feasible | ~plans)[running].all()
        seen |= plans[running].any(axis=0)
    assert seen.all()


def test_the_reference_does_what_is_graded_best():
    """Nearly always: it asks for two slots where one more would do."""
    gained = possible = 0.0
    for lanes, running in walk(seed=3):
        gain, best = lanes.strategy_gains(lanes.best_actions())
        gained, possible = gained + gain[running].sum(), possible + best[running].sum()
        assert (lanes.strategy_grades() <= BEST_GRADE).all()
        assert not lanes.strategy_grades()[~lanes.allowed_strategies()].any()
    assert gained > 0.95 * possible


def test_a_dialogue_alone_has_the_strategies_of_its_row():
    rng = np.random.default_rng(5)
    index, seeds = np.arange(9).tolist(), rng.integers(2**60, size=9).tolist()
    space, lanes = begin(index, seeds)
    alone = dialogues(space, index, seeds)
    gain, best = np.zeros((2, 9))
    running = lanes.ended < 0
    for _ in range(10):
        plans, grades = lanes.allowed_strategies(), lanes.strategy_grades()
        actions = random_actions(rng, lanes, 9)
        more, top = lanes.strategy_gains(actions)
        gain, best = gain + more * running, best + top * running
        for row in np.flatnonzero(running):
            names = tuple(np.asarray(DESK.strategies)[plans[row]])
            assert alone[row].allowed_strategies() == alone[row].act_view().strategies() == names
            assert list(alone[row].strategy_grades().values()) == grades[row].tolist()
            alone[row].step_action(actions[row].tolist())
        lanes.step(actions)
        running &= lanes.ended < 0
    for row in range(9):
        assert alone[row].outcome()["esndcg"] == pytest.approx(gain[row] / best[row], abs=1e-6)


def test_the_phases_of_a_booking_have_their_strategy():
    """At first one asks or offers; a refused booking is recovered, not made as if it were the first."""
    best = []
    for lanes, _ in walk(seed=1, turns=1):
        grades = lanes.strategy_grades()
        best = [DESK.strategies[i] for i in grades.argmax(axis=1)]
    assert "elicit_constraints" in best and "offer_entity" in best
    turned_down = []
    _, lanes = begin(np.arange(300), np.arange(300), level=9)
    for _ in range(14):
        grades, plans = lanes.strategy_grades(), lanes.allowed_strategies()
        recover, book = (DESK.strategies.index(name) for name in ("recover_booking", "book"))
        assert not (plans[:, recover] & plans[:, book]).any()
        turned_down += grades[plans[:, recover], recover].tolist()
        lanes.step(lanes.best_actions())
    assert turned_down and set(turned_down) == {BEST_GRADE}


def test_esndcg_of_stored_dialogues():
    env = DialogueEnv("multiwoz", split="test")
    scripted = [play(env.begin(task, 1), load_agent("scripted")).outcome["esndcg"] for task in range(12)]
    silent = play(env.begin(0, 1), load_agent("silent")).outcome["esndcg"]
    assert np.mean(scripted) > 0.8 and silent == 0
    episode = env.begin(0, 1)
    assert episode.dialogue.outcome()["esndcg"] is None
    episode.dialogue.step([DialogueAct(intent="reqmore")])
    assert episode.dialogue.outcome()["esndcg"] == 0


def test_an_expert_can_be_seated():
    env = aec_env(
        domain="multiwoz", hierarchical=True, players={"assistant_0": "scripted", "user_0": "agenda"}
    )
    env.reset(seed=2)
    for _ in env.agent_iter():
        observation, _, over, cut, _ = env.last()
        env.step(None if over or cut else int(np.flatnonzero(observation["action_mask"])[0]))
    assert env.unwrapped.trajectory().outcome["esndcg"] is not None
