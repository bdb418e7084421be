"""Reasoning tasks as chats, gradients of dialogues, and single replies to logged calls."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.learning.rollout import Episodes  # noqa: E402
from dialog_gym.agents.learning.scaffold import Scaffold, ScaffoldConfig, accuracy  # noqa: E402
from dialog_gym.agents.lm import demonstrations  # noqa: E402
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy  # noqa: E402
from dialog_gym.agents.lm.reasoning import LONGEST, judge  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.domains.credit.reasoning_tasks import Question, is_unseen  # noqa: E402
from dialog_gym.language import LANGUAGE_REWARDS  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
DOMAIN = CreditDomain(max_turns=4)
CUSTOMERS = torch.tensor([3, 4])


@pytest.fixture
def policy(model_folder):
    def make(family="llama", **options):
        usual = {"precision": "fp32", "max_new_tokens": 8, "prompt": "compact"}
        return LMPolicy(DOMAIN, LMConfig(**{"model": str(model_folder(family)), **usual, **options}))

    return make


@pytest.fixture(scope="module")
def tiny():
    """The model that ships: its tokenizer knows the shop's words."""
    return LMPolicy(DOMAIN, LMConfig(precision="fp32", prompt="compact"))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


QUESTION = Question("mac", "?", {"phone": "0947", "limit": 34000, "rate": 5.42})


@pytest.mark.parametrize(
    ("text", "formed", "right"),
    [
        ('{"phone": "0947", "limit": 34000, "rate": 5.42}', True, True),
        ('{"rate": 5.420, "limit": 34000.0, "phone": "0947"}', True, True),
        ('{"phone": "0947", "limit": "34000", "rate": 5.42}', True, False),
        ('{"phone": "0947", "limit": 34000, "rate": 5.43}', True, False),
        ('{"phone": "0947", "limit": 34000}', False, False),
        ('{"phone": "0947", "limit": 34000, "rate": 5.42, "age": 3}', False, False),
        ('{"phone": "0947", "limit": 34000, "rate": 5.42} Goodbye', False, False),
        ('["phone", "limit", "rate"]', False, False),
        ("phone 0947", False, False),
        ("", False, False),
    ],
)
def test_judging_answers(text, formed, right):
    assert judge(text, QUESTION) == (formed, right)


def test_solved_tasks_are_right(tiny):
    found = tiny.reasoning("train").solved(CUSTOMERS)
    assert found.rewards["mac"][:2].eq(1).all() and found.rewards["pnr"][2:].eq(1).all()
    assert found.rewards["mac"][2:].isnan().all() and found.rewards["format"].eq(1).all()
    assert found.outcome["customer"].tolist() == [0, 1, 0, 1]
    assert not found.logprob.any() and found.mask.shape == (4, 1, LONGEST)
    for row, posed in enumerate(tiny.reasoning("train").pose(CUSTOMERS)):
        start, end = int(found.inputs["starts"][row, 0]), int(found.inputs["lengths"][row])
        ids = found.inputs["ids"][row, :end].tolist()
        assert ids[:start] == posed.prompt
        assert json.loads(tiny.chat.text(ids[start:])) == dict(posed.question.answer)
        assert int(found.mask[row].sum()) == end - start


def test_questions_are_about_the_customers_of_the_split(tiny):
    tasks, place = tiny.reasoning("validation"), {"split": "validation", "scenario": "proactive_sale"}
    assert tasks.size == DOMAIN.size("validation")
    posed = tasks.pose(torch.arange(8))
    profiles = [DOMAIN.task(index, level=3, **place).profile.attributes for index in range(8)]
    assert [one.unseen for one in posed] == [is_unseen(profile) for profile in profiles] * 2
    for one, profile in zip(posed, profiles, strict=False):
        assert one.question.answer["limit"] == profile["credit_limit"]
        shown = tiny.tokenizer.decode(one.prompt)
        assert str(profile["surname"]) in shown and one.question.text in shown


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
def test_what_was_answered_is_what_is_evaluated(policy, family):
    answering = policy(family)
    found = answering.reasoning("train").answer(CUSTOMERS, 2, seeded())
    assert found.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (found.logprob[found.mask] < 0).all() and found.mask[:, 0, 0].all()
    assert int(found.mask.sum(2).max()) > answering.config.max_new_tokens
    torch.testing.assert_close(answering.evaluate(found).logprob, found.logprob, atol=1e-4, rtol=1e-4)


def test_answers_depend_on_the_generator_alone(policy):
    answering = policy()
    first = answering.reasoning("train").answer(CUSTOMERS, 2, seeded(1))
    again = policy(lockstep=3).reasoning("train").answer(CUSTOMERS, 2, seeded(1))
    other = answering.reasoning("train").answer(CUSTOMERS, 2, seeded(2))
    assert first.inputs["ids"].equal(again.inputs["ids"])
    assert not first.inputs["ids"].equal(other.inputs["ids"])
    assert not first.inputs["ids"][0].equal(first.inputs["ids"][1])
    likeliest = answering.reasoning("train").answer(CUSTOMERS, 2, None).inputs["ids"]
    assert likeliest[0].equal(likeliest[1])


def test_a_domain_without_tasks(policy):
    found = policy()
    found.domain = type("Elsewhere", (), {"name": "elsewhere"})()
    with pytest.raises(DialogGymError, match=r"^domain elsewhere has no reasoning tasks: use domain credit$"):
        found.reasoning("train")


def test_imitation_makes_answers_likelier(policy):
    learning = policy()
    config = ScaffoldConfig(learning_rate=5e-3, weights={"mac": 1.0, "pnr": 1.0, "format": 1.0})
    scaffold = Scaffold(learning, config)
    losses = [scaffold.imitate(4, seeded(k))["scaffold_imitation"] for k in range(8)]
    assert losses[-1] < 0.7 * losses[0]
    assert set(accuracy(learning, 4)) == {"mac", "mac_unseen", "pnr", "pnr_unseen"}


def test_answers_are_learnt_from(policy):
    """With the entropy bonus alone where all answers are ill-formed; nothing fails."""
    learning = policy()
    rewards = {"mac": 0.5, "pnr": 0.5, "format": 0.5}
    scaffold = Scaffold(learning, ScaffoldConfig(group=2, minibatch=4, drop_equal=False, weights=rewards))
    before = {name: p.detach().clone() for name, p in learning.module.named_parameters()}
    logs = scaffold.learn(2, seeded(), 0.0)
    assert "scaffold_loss" in logs
    assert any(not p.equal(before[name]) for name, p in learning.module.named_parameters())


@pytest.mark.parametrize(("family", "temperature"), [("llama", 1.0), ("qwen2", 0.5), ("gpt2", 1.0)])
def test_gradients_of_dialogues(policy, family, temperature):
    """Those of autograd, with output layers that are not the embeddings."""
    playing = policy(family, temperature=temperature)
    group = np.arange(3)
    rollout = playing.collect(Episodes("customer_service", group, group.astype(np.uint64), group), seeded())
    found = playing.score_gradients(rollout)
    head = playing.module.model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    for row in range(3):
        likely = playing.evaluate(rollout.select(torch.tensor([row]))).logprob.sum()
        (wanted,) = torch.autograd.grad(likely, head.weight)
        torch.testing.assert_close(found[row], wanted.flatten(), atol=1e-4, rtol=1e-3)


def test_gradients_are_float32_in_half_precision_too(policy):
    playing = policy("llama", precision="bf16")
    group = np.arange(2)
    rollout = playing.collect(Episodes("customer_service", group, group.astype(np.uint64), group), seeded())
    found = playing.score_gradients(rollout)
    assert found.dtype == torch.float32 and not found.requires_grad
    assert found.abs().sum() > 0


# -- single replies


def test_logged_calls_go_as_they_went_up_to_the_reply(policy):
    playing = policy()
    logged = playing.logged(3, 7, "customer_service")
    calls, turns = torch.arange(3), (logged.turns - 1).clamp(max=1)
    found = logged.replies(calls, turns, np.arange(3), seeded())
    whole = playing.demonstrations(3, 7, "customer_service")
    for row in range(3):
        start = int(whole.inputs["starts"][row, turns[row]])
        assert int(found.inputs["starts"][row, 0]) == start
        assert found.inputs["ids"][row, :start].equal(whole.inputs["ids"][row, :start])
    torch.testing.assert_close(playing.evaluate(found).logprob, found.logprob, atol=1e-4, rtol=1e-4)
    assert found.mask.shape[1] == 1 and found.env_steps == 3
    assert set(found.rewards) == set(LANGUAGE_REWARDS)


def test_the_logged_reply_is_the_reference(policy, monkeypatch):
    playing = policy()
    logged = playing.logged(2, 7, "customer_service")
    said = [turns[1].text for turns in logged._said.values()]

    def repeat(policy, transcripts, keys, temperature):
        for transcript in transcripts:
            transcript.speak([1], [-1.0])
        return [said[0], "Nothing of the kind, xyzzy."]

    monkeypatch.setattr(demonstrations, "speak_once", repeat)
    turns = torch.ones(2, dtype=torch.long)
    found = logged.replies(torch.arange(2), turns, np.arange(2), seeded())
    assert found.rewards["rouge"][0] == 1.0
    assert found.rewards["rouge"][1] < 0.3
