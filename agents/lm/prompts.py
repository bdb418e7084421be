"""How a dialogue becomes chat messages: a system message with the customer's profile, then the turns.

Three styles: ``full`` is for general instruction-tuned models and holds the shop's guidelines and every
attribute; ``compact`` is what the tiny model was trained on, one short paragraph with the quantities a CRM
screen derives, because a model of that size cannot subtract; ``desk`` adds what the shop's systems work out
about every product (see `dialog_gym.agents.lm.desk`). Where what they say depends on what was said before, it
stands in the dialogue: in all styles but ``compact``, notes behind the customer's turns (`envs.lanes.Desk`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal, TypeAlias

from dialog_gym.acts import format_acts
from dialog_gym.agents.lm.desk import desk_sheet
from dialog_gym.core import Role, Scalar, Turn
from dialog_gym.domains.credit.profiles import TIER_RATES
from dialog_gym.lm.chat import Message

Dialect: TypeAlias = Literal["text", "acts"]
Style: TypeAlias = Literal["compact", "desk", "full"]
Profile: TypeAlias = Mapping[str, Scalar]

_OPENED: Final[dict[Role, str]] = {
    "assistant": "The shop calls.",
    "user": "The customer wrote.",
}
_REPLY: Final[dict[Dialect, str]] = {"text": "Reply in words.", "acts": "Reply in acts."}
_REPLY_IN_FULL: Final[dict[Dialect, str]] = {
    "text": "Reply with the assistant's next turn only: one to three sentences to the customer.",
    "acts": "Reply with the assistant's next turn only, in act notation: acts separated by semicolons.",
}


def opened_by(dialogue: Sequence[Turn]) -> Role:
    """Who began; before the first turn it is the assistant's, because the shop calls."""
    return dialogue[0].role if dialogue else "assistant"


def system_message(
    profile: Profile,
    guidelines: str,
    *,
    dialect: Dialect = "text",
    style: Style = "compact",
    opened: Role = "assistant",
) -> str:
    """The system message of a dialogue.

    Args:
        profile: The visible attributes; None is written as unknown. Attributes of other domains are welcome.
        guidelines: The shop's guidelines; only the full style has them.
        dialect: Whether the assistant is asked for words or act notation.
        style: ``compact`` or ``desk`` for the tiny model, ``full`` for general instruction-tuned models.
        opened: Who speaks first, see `opened_by`.
    """
    if style != "full":
        sheet = desk_sheet(profile) if style == "desk" else []
        return " ".join([_OPENED[opened], *_paragraph(profile), *sheet, _REPLY[dialect]])
    known = [_plainly(name, value) for name, value in profile.items()]
    return "\n".join([guidelines, "Customer profile:", *known, _OPENED[opened], _REPLY_IN_FULL[dialect]])


def case_blocks(follow: Sequence[str], avoid: Sequence[str]) -> str:
    """Past calls as two blocks of a system message: plans to follow, and plans to avoid."""
    blocks = (("Calls like this went well so", follow), ("Calls like this went badly so", avoid))
    return " ".join(f"{head}: {'; '.join(plans)}." for head, plans in blocks if plans)


def messages(
    system: str, turns: Sequence[Turn], *, dialect: Dialect = "text", opening: str = ""
) -> list[Message]:
    """Chat messages with the roles system, user and assistant.

    Args:
        system: The system message.
        turns: The dialogue so far; private thoughts are left out.
        dialect: ``acts`` writes the assistant's turns in act notation.
        opening: What the user "says" first when the assistant opened; general models need `OPENING` here,
            the tiny model was trained without.
    """
    first = [_message("user", opening)] if opening and opened_by(turns) == "assistant" else []
    return [_message("system", system), *first, *(_message(t.role, content(t, dialect)) for t in turns)]


def content(turn: Turn, dialect: Dialect) -> str:
    """What is said in a turn. An assistant turn in which no act was recognised is text in both dialects."""
    in_acts = dialect == "acts" and turn.role == "assistant" and turn.acts
    return format_acts(turn.acts) if in_acts else turn.text


def encode_message(tokenizer: Any, role: str, said: str) -> list[int]:
    """Token ids of one message for the shipped model's tokenizer: the role, what is said, the end.

    What is said is never read as a special token, unlike with ``apply_chat_template``: a customer who types
    ``<|end|>`` does not end the turn.
    """
    marker = tokenizer.convert_tokens_to_ids(f"<|{role}|>")
    inside = tokenizer.encode(said, add_special_tokens=False, split_special_tokens=True)
    return [marker, *inside, tokenizer.eos_token_id]


def encode(tokenizer: Any, chat: Sequence[Message]) -> list[int]:
    """Token ids of a chat for the shipped model's tokenizer; those of a longer chat start with them."""
    ids = [tokenizer.bos_token_id]
    for message in chat:
        ids += encode_message(tokenizer, message["role"], message["content"])
    return ids


def _message(role: str, said: str) -> Message:
    return {"role": role, "content": said}


def _plainly(name: str, value: Scalar) -> str:
    return f"{name}: {'unknown' if value is None else value}"


def _paragraph(profile: Profile) -> list[str]:
    """Sentences on the known attributes; what no sentence tells as ``name: value``."""
    sentences: list[str] = []
    told: set[str] = set()
    for names, sentence in _SENTENCES:
        try:
            sentences.append(sentence(profile))
            told.update(names)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    rest = [f"{_plainly(name, value)}." for name, value in profile.items() if name not in told]
    return [*sentences, *rest]


def _number(profile: Profile, name: str) -> float:
    value = profile[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(name)
    return value


def _word(profile: Profile, name: str) -> str:
    value = profile[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _day(profile: Profile, name: str) -> date:
    return date.fromisoformat(_word(profile, name))


def _today(profile: Profile) -> str:
    return f"Today {_day(profile, 'today')}."


def _person(profile: Profile) -> str:
    age, tenure = _number(profile, "age"), _number(profile, "months_as_customer")
    return f"{_word(profile, 'surname')}, {age:g} years, customer {tenure:g} months."


def _contact(profile: Profile) -> str:
    return f"Phone {_word(profile, 'phone')[-4:]}, ID {_word(profile, 'id_number')[-4:]}."


def _income(profile: Profile) -> str:
    if profile["monthly_income"] is None:
        return "Income unknown."
    return f"Income {_number(profile, 'monthly_income'):.0f}."


def _account(profile: Profile) -> str:
    months = (_day(profile, "today") - _day(profile, "credit_granted_on")).days // 30
    state = _word(profile, "activation").replace("_", " ")
    return f"Account {state}, credit {months} months."


def _credit(profile: Profile) -> str:
    limit, used = _number(profile, "credit_limit"), _number(profile, "used_balance")
    share = -(-100 * used // limit) if limit > 0 else 100  # rounded up: the shop's rules are "at most 80 %"
    return f"Limit {limit:.0f}, {share:.0f}% used, {max(limit - used, 0):.0f} left."


def _tier(profile: Profile) -> str:
    return f"Price tier {TIER_RATES.index(_number(profile, 'annual_rate')) + 1}."


def _repayment(profile: Profile) -> str:
    overdue = [int(month) for month in _word(profile, "repayment_history").split(",")]
    late = sum(month > 0 for month in overdue)
    return f"Overdue now {overdue[0]}, worst {max(overdue)}, {late} of {len(overdue)} months."


def _coupon(profile: Profile) -> str:
    if not _number(profile, "coupon_amount"):
        return "No coupon."
    amount, free = _number(profile, "coupon_amount"), _number(profile, "coupon_interest_free_days")
    issued, valid = _day(profile, "coupon_issued_on"), _number(profile, "coupon_valid_days")
    state = "over" if (_day(profile, "today") - issued).days > valid else "running"
    return f"Coupon {amount:g}, {free:g} days free, issued {issued}, valid {valid:g} days, {state}."


_COUPON: Final = (
    "coupon_amount", "coupon_interest_free_days", "coupon_issued_on", "coupon_valid_days",
)  # fmt: skip
_SENTENCES: Final[tuple[tuple[tuple[str, ...], Callable[[Profile], str]], ...]] = (
    (("today",), _today),
    (("surname", "age", "months_as_customer"), _person),
    (("phone", "id_number"), _contact),
    (("monthly_income",), _income),
    (("activation", "credit_granted_on"), _account),
    (("credit_limit", "used_balance"), _credit),
    (("annual_rate",), _tier),
    (("repayment_history",), _repayment),
    (_COUPON, _coupon),
)
"""Which attributes a sentence tells, and the sentence."""
