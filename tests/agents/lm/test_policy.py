"""The language-model backbone: what it plays is what it evaluates, on any model."""

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.learning.demonstrators import demonstrate  # noqa: E402
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig  # noqa: E402
from dialog_gym.agents.learning.ppo import PPO, PPOConfig  # noqa: E402
from dialog_gym.agents.learning.rollout import Episodes, join  # noqa: E402
from dialog_gym.agents.learning.sft import SFT, SFTConfig  # noqa: E402
from dialog_gym.agents.lm.evaluation import Choices  # noqa: E402
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy  # noqa: E402
from dialog_gym.agents.net.policy import NetPolicy  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.language import LANGUAGE_REWARDS  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
FAMILIES = ("llama", "qwen2", "gpt2")
DOMAIN = CreditDomain(max_turns=4)


@pytest.fixture
def policy(model_folder):
    def make(family="llama", **options):
        chosen = {"model": str(model_folder(family)), "precision": "fp32", "max_new_tokens": 8}
        return LMPolicy(DOMAIN, LMConfig(**{**chosen, **options}))

    return make


def episodes(groups=3, size=2, scenario="customer_service"):
    group = np.repeat(np.arange(groups), size)
    return Episodes(scenario, group + 5, (group + 100).astype(np.uint64), group)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def same(a, b):
    return torch.equal(a.inputs["ids"], b.inputs["ids"]) and torch.equal(a.mask, b.mask)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_what_was_sampled_is_what_is_evaluated(policy, family, scenario):
    playing = policy(family)
    rollout = playing.collect(episodes(scenario=scenario), seeded())
    found = playing.evaluate(rollout)
    assert rollout.mask.any(-1)[:, 0].all()
    assert (rollout.logprob[rollout.mask] < 0).all()
    assert torch.allclose(found.logprob, rollout.logprob, atol=1e-4)
    assert found.value is None
    assert (found.entropy[rollout.mask] > 0).all()
    assert not found.entropy[~rollout.mask].any()


def test_another_temperature_is_part_of_the_policy(policy):
    playing = policy(temperature=0.5)
    rollout = playing.collect(episodes(), seeded())
    assert torch.allclose(playing.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    warmer = policy(temperature=1.0).evaluate(rollout).logprob
    assert not torch.allclose(warmer, rollout.logprob, atol=1e-2)


def test_playing_depends_on_the_generator_alone(policy):
    playing = policy()
    first = playing.collect(episodes(), seeded(1))
    assert same(first, playing.collect(episodes(), seeded(1)))
    assert same(first, policy(lockstep=2).collect(episodes(), seeded(1)))
    assert not same(first, playing.collect(episodes(), seeded(2)))


def test_dialogues_of_a_group_share_the_customer_and_not_the_agent(policy):
    playing = policy()
    sampled = playing.collect(episodes(1, 2), seeded())
    prompt = int(sampled.inputs["starts"][0, 0])
    ids = sampled.inputs["ids"]
    assert torch.equal(ids[0, :prompt], ids[1, :prompt])
    assert not torch.equal(ids[0], ids[1])
    likeliest = playing.collect(episodes(1, 2), None)
    assert torch.equal(likeliest.inputs["ids"][0], likeliest.inputs["ids"][1])


def test_only_what_the_assistant_says_is_decided(policy):
    playing = policy()
    rollout = playing.collect(episodes(), seeded())
    d, t, k = rollout.mask.nonzero(as_tuple=True)
    decided = torch.zeros_like(rollout.inputs["ids"], dtype=torch.bool)
    decided[d, rollout.inputs["starts"][d, t] + k] = True
    by_role = torch.zeros_like(decided)
    user, assistant, end = (
        playing.tokenizer.convert_tokens_to_ids(f"<|{n}|>") for n in ("user", "assistant", "end")
    )
    for row, ids in enumerate(rollout.inputs["ids"].tolist()):
        starts = [int(s) for s in rollout.inputs["starts"][row][rollout.turns[row]]]
        for start, until in zip(starts, [*starts[1:], int(rollout.inputs["lengths"][row])], strict=True):
            assert ids[start - 1] == assistant
            said = ids[start : min(until, start + 8)]
            length = said.index(end) + 1 if end in said else len(said)
            by_role[row, start : start + length] = True
            if until != rollout.inputs["lengths"][row]:
                assert ids[start + length + (length == 8 and said[-1] != end)] == user
    assert torch.equal(decided, by_role)


def test_no_gradient_comes_from_the_customer_or_the_prompt(policy):
    playing = policy()
    rollout = playing.collect(episodes(), seeded())
    playing.module._plain_head = False  # so that all logits are made
    kept = []

    def keep(module, given, logits):
        logits.retain_grad()
        kept.append(logits)

    playing.module.model.get_output_embeddings().register_forward_hook(keep)
    found = playing.evaluate(rollout)
    (found.logprob.sum() + found.entropy.sum()).backward()
    order = torch.argsort(rollout.inputs["lengths"], stable=True)
    (logits,) = kept
    touched = logits.grad.abs().sum(-1) > 0
    d, t, k = rollout.mask[order].nonzero(as_tuple=True)
    expected = torch.zeros_like(touched)
    expected[d, rollout.inputs["starts"][order][d, t] + k - 1] = True
    assert torch.equal(touched, expected)


def test_logits_are_made_for_decisions_only(policy):
    playing = policy()
    rollout = playing.collect(episodes(), seeded())
    sizes = []
    head = playing.module.model.get_output_embeddings()
    head.register_forward_hook(lambda module, given, logits: sizes.append(len(logits)))
    whole = playing.evaluate(rollout).logprob
    assert sizes == [int(rollout.mask.sum())]
    playing.module._plain_head = False
    assert torch.allclose(playing.evaluate(rollout).logprob, whole, atol=1e-5)


def test_padding_and_company_change_nothing(policy):
    playing = policy()
    rollout = playing.collect(episodes(5, 2), seeded())
    whole = playing.evaluate(rollout, value=True)
    behind = torch.arange(rollout.inputs["ids"].shape[1]) >= rollout.inputs["lengths"][:, None]
    other = replace(rollout, inputs={**rollout.inputs, "ids": rollout.inputs["ids"].masked_fill(behind, 7)})
    assert torch.allclose(playing.evaluate(other).logprob, whole.logprob, atol=1e-5)
    index = torch.tensor([7, 0, 3])
    part = playing.evaluate(rollout.select(index), value=True)
    assert torch.allclose(part.logprob, whole.logprob[index], atol=1e-5)
    assert torch.allclose(part.value, whole.value[index], atol=1e-5)
    nobody = playing.evaluate(rollout.select(torch.tensor([], dtype=torch.long)))
    assert nobody.logprob.shape == (0, *rollout.mask.shape[1:])


def test_choices_have_the_gradients_of_autograd():
    logits = torch.randn(6, 9, generator=seeded(), dtype=torch.float32, requires_grad=True)
    chosen, weights = torch.arange(6), torch.randn(2, 6, generator=seeded(1))
    logprob, entropy = Choices.apply(logits, chosen)
    (logprob * weights[0] + entropy * weights[1]).sum().backward()
    found, logits.grad = logits.grad, None
    logp = logits.log_softmax(-1)
    plain = logp.gather(-1, chosen[:, None])[:, 0] * weights[0] - (logp.exp() * logp).sum(-1) * weights[1]
    plain.sum().backward()
    assert torch.allclose(found, logits.grad, atol=1e-6)


def test_values_are_learnt_without_touching_the_language(policy):
    playing = policy()
    rollout = playing.collect(episodes(), seeded())
    found = playing.evaluate(rollout, value=True)
    assert found.value.shape == rollout.turns.shape
    assert not found.value[~rollout.turns].any()
    assert torch.allclose(playing.values(rollout), found.value, atol=1e-6)
    (found.value[rollout.turns] - 1).square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in playing.module.value_net.parameters())
    assert all(p.grad is None for p in playing.module.model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_grpo_updates_any_model(policy, family):
    playing = policy(family)
    rollout = rewarded(playing.collect(episodes(2, 4), seeded()))
    before = [p.detach().clone() for p in playing.module.model.parameters()]
    logs = GRPO(playing, GRPOConfig(kl=0.1, microbatch=3, epochs=1)).update(rollout, seeded())
    assert logs["kl"] == pytest.approx(0, abs=1e-6)
    moved = [not torch.equal(a, b) for a, b in zip(before, playing.module.model.parameters(), strict=True)]
    assert sum(moved) > len(moved) * 0.9  # but for biases that change nothing
    assert not torch.allclose(playing.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    again = playing.collect(episodes(2, 4), seeded(1))
    assert torch.allclose(playing.evaluate(again).logprob, again.logprob, atol=1e-4)


def rewarded(rollout):
    """Words with even token ids are worth something."""
    d, t, k = rollout.mask.nonzero(as_tuple=True)
    even = torch.zeros(rollout.mask.shape)
    even[d, t, k] = (rollout.inputs["ids"][d, rollout.inputs["starts"][d, t] + k] % 2 == 0).float()
    share = even.sum((1, 2)) / rollout.mask.sum((1, 2))
    conversion = torch.zeros(rollout.mask.shape[:2])
    conversion[:, 0] = share
    return replace(rollout, rewards={**rollout.rewards, "conversion": conversion})


@pytest.mark.parametrize("algorithm", [(GRPO, GRPOConfig), (PPO, PPOConfig)])
def test_an_update_makes_what_is_rewarded_likelier(policy, algorithm):
    playing, (maker, config) = policy(), algorithm
    rollout = rewarded(playing.collect(episodes(4, 8, "proactive_sale"), seeded()))
    options = {"learning_rate": 1e-3, "epochs": 1, "entropy": 0.0, "weights": {"conversion": 1.0}}
    maker(playing, config(**options)).update(rollout, seeded())
    gained = (playing.evaluate(rollout).logprob - rollout.logprob).sum((1, 2)).detach()
    earned = rollout.rewards["conversion"].sum(1)
    assert torch.corrcoef(torch.stack([gained, earned]))[0, 1] > 0.4


def test_it_learns_what_is_rewarded(policy):
    playing = policy(max_new_tokens=4)
    options = {"learning_rate": 1e-2, "epochs": 2, "minibatch": 16, "anneal": False, "entropy": 0.0}
    learner = GRPO(playing, GRPOConfig(**options, weights={"conversion": 1.0}))
    shares = []
    for k in range(8):
        rollout = rewarded(playing.collect(episodes(4, 8, "proactive_sale"), seeded(k)))
        shares.append(float(rollout.rewards["conversion"].sum(1).mean()))
        learner.update(rollout, seeded(k))
    assert sum(shares[-2:]) > sum(shares[:2]) + 0.2


def test_demonstrations_are_the_population_s_words(policy):
    playing = policy(max_new_tokens=400, prompt="compact")
    rollout = playing.demonstrations(6, 3, "proactive_sale")
    calls = demonstrate(6, seed=3, scenario="proactive_sale", domain=DOMAIN)
    for row, call in enumerate(calls):
        said = [turn.text for turn in call.turns if turn.role == "assistant"]
        starts, ids = rollout.inputs["starts"][row], rollout.inputs["ids"][row]
        counts = rollout.mask[row].sum(-1)
        read = [playing.chat.text(ids[s : s + n].tolist()) for s, n in zip(starts, counts, strict=True) if n]
        assert read == said
        assert ids[starts[0] + counts[0] - 1] == playing.chat.close
        given = [sum(costs.values()) for costs in call.costs]
        assert rollout.cost[row, : len(given)].tolist() == given
    both = join([rollout, playing.demonstrations(2, 3, "customer_service")])
    assert len(both) == 8


def test_sft_learns_demonstrations(policy):
    playing = policy(max_new_tokens=24)
    rollout = playing.demonstrations(8, 0, "customer_service")
    learner = SFT(playing, SFTConfig(learning_rate=3e-3, anneal=False))
    losses = [learner.update(rollout, seeded(k))["loss"] for k in range(6)]
    assert losses[-1] < losses[0] - 0.5


def test_outcomes_and_rewards_are_those_of_the_net(policy):
    here = policy().collect(episodes(1, 1, "proactive_sale"), seeded())
    there = NetPolicy(DOMAIN).collect(episodes(1, 1, "proactive_sale"), seeded())
    assert set(here.outcome) == set(there.outcome)
    assert {n: v.dtype.is_floating_point for n, v in here.outcome.items()} == {
        n: v.dtype.is_floating_point for n, v in there.outcome.items()
    }
    assert set(here.rewards) == set(there.rewards)
    assert here.rewards["turn"].shape == there.rewards["turn"].shape


def test_language_rewards_are_judged_on_the_words(policy):
    playing = policy(language_rewards=True)
    rollout = playing.demonstrations(4, 0, "customer_service")
    assert set(LANGUAGE_REWARDS) <= set(rollout.rewards)
    natural = rollout.rewards["naturalness"]
    assert (natural[rollout.turns] > 0.5).all()
    assert rollout.rewards["repetition"][:, 0].isnan().all()
    assert not natural[~rollout.turns].any()


def test_another_split_is_played_with_the_same_model(policy):
    playing = policy()
    other = playing.on_split("test")
    assert other.module is playing.module
    here, there = (p.collect(episodes(1, 1), None) for p in (playing, other))
    assert not same(here, there)
    assert playing.config.split == "train"


def test_a_full_context_ends_the_dialogue(policy):
    prompt = int(policy().collect(episodes(1, 1), seeded()).inputs["starts"].max(1).values.max())
    playing = policy(context=prompt + 8)
    rollout = playing.collect(episodes(8, 1), seeded())
    assert rollout.inputs["ids"].shape[1] == prompt + 8
    assert int(rollout.inputs["lengths"].max()) <= prompt + 8
    assert torch.allclose(playing.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    turns = rollout.outcome["turns"]
    assert (turns >= rollout.turns.sum(1)).all()
    assert (turns > rollout.turns.sum(1)).any()
    with pytest.raises(DialogGymError, match="do not fit into 20: use the compact prompt"):
        policy(context=20).collect(episodes(1, 1), seeded())


def test_saying_nothing_is_heard_as_silence(policy, monkeypatch):
    playing = policy()
    monkeypatch.setattr(playing.chat, "text", lambda ids: "")
    rollout = playing.collect(episodes(2, 1), seeded())
    assert (rollout.outcome["turns"] == rollout.turns.sum(1)).all()
    assert not rollout.outcome["converted"].any()


class Broken:
    """A simulator that fails in every second dialogue."""

    name = "broken"

    def start(self, task, seed):
        self.number = getattr(self, "number", 0) + 1
        return self if self.number % 2 else Silent()

    def say(self, acts, dialogue, *, garbled):
        raise RuntimeError("no words")


class Silent:
    def say(self, acts, dialogue, *, garbled):
        return "Yes."


def test_void_dialogues_are_left_out(policy):
    playing = policy()
    playing.env("customer_service").simulator = Broken()
    rollout = playing.collect(episodes(3, 2), seeded())
    assert rollout.group.tolist() == [0, 1, 2]
    playing.env("customer_service").simulator = type("Worse", (Broken,), {"start": lambda self, *a: self})()
    with pytest.raises(DialogGymError, match="the user simulator failed in every dialogue: RuntimeError"):
        playing.collect(episodes(1, 1), seeded())


def test_acts_are_read_as_acts(policy, monkeypatch):
    playing = policy(dialect="acts")
    monkeypatch.setattr(playing.chat, "text", lambda ids: "ask_identity()")
    rollout = playing.collect(episodes(2, 1), seeded())
    assert rollout.rewards["progress"].sum() > 0
    first = rollout.inputs["ids"][0].tolist()
    assert "Reply in acts." in playing.tokenizer.decode(first)


@pytest.mark.parametrize("lora", [0, 2])
def test_a_clone_is_frozen_and_apart(policy, lora):
    playing = policy(lora=lora)
    rollout = playing.collect(episodes(2, 2), seeded())
    twin = playing.clone()
    with torch.no_grad():
        for p in playing.module.parameters():
            if p.requires_grad:
                p.add_(0.05)
    assert not any(p.requires_grad for p in twin.module.parameters())
    assert torch.allclose(twin.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    assert not torch.allclose(playing.evaluate(rollout).logprob, rollout.logprob, atol=1e-3)
    pairs = zip(playing.module.parameters(), twin.module.parameters(), strict=True)
    shared = [a.data_ptr() == b.data_ptr() for a, b in pairs]
    assert any(shared) == bool(lora)
    assert any(p.requires_grad for p in playing.module.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_trains_adapters_alone(policy, family):
    playing, plain = policy(family, lora=2), policy(family)
    rollout = playing.collect(episodes(2, 4), seeded())
    assert torch.allclose(plain.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    base = {n: p.detach().clone() for n, p in playing.module.model.named_parameters() if not p.requires_grad}
    GRPO(playing, GRPOConfig(learning_rate=0.05, kl=0.1)).update(rewarded(rollout), seeded())
    now = dict(playing.module.model.named_parameters())
    assert base
    assert all(torch.equal(now[name], value) for name, value in base.items())
    again = playing.collect(episodes(2, 4), seeded())
    assert torch.allclose(playing.evaluate(again).logprob, again.logprob, atol=1e-4)
    assert not same(rollout, again)


@pytest.mark.parametrize("lora", [0, 2])
def test_checkpoints_hold_what_is_trained(policy, lora):
    playing, other = policy(lora=lora), policy(lora=lora)
    rollout = playing.collect(episodes(2, 4), seeded())
    learner = GRPO(playing, GRPOConfig(learning_rate=0.01, kl=0.1))
    learner.update(rewarded(rollout), seeded())
    names = set(learner.state()["module"])
    assert names == set(learner.state()["reference"])
    assert all("lora_" in name or "value_net" in name for name in names) == bool(lora)
    resumed = GRPO(other, GRPOConfig(learning_rate=0.01, kl=0.1))
    resumed.load_state(copy.deepcopy(learner.state()))
    found = [one.evaluate(rollout, value=True) for one in (playing, other)]
    assert torch.equal(found[0].logprob, found[1].logprob)
    again = [one.update(rewarded(rollout), seeded(1)) for one in (learner, resumed)]
    assert again[0] == again[1]
    with pytest.raises(RuntimeError, match="Missing key"):
        other.module.load_state_dict({})


@pytest.mark.parametrize("lora", [0, 2])
def test_saved_policies_go_on_as_they_were(policy, lora, tmp_path):
    playing = policy(lora=lora)
    with torch.no_grad():
        for p in playing.module.parameters():
            if p.requires_grad:
                p.add_(0.02)
    playing.save(tmp_path)
    found = LMPolicy.load(tmp_path, DOMAIN, playing.config)
    rollout = playing.collect(episodes(2, 2), seeded())
    ours, theirs = (p.evaluate(rollout, value=True) for p in (playing, found))
    assert torch.equal(ours.logprob, theirs.logprob)
    assert torch.equal(ours.value, theirs.value)
    assert any(p.requires_grad for p in found.module.model.parameters())
    assert (tmp_path / ("adapter" if lora else "model")).is_dir()


def test_weights_that_are_missing_are_named(policy, tmp_path):
    playing = policy()
    playing.save(tmp_path)
    (tmp_path / "value.safetensors").write_bytes(b"nothing")
    with pytest.raises(DialogGymError, match=r"value\.safetensors is not the value head of this model"):
        LMPolicy.load(tmp_path, DOMAIN, playing.config)
    with pytest.raises(DialogGymError, match="there is no model folder"):
        LMPolicy.load(tmp_path / "nowhere", DOMAIN, playing.config)
