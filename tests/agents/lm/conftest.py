"""Tiny language models with random weights and tokenizers of their own, in Hugging Face folders."""

import pytest

CONTEXT, VOCABULARY = 640, 400
EMBEDDED = 416
"""More than the tokenizer has, as usual; the Qwen2 and GPT-2 tokenizer classes add a token of their own."""
SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATES = {
    "llama": "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    "qwen2": "{% for m in messages %}{{ '<|begin|>' + m['role'] + '\n' + m['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}",
    # no system role, and the user must begin
    "gpt2": "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% if m['role'] == 'user' %}"
    "{{ '<|user|> ' + m['content'] | trim + ' <|assistant|>' }}{% else %}"
    "{{ ' ' + m['content'] | trim + ' <|end|>' }}{% endif %}{% endfor %}",
}
TEXTS = [
    "Hello, this is the shop's credit team. May I confirm your identity?",
    "The shop calls. Today 2025-11-29. Papadakis, 31 years, customer 6 months. Phone 3947, ID 3578.",
    "Income 4100. Account active, credit 10 months. Limit 34000, 31% used, 23758 left. Price tier 2.",
    "How much would you like to borrow? You could borrow up to 5,000 with Pay Later.",
    "greet(); ask_identity(); offer(product=pay_later, amount=5000); goodbye()",
    "Reply in words. Reply in acts. No coupon. Overdue now 0, worst 1, 0 of 6 months.",
    "system user assistant (the customer picks up the phone)\n",
] * 4


def make_tokenizer(template):
    """A byte-level BPE tokenizer trained on a few sentences."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|end|>",
        additional_special_tokens=list(SPECIAL[3:]),
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def make_model(family, **changes):
    """A model of a family with random weights that are far from uniform."""
    import torch
    import transformers

    shape = {
        "vocab_size": EMBEDDED, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 1, "max_position_embeddings": CONTEXT,
    }  # fmt: skip
    if family == "gpt2":
        shape = {"vocab_size": EMBEDDED, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
    makers = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
    }
    config, maker = makers[family]
    options = {"bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.1, "tie_word_embeddings": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return maker(config(**{**shape, **options, **changes}))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Makes the folder of a family's model."""
    made = {}

    def folder(family):
        if family not in made:
            made[family] = path = tmp_path_factory.mktemp(family)
            make_model(family).save_pretrained(path)
            make_tokenizer(TEMPLATES[family]).save_pretrained(path)
        return made[family]

    return folder


@pytest.fixture
def one_thread():
    """Threads of a machine that is busy otherwise wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
