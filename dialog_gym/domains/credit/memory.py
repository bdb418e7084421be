"""What a service agent remembers of a dialogue: everything read from the user's words so far.

Used by the scripted agent; reads text only, so badly typed turns are misunderstood as a machine would.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dialog_gym.core import DialogueAct, Scalar, Turn


@dataclass
class Memory:
    """The agent's view of the dialogue, rebuilt from its turns."""

    identity: bool = False
    need: dict[str, Scalar] = field(default_factory=dict)
    open_questions: list[str] = field(default_factory=list)
    problem: str = ""
    open_objection: str = ""
    declined: int = 0
    wants_human: bool = False
    unclear: bool = False
    finished: bool = False
    last: tuple[str, ...] = ()
    """Intents of the last user turn."""
    said: set[str] = field(default_factory=set)
    """Intents the agent has used."""

    def hear(self, acts: Sequence[DialogueAct]) -> None:
        """Take in one user turn."""
        self.last = tuple(act.intent for act in acts)
        self.unclear = self.last == ("unclear",)
        self.wants_human = False
        for act in acts:
            self._hear_act(act.intent, act.slots)

    def _hear_act(self, intent: str, slots: Mapping[str, Scalar]) -> None:
        match intent:
            case "confirm_identity":
                self.identity = True
            case "disclose" | "correct":
                self.need[str(slots.get("slot"))] = slots.get("value")
            case "ask":
                topic = str(slots.get("topic"))
                if topic not in self.open_questions:
                    self.open_questions.append(topic)
            case "report":
                self.problem = str(slots.get("problem"))
            case "object":
                self.open_objection = str(slots.get("objection"))
            case "decline":
                self.declined += 1
            case "request_human":
                self.wants_human = True
            case "confirm_solved" | "thank" | "goodbye":
                self.finished = True

    def say(self, acts: Sequence[DialogueAct]) -> None:
        """Take in one turn of the agent's own."""
        self.said.update(act.intent for act in acts)
        for act in acts:
            if act.intent.startswith("inform_"):
                topic = act.intent.removeprefix("inform_")
                self.open_questions = [question for question in self.open_questions if question != topic]
            elif act.intent == "address_objection":
                self.open_objection = ""


def remember(dialogue: Sequence[Turn], read_user: Callable[[str], tuple[DialogueAct, ...]]) -> Memory:
    """The memory after a dialogue so far."""
    memory = Memory()
    for turn in dialogue:
        if turn.role == "user":
            memory.hear(read_user(turn.text))
        else:
            memory.say(turn.acts)
    return memory
