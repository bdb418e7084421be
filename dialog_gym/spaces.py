"""Spaces for dialogue: free text, dialogues and profiles.

`gymnasium.spaces.Text` accepts only a fixed character set and checks every character, so ordinary sentences
fall outside it; these spaces check type and length.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import Space

from dialog_gym.core import Scalar, Turn


class UtteranceSpace(Space[str]):
    """Any Unicode text of up to ``max_length`` characters; samples come from a few canned utterances."""

    def __init__(
        self,
        max_length: int = 100_000,
        samples: tuple[str, ...] = ("hello", "goodbye"),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        """Creates the space; ``samples`` is what `sample` draws from."""
        super().__init__(dtype=str, seed=seed)
        self.max_length, self.samples = max_length, samples

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """One of the canned utterances; the masks of other spaces have no meaning here and are ignored."""
        return self.samples[int(self.np_random.integers(len(self.samples)))]

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    @property
    def is_np_flattenable(self) -> bool:
        """Text has no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UtteranceSpace) and self.max_length == other.max_length

    def __repr__(self) -> str:
        return f"UtteranceSpace({self.max_length})"


class DialogueSpace(Space[tuple[Turn, ...]]):
    """Tuples of `Turn` of up to ``max_turns`` entries."""

    def __init__(self, max_turns: int, seed: int | np.random.Generator | None = None) -> None:
        """Creates the space."""
        super().__init__(dtype=object, seed=seed)
        self.max_turns = max_turns

    def sample(self, mask: Any = None, probability: Any = None) -> tuple[Turn, ...]:
        """A short dialogue."""
        turns = (Turn(role="user", text="hello"), Turn(role="assistant", text="hello"))
        return turns[: int(self.np_random.integers(min(self.max_turns, 2) + 1))]

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a tuple of turns that is not too long."""
        return isinstance(x, tuple) and len(x) <= self.max_turns and all(isinstance(turn, Turn) for turn in x)

    @property
    def is_np_flattenable(self) -> bool:
        """A dialogue has no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DialogueSpace) and self.max_turns == other.max_turns

    def __repr__(self) -> str:
        return f"DialogueSpace({self.max_turns})"


class ProfileSpace(Space[Mapping[str, Scalar]]):
    """Mappings from attribute names to scalars, holding at least the attributes of an example."""

    def __init__(self, example: Mapping[str, Scalar], seed: int | np.random.Generator | None = None) -> None:
        """Creates the space around an example profile, which is also what `sample` returns."""
        super().__init__(dtype=object, seed=seed)
        self.example = dict(example)

    def sample(self, mask: Any = None, probability: Any = None) -> Mapping[str, Scalar]:
        """The example profile."""
        return dict(self.example)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` has the example's attributes, each a scalar."""
        return (
            isinstance(x, Mapping)
            and self.example.keys() <= x.keys()
            and all(value is None or isinstance(value, bool | int | float | str) for value in x.values())
        )

    @property
    def is_np_flattenable(self) -> bool:
        """A profile has no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProfileSpace) and self.example.keys() == other.example.keys()

    def __repr__(self) -> str:
        return f"ProfileSpace({', '.join(self.example)})"
