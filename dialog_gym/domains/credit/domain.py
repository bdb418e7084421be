"""The credit domain: everything the environments need, behind one object."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym.core import DialogGymError, DialogueAct, Task, Turn
from dialog_gym.domains.credit.agent_wording import word_assistant
from dialog_gym.domains.credit.dialogue import CreditDialogue, Starts
from dialog_gym.domains.credit.difficulty import Axes, axes
from dialog_gym.domains.credit.dynamics import Dynamics, noise_block
from dialog_gym.domains.credit.features import ActionMask, ActWindow, Features, profile_features
from dialog_gym.domains.credit.grounder import read_assistant
from dialog_gym.domains.credit.guidelines import guidelines
from dialog_gym.domains.credit.lanes import CreditActs
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, CHOICES, USER_ACTS
from dialog_gym.domains.credit.reasoning_tasks import ClosedTasks
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.domains.credit.samples import AGENT_SAMPLES, USER_SAMPLES
from dialog_gym.domains.credit.shoppers import SCENARIOS, Shoppers
from dialog_gym.domains.credit.state import State, one, start_arrays
from dialog_gym.domains.credit.strategies import StrategyBook
from dialog_gym.domains.credit.tasks import TaskSpace, default_styles, draw_tasks, read_task, write_task
from dialog_gym.domains.credit.truth import truth_of
from dialog_gym.domains.credit.user_reader import read_user
from dialog_gym.noise import mix, mix_array, text_key
from dialog_gym.ops import ARRAYS, SCALAR

MAX_TURNS = 12
DEFAULT_LEVEL = 3


class CreditDomain:
    """EcomDialog's shop. Holds rules and caches; the state of a dialogue lives in `CreditDialogue`."""

    name = "credit"
    version = "1"
    scenarios = SCENARIOS
    sample_utterances, sample_user_utterances = AGENT_SAMPLES, USER_SAMPLES
    user_reward = "satisfaction"

    def __init__(
        self,
        *,
        rulebook: Path | str | None = None,
        profile_source: str = "generator",
        data_dir: Path | str | None = None,
        styles: Sequence[str] | None = None,
        difficulty: Mapping[str, float] | None = None,
        coefficients: Mapping[str, float] | None = None,
        max_turns: int = MAX_TURNS,
    ) -> None:
        """Sets the shop up.

        Args:
            rulebook: A TOML rulebook; without it, the shipped one.
            profile_source: ``generator`` (fitted to real clients) or ``real`` (rows of the UCI data set).
            data_dir: Where the data sets are; only for ``real``; default the environment variable
            DIALOG_GYM_DATA.
            styles: Buyer styles; default all on the test split, all but the held-out one elsewhere.
            difficulty: Axes (see `difficulty.Axes`) that override the level's.
            coefficients: User-model coefficients to override.
            max_turns: Assistant turns after which a dialogue is truncated.

        Raises:
            DialogGymError: any of them is unknown or out of range.
        """
        if not 1 <= max_turns <= 100:
            raise DialogGymError(f"max_turns must be from 1 to 100, not {max_turns}")
        self.rulebook = load_rulebook(rulebook)
        self.profile_source, self.data_dir = profile_source, str(data_dir) if data_dir else None
        self.styles = tuple(styles) if styles else None
        self.difficulty, self.max_turns = dict(difficulty or {}), max_turns
        self.coefficients = dict(coefficients or {})
        self.products = tuple(self.rulebook.products)
        self.dynamics = Dynamics(SCALAR, self.rulebook, max_turns, self.coefficients)
        self.book = StrategyBook(SCALAR)
        self.strategies = self.book.names
        self.array_dynamics = Dynamics(ARRAYS, self.rulebook, max_turns, self.coefficients)
        self.assistant_acts, self.user_acts = ASSISTANT_ACTS, USER_ACTS
        self.choices = {**CHOICES, "product": self.products}
        self.config_hash = self._hash()
        self._guidelines: dict[tuple[str, int], str] = {}

    def _hash(self) -> str:
        """Of everything that decides how a dialogue goes: rules, model, wording, this domain's options."""
        options = [self.coefficients, self.difficulty, self.styles, self.max_turns, self.profile_source]
        parts = [self.version, self.rulebook.model_dump_json(), json.dumps(options, sort_keys=True)]
        folder = files("dialog_gym.domains.credit")
        data = sorted(f.name for f in folder.iterdir() if f.name.endswith((".toml", ".json")))
        parts += [(folder / name).read_text("utf-8") for name in data if name != "rulebook.toml"]
        return sha256("\n".join(parts).encode()).hexdigest()[:16]

    # -- tasks

    def space(self, *, split: str, scenario: str, level: int) -> TaskSpace:
        """The tasks of a split.

        Raises:
            DialogGymError: a name is unknown, the level is outside 0-9, or an overridden axis does not exist.
        """
        try:
            moved: Axes = replace(axes(level), **self.difficulty)  # type: ignore[arg-type]
        except TypeError:
            known = ", ".join(Axes.__dataclass_fields__)
            raise DialogGymError(
                f"unknown difficulty axis in {sorted(self.difficulty)}; axes: {known}"
            ) from None
        styles = self.styles or default_styles(split)
        return TaskSpace(split, scenario, level, moved, styles, self.profile_source, self.data_dir)

    def size(self, split: str) -> int:
        """Number of tasks of a split (per scenario and level)."""
        return self.space(split=split, scenario=SCENARIOS[0], level=0).size

    def task(
        self,
        index: int,
        *,
        split: str = "test",
        scenario: str = SCENARIOS[0],
        level: int = DEFAULT_LEVEL,
        **_: Any,
    ) -> Task:
        """The ``index``-th task of a split.

        Raises:
            DialogGymError: a name is unknown or the index is out of range.
        """
        space = self.space(split=split, scenario=scenario, level=level)
        if not 0 <= index < space.size:
            raise DialogGymError(f"task index {index} is outside 0..{space.size - 1} of split {split!r}")
        return self._write(space, draw_tasks(space, np.asarray([index]), self.rulebook), 0, index)

    def task_id(self, space: TaskSpace, index: int) -> str:
        """The id of task ``index`` of ``space``."""
        return task_name(space.scenario, space.split, space.level, index)

    def write(self, space: TaskSpace, starts: Starts, row: int, index: int) -> Task:
        """The record of the shopper in a row of prepared starts, who is task ``index`` of ``space``."""
        return self._write(space, starts.shoppers, row, index)

    def _write(self, space: TaskSpace, shoppers: Shoppers, row: int, index: int) -> Task:
        return write_task(
            shoppers,
            row,
            task_id=task_name(space.scenario, space.split, space.level, index),
            space=space,
            guidelines=self.guidelines(space),
            max_turns=self.max_turns,
        )

    def guidelines(self, space: TaskSpace) -> str:
        """The shop's guidelines for the tasks of ``space``."""
        key = space.scenario, space.axes.branches
        if key not in self._guidelines:
            self._guidelines[key] = guidelines(self.rulebook, *key)
        return self._guidelines[key]

    def task_by_id(self, task_id: str) -> Task:
        """The task that an id of the form ``credit/scenario/split/level/index`` names.

        Raises:
            DialogGymError: the id has another form.
        """
        parts = task_id.split("/")
        if len(parts) != 5 or parts[0] != "credit" or not (parts[3].isdecimal() and parts[4].isdecimal()):
            raise DialogGymError(f"task id {task_id!r} is not of the form credit/scenario/split/level/index")
        return self.task(int(parts[4]), split=parts[2], scenario=parts[1], level=int(parts[3]))

    # -- dialogues

    def start(self, task: Task, seed: int) -> CreditDialogue:
        """Begin a dialogue; ``seed`` and the task's id fix all of the user's randomness.

        Raises:
            DialogGymError: the task record is incomplete or impossible.
        """
        if task.max_turns > self.max_turns:
            raise DialogGymError(
                f"task {task.id}: max_turns {task.max_turns} is above the domain's {self.max_turns}"
            )
        key = np.asarray([mix(self._task_key(task), seed)], np.uint64)
        return self.begin(task, self._starts(read_task(task, self.rulebook), key), 0)

    def _task_key(self, task: Task) -> int:
        """The key of a drawn task's randomness; a task written by hand has that of its id."""
        index = task.id.rpartition("/")[2]
        if task.id != task_name(task.scenario, task.split, task.level, index):
            return text_key(task.id)
        space = self.space(split=task.split, scenario=task.scenario, level=task.level)
        return int(space.keys(np.asarray([int(index)]))[0])

    def starts(self, space: TaskSpace, index: np.ndarray, seeds: np.ndarray) -> Starts:
        """Everything needed to begin N dialogues.

        Args:
            space: Where the tasks are.
            index: int64[N], task indices.
            seeds: uint64[N], one per dialogue.

        Raises:
            DialogGymError: an index is outside the split.
        """
        return self._starts(self.draw(space, index), self.noise_keys(space, index, seeds))

    def draw(self, space: TaskSpace, index: np.ndarray) -> Shoppers:
        """The shoppers of some task indices.

        Raises:
            DialogGymError: an index is outside the split.
        """
        if len(index) and not (index.min() >= 0 and index.max() < space.size):
            worst = index.max() if index.max() >= space.size else index.min()
            raise DialogGymError(
                f"task index {worst} is outside 0..{space.size - 1} of split {space.split!r}"
            )
        return draw_tasks(space, index, self.rulebook)

    def noise_keys(self, space: TaskSpace, index: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """uint64[N], the keys of the users' randomness in dialogues of some tasks with some seeds."""
        return mix_array(space.keys(index), seeds)

    def start_states(self, shoppers: Shoppers) -> State:
        """The states in which the dialogues of N shoppers begin."""
        state = start_arrays(shoppers)
        self.array_dynamics.tracker.begin(state)
        return state

    def _starts(self, shoppers: Shoppers, keys: np.ndarray) -> Starts:
        noise = noise_block(keys, self.max_turns)
        return Starts(shoppers, self.start_states(shoppers), profile_features(shoppers), noise)

    def begin(self, task: Task, starts: Starts, row: int, judge_strategies: bool = True) -> CreditDialogue:
        """One dialogue out of prepared starts; ``task`` must be the task of that row."""
        noise: list[list[float]] = starts.noise[:, :, row].tolist()
        income = int(starts.shoppers.profiles.income[row])
        truth = partial(truth_of, starts.shoppers, row, self.rulebook)
        return CreditDialogue(
            task, one(starts.columns, row), truth, self.dynamics, self.book, noise, income,
            starts.profile[row], self._window, judge_strategies,
        )  # fmt: skip

    @cached_property
    def closed_tasks(self) -> ClosedTasks:
        """MORE's reasoning tasks for networks."""
        return ClosedTasks(self.rulebook)

    @cached_property
    def _window(self) -> ActWindow:
        features = Features(len(self.products), self.max_turns)
        return ActWindow(features, ActionMask(SCALAR, self.dynamics.moves.nvec))

    @cached_property
    def act_level(self) -> CreditActs:
        """The shop at act level."""
        return CreditActs(self)

    @property
    def profile_feature_count(self) -> int:
        """Length of the profile part of act-level observations."""
        space = self.space(split="train", scenario=SCENARIOS[0], level=0)
        return int(profile_features(draw_tasks(space, np.arange(1), self.rulebook)).shape[1])

    # -- language

    def read_assistant(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """The grounder: acts and claims in free agent text."""
        return read_assistant(text, self.rulebook, dialogue)

    def read_user(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """Acts in free user text; every sentence of this shop says by itself what it is about."""
        return read_user(text, self.rulebook)

    def word_assistant(self, acts: Sequence[DialogueAct], key: int = 0) -> str:
        """Template wording of assistant acts."""
        return word_assistant(acts, self.rulebook, key)


def task_name(scenario: str, split: str, level: int, index: int | str) -> str:
    """The id of a drawn task."""
    return f"credit/{scenario}/{split}/{level}/{index}"
