"""Users whose words come from a model behind an OpenAI-compatible server."""

from collections.abc import Sequence
from typing import Any, Final

from dialog_gym.chat_client import ChatClient
from dialog_gym.chat_options import ChatOptions, ChatRequest
from dialog_gym.simulators.generation import ChatPrompt
from dialog_gym.simulators.prompts import Mode, Style
from dialog_gym.simulators.worded import WordedSimulator

USUAL: Final = {"temperature": 0.7, "max_tokens": 120}
"""A user's turn is short, and two users with the same acts do not say the same."""


class ServedGenerator:
    """A `Generator` that asks a server for all words at once."""

    def __init__(self, options: ChatOptions, prompt: str = "") -> None:
        """Nothing is asked yet.

        Args:
            options: Which model, and how.
            prompt: Stands before what the system message says.
        """
        self.client, self.prompt = ChatClient(options, "user"), prompt
        self.name = f"openai:{options.model}"

    def generate(self, prompts: Sequence[ChatPrompt], seeds: Sequence[int]) -> list[str]:
        """See `Generator`.

        Raises:
            ChatOutage: the model cannot be had now: the run pauses, no dialogue is void for it.
            DialogGymError: the server refuses what is asked.
        """
        asked = zip(prompts, seeds, strict=True)
        requests = [ChatRequest(self._led(prompt), seed & 0x7FFFFFFF) for prompt, seed in asked]
        return [reply.text for reply in self.client.ask(requests)]

    def _led(self, prompt: ChatPrompt) -> ChatPrompt:
        if not self.prompt:
            return prompt
        first = prompt[0]
        return [{**first, "content": f"{self.prompt}\n{first['content']}"}, *prompt[1:]]


class ServedUser(WordedSimulator):
    """Named ``openai:MODEL[?OPTION=VALUE&...]``."""

    remote = True
    """Waits for a server: dialogues are played in one process, which keeps to one limit of requests."""

    def __init__(
        self,
        model: str = "",
        *,
        mode: Mode = "worded",
        style: Style = "full",
        retries: int = 2,
        prompt: str = "",
        **options: Any,
    ) -> None:
        """Sets the simulator up; nothing is asked yet.

        Args:
            model: Name that the server knows the model by.
            mode: See `WordedSimulator`.
            style: Of the prompt.
            retries: Further samples after one that the audit rejects, 0 to 10.
            prompt: Stands before what the system message says.
            options: Those of `dialog_gym.chat_options.ChatOptions`; all others override the customers'
                persona, as in `WordedSimulator`.

        Raises:
            DialogGymError: an option is unknown or out of range.
        """
        known = ChatOptions.names()
        chosen = {name: value for name, value in options.items() if name in known}
        generator = ServedGenerator(ChatOptions.of(model, USUAL | chosen), prompt)
        persona = {name: value for name, value in options.items() if name not in known}
        self.batch = generator.client.options.together
        super().__init__(generator=generator, mode=mode, style=style, retries=retries, **persona)
