import math
from dataclasses import replace

import pytest
import torch

from dialog_gym.agents.learning import registry
from dialog_gym.agents.learning.advantages import turn_normalise
from dialog_gym.agents.learning.gopo import GOPO, Contest, GOPOConfig
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.run_options import RunOptions
from dialog_gym.agents.learning.runs import run
from dialog_gym.core import DialogGymError
from tests.agents.learning.hand import Spoken, by_hand
from tests.agents.learning.toy import (
    LEARNS,
    PLAIN,
    SHOP,
    calls,
    gradient_of,
    learn,
    likes_asking,
    moved,
    one_update,
    paid_for_asking,
    success,
    weights_of,
)

GOAL = {"tse": 1.0, "esndcg": 0.5, "outcome": 2.0, "violations": 0.25}


def config(**options):
    goal = {**GOAL, "preference": 0.1, "beta": 0.5, "gradient": 1.0, "joint": 1.0}
    return GOPOConfig(**(PLAIN | {"levels": "turn"} | goal | options))


# two dialogues of one task, two turns with a strategy and a word; the second's last turn has no word
HAND = replace(
    by_hand(
        {"progress": [[1.0, 3.0], [0.0, 2.0]]},
        mask=[[[1, 1], [1, 1]], [[1, 1], [1, 0]]], group=[0, 0],
    ),
    outcome={
        "tse": torch.tensor([0.75, 0.5]), "esndcg": torch.tensor([1.0, 0.5]),
        "converted": torch.tensor([True, False]), "mis_sold": torch.tensor([False, True]),
    },
    cost=torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
)  # fmt: skip
STRATEGIC = torch.tensor([True, False]).expand(2, 2, 2)
HAND = replace(HAND, inputs={**HAND.inputs, "strategic": STRATEGIC})
J = (0.75 + 0.5 + 2.0 - 0.25, 0.5 + 0.25 - 2.0 - 0.75)


def by_config(**options):
    return GOPO(Spoken(torch.zeros(2, 2, 2)), config(**options))


def test_the_goal_of_a_dialogue():
    torch.testing.assert_close(by_config().goal(HAND), torch.tensor(J))


def test_what_was_earned_before_a_turn_is_not_its_doing():
    # the first turn of the first dialogue has 1 of 1 + 3 / log2(3) discounted gains
    share = 1 / (1 + 3 / math.log2(3))
    wanted = [[J[0], J[0] - 0.75 * share + 0.25], [J[1], J[1] - 0.0 + 0.5]]
    torch.testing.assert_close(by_config().goal_to_go(HAND), torch.tensor(wanted))


def test_facts_that_are_missing_drop_out():
    bare = replace(HAND, outcome={"converted": torch.tensor([True, False])}, cost=torch.zeros(2, 2))
    algorithm = by_config()
    assert algorithm.goal(bare).tolist() == [2.0, 0.0]
    assert algorithm.goal_to_go(bare).tolist() == [[2.0, 2.0], [0.0, 0.0]]


def test_the_expert_learns_from_the_goal_and_the_service_agent_from_its_turns_too():
    algorithm = by_config(joint=0.5, gradient=2.0, weights={"progress": 1.0})
    found = algorithm.advise(HAND).extra["advantage"]
    expert = turn_normalise(algorithm.goal_to_go(HAND), HAND.turns, HAND.group)
    # returns to go 4, 3 and 2, 2: one above and below the mean of the first turn, a half in the second
    unit = math.sqrt((1 + 1 + 0.25 + 0.25) / 4)
    service = torch.tensor([[1.0, 0.5], [-1.0, -0.5]]) / unit
    torch.testing.assert_close(found[..., 0], 2 * expert, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[..., 1], service + 0.5 * expert, atol=1e-5, rtol=1e-5)


def test_preference_loss():
    spoken = Spoken([[[-1.0, -9.0], [-0.5, -9.0]], [[-2.0, -9.0], [-0.25, -9.0]]])
    algorithm = GOPO(
        spoken, config(), reference=Spoken(torch.tensor([[[-0.75, 0.0]], [[-1.0, 0.0]]]).expand(2, 2, 2))
    )
    batch = algorithm.prepare(HAND)
    assert isinstance(batch, Contest)
    assert len(batch) == 1
    assert batch.rollout.inputs["row"].tolist() == [0, 1]
    # words count for nothing: 0.5 · ((-1.5 + 1.5) - (-2.25 + 2.0)) = 0.125
    found = algorithm.loss(batch, batch)[1]
    torch.testing.assert_close(found["preference"], torch.tensor(math.log(1 + math.exp(-0.125))))
    assert found["accuracy"] == 1


def test_the_better_dialogue_comes_first():
    worse_first = HAND.select(torch.tensor([1, 0]))
    assert by_config().prepare(worse_first).rollout.inputs["row"].tolist() == [0, 1]


def test_a_contest_is_divided_by_pairs(shopper):
    batch = GOPO(shopper, config()).prepare(calls(shopper, 60, 8))
    part = batch.select(torch.tensor([3, 1]))
    assert len(part) == 2
    assert part.rollout.group.tolist() == batch.rollout.group[[6, 7, 2, 3]].tolist()
    assert (batch.rollout.group[0::2] == batch.rollout.group[1::2]).all()


def test_dialogues_of_the_same_worth_make_no_pair(shopper):
    rollout = calls(shopper)
    same = replace(rollout, outcome={"converted": torch.ones(len(rollout))})
    before = weights_of(shopper)
    one_update(GOPO(shopper, config()), same)
    assert not moved(before, shopper)


def test_parts_have_the_gradient_of_the_whole(shopper):
    algorithm = GOPO(shopper, config())
    batch = algorithm.prepare(calls(shopper, 60, 8))
    assert len(batch) > 7
    whole, parts = gradient_of(algorithm, batch), gradient_of(algorithm, batch, 7)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


def for_asking(rollout, sign):
    """The goal of a call is whether it began with a question, or the reverse; nothing else pays."""
    paid = paid_for_asking(rollout, sign)
    asked = paid.rewards["conversion"].sum(1)
    nothing = {name: torch.zeros_like(values) for name, values in paid.rewards.items()}
    return replace(paid, outcome={"converted": asked}, rewards=nothing)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("only", [{"preference": 0.0}, {"gradient": 0.0, "joint": 0.0, "preference": 1.0}])
def test_what_serves_the_goal_becomes_likelier(shopper, sign, only):
    """By the policy gradient alone, and by preferences alone."""
    before = likes_asking(shopper)
    rollout = for_asking(calls(shopper), sign)
    one_update(GOPO(shopper, config(learning_rate=1e-3, **only)), rollout)
    assert (likes_asking(shopper) - before) * sign > 0


def with_one_strategy(rollout):
    """The same calls where there was nothing to plan."""
    nothing = torch.zeros_like(rollout.mask)
    return replace(rollout, inputs={**rollout.inputs, "strategic": nothing})


@pytest.mark.parametrize("options", [{}, {"expert": False}])
def test_without_a_plan_it_is_grpo_on_turns_bit_for_bit(shopper, options):
    """One strategy leaves nothing to plan, and without the expert nobody plans."""
    rollout, twin = calls(shopper, 24, 4), shopper.clone()
    twin.module.requires_grad_(True)
    shared = PLAIN | {"minibatch": 16, "epochs": 3, "entropy": 0.01, "levels": "turn"}
    start = weights_of(twin)
    gopo = GOPO(shopper, GOPOConfig(**shared, **options))
    logs = one_update(gopo, with_one_strategy(rollout) if not options else rollout)
    parent = one_update(GRPO(twin, GRPOConfig(**shared)), rollout)
    assert not moved(weights_of(shopper), twin)
    assert moved(start, twin)
    assert {name: logs[name] for name in parent if name != "kl"} == {
        n: v for n, v in parent.items() if n != "kl"
    }


def test_every_parameter_moves_but_the_value(shopper):
    before = weights_of(shopper)
    one_update(GOPO(shopper, config()), calls(shopper, 60, 8))
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    learn(GOPO(shopper, config(**LEARNS)), iterations=30, groups=12, size=8)
    assert success(shopper) > 0.8


def test_turn_rewards_of_the_default_are_about_turns():
    assert not set(GOPOConfig().weights) & {"conversion", "resolution", "honest_refusal", "mis_sale"}
    assert SHOP.keys() & GOPOConfig().weights.keys() == {"progress"}


def test_a_language_model_is_told_at_once(tmp_path):
    assert registry.load("gopo") is GOPO
    with pytest.raises(DialogGymError, match=r"^gopo trains backbone net, not lm$"):
        run(RunOptions("gopo", tmp_path / "run", backbone="lm"), watch=None)
