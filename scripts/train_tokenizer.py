"""Train the tokenizer of the tiny language model on the corpus of ``lm_corpus.py``.

    python scripts/train_tokenizer.py [--corpus FILE] [--output FOLDER]

Byte-level BPE. Every digit is a token of its own (a blank before it may belong to it), so that the model can
copy numbers; an identifier of the act notation with the bracket or equals sign after it can become one token.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from lm_corpus import read_corpus
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from dialog_gym.core import DialogGymError
from dialog_gym.lm.shipped import shipped_model

VOCABULARY: Final = 4096
LONGEST: Final = 2048
SPECIAL: Final = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
WORDS: Final = r"'(?:[sdmt]|ll|ve|re)| ?\p{N}| ?[\p{L}\p{M}_]+[(=]?| ?[^\s\p{L}\p{M}\p{N}_]+|\s+(?!\S)|\s+"
CHAT_TEMPLATE: Final = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train(texts: Iterator[str], vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A tokenizer for chat messages, trained on their contents."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[AddedToken(token, normalized=False, special=True) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    pad, begin, end, *roles = SPECIAL
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=begin,
        eos_token=end,
        additional_special_tokens=roles,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=LONGEST,
        padding_side="left",
    )


def main(
    corpus: Annotated[Path, typer.Option(help="The corpus.")] = Path("runs/lm/corpus.jsonl"),
    output: Annotated[Path | None, typer.Option(help="Folder; default the shipped model's.")] = None,
) -> None:
    """Train the tokenizer on what is not held out."""
    folder = output or shipped_model()
    documents = (document for document in read_corpus(corpus) if not document.held_out)
    tokenizer = train(message["content"] for document in documents for message in document.messages)
    working = folder.with_name(f"{folder.name}.part")
    tokenizer.save_pretrained(working)
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(working.iterdir()):
        os.replace(file, folder / file.name)
    shutil.rmtree(working)
    typer.echo(f"{len(tokenizer):,} tokens in {folder}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DialogGymError as error:
        raise SystemExit(f"error: {error}") from None
