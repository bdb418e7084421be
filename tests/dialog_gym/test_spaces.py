"""Spaces for text: ordinary sentences are inside, other types and sizes are not."""

import pickle

import numpy as np
import pytest
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.core import Turn
from dialog_gym.spaces import DialogueSpace, ProfileSpace, UtteranceSpace

SPACES = [
    UtteranceSpace(),
    UtteranceSpace(20, ("a", "b", "c")),
    DialogueSpace(5),
    DialogueSpace(0),
    ProfileSpace({"age": 30, "income": None}),
]
HELLO = Turn(role="user", text="hello")


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_samples_are_inside_and_seeded(space):
    space.seed(3)
    first = [space.sample() for _ in range(20)]
    space.seed(3)
    assert [space.sample() for _ in range(20)] == first
    assert all(sample in space for sample in first)
    assert not space.is_np_flattenable


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_copies_are_equal_and_go_to_other_processes(space):
    assert pickle.loads(pickle.dumps(space)) == space
    assert space not in [5, "space", None]
    others = [other for other in SPACES if other is not space]
    assert space not in others


def test_equality_is_about_what_is_inside():
    assert UtteranceSpace(5) != UtteranceSpace(6) != DialogueSpace(6)
    assert DialogueSpace(5) != DialogueSpace(6)
    assert ProfileSpace({"a": 1}) == ProfileSpace({"a": 2}) != ProfileSpace({"b": 1})


@given(st.text(max_size=50))
def test_any_text_is_an_utterance(text):
    assert text in UtteranceSpace(50)


@pytest.mark.parametrize("wrong", ["x" * 21, 5, None, b"bytes", ["a"], np.array("a")])
def test_what_is_no_utterance(wrong):
    assert wrong not in UtteranceSpace(20)


@pytest.mark.parametrize("wrong", [[HELLO], (HELLO,) * 6, ("hello",), HELLO, None, 5])
def test_what_is_no_dialogue(wrong):
    assert () in DialogueSpace(5) and (HELLO,) * 5 in DialogueSpace(5)
    assert wrong not in DialogueSpace(5)


@pytest.mark.parametrize("wrong", [{}, {"age": 30}, {"age": [30], "income": 1}, None, [("age", 1)]])
def test_what_is_no_profile(wrong):
    space = ProfileSpace({"age": 30, "income": None})
    assert {"age": None, "income": 5, "more": True} in space
    assert wrong not in space


def test_a_sampled_profile_is_a_copy():
    space = ProfileSpace({"age": 30})
    space.sample()["age"] = 31
    assert space.sample() == {"age": 30}


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_spaces_can_be_batched(space):
    batched = batch_space(space, 3)
    samples = [space.sample() for _ in range(3)]
    assert concatenate(space, samples, create_empty_array(space, 3)) == tuple(samples)
    assert len(list(iterate(batched, batched.sample()))) == 3
