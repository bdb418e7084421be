"""Attention in blocks is causal attention, gradients included, and only stands in for the fused kernel."""

import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
transformers = pytest.importorskip("transformers", reason="an optional dependency is missing")

from torch.nn import functional as F  # noqa: E402

from dialog_gym.agents.lm import attention  # noqa: E402
from dialog_gym.agents.lm.attention import attend, attention_in_blocks  # noqa: E402

SHAPE = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3,
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """The lengths that attention in blocks was asked for."""
    seen = []

    def counted(query, *rest):
        seen.append(query.shape[2])
        return attend(query, *rest)

    monkeypatch.setattr(attention, "attend", counted)
    return seen


@pytest.fixture(params=["llama", "qwen2"])
def model(request, one_thread):
    config, maker = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    }[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return maker(config(**SHAPE)).eval()


def numbers(seed, *shape):
    found = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return found.requires_grad_()


def ids(length):
    return torch.randint(40, (3, length), generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 150])
@pytest.mark.parametrize(("heads", "groups"), [(4, 1), (4, 2), (3, 3)])
def test_values_and_gradients_are_those_of_causal_attention(length, heads, groups):
    parts = [numbers(i, 2, n, length, 8) for i, n in enumerate((heads, groups, groups))]
    weight = numbers(9, 2, heads, length, 8).detach()
    found = attend(*parts, 0.3)
    expected = F.scaled_dot_product_attention(*parts, is_causal=True, scale=0.3, enable_gqa=True)
    assert torch.allclose(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, parts, weight), torch.autograd.grad(expected, parts, weight), strict=True
    ):
        assert torch.allclose(ours, theirs)


def test_a_model_says_the_same(model, calls):
    expected = model(ids(150)).logits
    with attention_in_blocks(model):
        assert torch.allclose(model(ids(150)).logits, expected, atol=1e-4)
    assert calls == [150, 150]
    model(ids(150))
    assert len(calls) == 2


def test_masks_caches_and_long_dialogues_are_left_to_the_fused_kernel(model, calls, monkeypatch):
    mask = torch.ones(3, 20, dtype=torch.long)
    mask[0, :5] = 0
    expected = model(ids(20), attention_mask=mask).logits
    with attention_in_blocks(model):
        assert torch.equal(model(ids(20), attention_mask=mask).logits, expected)
        assert not calls
        known = model(ids(20)[:, :12], use_cache=True).past_key_values
        assert calls.pop() and calls.pop()
        rest = model(ids(20)[:, 12:], past_key_values=known).logits
        assert not calls
        monkeypatch.setattr(attention, "LONGEST", 19)
        model(ids(20))
    assert not calls
    assert torch.allclose(rest, model(ids(20)).logits[:, 12:], atol=1e-4)


def test_a_model_that_attends_otherwise_keeps_its_attention(model):
    model.set_attn_implementation("eager")
    with attention_in_blocks(model):
        assert model.config._attn_implementation == "eager"


def test_the_model_has_its_attention_again_after_an_error(model):
    with pytest.raises(ZeroDivisionError), attention_in_blocks(model):
        assert model.config._attn_implementation == attention.NAME
        raise ZeroDivisionError
    assert model.config._attn_implementation == "sdpa"
