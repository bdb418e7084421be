from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dialog_gym.agents.net.network import Network
from dialog_gym.domains.credit.claims import acts_of
from dialog_gym.domains.credit.moves import DECISIONS, MOVE, MOVES, used_decisions

INPUTS, SIZES = 7, (len(MOVES), len(MOVES), 5, 6, 4, 5)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = Network(INPUTS, SIZES, used_decisions(), hidden=16, stage=8)
        for value in found.parameters():  # nothing near zero: choices must matter
            value.data.normal_(0.0, 0.5)
    return found


def draw(rows, seed=0, share=0.4):
    """Observations, allowed moves and uniforms."""
    generator = torch.Generator().manual_seed(seed)
    allowed = torch.rand(rows, len(MOVES), generator=generator) < share
    allowed[:, 1 + seed % 3] = True
    seen = torch.randn(rows, INPUTS, generator=generator)
    return seen, allowed, torch.rand(rows, len(DECISIONS), generator=generator)


def test_every_choice_is_one_of_those_there_are(network):
    seen, allowed, uniforms = draw(500)
    action = network.decide(seen, allowed, None, uniforms).action
    assert (action >= 0).all()
    assert (action < torch.tensor(SIZES)).all()


@pytest.mark.parametrize("seed", range(3))
def test_moves_are_allowed_and_the_second_is_another_or_none(network, seed):
    seen, allowed, uniforms = draw(500, seed)
    first, second = network.decide(seen, allowed, None, uniforms).action[:, :2].T
    rows = torch.arange(500)
    assert allowed[rows, first].all()
    assert ((second == 0) | (allowed[rows, second] & (second != first))).all()
    assert (second != 0).any()
    assert (second == 0).any()


def test_the_likeliest_is_allowed_too(network):
    seen, allowed, _ = draw(300)
    chosen = network.decide(seen, allowed, None, None)
    first, second = chosen.action[:, :2].T
    assert allowed[torch.arange(300), first].all()
    assert (first != second).all()


@pytest.mark.parametrize("edge", [0.0, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_extreme_draws_are_allowed(network, edge):
    seen, allowed, uniforms = draw(300, share=0.1)
    chosen = network.decide(seen, allowed, None, torch.full_like(uniforms, edge))
    assert allowed[torch.arange(300), chosen.action[:, 0]].all()
    assert (chosen.logprob > -1e6).all()


def test_disallowed_moves_and_repetitions_have_no_probability(network):
    seen, allowed, _ = draw(50)
    first = allowed.int().argmax(1)
    for move in range(len(MOVES)):
        action = torch.zeros(50, 6, dtype=torch.long)
        action[:, 0] = move
        logprob = network.decide(seen, allowed, action, None).logprob[:, 0]
        assert not logprob.exp()[~allowed[:, move]].any()
        action[:, 0], action[:, 1] = first, move
        logprob = network.decide(seen, allowed, action, None).logprob[:, 1]
        closed = (first == move) | ~allowed[:, move]
        assert not logprob.exp()[closed & (torch.tensor(move) != 0)].any()


def test_probabilities_of_the_first_two_moves_sum_to_one(network):
    count = len(MOVES)
    pairs = torch.cartesian_prod(torch.arange(count), torch.arange(count))
    action = torch.nn.functional.pad(pairs, (0, 4))
    for row in range(3):
        seen, allowed, _ = (part[row : row + 1].expand(len(action), -1) for part in draw(3))
        logprob = network.decide(seen, allowed, action, None).logprob[:, :2].sum(1)
        assert logprob.exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_sampling_follows_the_probabilities(network):
    seen, allowed, _ = (part[:1].expand(20_000, -1) for part in draw(1))
    uniforms = torch.rand(20_000, 6, generator=torch.Generator().manual_seed(1))
    chosen = network.decide(seen, allowed, None, uniforms)
    for move in allowed[0].nonzero().flatten().tolist():
        rows = chosen.action[:, 0] == move
        if rows.any():
            p = chosen.logprob[rows, 0][0].exp().item()
            assert rows.float().mean().item() == pytest.approx(p, abs=5 * (p * (1 - p) / 20_000) ** 0.5)


def test_evaluating_what_was_chosen_gives_the_same(network):
    seen, allowed, uniforms = draw(200)
    chosen = network.decide(seen, allowed, None, uniforms)
    again = network.decide(seen, allowed, chosen.action, None)
    for name in ("action", "logprob", "entropy", "made"):
        assert getattr(again, name).equal(getattr(chosen, name)), name


def test_entropy_is_that_of_the_distribution(network):
    seen, allowed, uniforms = draw(20)
    chosen = network.decide(seen, allowed, None, uniforms)
    total = torch.zeros(20)
    for move in range(len(MOVES)):
        action = chosen.action.clone()
        action[:, 0] = move
        logprob = network.decide(seen, allowed, action, None).logprob[:, 0]
        total -= torch.where(allowed[:, move], logprob.exp() * logprob, 0.0)
    torch.testing.assert_close(chosen.entropy[:, 0], total, atol=1e-5, rtol=1e-5)


def test_unused_decisions_are_not_made(network):
    seen, allowed, uniforms = draw(300)
    chosen = network.decide(seen, allowed, None, uniforms)
    uses = torch.from_numpy(used_decisions())
    wanted = uses[chosen.action[:, 0]] | uses[chosen.action[:, 1]]
    wanted[:, :2] = True
    assert chosen.made.equal(wanted)
    for values in (chosen.action, chosen.logprob, chosen.entropy):
        assert not values[~wanted].any()
    assert not wanted.all()
    assert wanted[:, 2:].any()


def test_unused_decisions_have_no_gradient(network):
    seen, allowed, _ = draw(5)
    allowed[:, MOVE["greet"]] = True
    action = torch.tensor([[MOVE["greet"], 0, 3, 2, 1, 1]]).expand(5, 6)
    chosen = network.decide(seen, allowed, action, None)
    (chosen.logprob.sum() + chosen.entropy.sum()).backward()
    assert all(not head.weight.grad.any() and not head.bias.grad.any() for head in network.heads[2:])
    assert all(head.weight.grad.any() for head in network.heads[:2])
    assert not any(table.weight.grad.any() for table in network.later[2:])


def test_later_decisions_know_the_earlier_ones(network):
    seen, allowed, _ = draw(5)
    allowed[:, [MOVE["offer"], MOVE["close"]]] = True
    found = []
    for product in (0, 1):
        action = torch.tensor([[MOVE["offer"], MOVE["close"], product, 2, 0, 0]]).expand(5, 6)
        found.append(network.decide(seen, allowed, action, None).logprob)
    assert found[0][:, :2].equal(found[1][:, :2])
    assert (found[0][:, 3] != found[1][:, 3]).all()


def test_the_value_is_apart_from_the_policy(network):
    seen, allowed, uniforms = draw(5)
    network.value(seen).sum().backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert moved == {"value_net"}
    assert network.value(seen).shape == (5,)
    network.zero_grad(set_to_none=True)
    network.decide(seen, allowed, None, uniforms).logprob.sum().backward()
    assert all(p.grad is None for p in network.value_net.parameters())


def test_before_training_all_allowed_moves_are_about_as_likely():
    network = Network(INPUTS, SIZES, used_decisions(), hidden=16, stage=8)
    seen, allowed, uniforms = draw(50)
    chosen = network.decide(seen, allowed, None, uniforms)
    torch.testing.assert_close(chosen.entropy[:, 0], allowed.sum(1).float().log(), atol=0.05, rtol=0)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.name)
def test_used_decisions_are_those_that_a_move_says_something_with(domain, move):
    """Changing a decision changes what is said for some state if and only if the decision is used."""
    space = domain.space(split="train", scenario="proactive_sale", level=3)
    starts = domain.starts(space, np.arange(6), np.arange(6).astype(np.uint64))
    reader, index = domain.dynamics.moves, MOVE[move.name]
    differs = [False] * len(DECISIONS)
    for row in range(6):
        dialogue = domain.begin(SimpleNamespace(), starts, row)
        for decision in range(2, len(DECISIONS)):
            said = set()
            for choice in range(reader.nvec[decision]):
                action = [index, 0, 0, 0, 0, 1]
                action[decision] = choice
                said.add(str(acts_of(action, reader, dialogue.state, dialogue.truth)))
            differs[decision] |= len(said) > 1
    assert used_decisions()[index].tolist() == differs
