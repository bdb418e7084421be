"""Acts in writing: every encoding an agent may use, and whatever else a language model writes instead."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.acts import (
    MAX_ACTION,
    MAX_ACTS,
    Ontology,
    checked_act,
    format_acts,
    parse_action,
    parse_acts,
    strip_thoughts,
    tool_schemas,
)
from dialog_gym.core import DialogGymError, DialogueAct
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, CHOICES, USER_ACTS

AGENT = Ontology(ASSISTANT_ACTS, CHOICES)
USER = Ontology(USER_ACTS, CHOICES)
GOODBYE = DialogueAct(intent="goodbye")
OFFER = DialogueAct(intent="offer", slots={"product": "pay_later", "amount": 5000})

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
tricky = st.sampled_from(
    ["true", "null", "NaN", "1e5", "-Infinity", "5", "'", '"', "\\", "a, b", ")", "()", ";", " "]
)
numbers = st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12)
values = st.none() | st.booleans() | numbers | words | tricky


def acts_of(ontology):
    """Any valid act: closed slots from their list, open ones anything that can be stored."""

    def act(intent):
        slots = {slot.rstrip("?"): slot.endswith("?") for slot in ontology.acts[intent]}
        made = {name: st.sampled_from(CHOICES[name]) if name in CHOICES else values for name in slots}
        return st.fixed_dictionaries(
            {name: made[name] for name, optional in slots.items() if not optional},
            optional={name: made[name] for name, optional in slots.items() if optional},
        ).map(lambda chosen: DialogueAct(intent=intent, slots=chosen))

    return st.sampled_from(sorted(ontology.acts)).flatmap(act)


def refused(text):
    """The one line that says why a text cannot be read as acts."""
    with pytest.raises(DialogGymError) as caught:
        parse_action(text, AGENT)
    line = str(caught.value)
    assert "\n" not in line and 10 < len(line) < 600
    return line


@settings(max_examples=150)
@given(
    st.sampled_from([AGENT, USER]).flatmap(lambda o: st.tuples(st.just(o), st.lists(acts_of(o), max_size=4)))
)
def test_notation_and_json_are_read_back_exactly(case):
    ontology, acts = case
    acts = tuple(acts)
    assert parse_acts(format_acts(acts), ontology) == acts
    written = json.dumps([act.model_dump() for act in acts])
    assert parse_acts(written, ontology) == acts
    tau2 = json.dumps([{"name": act.intent, "arguments": dict(act.slots)} for act in acts])
    assert parse_acts(tau2, ontology) == acts


@pytest.mark.parametrize("intent", ASSISTANT_ACTS)
def test_every_intent_round_trips_with_all_its_slots(intent):
    slots = {name.rstrip("?"): CHOICES.get(name.rstrip("?"), (12.5,))[0] for name in ASSISTANT_ACTS[intent]}
    act = DialogueAct(intent=intent, slots=slots)
    assert parse_acts(format_acts([act]), AGENT) == (act,)
    assert parse_acts(act.model_dump_json(), AGENT) == (act,)


@settings(max_examples=300)
@given(st.text(max_size=60) | st.text(st.sampled_from("offer(amount=5'\",;){}[]\\ <think>#\n"), max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        parsed = parse_action(text, AGENT)
    except DialogGymError as error:
        assert "\n" not in str(error)
    else:
        assert parsed.text is None or not parsed.acts
        assert "<think>" not in (parsed.text or "").lower()


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("offer(product=pay_later, amount=5000)", [OFFER]),
        ("offer(product='pay_later', amount=5000)", [OFFER]),
        ('offer(product="pay_later",amount=5000);\n goodbye( )', [OFFER, GOODBYE]),
        ("  greet(); greet()", [DialogueAct(intent="greet")] * 2),
        ('{"intent": "offer", "slots": {"product": "pay_later", "amount": 5000}}', [OFFER]),
        ('{"name": "offer", "arguments": {"product": "pay_later", "amount": 5000}}', [OFFER]),
        ('{"name": "done", "arguments": {}}', [GOODBYE]),
        ("done()", [GOODBYE]),
        ("###STOP###", [GOODBYE]),
        ("respond(message='###STOP###')", [GOODBYE]),
        ("<think>what now?</think> goodbye()", [GOODBYE]),
    ],
)
def test_encodings_of_acts(text, acts):
    assert parse_action(text, AGENT) == (None, tuple(acts))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello (again), how are you?", "Hello (again), how are you?"),
        ("I offer (as promised) help", "I offer (as promised) help"),
        ("[sighs] Well...", "[sighs] Well..."),
        ("{curly}", "{curly}"),
        ("[1, 2]", "[1, 2]"),
        ("respond(message='Hi, it\\'s me; (really)')", "Hi, it's me; (really)"),
        ('respond(message="line one\nline two")', "line one\nline two"),
        ('respond(message="it\\\'s \\"fine\\"")', 'it\'s "fine"'),
        ('{"name": "respond", "arguments": {"message": "Hello"}}', "Hello"),
        ('{"name": "respond", "arguments": {"message": "  "}}', ""),
        ('{"name": "respond", "arguments": null}', ""),
        ("respond()", ""),
        ("", ""),
        (" \n\t", ""),
        ("a \ud800 b", "a ? b"),
        ('{"name": "respond", "arguments": {"message": "a \\ud800 b"}}', "a ? b"),
    ],
)
def test_what_is_said_in_words(text, said):
    assert parse_action(text, AGENT) == (said, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>secret</think>Hello", "Hello"),
        ("<THINK>secret</Think>Hello", "Hello"),
        ("Hello<think>secret", "Hello"),
        ("secret</think>Hello", "Hello"),  # chat templates put the opening into the prompt
        ("<think>a<think>secret</think>secret</think>Hello", "Hello"),
        ("<think>secret</think>Hello <think>secret</think>there", "Hello there"),
        ("<think>secret</think>", ""),
        ('respond(message="<think>secret</think>Hello")', "Hello"),
        (
            '{"name":"respond","arguments":{"message":"\\u003cthink\\u003esecret\\u003c/think\\u003eHello"}}',
            "Hello",
        ),
    ],
)
def test_thoughts_are_never_said(text, said):
    assert (parse_action(text, AGENT).text or "").strip() == said
    assert strip_thoughts("no thoughts here < think") == "no thoughts here < think"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ofer(product=pay_later)", "did you mean 'offer'"),
        ("offer(product=paylater)", "did you mean 'pay_later'"),
        ("offer(prodct=pay_later)", "did you mean 'product'"),
        ("offer(amount=5)", "'product' is missing"),
        ("greet(x=1)", "unknown slot 'x'"),
        ("offer(product=pay_later", "breaks off"),
        ("offer(product=)", "breaks off"),
        ("offer(a= )", "breaks off"),
        ("offer(product=pay_later, amount=(5))", "breaks off"),
        ("offer(product='pay_later)", "breaks off"),
        ("greet() and then goodbye()", "breaks off"),
        ("offer(product=pay_later, amount=NaN)", "within"),
        ("offer(product=pay_later, amount=1e999)", "within"),
        (f"offer(product=pay_later, amount={'9' * 4000})", "within"),
        ('{"intent": "offer", "slots": {"product": ["pay_later"]}}', "product="),
        ('{"intent": "offer", "slots": {"product": "pay_later", "amount": {"a": 1}}}', "number or a word"),
        ('{"intent": "offer", "slots": [1]}', "must be a mapping"),
        ("{}", '"intent"'),
        ('[{"name": "greet"}, {}]', '"intent"'),
        ('{"name": "respond", "arguments": "hi"}', "message"),
        ('{"name": "respond", "arguments": [1]}', "message"),
        ("greet();" * (MAX_ACTS + 1), "at most"),
        (json.dumps([{"intent": "greet"}] * (MAX_ACTS + 1)), "at most"),
        ("x" * (MAX_ACTION + 1), "100,001 characters"),
        (f"{'x' * 50_000}(y=1)", "unknown act"),
        (f"offer({'x' * 50_000}=1)", "unknown slot"),
        (f"offer(product={'x' * 50_000})", "product="),
    ],
)
def test_what_cannot_be_read_gives_one_clear_line(text, hint):
    assert hint in refused(text)


def test_plain_text_is_no_notation():
    with pytest.raises(DialogGymError, match="not act notation: 'Hello'"):
        parse_acts("Hello", AGENT)
    with pytest.raises(DialogGymError, match="must be a mapping"):
        checked_act("offer", None, AGENT)


PIECES = ["(", "offer(", "a=", '"', "'", "offer(a=", "offer(a= ", " ", "\n", "<think>", "</think>", "[",
          '{"a":', "greet();", "offer(a=b,", "a(", "\\", "=", ",", ";"]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("start", ["", "offer(", "offer(a=", "offer(a='", 'offer(a="', "greet()"])
def test_a_hundred_kilobytes_of_anything_take_linear_time(start, piece):
    # with quadratic matching one of these takes minutes: then the whole suite hangs, which is the assertion
    for end in ("", "!", ")"):
        text = start + (piece * MAX_ACTION)[: MAX_ACTION - len(start) - 1] + end
        try:
            parse_action(text, AGENT)
        except DialogGymError as error:
            assert len(str(error)) < 600


def test_tools_describe_every_act():
    tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tool_schemas(AGENT)}
    assert tools.keys() == ASSISTANT_ACTS.keys()
    assert tools["offer"]["required"] == ["product"]
    assert tools["offer"]["properties"]["product"] == {"enum": list(CHOICES["product"])}
    assert set(tools["offer"]["properties"]) == {"product", "amount", "months"}
    assert json.loads(json.dumps(list(tools.values())))
    assert all(set(name) <= set(string.ascii_lowercase + "_") for name in tools)
