"""The scripts that make the tiny model: data, schedule, interrupted runs, export."""

import math
import re
import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
transformers = pytest.importorskip("transformers", reason="an optional dependency is missing")
sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))

import lm_corpus  # noqa: E402
import lm_run  # noqa: E402
import lm_tokens  # noqa: E402
import train_language_model as script  # noqa: E402
import train_tokenizer  # noqa: E402

from dialog_gym.agents.lm.prompts import encode, messages, system_message  # noqa: E402
from dialog_gym.core import DialogGymError, Turn  # noqa: E402
from dialog_gym.simulators.real_dialogues import detokenised, merged  # noqa: E402

LENGTH = 16
OPEN = "STAR, complete dialogues"


def document(source, number):
    said = f"Dialogue number {number} of this source, with a few words to learn from."
    chat = messages(system_message({}, ""), [Turn(role="user", text=said)])
    return lm_corpus.Document(source, str(number), number % 5 == 0, chat)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus file and a tokenizer trained on it."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    documents = [document(source, n) for source in (OPEN, *lm_corpus.CREDIT.values()) for n in range(40)]
    lines = [lm_corpus.json.dumps(made._asdict()) for made in documents]
    path.write_text("\n".join(lines), encoding="utf-8")
    texts = (message["content"] for made in documents for message in made.messages)
    return path, train_tokenizer.train(texts, 300)


@pytest.fixture(scope="module")
def tokens(corpus):
    return lm_tokens.read_tokens(*corpus)


@pytest.fixture
def short(monkeypatch):
    """Steps of a few tokens."""
    for module in (lm_run, script):
        monkeypatch.setattr(module, "LENGTH", LENGTH)


@pytest.mark.parametrize(
    ("tokenised", "written"),
    [
        ("That does n't matter , I 'm fine .", "That doesn't matter, I'm fine."),
        ("It costs £ 10 ( cheap ) !", "It costs £10 (cheap)!"),
        ("Booked . \n  Reference : AB1 ?", "Booked. Reference: AB1?"),
        ("'s", "'s"),
    ],
)
def test_detokenised(tokenised, written):
    assert detokenised(tokenised) == written


def test_what_one_speaker_says_without_an_answer_is_one_turn():
    said = [("user", "Hi"), ("user", " there"), ("assistant", ""), ("assistant", "Hello"), ("user", "Bye")]
    turns = merged(said)
    assert [(turn.role, turn.text) for turn in turns] == [
        ("user", "Hi there"),
        ("assistant", "Hello"),
        ("user", "Bye"),
    ]


def test_a_share_of_ids_is_chosen_whatever_else_there_is():
    ids = [str(n) for n in range(4000)]
    chosen = [i for i in ids if lm_corpus.chosen("a purpose", i, 0.2)]
    assert len(chosen) == pytest.approx(800, abs=100)
    assert chosen == [i for i in ids if lm_corpus.chosen("a purpose", i, 0.2)]
    assert chosen != [i for i in ids if lm_corpus.chosen("another", i, 0.2)]


def test_demonstrations_are_written_in_both_dialects():
    documents = list(lm_corpus.shop_dialogues("customer_service", 30, seed=1))
    sources = [made.source for made in documents]
    assert sources.count(lm_corpus.CREDIT["text"]) == 30
    assert 3 <= sources.count(lm_corpus.CREDIT["acts"]) <= 18
    acts = next(made for made in documents if made.source == lm_corpus.CREDIT["acts"])
    (words,) = (m for m in documents if m.id == acts.id and m is not acts)
    assert words.held_out == acts.held_out
    assert acts.messages[0]["content"] == words.messages[0]["content"].replace("in words", "in acts")
    spoken = {
        made.source: [m["content"] for m in made.messages if m["role"] == "assistant"]
        for made in (acts, words)
    }
    assert spoken[acts.source] != spoken[words.source]
    assert all(said.count("(") for said in spoken[acts.source])


def test_missing_data_say_what_to_set(tmp_path):
    with pytest.raises(DialogGymError, match="DIALOG_GYM_DATA"):
        next(lm_corpus.open_dialogues(tmp_path))
    with pytest.raises(DialogGymError, match=r"lm_corpus\.py"):
        next(lm_corpus.read_corpus(tmp_path / "nothing.jsonl"))
    with pytest.raises(DialogGymError, match=r"train_tokenizer\.py"):
        script.read_tokenizer(tmp_path)


def test_tokens_are_those_of_the_documents(corpus, tokens):
    path, tokenizer = corpus
    for i, made in enumerate(lm_corpus.read_corpus(path)):
        assert tokens.document(i).tolist() == encode(tokenizer, made.messages)
        assert (tokens.sources[tokens.source[i]], tokens.held_out[i]) == (made.source, made.held_out)


def test_the_cache_is_renewed_with_the_tokenizer(corpus, tokens):
    path, tokenizer = corpus
    assert lm_tokens.read_tokens(path, tokenizer).hash == tokens.hash
    other = train_tokenizer.train(iter(["something else"]), 280)
    assert lm_tokens.read_tokens(path, other).hash != tokens.hash


def test_blocks_are_half_the_shops_and_never_held_out(corpus, tokens):
    rows = lm_tokens.blocks(tokens, 16_000, LENGTH, seed=3)
    assert rows.shape == (1000, LENGTH)
    assert np.array_equal(rows, lm_tokens.blocks(tokens, 16_000, LENGTH, seed=3))
    assert not np.array_equal(rows, lm_tokens.blocks(tokens, 16_000, LENGTH, seed=4))
    text = corpus[1].decode(rows.reshape(-1).tolist())
    trained = {int(n) for n in re.findall(r"number (\d+) of", text)}
    assert {5, 10, 15, 20, 25, 30, 35}.isdisjoint(trained) and len(trained) > 30


def test_the_schedule_warms_up_and_ends_at_its_floor():
    rates = [lm_run.learning_rate(step, 1000) for step in range(1001)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert (max(rates), rates[-1]) == pytest.approx((lm_run.PEAK, lm_run.FLOOR * lm_run.PEAK))
    assert rates[0] > 0 and 0 < top < 100


class StopAfter(Event):
    """Is set when it has been asked ``steps`` times."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def is_set(self):
        self.left -= 1
        return self.left < 0


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(corpus, tokens, short, tmp_path):
    tokenizer = corpus[1]
    settings = lm_run.Settings(6 * lm_run.BATCH * LENGTH, 0, tokens.hash)
    whole = lm_run.new_run(settings, tokenizer)
    script.fit(whole, tokens, tmp_path / "whole.pt", 60, Event())
    halved = lm_run.new_run(settings, tokenizer)
    script.fit(halved, tokens, tmp_path / "half.pt", 60, StopAfter(3))
    assert (whole.step, halved.step) == (6, 3)
    resumed = lm_run.load(tmp_path / "half.pt", tokenizer)
    script.fit(resumed, tokens, tmp_path / "half.pt", 60, Event())
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    assert not list(tmp_path.glob(".*"))


def test_the_model_learns_and_is_exported(corpus, tokens, short, tmp_path):
    tokenizer = corpus[1]
    run = lm_run.new_run(lm_run.Settings(30 * lm_run.BATCH * LENGTH, 0, tokens.hash), tokenizer)
    rows = lm_tokens.blocks(tokens, run.settings.tokens, LENGTH, 0)
    losses = [lm_run.update(run, rows[: lm_run.BATCH]) for _ in range(20)]
    assert losses[0] == pytest.approx(math.log(300), abs=0.6) and losses[-1] < losses[0] - 1
    folder = tmp_path / "model"
    folder.mkdir()
    lm_run.export(run, folder)
    tokenizer.save_pretrained(folder)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder)
    for name, weight in run.model.named_parameters():
        assert torch.equal(loaded.get_parameter(name), weight.half().float()), name
    assert run.model.dtype == torch.float32 and not (tmp_path / "model.part").exists()
    script.published(run, folder, tokens)
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert "20 of 30" in card and OPEN in card


def test_a_loss_that_is_not_finite_stops_the_run(corpus, tokens, short):
    run = lm_run.new_run(lm_run.Settings(1000, 0, tokens.hash), corpus[1])
    with torch.no_grad():
        run.model.get_input_embeddings().weight.fill_(math.nan)
    with pytest.raises(DialogGymError, match="the loss is nan"):
        lm_run.update(run, lm_tokens.blocks(tokens, 1000, LENGTH, 0)[: lm_run.BATCH])
