import copy
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from dialog_gym.agents.learning.casebank import Cases, unit_rows
from dialog_gym.agents.learning.memento import Memento, MementoConfig, succeeded
from dialog_gym.agents.learning.memory import Memory
from dialog_gym.core import DialogGymError
from tests.agents.learning.toy import (
    ASK,
    SHOP,
    TURNS,
    LMShopper,
    NetShopper,
    calls,
    learn,
    likes_asking,
    moved,
    one_update,
    success,
    weights_of,
)

PLAIN: dict[str, Any] = {
    "weights": SHOP, "learning_rate": 1e-3, "minibatch": 16, "epochs": 2, "anneal": False, "read": "nearest",
    "neighbours": 16, "pool": 16, "tau": 2.0, "prior": 0.0, "capacity": 4096, "written": 4096,
}  # fmt: skip
FLAGS = 2
"""Features that tell a move from a thing; far apart, so that cases of one never speak about the other."""


class Remembering:
    """Gives a toy shopper a memory: every decision is a case, its state what `seen` makes of the words."""

    memory: Memory | None = None

    def remember(self, reading, seed=0):
        size = self.seen(torch.zeros(1, 1, dtype=torch.long), 0).shape[1] + FLAGS
        self.memory = Memory(reading, size, 3, seed=seed)
        return self.memory

    def state(self, words, turn, thing):
        flags = 4.0 * one_hot(torch.full((len(words),), int(thing)), FLAGS)
        with torch.no_grad():
            return unit_rows(torch.cat([unit_rows(self.seen(words, turn)), flags], 1))

    def logits(self, words, turn, thing):
        plain = super().logits(words, turn, thing)
        here = self.state(words, turn, thing)
        liked = None if self.memory is None else self.memory.preference(here)
        return plain if liked is None else plain + liked

    def cases(self, rollout, success):
        words, action, parts = rollout.inputs["words"], rollout.inputs["action"], []
        for turn in range(TURNS):
            for kind in range(2):
                rows = rollout.mask[:, turn, kind].nonzero().squeeze(1)
                if not len(rows):
                    continue
                seen = self.state(words[rows, : 3 * turn + 1 + kind], turn, bool(kind))
                parts.append((seen, one_hot(action[rows, turn, kind], 3).float(), success[rows]))
        states, actions, outcomes = (torch.cat(arrays) for arrays in zip(*parts, strict=True))
        return Cases(states, actions, outcomes, tuple(map(str, actions.argmax(1).tolist())))


class NetRemembers(Remembering, NetShopper):
    def seen(self, words, turn):
        return self._seen(words[:, 3 * turn], torch.full((len(words),), turn))


class LMRemembers(Remembering, LMShopper):
    def seen(self, words, turn):
        # what was said last by either side, in the model's own states
        found = self._read(words)[1][:, -1]
        return found - found.mean(1, keepdim=True)


KINDS = {"net": NetRemembers, "lm": LMRemembers}


@pytest.fixture(params=list(KINDS))
def shopper(request):
    return KINDS[request.param](seed=0)


def config(**options):
    return MementoConfig(**(PLAIN | options))


def test_what_is_a_success():
    rollout = calls(NetShopper(0), 2, 1)
    outcome = {
        "converted": torch.tensor([True, False]), "refused": torch.tensor([False, False]),
        "mis_sold": torch.tensor([False, True]),
    }  # fmt: skip
    object.__setattr__(rollout, "outcome", outcome)
    assert succeeded(rollout).tolist() == [True, False]


def test_every_case_is_stored(shopper):
    algorithm, rollout = Memento(shopper, config()), calls(shopper, 16, 4)
    logs = one_update(algorithm, rollout)
    bank = algorithm.memory.cases
    assert len(bank) == logs["cases"] == rollout.mask.sum()
    assert torch.linalg.vector_norm(bank.states, dim=1).allclose(torch.ones(len(bank)))
    again = shopper.cases(rollout, succeeded(rollout))
    assert sorted(bank.texts) == sorted(again.texts)
    assert int(bank.outcomes.sum()) == int(again.outcomes.sum()) > 0


def test_customers_who_were_not_reached_are_no_cases(shopper):
    rollout = calls(shopper, 16, 4)
    reached = torch.arange(len(rollout)) % 2 == 0
    rollout.outcome["reached"] = reached
    algorithm = Memento(shopper, config())
    one_update(algorithm, rollout)
    assert len(algorithm.memory) == rollout.mask[reached].sum()


def test_so_many_dialogues_are_written_half_of_each_outcome(shopper):
    rollout = calls(shopper, 128, 4)
    assert 0.0 < succeeded(rollout).float().mean() < 0.2
    algorithm = Memento(shopper, config(written=8))
    rows = []
    algorithm.player.cases = lambda part, good: rows.append(good) or Remembering.cases(shopper, part, good)
    one_update(algorithm, rollout)
    assert rows[0].tolist().count(True) == rows[0].tolist().count(False) == 4


@pytest.mark.parametrize("read", ["nearest", "learned"])
@pytest.mark.parametrize("good", [True, False])
def test_what_paid_becomes_likelier(shopper, good, read):
    before = likes_asking(shopper)
    algorithm = Memento(shopper, config(read=read, learning_rate=1e-2, neighbours=64, pool=64))
    for seed in range(3 if read == "learned" else 1):
        rollout = calls(shopper, 32, 4, seed=seed)
        asked = rollout.inputs["action"][:, 0, 0] == ASK
        rollout.outcome["converted"] = asked == good
        one_update(algorithm, rollout)
    assert (likes_asking(shopper) > before) == good


@pytest.mark.parametrize("off", ["empty", "tau"])
def test_without_memory_it_is_the_frozen_policy_bit_for_bit(shopper, off):
    plain = type(shopper)(seed=0)
    algorithm = Memento(shopper, config(**({"tau": 0.0} if off == "tau" else {})))
    if off == "tau":
        one_update(algorithm, calls(shopper))
        assert len(algorithm.memory)
    found, wanted = calls(shopper, 32, 4, seed=5), calls(plain, 32, 4, seed=5)
    assert found.inputs["words"].equal(wanted.inputs["words"]) and found.logprob.equal(wanted.logprob)


@pytest.mark.parametrize("read", ["nearest", "learned"])
def test_the_policy_stays_as_it_is(shopper, read):
    before = weights_of(shopper)
    algorithm = Memento(shopper, config(read=read))
    for seed in range(2):
        one_update(algorithm, calls(shopper, seed=seed))
    assert not moved(before, shopper)


def test_every_parameter_of_the_learned_read_moves(shopper):
    algorithm = Memento(shopper, config(read="learned", weight_decay=0.0))
    scorer = algorithm.memory.scorer
    before = {name: value.detach().clone() for name, value in scorer.named_parameters()}
    assert "read_accuracy" not in one_update(algorithm, calls(shopper))  # nothing was there to be read
    assert "read_accuracy" in one_update(algorithm, calls(shopper, seed=1))
    assert all(not value.equal(before[name]) for name, value in scorer.named_parameters())


def test_only_advice_that_was_followed_is_learnt_from(shopper):
    algorithm = Memento(shopper, config(read="learned"))
    one_update(algorithm, calls(shopper))
    pairs = algorithm.prepare(calls(shopper, seed=1))
    assert len(pairs) and len(pairs) == len(pairs.cases) == len(pairs.queries)
    rollout = calls(shopper, seed=2)
    none = shopper.cases(rollout, succeeded(rollout))
    algorithm.memory.cases = none.select((none.actions[:, 0] == 1).nonzero().squeeze(1))
    others = none.select((none.actions[:, 1] == 1).nonzero().squeeze(1))
    assert len(others) and not len(algorithm._followed(others))


@pytest.mark.parametrize("read", ["nearest", "learned"])
def test_it_goes_on_exactly_from_its_state(shopper, read):
    algorithm = Memento(shopper, config(read=read))
    for seed in range(2):
        one_update(algorithm, calls(shopper, seed=seed))
    twin = Memento(type(shopper)(seed=0), config(read=read))
    twin.load_state(copy.deepcopy(algorithm.state()))
    rollout = calls(shopper, seed=9)
    assert one_update(algorithm, rollout, seed=3) == one_update(twin, rollout, seed=3)
    first, second = algorithm.memory, twin.memory
    assert first.cases.states.equal(second.cases.states) and first.cases.texts == second.cases.texts
    query = first.cases.states[:5]
    assert first.preference(query).equal(second.preference(query))


def test_a_backbone_without_memory():
    with pytest.raises(DialogGymError, match="backbone net has no memory, which memento needs"):
        Memento(NetShopper(0), config())


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    algorithm = Memento(shopper, config(tau=16.0, neighbours=128, capacity=2048))
    learn(algorithm, iterations=10, groups=24, size=8)
    assert success(shopper) > 0.8
