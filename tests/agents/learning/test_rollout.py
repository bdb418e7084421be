import pytest
import torch

from dialog_gym.agents.learning.rollout import join
from tests.agents.learning.hand import by_hand
from tests.agents.learning.toy import calls


@pytest.fixture
def three():
    mask = [[[1, 1], [1, 0]], [[1, 0], [0, 0]], [[1, 1], [0, 1]]]
    rewards = {"conversion": [[0.0, 1.0], [2.0, 0.0], [3.0, 4.0]]}
    return by_hand(rewards, mask=mask, group=[0, 0, 1])


def test_turns_taken(three):
    assert three.turns.tolist() == [[True, True], [True, False], [True, True]]
    assert three.env_steps == 5
    assert len(three) == 3


def test_a_turn_is_taken_whichever_of_its_decisions_was_made(three):
    assert three.turns[2, 1]


@pytest.mark.parametrize("index", [torch.tensor([2, 0]), torch.tensor([True, False, True])])
def test_select_takes_the_same_rows_of_everything(three, index):
    chosen = three.select(index)
    rows = [2, 0] if index.dtype == torch.long else [0, 2]
    assert chosen.inputs["row"].tolist() == rows
    assert chosen.rewards["conversion"].equal(three.rewards["conversion"][rows])
    assert chosen.mask.equal(three.mask[rows])
    assert chosen.logprob.equal(three.logprob[rows])
    assert chosen.cost.equal(three.cost[rows])
    assert chosen.group.equal(three.group[rows])


def test_selecting_nothing_is_an_empty_rollout(three):
    nothing = three.select(torch.zeros(0, dtype=torch.long))
    assert len(nothing) == 0
    assert nothing.env_steps == 0


def test_joined_groups_stay_apart(three):
    assert join([three, three, three]).group.tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 5]


def test_join_keeps_the_parts(shopper):
    first, second = calls(shopper, 4, 2, seed=1), calls(shopper, 3, 2, seed=2)
    both = join([first, second])
    assert len(both) == 14
    assert both.env_steps == first.env_steps + second.env_steps
    for part, rows in ((first, torch.arange(8)), (second, torch.arange(8, 14))):
        found = both.select(rows)
        assert found.logprob.equal(part.logprob)
        for kind in ("rewards", "inputs", "outcome"):
            for name, values in getattr(part, kind).items():
                assert getattr(found, kind)[name].equal(values), name
    assert len(set(both.group[:8].tolist()) & set(both.group[8:].tolist())) == 0


def test_a_toy_call_is_evaluated_as_it_was_played(shopper):
    rollout = calls(shopper, 30, 2)
    found = shopper.evaluate(rollout, value=True)
    torch.testing.assert_close(found.logprob, rollout.logprob, atol=1e-6, rtol=1e-6)
    for outside in (found.logprob[~rollout.mask], found.entropy[~rollout.mask], found.value[~rollout.turns]):
        assert not outside.any()
