"""What a language model behind a simulated user must offer: words for many prompts at once."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

ChatMessage: TypeAlias = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": ...}``."""
ChatPrompt: TypeAlias = list[ChatMessage]


class Generator(Protocol):
    """A language model, wherever it runs; one call is for all dialogues that wait for words."""

    name: str
    """Names the model and its settings in results, e.g. ``openai:gpt-4.1-mini``."""

    def generate(self, prompts: Sequence[ChatPrompt], seeds: Sequence[int]) -> list[str]:
        """One text per prompt, in their order, without any ``<think>...</think>``; may be empty.

        Args:
            prompts: Chats that end with what is to be answered.
            seeds: Of the sampling, one per prompt: the same prompt and seed give the same text.

        Raises:
            DialogGymError: no text can be had: the model is down, or refuses what was asked.
        """
        ...
