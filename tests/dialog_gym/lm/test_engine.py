"""The engines sample what the model would: same tokens and log-probabilities, whoever is in the batch."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
transformers = pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym import noise  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.lm import engine_llama  # noqa: E402
from dialog_gym.lm.decoder import Decoder  # noqa: E402
from dialog_gym.lm.engine import Sampling, make_engine  # noqa: E402
from dialog_gym.lm.engine_hf import HFEngine  # noqa: E402
from dialog_gym.lm.engine_session import draw  # noqa: E402

VOCABULARY, CONTEXT = 40, 256
STOP = (3, 5)
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 500.0, "factor": 2.0}


def llama(**options):
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**{**SHAPE, "num_key_value_heads": 1, **options})
    )


def qwen2():
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SHAPE, num_key_value_heads=2))


def gpt2():
    shape = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
    config = transformers.GPT2Config(**shape, initializer_range=0.3, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def bloom():
    """Takes neither position ids nor a limit of the context."""
    shape = {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4, "seq_length": CONTEXT}
    return transformers.BloomForCausalLM(transformers.BloomConfig(**shape, initializer_range=0.3))


def mistral():
    """A sliding window shorter than the dialogues."""
    config = transformers.MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=12)
    return transformers.MistralForCausalLM(config)


MAKERS = {
    "llama, one key-value head": (llama, True),
    "llama, two key-value heads": (lambda: llama(num_key_value_heads=2), True),
    "llama, all heads, tied": (lambda: llama(num_key_value_heads=4, tie_word_embeddings=True), True),
    "llama, biases": (lambda: llama(attention_bias=True, mlp_bias=True), True),
    "llama, wide heads": (lambda: llama(head_dim=16), True),
    "llama, llama3 positions": (lambda: llama(rope_parameters=LLAMA3), True),
    "qwen2": (qwen2, True),
    "llama by transformers": (llama, False),
    "gpt2": (gpt2, False),
    "mistral": (mistral, False),
    "bloom": (bloom, False),
}


def prepare(model):
    """Biases and norms start at 0 and 1; here they are random, so that forgetting one shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    model.generation_config.eos_token_id = None
    return model.eval()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {name: prepare(make()) for name, (make, _) in MAKERS.items()}


@pytest.fixture(params=MAKERS)
def model(request, models):
    return models[request.param]


@pytest.fixture
def engine(request, model):
    fast = MAKERS[request.node.callspec.params["model"]][1]
    return make_engine(model, fast=fast, dtype=torch.float32)


@pytest.fixture(params=[True, False], ids=["fast", "transformers"])
def both(request, models):
    """Either engine for one model."""
    return make_engine(models["llama, one key-value head"], fast=request.param, dtype=torch.float32)


def tokens(seed, *lengths):
    rng = np.random.default_rng(seed)
    return [rng.integers(VOCABULARY, size=length).tolist() for length in lengths]


def full_logprobs(model, history, temperature=1.0):
    """Log-probability of every token but the first, from one forward pass over all of them."""
    with torch.no_grad():
        logits = model(torch.tensor([history])).logits[0, :-1] / temperature
    return torch.log_softmax(logits, -1).gather(-1, torch.tensor(history[1:])[:, None])[:, 0].tolist()


class Table:
    """A session that remembers every row's tokens, and which the agent sampled, with what log-probability."""

    def __init__(self, engine, prompts, sampling):
        self.session = engine.open(len(prompts), sampling)
        self.history = {row: [] for row in range(len(prompts))}
        self.sampled = {row: {} for row in range(len(prompts))}
        self.append(range(len(prompts)), prompts)

    def append(self, rows, new):
        self.session.append(list(rows), new)
        for row, more in zip(rows, new, strict=True):
            self.history[row] += more

    def sample(self, rows, keys=None):
        turns = self.session.sample(rows, keys or rows)
        for row, turn in zip(rows, turns, strict=True):
            places = range(len(self.history[row]), len(self.history[row]) + len(turn.ids))
            self.sampled[row].update(zip(places, turn.logprobs, strict=True))
            self.history[row] += turn.ids
        return turns

    def check(self, model, temperature=1.0):
        for row, history in self.history.items():
            expected = full_logprobs(model, history, temperature)
            found = self.sampled[row]
            assert list(found.values()) == pytest.approx([expected[place - 1] for place in found], abs=1e-4)


def test_greedy_turns_are_those_of_generate(model, engine):
    prompts = tokens(0, 9, 4, 17)
    session = engine.open(3, Sampling((), 12, temperature=0))
    session.append([0, 1, 2], prompts)
    turns = session.sample([0, 1, 2], [0, 0, 0])
    for prompt, turn in zip(prompts, turns, strict=True):
        ids = torch.tensor([prompt])
        options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}
        expected = model.generate(ids, attention_mask=torch.ones_like(ids), **options)[0, len(prompt) :]
        assert turn.ids == expected.tolist()
        assert turn.logprobs == pytest.approx(full_logprobs(model, prompt + turn.ids)[-12:], abs=1e-4)


def test_logprobs_over_turns_are_those_of_the_whole_dialogue(model, engine):
    """Ragged turns, stops, rows that sit out, rows that are dropped, a cache that grows."""
    table = Table(engine, tokens(1, 30, 4, 50, 11, 1, 23), Sampling(STOP, 20))
    table.sample([0, 1, 2, 3, 4, 5])
    table.append([1, 3, 5], tokens(2, 5, 0, 9))
    table.sample([5, 1, 3])
    table.session.drop([1, 4])
    table.append([0, 2, 3, 5], tokens(3, 14, 3, 40, 2))
    table.append([2], tokens(4, 6))
    table.sample([2])
    table.sample([0, 3, 5])
    table.session.drop([0])
    table.append([5, 2, 3], tokens(5, 1, 60, 30))
    table.sample([2, 3, 5])
    assert max(map(len, table.history.values())) > engine_llama.BLOCK
    table.check(model)
    for row in (2, 3, 5):
        assert table.session.length(row) == len(table.history[row])


def test_a_long_prompt_is_encoded_in_windows(models, monkeypatch):
    monkeypatch.setattr(engine_llama, "WINDOW", 64)
    model = models["qwen2"]
    table = Table(make_engine(model, dtype=torch.float32), tokens(6, 40, 8, 33, 90, 2), Sampling((), 5))
    table.sample([3, 0, 4, 1, 2])
    table.check(model)


def test_a_prompt_of_several_rows_is_encoded_once(models, monkeypatch):
    read = []
    encode = Decoder.encode

    def counted(self, window, cache):
        read.append(len(window.ids))
        return encode(self, window, cache)

    monkeypatch.setattr(Decoder, "encode", counted)
    model = models["llama, two key-value heads"]
    first, other = tokens(20, 30, 9)
    table = Table(
        make_engine(model, dtype=torch.float32), [first, other, first, other, first], Sampling((), 6)
    )
    table.sample([3, 0, 4, 1])
    assert read[0] == 39
    table.sample([2, 1])  # the row whose twins have gone on is read by itself
    table.check(model)


@pytest.mark.parametrize("temperature", [0.5, 1.7])
def test_logprobs_are_at_the_sampling_temperature(models, both, temperature):
    table = Table(both, tokens(7, 6, 9), Sampling((), 15, temperature))
    table.sample([0, 1])
    table.check(models["llama, one key-value head"], temperature)


def test_a_row_does_not_depend_on_the_others(engine):
    prompts, keys = tokens(8, 12, 3, 30, 7), [2**64 - 1, -5, 7, 7]
    users = tokens(9, 2, 8, 5, 1)

    def play(rows, order):
        session = engine.open(len(rows), Sampling(STOP, 16))
        session.append(order, [prompts[rows[i]] for i in order])
        spoken = {}
        for _ in range(2):
            for i, turn in zip(order, session.sample(order, [keys[rows[i]] for i in order]), strict=True):
                spoken.setdefault(rows[i], []).append(turn)
            session.append(order, [users[rows[i]] for i in order])
        return spoken

    together = play([0, 1, 2, 3], [0, 1, 2, 3])
    assert play([3, 2, 1, 0], [2, 0, 3, 1]).keys() == together.keys()
    for row, turns in [*play([3, 2, 1, 0], [2, 0, 3, 1]).items(), *play([2], [0]).items()]:
        for turn, expected in zip(turns, together[row], strict=True):
            assert turn.ids == expected.ids and turn.stopped == expected.stopped
            assert turn.logprobs == pytest.approx(expected.logprobs, abs=1e-4)


def test_dropped_rows_do_not_change_the_others(both):
    prompts = tokens(10, 5, 20, 9, 14, 3)

    def last_turns(drops):
        session = both.open(5, Sampling((), 10))
        session.append(range(5), prompts)
        session.sample(range(5), range(5))
        session.drop(drops)
        rows = [row for row in range(5) if row not in drops]
        session.append(rows, [[row, 1] for row in rows])
        return dict(zip(rows, session.sample(rows, rows), strict=True))

    full = last_turns([])
    for drops in ([0], [4], [0, 1, 2], [3, 1], [2, 0, 4, 1]):
        for row, turn in last_turns(drops).items():
            assert turn.ids == full[row].ids
            assert turn.logprobs == pytest.approx(full[row].logprobs, abs=1e-4)


def test_keys_decide_what_is_drawn(both):
    def sample(*keys):
        session = both.open(len(keys), Sampling((), 20))
        session.append(range(len(keys)), tokens(11, 8) * len(keys))
        return [turn.ids for turn in session.sample(range(len(keys)), keys)]

    first, second, again = sample(1, 2, 1)
    assert first == again != second
    assert sample(1) == [first]
    session = both.open(1, Sampling((), 20))
    session.append([0], tokens(11, 8))
    turns = [session.sample([0], [1])[0].ids for _ in range(2)]
    assert turns[0] == first != turns[1]


def test_one_key_gives_every_position_a_draw_of_its_own(models):
    """With a model that does not look at the dialogue, so that only the draws can differ."""
    model = copy.deepcopy(models["qwen2"])
    model.lm_head.weight.data.zero_()
    for fast in (True, False):
        session = make_engine(model, fast=fast, dtype=torch.float32).open(2, Sampling((), 20))
        session.append([0, 1], [[1, 2], [1, 2, 3]])
        first, later = session.sample([0, 1], [7, 7])
        assert later.ids[:-1] == first.ids[1:], "counted by position"
        assert session.sample([0], [7])[0].ids != first.ids


def test_both_engines_draw_the_same(models):
    model = models["llama, two key-value heads"]
    found = []
    for fast in (True, False):
        session = make_engine(model, fast=fast, dtype=torch.float32).open(2, Sampling(STOP, 20))
        session.append([0, 1], tokens(12, 4, 13))
        found.append([turn.ids for turn in session.sample([0, 1], [1, 2])])
    assert found[0] == found[1]


def test_turns_end_at_stop_tokens_or_at_full_length(both):
    session = both.open(30, Sampling(STOP, 12))
    session.append(range(30), tokens(13, *[6] * 30))
    turns = session.sample(range(30), range(30))
    assert {turn.stopped for turn in turns} == {True, False}
    for row, turn in enumerate(turns):
        assert turn.stopped == (turn.ids[-1] in STOP)
        assert turn.stopped or len(turn.ids) == 12
        assert not set(turn.ids[:-1]) & set(STOP)
        assert len(turn.logprobs) == len(turn.ids)
        assert session.length(row) == 6 + len(turn.ids)


def test_a_full_context_ends_the_turn(both):
    table = Table(both, tokens(14, CONTEXT - 5, 3, CONTEXT), Sampling((), 8))
    cut, whole, none = table.sample([0, 1, 2])
    assert (len(cut.ids), len(whole.ids), none) == (5, 8, ([], [], False))
    assert not cut.stopped
    assert [table.session.room(row) for row in range(3)] == [0, CONTEXT - 11, 0]
    with pytest.raises(
        DialogGymError, match=r"^row 0 has room for 0 more tokens, not 1: .*holds 256"
    ) as raised:
        table.session.append([1, 0], [[4], [4]])
    assert "\n" not in str(raised.value)
    assert table.session.length(1) == 11, "nothing is appended when one row has no room"
    table.append([1], tokens(15, CONTEXT - 11))
    assert table.session.sample([1], [0]) == [([], [], False)]


def test_a_context_without_limit(models):
    assert make_engine(models["bloom"]).open(1, Sampling(())).room(0) > 10**9


def test_refresh_reads_the_weights_again(models):
    model = copy.deepcopy(models["llama, all heads, tied"])
    engine = make_engine(model, dtype=torch.float32)

    def logprobs():
        table = Table(engine, tokens(16, 6), Sampling((), 10))
        table.sample([0])
        return table

    before, held = logprobs(), engine.open(1, Sampling(()))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    assert logprobs().sampled == before.sampled, "weights are a copy until refreshed"
    engine.refresh()
    after = logprobs()
    after.check(model)
    assert after.sampled != before.sampled
    with pytest.raises(DialogGymError, match="open a new one"):
        held.append([0], [[1]])


def test_the_other_engine_has_the_model_s_present_weights_and_mode(models):
    model = copy.deepcopy(models["gpt2"])
    model.train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    engine = make_engine(model)
    table = Table(engine, tokens(17, 6), Sampling((), 10))
    table.sample([0])
    assert [module.training for module in model.modules()] == modes
    table.check(model.eval())  # so dropout was off
    engine.refresh()
    with pytest.raises(DialogGymError, match="open a new one"):
        table.session.length(0)


def test_training_goes_on_beside_sampling(models, both):
    model = models["llama, one key-value head"]
    session = both.open(1, Sampling((), 3))
    session.append([0], [[1, 2]])
    session.sample([0], [0])
    loss = model(torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()


def test_bfloat16_is_close(models):
    model = models["llama, one key-value head"]
    table = Table(make_engine(model, fast=True, dtype=torch.bfloat16), tokens(18, 20, 7), Sampling((), 30))
    table.sample([0, 1])
    for row, history in table.history.items():
        expected = full_logprobs(model, history)
        gaps = [abs(found - expected[place - 1]) for place, found in table.sampled[row].items()]
        assert 0 < np.mean(gaps) < 0.1


def test_the_fast_engine_is_taken_where_it_fits(models, monkeypatch):
    for name, (_, fast) in MAKERS.items():
        if name != "llama by transformers":
            assert isinstance(make_engine(models[name]), engine_llama.LlamaEngine) == fast
    for supported, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda answer=supported: answer)
        assert make_engine(models["qwen2"]).dtype == dtype


class Adapted(torch.nn.Linear):
    """As adapters replace layers."""


def test_models_that_the_fast_engine_does_not_fit(models):
    adapted = copy.deepcopy(models["qwen2"])
    adapted.model.layers[1].mlp.up_proj = Adapted(32, 48)
    windowed = copy.deepcopy(models["qwen2"])
    windowed.config.use_sliding_window = True
    unfit = {
        "GPT2LMHeadModel is neither": models["gpt2"],
        "of type dynamic": llama(rope_parameters=DYNAMIC),
        "is gelu, not silu": llama(hidden_act="gelu"),
        "sliding window": windowed,
        "not plain linear": adapted,
    }
    for reason, model in unfit.items():
        assert isinstance(make_engine(model), HFEngine)
        with pytest.raises(DialogGymError, match=reason):
            make_engine(model, fast=True)


def test_models_that_no_engine_fits(models):
    with pytest.raises(DialogGymError, match="only the fast path has a dtype"):
        make_engine(models["gpt2"], dtype=torch.bfloat16)
    mamba = transformers.MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, state_size=2)
    mixed = transformers.Lfm2Config(**SHAPE, num_key_value_heads=2, layer_types=["conv", "full_attention"])
    for model in (transformers.MambaForCausalLM(mamba), transformers.Lfm2ForCausalLM(mixed)):
        with pytest.raises(DialogGymError, match="keeps more than keys and values"):
            make_engine(model)


def test_mistakes_are_named(both):
    session = both.open(3, Sampling(()))
    session.append([0, 1], [[1], [2]])
    session.drop([1])
    mistakes = {
        "row 1 is not in this session; there are [0, 2]": lambda: session.append([1], [[1]]),
        "row 9 is not in this session": lambda: session.room(9),
        "a row is named twice in [0, 0]": lambda: session.sample([0, 0], [1, 2]),
        "1 rows but 2 keys": lambda: session.sample([0], [1, 2]),
        "1 rows but 0 token lists": lambda: session.append([0], []),
        "row 2 is empty; append a prompt": lambda: session.sample([0, 2], [1, 2]),
        "row 0 is given token ids -1 to 40; the model has 0 to 39": lambda: session.append([0], [[40, -1]]),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(DialogGymError) as raised:
            mistake()
        assert str(raised.value).startswith(words)
        assert "\n" not in str(raised.value)
    assert session.length(0) == 1


@pytest.mark.parametrize("options", [{"max_new_tokens": 0}, {"temperature": -1}, {"temperature": np.inf}])
def test_sampling_out_of_range(options):
    with pytest.raises(DialogGymError, match="give"):
        Sampling((), **options)


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_model_that_has_diverged(models, temperature):
    model = copy.deepcopy(models["qwen2"])
    model.model.norm.weight.data[0] = torch.nan
    session = make_engine(model).open(1, Sampling((), temperature=temperature))
    session.append([0], [[1, 2]])
    with pytest.raises(DialogGymError, match="diverged"):
        session.sample([0], [0])


def test_draws_follow_the_distribution():
    """Pearson's chi-square with 7 degrees of freedom; 24.3 is its 99.9 % quantile."""
    count = 20_000
    probabilities = torch.tensor([0.3, 0.0, 0.002, 0.25, 0.1, 0.148, 0.15, 0.05, 0.0])
    keys = noise.mix_array(np.arange(count, dtype=np.uint64), 5)
    uniforms = torch.from_numpy(noise.uniform_block(keys, 1)[:, 0].astype(np.float32))
    ids, logprobs = draw(probabilities.log().expand(count, -1), uniforms, 1.0)
    seen = torch.bincount(torch.tensor(ids), minlength=9)
    assert seen[probabilities == 0].sum() == 0
    possible = probabilities > 0
    expected = count * probabilities[possible]
    assert ((seen[possible] - expected) ** 2 / expected).sum() < 24.3
    assert torch.tensor(logprobs).exp() == pytest.approx(probabilities[ids], abs=1e-6)


def test_draws_at_the_ends_are_possible_tokens():
    logits = torch.full((4, 6), -torch.inf)
    logits[:, 1:4] = torch.tensor([0.0, -3.0, 1.0])
    ends = torch.tensor([2.0**-60, 1.0, 1 - 2.0**-24, 0.999])
    assert draw(logits, ends, 1.0)[0] == [1, 3, 3, 3]
    assert draw(logits, ends, 0)[0] == [3, 3, 3, 3]


def test_many_small_probabilities_add_up():
    uniforms = torch.from_numpy((np.arange(50) / 50 + 0.01).astype(np.float32))
    ids, _ = draw(torch.zeros(1, 100_000).expand(50, -1), uniforms, 1.0)
    assert ids == pytest.approx(np.arange(50) * 2000 + 1000, abs=2)
