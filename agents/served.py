"""An agent whose turns come from a model behind an OpenAI-compatible server.

The model is given the shop's guidelines and the customer's profile as the system message, and the dialogue as
chat messages. It answers in words, or, with ``tools``, by calling functions: every act that the shop's
assistant has is one, and a call is that act. Words beside calls are kept as a private thought, because the
customer hears the acts in the shop's own words.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from dialog_gym import plugins
from dialog_gym.acts import Ontology, tool_schemas
from dialog_gym.agents.base import Agent
from dialog_gym.agents.lm.prompts import messages, opened_by, system_message
from dialog_gym.chat_client import ChatClient
from dialog_gym.chat_options import ChatOptions, ChatRequest
from dialog_gym.chat_reply import ChatReply
from dialog_gym.core import Observation, Turn
from dialog_gym.lm.chat import OPENING
from dialog_gym.noise import mix
from dialog_gym.store_format import digest_of

IN_TOOLS: Final = (
    "You may speak by calling tools instead: a call is said to the customer in the shop's words."
)


class ServedAgent(Agent):
    """Named ``openai:MODEL[?OPTION=VALUE&...]``."""

    name = "openai"
    remote = True
    """Waits for a server: dialogues are played in one process, which keeps to one limit of requests."""
    _table: "Table"

    def __init__(
        self,
        model: str = "",
        *,
        tools: bool = False,
        prompt: str = "",
        domain: str = "credit",
        **options: Any,
    ) -> None:
        """Nothing is asked yet.

        Args:
            model: Name that the server knows the model by.
            tools: Offer the acts of the shop's assistant as tools.
            prompt: Stands before the guidelines in the system message.
            domain: The shop whose acts become tools.
            options: See `dialog_gym.chat_options.ChatOptions`.

        Raises:
            DialogGymError: an option is unknown or out of range.
        """
        chosen = ChatOptions.of(model, options)
        self.client = ChatClient(chosen, "agent")
        self.prompt, self.domain = prompt, domain
        self.tools = tool_schemas(_ontology(domain)) if tools else []
        self.batch = chosen.together
        self.name = f"openai:{model}" + _suffix(self.settings(), ServedAgent._usual(model))

    @staticmethod
    def _usual(model: str) -> dict[str, Any]:
        return {**ChatOptions(model).settings(), "tools": False, "prompt": ""}

    def settings(self) -> dict[str, Any]:
        """What shapes the turns, for the record of a run."""
        digest = digest_of(self.prompt.encode()) if self.prompt else ""
        return {**self.client.options.settings(), "tools": bool(self.tools), "prompt": digest}

    def start(self, seed: int) -> "ServedAgent":
        """A session for one dialogue."""
        session = copy.copy(self)
        session._table = self.start_many([seed])
        return session

    def reply(self, observation: Observation) -> Turn:
        """The next turn; see `Table.reply_many`."""
        return self._table.reply_many([0], [observation])[0]

    def start_many(self, seeds: Sequence[int]) -> "Table":
        """A session for dialogues that are played together, row i with ``seeds[i]``."""
        return Table(self, seeds)

    def request(self, observation: Observation, seed: int) -> ChatRequest:
        """What the model is asked in a dialogue whose agent has this seed."""
        opened = opened_by(observation.dialogue)
        system = system_message(observation.profile, observation.guidelines, style="full", opened=opened)
        parts = [self.prompt, system, IN_TOOLS if self.tools else ""]
        said = messages("\n".join(filter(None, parts)), observation.dialogue, opening=OPENING)
        return ChatRequest(said, mix(seed, len(observation.dialogue)) >> 33, self.tools)


class Table:
    """Dialogues that are played together; all that wait for a turn are asked for at once."""

    def __init__(self, agent: ServedAgent, seeds: Sequence[int]) -> None:
        """One seed per dialogue."""
        self.agent, self.seeds = agent, seeds

    def reply_many(self, rows: Sequence[int], observations: Sequence[Observation]) -> list[Turn]:
        """The next turn in these dialogues.

        Raises:
            ChatOutage: the model cannot be had now.
            DialogGymError: the server refuses what is asked.
        """
        asked = zip(rows, observations, strict=True)
        requests = [self.agent.request(observation, self.seeds[row]) for row, observation in asked]
        return [turn_of(reply) for reply in self.agent.client.ask(requests)]


def turn_of(reply: ChatReply) -> Turn:
    """A reply as a turn: words as they are, tool calls as acts in JSON."""
    if not reply.calls:
        return Turn(role="assistant", text=reply.text, thought=reply.thought)
    calls = [{"name": call.name, "arguments": _arguments(call.arguments)} for call in reply.calls]
    thought = "\n".join(part for part in (reply.thought, reply.text) if part)
    return Turn(role="assistant", text=json.dumps(calls), thought=thought or None)


def _arguments(text: str) -> Any:
    """Arguments as JSON, or the text as it is, which then is refused as any agent's mistake in acts."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def _ontology(domain: str) -> Ontology:
    shop = plugins.load("domains", domain)()
    return Ontology(shop.assistant_acts, shop.choices)


def _suffix(settings: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """What is not as usual, as in a name: agents that differ in it are told apart."""
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    shown = {name: value if isinstance(value, str) else json.dumps(value) for name, value in changed.items()}
    return f"?{urlencode(shown)}" if shown else ""
