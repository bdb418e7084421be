from dataclasses import replace

import pytest
import torch

from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.scaffold import Scaffold, ScaffoldConfig, accuracy, by_kind
from tests.agents.learning.hand import by_hand
from tests.agents.learning.toy import PLAIN, moved, weights_of
from tests.agents.learning.toy_tasks import EVERY, SIZE

WEIGHTS = {"mac": 0.5, "pnr": 0.5, "format": 0.5}
CUSTOMERS = torch.arange(1, 4)


def scaffold(policy, **options):
    chosen = {"weights": WEIGHTS, "group": 8, "epochs": 1, "minibatch": 96, "learning_rate": 5e-3}
    return Scaffold(policy, ScaffoldConfig(**{**PLAIN, "anneal": False, **chosen, **options}))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_rewards_by_kind():
    found = by_kind(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([False, False, True]))
    assert found["mac"].nan_to_num(nan=9.0).tolist() == [[1.0], [0.0], [9.0]]
    assert found["pnr"].nan_to_num(nan=9.0).tolist() == [[9.0], [9.0], [1.0]]


class Parts:
    """Tasks on three customers that are put in two parts each; the third's combination is unseen."""

    size = 3

    def __init__(self, right):
        self.right = right

    def reasoning(self, split):
        assert split == "validation"
        return self

    def answer(self, customers, answers, generator):
        assert (customers.tolist(), answers, generator) == ([0, 1, 2], 1, None)
        nothing = [[torch.nan]] * 6
        mac, pnr = [[r] for r in self.right["mac"]] + nothing, nothing + [[r] for r in self.right["pnr"]]
        customer = torch.arange(3).repeat(4)
        outcome = {"unseen": customer == 2, "customer": customer}
        return replace(by_hand({"mac": mac, "pnr": pnr}), outcome=outcome)


def test_a_task_in_parts_is_solved_when_all_parts_are():
    right = {"mac": [1.0, 1.0, 0.0, 1.0, 0.0, 1.0], "pnr": [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]}
    found = accuracy(Parts(right), 100)
    assert found == {"mac": 0.5, "mac_unseen": 0.0, "pnr": 0.5, "pnr_unseen": 1.0}


def test_unseen_combinations_are_not_learnt(shopper):
    found = scaffold(shopper).tasks(64, generator())
    assert 0 < len(found) < 64 * 2 * 8
    assert not found.outcome["unseen"].any()


@pytest.mark.parametrize("right", [True, False])
def test_right_answers_become_likelier(shopper, right):
    learner = scaffold(shopper, learning_rate=1e-3)
    answered = shopper.reasoning("train").answer(CUSTOMERS, 64, generator())
    if not right:
        rewards = {name: 1.0 - values for name, values in answered.rewards.items()}
        answered = replace(answered, rewards=rewards)
    solved = shopper.reasoning("train").solved(CUSTOMERS)
    before = shopper.evaluate(solved).logprob.sum()
    learner.update(answered, generator())
    assert (shopper.evaluate(solved).logprob.sum() > before) == right


def test_it_is_grpo_on_tasks_bit_for_bit(shopper):
    twin = shopper.clone()
    twin.module.requires_grad_(True)
    answered = shopper.reasoning("train").answer(CUSTOMERS, 16, generator())
    shared = PLAIN | {"weights": WEIGHTS, "minibatch": 32, "group": 16, "entropy": 0.01}
    before = weights_of(shopper)
    logs = Scaffold(shopper, ScaffoldConfig(**shared)).update(answered, generator(), 0.5)
    assert logs == GRPO(twin, GRPOConfig(**shared)).update(answered, generator(), 0.5)
    assert not moved(weights_of(shopper), twin)
    assert moved(before, shopper)


def test_every_parameter_moves_but_the_value(shopper):
    before = weights_of(shopper)
    scaffold(shopper).learn(32, generator(), 0.0)
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}


def test_layers_for_answers_alone_have_a_step_size_of_their_own(shopper):
    shopper.module.reasoning = torch.nn.Linear(2, 2)
    learner = scaffold(shopper, learning_rate=1e-4, heads_rate=1e-2)
    shared, heads = learner.optimizer.param_groups
    assert {id(p) for p in heads["params"]} == {id(p) for p in shopper.module.reasoning.parameters()}
    learner._set_rate(0.0)
    assert (shared["lr"], heads["lr"]) == pytest.approx((1e-4, 1e-2))


def test_the_entropy_bonus_falls_to_nothing(shopper):
    learner = scaffold(shopper, entropy=0.2)
    for progress, wanted in ((0.0, 0.2), (0.75, 0.05), (1.0, 0.0)):
        learner.learn(4, generator(), progress)
        assert learner.config.entropy == pytest.approx(wanted)


def test_imitation(shopper):
    learner, solved = scaffold(shopper), shopper.reasoning("train").solved(torch.arange(SIZE))
    assert (solved.logprob == 0).all()
    seen = solved.select(~solved.outcome["unseen"])
    assert len(seen) == 2 * SIZE * (EVERY - 1) // EVERY
    losses = [learner.imitate(32, generator(k))["scaffold_imitation"] for k in range(30)]
    assert losses[-1] < losses[0] / 2
    assert accuracy(shopper, SIZE) == {"mac": 1.0, "mac_unseen": 1.0, "pnr": 1.0, "pnr_unseen": 1.0}


def test_it_learns_the_tasks(shopper):
    learner = scaffold(shopper, entropy=0.3)
    first = accuracy(shopper, SIZE)
    assert min(first["mac"], first["pnr"]) < 0.7
    logs = [learner.learn(12, generator(k), k / 60) for k in range(60)]
    assert all(name.startswith("scaffold_") for name in logs[0])
    found = accuracy(shopper, SIZE)
    assert found["mac"] == found["pnr"] == 1.0
