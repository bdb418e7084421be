"""Token ids of a dialogue under any chat template: built once, only ever appended to.

A template is rendered with marks where something is said. What stands between the marks is the template's own
text, in which special tokens count; what is said is encoded apart from it and never becomes a special token,
whatever a customer types. Ids that a model sampled stay as they are: nothing is tokenised again.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from dialog_gym.acts import storable, strip_thoughts
from dialog_gym.core import DialogGymError

Message: TypeAlias = dict[str, str]
OPENING: Final = "(the customer picks up the phone)"
"""A user message for models whose chat template wants the user first when in fact the shop calls."""

_NAMES: Final = ("system", "user", "assistant", "answer")
_MARKS: Final = {name: f"\ue000{name}\ue001" for name in _NAMES}
"""Private-use characters: no template has them, and trimming or casing leaves them as they are."""
_MARK: Final = re.compile("\ue000([a-z]+)\ue001")


class _Attempt(NamedTuple):
    """A chat that a template may accept, and the marks that must then stand in it once each."""

    chat: list[Message]
    marks: tuple[str, ...]


class ChatFormat:
    """How one tokenizer's chat template puts a dialogue into tokens."""

    def __init__(self, tokenizer: Any, *, opening: str = "", stop: Sequence[int] = ()) -> None:
        """Reads the template.

        Args:
            tokenizer: A tokenizer with a chat template.
            opening: What the customer "says" first when the shop calls; a template that insists on a customer
                who begins gets `OPENING` anyway.
            stop: Further tokens that end a turn.

        Raises:
            DialogGymError: there is no template, it loses or changes what is said, or no token ends a turn.
        """
        self.tokenizer = tokenizer
        if not tokenizer.chat_template:
            raise DialogGymError(
                f"the tokenizer of {tokenizer.name_or_path!r} has no chat template; give an "
                "instruction-tuned model, or put a chat_template.jinja beside its tokenizer.json"
            )
        self._template_ids: dict[str, list[int]] = {}
        self._heard = self._rendered(_heard())
        self._called = self._rendered(_called(opening))
        between = self._rendered(_between()).partition(_MARKS["assistant"])[2]
        place = len(between.partition(_MARKS["answer"])[0].rstrip())
        head, self._tail = between[:place], between[place:]
        self.close, self._closed = self._closing(head, stop)
        self.stop: tuple[int, ...] = tuple(sorted({self.close, *stop, *_known(tokenizer.eos_token_id)}))
        """Tokens that end the assistant's turn; ``close`` is the one that the template writes."""

    # -- a dialogue

    def begin(self, system: str, said: str | None = None) -> list[int]:
        """The ids up to where the assistant's first turn begins.

        Args:
            system: The system message.
            said: What the customer opened with; None when the shop calls.
        """
        if said is None:
            return self._fill(self._called, {"system": system})
        return self._fill(self._heard, {"system": system, "user": said})

    def answer(self, said: str, *, closed: bool = True) -> list[int]:
        """The ids from the end of the assistant's turn, past the customer's, to where its next one begins.

        Args:
            said: What the customer said.
            closed: Whether the turn's last id is one of `stop`; else (it was cut off) it is closed here.
        """
        return [*([] if closed else [self.close]), *self._closed, *self._fill(self._tail, {"answer": said})]

    def turn(self, said: str) -> list[int]:
        """The ids of an assistant's turn that was not sampled, its end included."""
        return [*self._said(said), self.close]

    def text(self, ids: Sequence[int]) -> str:
        """What was said in an assistant's turn: without special tokens, thoughts, and blanks around it."""
        decoded = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return strip_thoughts(storable(str(decoded))).strip()

    # -- the template

    def _rendered(self, attempts: Sequence[_Attempt]) -> str:
        """The first of these chats that the template accepts and in which everything is said once."""
        cause = "it drops or repeats what is said"
        for chat, marks in attempts:
            try:
                text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            except Exception as error:  # templates raise what they like, e.g. that roles must alternate
                cause = " ".join(f"{error}".split())
                continue
            if sorted(_MARK.findall(text)) == sorted(marks):
                return str(text)
        name = self.tokenizer.name_or_path
        raise DialogGymError(f"the chat template of {name!r} cannot hold a dialogue: {cause}")

    def _closing(self, head: str, stop: Sequence[int]) -> tuple[int, list[int]]:
        """The token that ends the assistant's turn, and the ids after it up to what the customer says."""
        ids = self._template(head)
        added = self.tokenizer.added_tokens_decoder.items()
        special = {*self.tokenizer.all_special_ids, *(i for i, token in added if token.special), *stop}
        for place, token in enumerate(ids):
            if token in special:
                return token, ids[place + 1 :]
        ends = [*_known(self.tokenizer.eos_token_id), *stop]
        if not ends:
            name = self.tokenizer.name_or_path
            raise DialogGymError(f"the tokenizer of {name!r} has no token that ends a turn: set eos_token")
        return ends[0], ids

    def _fill(self, rendered: str, said: Mapping[str, str]) -> list[int]:
        """The ids of a rendered text with words in the place of its marks."""
        ids: list[int] = []
        pieces = _MARK.split(rendered)  # text, name, text, name, ..., text
        for text, name in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
            # tokenizers join a blank with the word after it
            bare = text.rstrip() if name else text
            ids += self._template(bare)
            if name:
                ids += self._said(text[len(bare) :] + said[name])
        return ids

    def _template(self, text: str) -> list[int]:
        if text not in self._template_ids:
            self._template_ids[text] = self.tokenizer.encode(text, add_special_tokens=False) if text else []
        return self._template_ids[text]

    def _said(self, text: str) -> list[int]:
        found = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return [int(token) for token in found]


def _message(name: str) -> Message:
    return {"role": "user" if name == "answer" else name, "content": _MARKS[name]}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _heard() -> list[_Attempt]:
    """Chats that the customer opens; some templates have no system role."""
    folded = _user(f"{_MARKS['system']}\n\n{_MARKS['user']}")
    return [_Attempt([_message("system"), _message("user")], _NAMES[:2]), _Attempt([folded], _NAMES[:2])]


def _called(opening: str) -> list[_Attempt]:
    """Chats that the shop opens."""
    words, marks = opening or OPENING, _NAMES[:1]
    plain = [] if opening else [_Attempt([_message("system")], marks)]
    led = _Attempt([_message("system"), _user(words)], marks)
    return [*plain, led, _Attempt([_user(f"{_MARKS['system']}\n\n{words}")], marks)]


def _between() -> list[_Attempt]:
    """Chats with an assistant's turn and the customer's answer to it."""
    chat = [_message(name) for name in _NAMES]
    return [_Attempt(chat, _NAMES), _Attempt(chat[1:], _NAMES[1:])]


def _known(token: int | None) -> list[int]:
    return [] if token is None else [token]
