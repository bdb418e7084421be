"""What a user model learns from: SMTPO's three tasks on the shop's dialogues, and turns of real users.

SMTPO (arXiv 2604.03671) trains its user simulator on three tasks at once, so that it stays true to a
preference that it is not shown at inference: *feedback generation* (the user's next utterance), *attribute
alignment* (which attributes that the shop mentions match what the user wants) and *target prediction* (what
the user has said to want). The paper's prompts are not public; these are this project's.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dialog_gym.core import DialogGymError, DialogueAct, Task, Trajectory, Turn
from dialog_gym.domains.multiwoz.corpus import load_dialogues
from dialog_gym.domains.multiwoz.user_reader import read_user
from dialog_gym.noise import mix, text_key
from dialog_gym.simulators.audit import COURTESIES, stated
from dialog_gym.simulators.delexical import sayable
from dialog_gym.simulators.drawn_acts import drawn_turns
from dialog_gym.simulators.generation import ChatPrompt
from dialog_gym.simulators.prompts import chat, system_message
from dialog_gym.simulators.real_dialogues import SOURCES, detokenised

FEEDBACK: Final = "feedback"
"""The utterance for given acts."""
CHOICE: Final = "choice"
"""The utterance for a given goal."""
ALIGNMENT: Final = "alignment"
TARGET: Final = "target"
REAL: Final = "real users"
REAL_ACTS: Final = "real users, given acts"
TASKS: Final = (FEEDBACK, CHOICE, ALIGNMENT, TARGET, REAL, REAL_ACTS)
HUMAN: Final = "Customer. Human."
"""The system message of real users, about whom nothing is known."""
NEUTRAL: Final = "Customer. Neutral."
HOLD_OUT: Final = 20
"""One dialogue in so many of every source is never trained on, by a hash of its id."""
DRAWN: Final = 30
"""Turns with drawn acts that each dialogue of a domain adds."""


class Example(NamedTuple):
    """One thing to learn: what to write after a prompt."""

    task: str
    """One of `TASKS`."""
    id: str
    """Of the dialogue."""
    prompt: ChatPrompt
    target: str


def held_out(example_id: str) -> bool:
    """Whether a dialogue is kept for measuring."""
    return mix(text_key("held out from users"), text_key(example_id)) % HOLD_OUT == 0


def shop_examples(trajectory: Trajectory) -> Iterator[Example]:
    """The examples of one dialogue of a domain: each user turn as feedback and as choice, and what it shows.

    Turns that cannot be read are left out: bad typing is not learnt. Feedback has turns with drawn acts, too.
    """
    task, turns = trajectory.task, trajectory.turns
    told = system_message(task, task.goal.persona, "worded", "compact")
    knows = system_message(task, task.goal.persona, "free", "compact")
    name = f"{task.id}/{trajectory.seed}"
    for i, turn in enumerate(turns):
        before = turns[:i]
        if turn.role == "assistant":
            if aligned := alignment(turn, task):
                yield Example(ALIGNMENT, name, _asked(knows, turns[i : i + 1], "align()"), aligned)
        elif turn.acts and turn.acts[0].intent != "unclear":
            if task.domain == "credit":  # elsewhere words may hang on what was said before
                yield from _feedback(name, told, turn)
            yield Example(CHOICE, name, chat(knows, before, (), "compact"), turn.text)
            if shows := target(turn, task):
                yield Example(TARGET, name, _asked(told, turns[max(0, i - 1) : i + 1], "target()"), shows)
    for turn in drawn_turns(trajectory, DRAWN):
        yield from _feedback(name, told, turn)


def _feedback(name: str, system: str, turn: Turn) -> Iterator[Example]:
    """A turn given its acts, if it says their values in so many words."""
    prompt = chat(system, (), turn.acts, "compact")
    if sayable(prompt, turn.text):
        yield Example(FEEDBACK, name, prompt, turn.text)


def alignment(turn: Turn, task: Task) -> str:
    """Which attributes of the goal a shop's turn names, and whether they match; "" if it names none."""
    wanted = {name: dict(stated(_as_act(name, value)))[name] for name, value in task.goal.constraints.items()}
    found = {slot: value for act in turn.acts for slot, value in stated(act) if slot in wanted}
    return "; ".join(f"{slot} {'matches' if wanted[slot] == found[slot] else 'differs'}" for slot in found)


def target(turn: Turn, task: Task) -> str:
    """What a user's turn shows of the goal; "" if nothing."""
    wanted = task.goal.constraints
    shown = {slot: value for act in turn.acts for slot, value in stated(act) if slot in wanted}
    return "; ".join(f"{slot}: {value}" for slot, value in shown.items())


def _as_act(name: str, value: object) -> DialogueAct:
    return DialogueAct(intent="disclose", slots={"slot": name, "value": value})  # type: ignore[dict-item]


def _asked(system: str, turns: Sequence[Turn], what: str) -> ChatPrompt:
    """A dialogue and what is asked about it."""
    prompt = chat(system, turns, (), "compact")
    prompt[-1]["content"] += f"\n{what}"
    return prompt


def real_examples(root: Path) -> Iterator[Example]:
    """The user turns of all open corpora below a data folder.

    Those of MultiWOZ come with their acts, too, where the words say them, no more and no less: the corpus has
    slips, and what a reader cannot follow is no user for an audited dialogue.

    Raises:
        DialogGymError: a corpus cannot be read.
    """
    for name, source in SOURCES.items():
        try:
            for dialogue_id, turns in source.read(root):
                for i, turn in enumerate(turns):
                    if turn.role == "user":
                        prompt = chat(HUMAN, turns[:i], (), "compact")
                        yield Example(REAL, f"{name}/{dialogue_id}", prompt, turn.text)
        except OSError as error:
            raise DialogGymError(f"cannot read {name}: {error}; set DIALOG_GYM_DATA or --data-dir") from None
    for dialogue in load_dialogues("validation", root):
        said = [Turn(role=turn.role, text=detokenised(turn.text), acts=turn.acts) for turn in dialogue.turns]
        for i, turn in enumerate(said):
            if turn.role == "user" and turn.acts and _plainly(turn, said[:i]):
                prompt = chat(NEUTRAL, (), turn.acts, "compact")
                yield Example(REAL_ACTS, f"multiwoz/{dialogue.id}", prompt, turn.text)


def _plainly(turn: Turn, before: Sequence[Turn]) -> bool:
    """Whether the acts read in a real turn are those that it is annotated with; courtesies aside."""
    acts = [act for act in turn.acts if act.intent not in COURTESIES]
    read = [act for act in read_user(turn.text, before) if act.intent not in COURTESIES]
    same = len(acts) == len(read) and all(act in read for act in acts)
    return same and sayable(chat(NEUTRAL, (), turn.acts, "compact"), turn.text)


def mixed(examples: Iterable[Example], shares: dict[str, int], seed: int) -> list[Example]:
    """Examples of every task in random order, so many of each as there are, at most.

    Args:
        examples: All there are; held-out ones are left out.
        shares: Most examples by task.
        seed: Fixes the choice and the order.
    """
    by_task: dict[str, list[tuple[int, Example]]] = {}
    for number, example in enumerate(examples):
        if not held_out(example.id):
            key = mix(seed, text_key(example.task), number)
            by_task.setdefault(example.task, []).append((key, example))
    chosen: list[tuple[int, Example]] = []
    for task, limit in shares.items():
        chosen += sorted(by_task.get(task, []), key=_key)[:limit]
    return [example for _, example in sorted(chosen, key=_key)]


def _key(item: tuple[int, Example]) -> int:
    return item[0]
