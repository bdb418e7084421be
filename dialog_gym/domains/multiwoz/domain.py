"""The MultiWOZ domain: everything the environments need, behind one object."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np

from dialog_gym.core import DialogGymError, DialogueAct, Scalar, Task, Turn
from dialog_gym.domains.multiwoz.agenda import Agenda
from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.dialogue import MultiWOZDialogue
from dialog_gym.domains.multiwoz.difficulty import Axes, axes
from dialog_gym.domains.multiwoz.dynamics import DEFAULT_REWARD_WEIGHTS, Dynamics, noise_blocks
from dialog_gym.domains.multiwoz.features import ActionMask, Features, View
from dialog_gym.domains.multiwoz.goal_sampling import GoalSampler
from dialog_gym.domains.multiwoz.goals import MultiWozGoal
from dialog_gym.domains.multiwoz.guidelines import guidelines
from dialog_gym.domains.multiwoz.lanes import MultiWOZActs
from dialog_gym.domains.multiwoz.moves import MoveReader
from dialog_gym.domains.multiwoz.ontology import ASSISTANT, CHOICES, USER
from dialog_gym.domains.multiwoz.reasoning_tasks import ClosedTasks
from dialog_gym.domains.multiwoz.reference import Reference
from dialog_gym.domains.multiwoz.search import Lexicon, ManySearcher, OneSearcher
from dialog_gym.domains.multiwoz.state import Starts, start_one
from dialog_gym.domains.multiwoz.strategies import StrategyBook, load_strategies
from dialog_gym.domains.multiwoz.tasks import (
    SCENARIO,
    Encoder,
    TaskSpace,
    User,
    draw_user,
    read_task,
    write_task,
)
from dialog_gym.envs.lanes import Desk
from dialog_gym.noise import mix, mix_array, text_key
from dialog_gym.ops import ARRAYS, SCALAR

MAX_TURNS = 20
DEFAULT_LEVEL = 3
_LANGUAGE = "dialog_gym.domains.multiwoz"


class MultiWOZDomain:
    """The booking desk of MultiWOZ. Holds databases and tables; a dialogue's state is its own."""

    name = "multiwoz"
    version = "1"
    scenarios = (SCENARIO,)
    strategies = tuple(load_strategies())
    user_reward = "satisfaction"
    sample_utterances = (
        "Hello, how can I help you?",
        "hotel_request(slot=area)",
        "What price range are you looking for?",
        "train_inform(trainid=TR7075)",
        "Is there anything else I can help you with?",
    )
    sample_user_utterances = (
        "I am looking for a cheap restaurant in the centre.",
        "train_inform(departure=cambridge, destination=ely)",
        "What is the phone number?",
        "Thank you, goodbye.",
    )

    def __init__(
        self,
        *,
        goal_source: str = "sampled",
        data_dir: Path | str | None = None,
        difficulty: Mapping[str, float] | None = None,
        max_turns: int = MAX_TURNS,
    ) -> None:
        """Sets the desk up.

        Args:
            goal_source: ``sampled`` (drawn with the corpus's statistics) or ``corpus`` (the split's own;
                those of validation and test ship with the package).
            data_dir: Where the corpus is; only for ``corpus``; default the environment variable
                DIALOG_GYM_DATA.
            difficulty: Axes (see `difficulty.Axes`) that override the level's.
            max_turns: Assistant turns after which a dialogue is truncated.

        Raises:
            DialogGymError: any of them is unknown or out of range.
        """
        if isinstance(max_turns, bool) or not isinstance(max_turns, int) or not 1 <= max_turns <= 100:
            raise DialogGymError(f"max_turns must be from 1 to 100, not {max_turns}")
        self.goal_source, self.data_dir = goal_source, str(data_dir) if data_dir else None
        self.difficulty, self.max_turns = dict(difficulty or {}), max_turns
        self.database = load_database()
        self.sampler, self.lexicon = GoalSampler(self.database), Lexicon(self.database)
        self.encoder = Encoder(self.lexicon, max_turns)
        self.dynamics = Dynamics(SCALAR, OneSearcher(self.lexicon), max_turns)
        self.reader = MoveReader(SCALAR, self.lexicon, self.dynamics.agenda)
        agenda: Agenda = self.dynamics.agenda
        self.view, self.features = View(SCALAR, agenda, self.reader), Features(agenda, max_turns)
        self.action_mask, self.book = ActionMask(SCALAR, agenda), StrategyBook(SCALAR, agenda)
        self.assistant_acts, self.user_acts, self.choices = ASSISTANT.acts, USER.acts, CHOICES
        self.space(split="test", scenario=SCENARIO, level=DEFAULT_LEVEL)
        self.config_hash, self._guidelines = self._hash(), guidelines()

    def _hash(self) -> str:
        """Of everything that decides how a dialogue goes: databases, goals, wording, the options."""
        options = [self.difficulty, self.max_turns, self.goal_source, dict(DEFAULT_REWARD_WEIGHTS)]
        found = sha256("\n".join([self.version, json.dumps(options, sort_keys=True)]).encode())
        folder = files("dialog_gym.domains.multiwoz")
        for name in sorted(f.name for f in folder.iterdir() if f.name.endswith((".gz", ".json", ".toml"))):
            found.update((folder / name).read_bytes())
        return found.hexdigest()[:16]

    @cached_property
    def array_dynamics(self) -> Dynamics:
        """The dynamics in arrays."""
        return Dynamics(ARRAYS, ManySearcher(self.lexicon), self.max_turns)

    @cached_property
    def array_reader(self) -> MoveReader:
        """The reader of actions in arrays."""
        return MoveReader(ARRAYS, self.lexicon, self.array_dynamics.agenda)

    @cached_property
    def reference(self) -> Reference:
        """The reference policy for one dialogue."""
        return Reference(SCALAR, self.action_mask)

    @cached_property
    def closed_tasks(self) -> ClosedTasks:
        """MORE's reasoning tasks for networks."""
        return ClosedTasks(self.lexicon)

    @cached_property
    def act_level(self) -> MultiWOZActs:
        """The act level of this domain with its options."""
        return MultiWOZActs(self)

    # -- tasks

    def space(self, *, split: str, scenario: str, level: int) -> TaskSpace:
        """The tasks of a split.

        Raises:
            DialogGymError: a name is unknown, the level is outside 0-9, or an overridden axis does not exist.
        """
        try:
            moved: Axes = replace(axes(level), **self.difficulty)
        except TypeError:
            given, known = sorted(self.difficulty), ", ".join(Axes.__dataclass_fields__)
            raise DialogGymError(f"unknown difficulty axis in {given}; axes: {known}") from None
        return TaskSpace(split, level, moved, self.goal_source, self.data_dir, scenario)

    def size(self, split: str) -> int:
        """Number of tasks of a split (per level)."""
        return self.space(split=split, scenario=SCENARIO, level=0).size

    def task(
        self,
        index: int,
        *,
        split: str = "test",
        scenario: str = SCENARIO,
        level: int = DEFAULT_LEVEL,
        **_: Any,
    ) -> Task:
        """The ``index``-th task of a split.

        Raises:
            DialogGymError: a name is unknown or the index is out of range.
        """
        return self._record(self.space(split=split, scenario=scenario, level=level), index)

    def task_id(self, space: TaskSpace, index: int) -> str:
        """The id of task ``index`` of ``space``."""
        return task_name(space, index)

    def task_by_id(self, task_id: str) -> Task:
        """The task that an id of the form ``multiwoz/scenario/split/level/index`` names.

        Raises:
            DialogGymError: the id has another form, or there is no such task.
        """
        parts = task_id.split("/")
        if len(parts) != 5 or parts[0] != "multiwoz" or not (parts[3].isdecimal() and parts[4].isdecimal()):
            raise DialogGymError(
                f"task id {task_id!r} is not of the form multiwoz/scenario/split/level/index"
            )
        return self.task(int(parts[4]), split=parts[2], scenario=parts[1], level=int(parts[3]))

    def write(self, space: TaskSpace, starts: Starts, row: int, index: int) -> Task:
        """The record of task ``index`` of ``space``, which ``row`` of ``starts`` begins."""
        return self._record(space, index)

    def _record(self, space: TaskSpace, index: int) -> Task:
        goal, user = self._drawn(space, np.asarray([index]))[0]
        return write_task(task_name(space, index), space, goal, user, self._guidelines, self.max_turns)

    def _drawn(self, space: TaskSpace, index: np.ndarray) -> list[tuple[MultiWozGoal, User]]:
        if len(index) and not (index.min() >= 0 and index.max() < space.size):
            worst = index.max() if index.max() >= space.size else index.min()
            raise DialogGymError(
                f"task index {worst} is outside 0..{space.size - 1} of split {space.split!r}"
            )
        pairs = zip(index.tolist(), space.keys(index).tolist(), strict=True)
        return [(goal := space.goal(i, self.sampler), draw_user(goal, key, space.axes)) for i, key in pairs]

    # -- dialogues

    def draw(self, space: TaskSpace, index: np.ndarray) -> np.ndarray:
        """What the starts of some tasks differ in, a structured array [N] of `state.DRAWN_TYPE`.

        Raises:
            DialogGymError: an index is outside the split.
        """
        return self.encoder.encode(self._drawn(space, index))

    def noise_keys(self, space: TaskSpace, index: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """uint64[N], the keys of the users' randomness in dialogues of some tasks with some seeds."""
        return mix_array(space.keys(index), seeds)

    def starts(self, space: TaskSpace, index: np.ndarray, seeds: np.ndarray) -> Starts:
        """Everything needed to begin N dialogues.

        Args:
            space: Where the tasks are.
            index: int64[N], task indices.
            seeds: uint64[N], one per dialogue.

        Raises:
            DialogGymError: an index is outside the split.
        """
        keys = self.noise_keys(space, index, seeds)
        return Starts(self.draw(space, index), noise_blocks(keys, self.max_turns))

    def start(self, task: Task, seed: int) -> MultiWOZDialogue:
        """Begin a dialogue; ``seed`` and the task's id fix all of the user's randomness.

        Raises:
            DialogGymError: the task record is incomplete or impossible.
        """
        if task.max_turns > self.max_turns:
            raise DialogGymError(
                f"task {task.id}: max_turns {task.max_turns} is above the domain's {self.max_turns}"
            )
        key = np.asarray([mix(self._task_key(task), seed)], np.uint64)
        drawn = self.encoder.encode([read_task(task, self.lexicon)])
        return self.begin(task, Starts(drawn, noise_blocks(key, self.max_turns)), 0)

    def _task_key(self, task: Task) -> int:
        """The key of a drawn task's randomness; a task written by hand has that of its id."""
        index = task.id.rpartition("/")[2]
        if task.id != f"multiwoz/{task.scenario}/{task.split}/{task.level}/{index}":
            return text_key(task.id)
        space = self.space(split=task.split, scenario=task.scenario, level=task.level)
        return int(space.keys(np.asarray([int(index)]))[0])

    def begin(self, task: Task, starts: Starts, row: int, judge_strategies: bool = True) -> MultiWOZDialogue:
        """One dialogue out of prepared starts; ``task`` must be the task of that row."""
        noise = [tuple(draws) for draws in starts.noise[row].tolist()]
        return MultiWOZDialogue(task, start_one(starts.drawn[row]), noise, self, judge_strategies)

    # -- language

    def human_dialogues(self) -> list[Any]:
        """Dialogues of the corpus to learn from; see `human.human_dialogues`."""
        return list(_language("human").human_dialogues(self.database, self.data_dir))

    def desk(self, profile: Mapping[str, Scalar]) -> Desk:
        """The desk's systems in a dialogue with this profile: notes for whoever answers in words."""
        return cast(Desk, _language("desk_notes").DeskNotes(self.database, profile))

    def read_assistant(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """The grounder: acts and claims in free agent text."""
        acts: tuple[DialogueAct, ...] = _language("grounder").read_assistant(text, dialogue)
        return acts

    def read_user(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """Acts in free user text."""
        acts: tuple[DialogueAct, ...] = _language("user_reader").read_user(text, dialogue)
        return acts

    def word_assistant(self, acts: Sequence[DialogueAct], key: int = 0) -> str:
        """Template wording of assistant acts."""
        return str(_language("agent_wording").word_assistant(acts, key))


def _language(name: str) -> Any:
    """A module that only text needs: act-level environments start without it."""
    return import_module(f"{_LANGUAGE}.{name}")


def task_name(space: TaskSpace, index: int) -> str:
    """The id of a drawn task."""
    return f"multiwoz/{space.scenario}/{space.split}/{space.level}/{index}"
