import pytest
import torch

from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.agents.learning.casebank import Cases, unit_rows
from dialog_gym.agents.learning.memory import Memory, Reading, memory_of
from dialog_gym.core import DialogGymError


def written(outcomes, moves, states=None, **reading):
    """A memory of cases with two moves, in one state unless said."""
    memory = Memory(Reading(**{"neighbours": 4, "tau": 1.0, **reading}), 2, 2)
    found = torch.tensor([[1.0, 0.0]] * len(moves)) if states is None else unit_rows(torch.tensor(states))
    texts = tuple(map(str, moves))
    memory.write(Cases(found, torch.eye(2)[torch.tensor(moves)], torch.tensor(outcomes, dtype=bool), texts))
    return memory


HERE = torch.tensor([[1.0, 0.0]])


def test_the_preference_by_hand():
    # three cases of move 0, two of them good, and a bad one of move 1; (2 + 1/2) / (4 + 1) is the baseline
    memory = written([1, 1, 0, 0], [0, 0, 0, 1], tau=6.0)
    found = memory.preference(HERE)
    torch.testing.assert_close(found, torch.tensor([[6 * (2 / 3 - 0.5), 6 * (0 - 0.5)]]))


def test_the_preference_with_a_prior_by_hand():
    memory = written([1, 1, 0, 0], [0, 0, 0, 1], prior=3.0)
    # move 0: (0.5 + 0.5 - 0.5) / (3 + 3); move 1: -0.5 / (1 + 3)
    torch.testing.assert_close(memory.preference(HERE), torch.tensor([[0.5 / 6, -0.5 / 4]]))


def test_only_neighbours_speak():
    far = [[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]]
    memory = written([1, 1, 0, 0], [0, 0, 1, 1], far, neighbours=2)
    found = memory.preference(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    assert found[0, 0] > 0 and found[1, 1] < 0
    assert found[0, 1] == found[1, 0] == 0.0  # nobody there took that move


@pytest.mark.parametrize("read", ["nearest", "learned"])
@pytest.mark.parametrize("good", [True, False])
def test_a_good_case_raises_its_move_and_a_bad_one_lowers_it(read, good):
    memory = written([good], [1], read=read)
    if memory.scorer is not None:  # it has learnt that good cases are good
        with torch.no_grad():
            memory.scorer.head[-1].bias.fill_(2.0 if good else -2.0)
    found = memory.preference(HERE)[0]
    assert (found[1] > 0) == good and found[0] == 0.0


def test_nothing_to_say():
    assert Memory(Reading(), 2, 2).preference(HERE) is None
    assert written([1], [0], tau=0.0).preference(HERE) is None


def test_the_learned_read_ranks_by_probability():
    memory = written([0, 1, 0, 1], [0, 1, 0, 1], read="learned", neighbours=2, pool=4)
    scorer = memory.scorer
    with torch.no_grad():  # the probability of success is that of the case's own outcome
        for layer in (scorer.query, scorer.case, scorer.head[0]):
            layer.weight.zero_()
            layer.bias.zero_()
        scorer.case.weight[0, -1] = 1.0
        scorer.head[0].weight[0, 64] = 1.0
        scorer.head[-1].weight[0, 0] = 4.0
    found = memory.recall(HERE)
    assert sorted(found.cases[0].tolist()) == [1, 3]
    torch.testing.assert_close(found.values, torch.full((1, 2), torch.tensor(4.0).sigmoid().item()))
    torch.testing.assert_close(found.baseline, (2 * torch.tensor([4.0]).sigmoid() + 2 * 0.5 + 0.5) / 5)


def test_an_untrained_scorer_ranks_by_cosine():
    states = [[0.0, 1.0], [1.0, 0.2], [1.0, 0.0]]
    memory = written([1, 1, 1], [0, 1, 0], states, read="learned", neighbours=2, pool=3)
    found = memory.recall(HERE)
    assert found.cases.tolist() == [[2, 1]] and found.values.tolist() == [[0.5, 0.5]]


def test_a_full_memory_keeps_both_outcomes():
    memory = written([1, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1], capacity=3)
    assert memory.cases.outcomes.tolist() == [True, False, False]
    assert len(memory) == 3


@pytest.mark.parametrize("read", ["nearest", "learned"])
def test_a_memory_is_stored_and_read_exactly(read, tmp_path):
    memory = written([1, 0], [0, 1], read=read, tau=0.3)
    if memory.scorer is not None:
        with torch.no_grad():
            memory.scorer.head[-1].weight.normal_(generator=torch.Generator().manual_seed(0))
    memory.save(tmp_path)
    found = Memory.load(tmp_path)
    assert found.reading == memory.reading and found.cases.texts == memory.cases.texts
    assert found.preference(HERE).equal(memory.preference(HERE))


def test_whose_folder_has_a_memory(tmp_path):
    card = AgentCard(
        name="x", algorithm="memento", backbone="net", domain="credit", seed=0, env_steps=0, demonstrations=0,
        config={}, model={}, versions={},
    )  # fmt: skip
    assert memory_of(tmp_path, card.model_copy(update={"algorithm": "ppo"})) is None
    with pytest.raises(DialogGymError, match=r"cases\.jsonl: No such file"):
        memory_of(tmp_path, card)
    written([1], [0]).save(tmp_path)
    assert len(memory_of(tmp_path, card)) == 1
