"""The shipped tiny model: loads anywhere without a network, is small, and has learnt to speak."""

import json
import re
import socket
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
transformers = pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.lm.prompts import encode, encode_message  # noqa: E402
from dialog_gym.lm.shipped import shipped_model  # noqa: E402

FOLDER = shipped_model()
LARGEST = 16_000_000
SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
SOURCES = {"MultiWOZ": "MIT", "CamRest676": "CC BY 4.0", "STAR": "MIT", "MultiDoGO": "CDLA-Permissive-1.0"}
NEVER = ("tau2", "tau-bench", "MG-ShopDial", "ReDial")
SENTENCES = (
    "What is your monthly income?",
    "There is no set-up fee on Pay Later.",
    "The annual rate of the Cash Loan is 10.8 %.",
    "Is there anything else I can help you with?",
)
CONTENT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CHATS = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "user", "assistant"]),
        CONTENT.filter(lambda text: "<|" not in text),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def loaded():
    """Model and tokenizer, loaded as anybody would, where every connection fails."""

    def refuse(*_):
        raise AssertionError("a connection was made")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER)
        return model.eval(), transformers.AutoTokenizer.from_pretrained(FOLDER)


@cache
def shipped_tokenizer():
    return transformers.AutoTokenizer.from_pretrained(FOLDER)


def test_the_files_are_small():
    sizes = [path.stat().st_size for path in FOLDER.iterdir() if path.is_file()]
    assert 1_000_000 < sum(sizes) <= LARGEST


def test_weights_are_stored_in_half_and_computed_in_single_precision(loaded):
    with (FOLDER / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)
    assert {tensor["dtype"] for tensor in header.values()} == {"F16"}
    weights = list(loaded[0].parameters())
    assert all(bool(torch.isfinite(weight).all()) and weight.dtype == torch.float32 for weight in weights)
    assert sum(weight.numel() for weight in weights) < 6_000_000


def test_model_and_tokenizer_fit(loaded):
    model, tokenizer = loaded
    config = model.config
    assert config.vocab_size == len(tokenizer) == 4096
    assert config.num_key_value_heads == 1 and config.tie_word_embeddings
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == list(range(len(SPECIAL)))
    names = (tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token)
    assert names == SPECIAL[:3]
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (0, 1, 2)
    assert model.generation_config.eos_token_id == 2


def templated(tokenizer, chat, **options):
    return tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False, **options)


@given(CHATS)
def test_a_chat_only_grows(chat):
    """The ids of a chat start with those of its beginning, so that a cache can be kept over turns."""
    tokenizer = shipped_tokenizer()
    ids = templated(tokenizer, chat)
    assert ids == encode(tokenizer, chat)
    for k in range(1, len(chat)):
        begin = templated(tokenizer, chat[:k])
        assert ids[: len(begin)] == begin
        prompt = templated(tokenizer, chat[:k], add_generation_prompt=True)
        assert prompt == [*begin, SPECIAL.index("<|assistant|>")]
        if chat[k]["role"] == "assistant":
            assert ids[: len(prompt)] == prompt
    assert tokenizer.decode(ids, skip_special_tokens=True) == "".join(m["content"] for m in chat)


@given(CONTENT, st.sampled_from(SPECIAL), CONTENT)
def test_what_is_said_is_never_a_special_token(before, marker, after):
    tokenizer = shipped_tokenizer()
    said = before + marker + after
    role, *inside, end = encode_message(tokenizer, "user", said)
    assert (role, end) == (SPECIAL.index("<|user|>"), SPECIAL.index("<|end|>"))
    assert all(token >= len(SPECIAL) for token in inside)
    assert tokenizer.decode(inside) == said


@given(st.integers(0, 10**9), st.sampled_from(["", " ", "="]))
def test_digits_are_tokens_of_their_own(number, before):
    tokenizer = shipped_tokenizer()
    ids = tokenizer.encode(f"{before}{number}", add_special_tokens=False)
    digits = [re.sub(r"\D", "", tokenizer.decode([token])) for token in ids]
    assert "".join(digits) == str(number)
    assert max(map(len, digits)) == 1


def nats_per_token(loaded, sentence):
    """Of a reply of the assistant at the start of a dialogue."""
    model, tokenizer = loaded
    ids = torch.tensor([encode(tokenizer, [{"role": "assistant", "content": sentence}])])
    with torch.no_grad():
        return float(model(input_ids=ids, labels=ids).loss)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_it_has_learnt_to_speak(loaded, sentence):
    """Uniform guessing costs 8.3 nats a token; the words in reverse order cost more than in order."""
    cost = nats_per_token(loaded, sentence)
    assert cost < 4
    assert cost < nats_per_token(loaded, " ".join(reversed(sentence.split()))) - 1


def test_it_generates_a_turn_and_ends_it(loaded):
    model, tokenizer = loaded
    chat = [{"role": "system", "content": "The shop calls. Reply in words."}]
    prompt = templated(tokenizer, chat, add_generation_prompt=True, return_tensors="pt")
    made = model.generate(prompt, do_sample=False, max_new_tokens=40)[0, prompt.shape[1] :]
    assert made[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(made, skip_special_tokens=True).strip()


def test_the_card_names_sources_licences_and_measurements():
    card = (FOLDER / "MODEL_CARD.md").read_text("utf-8")
    for source, licence in SOURCES.items():
        (row,) = re.findall(rf"^\| {source}[^|]*\|[^|]+\|([^|]*)\|[ \d,|]+$", card, re.MULTILINE)
        assert licence in row
    assert not [name for name in NEVER if name.lower() in card.lower()]
    measured = re.findall(
        r"^\| credit shop, (words|acts) \| \d+ \| ([\d.]+) \| ([\d.]+) \|$", card, re.MULTILINE
    )
    assert [name for name, *_ in measured] == ["words", "acts"]
    assert all(1 < float(value) < 40 for _, *values in measured for value in values)
