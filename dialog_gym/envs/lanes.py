"""What a domain offers beside `dialog_gym.core.Domain` so that environments and learners can run it.

`Space` and `Shop` are what episodes are drawn from and begun with; `ActLevel` and `Lanes` are the act level:
N dialogues in arrays. Environments, the net backbone and the trainer know a domain only through these.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Protocol

import numpy as np

from dialog_gym.act_view import ActView
from dialog_gym.core import Dialogue, DialogueAct, Domain, EndReason, Step, Task, Turn


class Lanes(Protocol):
    """N running dialogues in arrays. Methods may return the state's own arrays: copy what you keep."""

    ended: np.ndarray
    """int64[N], index into `dialog_gym.core.END_REASONS`, -1 while running."""
    turn: np.ndarray
    """int64[N], assistant turns so far."""

    def begin(self, rows: np.ndarray, table: np.ndarray, index: np.ndarray, keys: np.ndarray) -> None:
        """Put fresh dialogues into some rows; the first call fills all of them.

        Args:
            rows: int64[M], which rows.
            table: What `ActLevel.prepare` gave, rearranged at will.
            index: int64[M], which rows of the table.
            keys: uint64[M], the users' randomness (`Shop.noise_keys`): the same key and task, the same user.
        """
        ...

    def observe(self, out: np.ndarray) -> None:
        """Write what the agents see into ``out``, float32[N, size], the visible profile first."""
        ...

    def allowed(self) -> np.ndarray:
        """bool[N, moves], which first moves make sense now, at least one in each row.

        The second move may be any of these but the first again, or none.
        """
        ...

    def mask(self, out: np.ndarray) -> None:
        """Write the action mask into ``out``, int8[N, sum(nvec)]: 1 where a choice makes sense now."""
        ...

    def step(self, actions: np.ndarray) -> None:
        """One turn, int64[N, K], in every dialogue; ended ones must survive it, and are not looked at."""
        ...

    def rewards(self) -> Mapping[str, np.ndarray]:
        """The named rewards of the last turn, float64[N] each, in the order of `ActLevel.reward_weights`."""
        ...

    def cost(self) -> np.ndarray:
        """float64[N], number of violations in the last turn."""
        ...

    def facts(self) -> Mapping[str, np.ndarray]:
        """Facts about dialogues that ended, by name, [N] each; meaningless for the others."""
        ...

    def keep(self, running: np.ndarray) -> None:
        """Drop the rows where ``running``, bool[N], is false; the others close up in their order."""
        ...


class ActLevel(Protocol):
    """The act level of a domain: a turn is a move, a second move, and decisions that some moves make."""

    nvec: tuple[int, ...]
    """Choices of each decision; the first two are moves."""
    moves: tuple[str, ...]
    """Names of the moves; move 0 is "none"."""
    uses: np.ndarray
    """bool[moves, K], which further decisions a move makes; the first two columns are false."""
    reward_weights: Mapping[str, float]
    """Weights of the named rewards unless told otherwise, in the order of the rewards."""
    language_rewards: tuple[str, ...]
    """Measures of language that can be judged on acts; may be none."""
    profile_size: int
    """Length of the observation's part that stays the same throughout a dialogue; may be 0."""
    size: int
    """Length F of the observation, profile included; values lie in [-1, 10]."""

    def prepare(self, space: Any, tasks: np.ndarray) -> np.ndarray:
        """What the starts of some tasks differ in, as one structured array [T].

        Callers keep rows of it and pass them to `Lanes.begin` in any arrangement, so a row must say all.

        Args:
            space: Where the tasks are.
            tasks: int64[T], task indices; T may be 0.
        """
        ...

    def lanes(self, count: int, *, language: bool = False) -> Lanes:
        """``count`` rows, to be filled by `Lanes.begin`.

        Args:
            count: Number of dialogues.
            language: Whether rewards have `language_rewards` too, NaN where there is nothing to judge.
        """
        ...

    def fit(self, dialogue: Any, acts: Sequence[DialogueAct], said: Set[str]) -> list[int]:
        """The action that says the first one or two of some acts: how demonstrations in acts become actions.

        Args:
            dialogue: The `ActDialogue` in which they are to be said now.
            acts: What an agent would say, in its order.
            said: What it has said before in this dialogue, in act notation: that is left to the end.
        """
        ...


class ActDialogue(Dialogue, Protocol):
    """One dialogue that can be played at both levels. It equals the row of `Lanes` with its task and key."""

    @property
    def ended_by(self) -> EndReason | None:
        """Why the dialogue is over, or None."""
        ...

    def step_action(self, action: Sequence[int]) -> Step:
        """Advance by one act-level action."""
        ...

    def acts_of(self, action: Sequence[int]) -> tuple[DialogueAct, ...]:
        """The dialogue acts that an action says now."""
        ...

    def act_view(self) -> ActView:
        """Observation and mask now."""
        ...


class Planned(Protocol):
    """What dialogues offer in domains with strategies."""

    def allowed_strategies(self) -> tuple[str, ...]:
        """Strategies that the hard rules allow now."""
        ...

    def strategy_grades(self) -> Mapping[str, int]:
        """Graded fit of every strategy now."""
        ...


class PlannedLanes(Lanes, Protocol):
    """What lanes offer in domains with strategies; S strategies in the order of `Shop.strategies`."""

    def allowed_strategies(self) -> np.ndarray:
        """bool[N, S], strategies that the hard rules allow now."""
        ...

    def strategy_grades(self) -> np.ndarray:
        """int64[N, S], graded fit of every strategy now."""
        ...

    def strategy_gains(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For ESNDCG, float64[N] each: the best grade that a turn carries out, and the best there was.

        Both are discounted by log2(1 + turn).

        Args:
            actions: int64[N, K], the turn that is to be taken.
        """
        ...


class PlannedActs(ActLevel, Protocol):
    """What act levels offer in domains with strategies; their `lanes` are `PlannedLanes`."""

    carried: np.ndarray
    """bool[S, moves], which moves carry a strategy out."""


class Desk(Protocol):
    """The shop's systems in one dialogue, where the profile does not say what they hold.

    Such domains have a method ``desk(profile)``, which begins one.
    """

    def note(self, dialogue: Sequence[Turn]) -> str:
        """What the systems say now, in a few words; "" for nothing.

        Made of what an agent may know: the profile, the words of both sides, the domain's own data.

        Args:
            dialogue: All turns so far, beginning with those of the last call.
        """
        ...


class Space(Protocol):
    """The tasks of a split of a scenario at a level."""

    split: str
    scenario: str
    level: int

    @property
    def size(self) -> int:
        """Number of tasks."""
        ...


class Starts(Protocol):
    """N dialogues ready to begin."""

    @property
    def profile(self) -> np.ndarray:
        """float32[N, profile_size]."""
        ...


class Shop(Domain, Protocol):
    """A domain as environments use it."""

    config_hash: str
    """Of everything that decides how a dialogue goes."""
    max_turns: int
    sample_utterances: tuple[str, ...]
    """A few turns of an agent: what the text action space samples."""
    assistant_acts: Mapping[str, Any]
    """Slots of each act (see `dialog_gym.acts.Ontology`)."""
    user_acts: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]]
    """Closed slots' values."""
    user_reward: str
    """The named reward that a claimed user seat earns."""
    sample_user_utterances: tuple[str, ...]
    """A few turns of a user."""
    strategies: tuple[str, ...]
    """What an expert seat chooses from (see `Planned`); empty where there is none."""

    @property
    def act_level(self) -> ActLevel:
        """The act level of this domain with its options."""
        ...

    def space(self, *, split: str, scenario: str, level: int) -> Space:
        """The tasks of a split; raises `DialogGymError` for unknown names and levels outside 0-9."""
        ...

    def task_id(self, space: Any, index: int) -> str:
        """The id of a task; its last part, after a slash, is the index."""
        ...

    def task_by_id(self, task_id: str) -> Task:
        """The task of an id; raises `DialogGymError` when there is none."""
        ...

    def noise_keys(self, space: Any, index: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """uint64[N], the keys of the users' randomness in dialogues of some tasks with some seeds."""
        ...

    def starts(self, space: Any, index: np.ndarray, seeds: np.ndarray) -> Any:
        """`Starts` of task indices, int64[N], with seeds, uint64[N].

        Raises:
            DialogGymError: an index is outside the split.
        """
        ...

    def write(self, space: Any, starts: Any, row: int, index: int) -> Task:
        """The record of the task in a row of prepared starts, which is task ``index`` of ``space``."""
        ...

    def begin(self, task: Task, starts: Any, row: int, judge_strategies: bool = True) -> ActDialogue:
        """The dialogue of a row of prepared starts; at act level the task is a bare id with its level.

        Args:
            task: The task of that row.
            starts: What `starts` gave.
            row: Which of them.
            judge_strategies: Whether to keep what only stored dialogues are judged by.
        """
        ...

    def word_assistant(self, acts: Sequence[DialogueAct], key: int = 0) -> str:
        """Template wording of assistant acts."""
        ...

    def read_assistant(self, text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
        """The grounder: acts and claims in free agent text."""
        ...
