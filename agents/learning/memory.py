"""Reading a case bank: which past cases say something about a state, and how much each is worth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.agents.learning.casebank import (
    ARRAYS,
    Cases,
    balanced,
    join_cases,
    load_cases,
    nearest,
    no_cases,
    save_cases,
)
from dialog_gym.core import DialogGymError

_WIDTH = 64
FOLLOWED = 0.5
"""From this cosine of two actions on, one did what the other did; one-hot actions have 0 or 1."""


@dataclass(frozen=True)
class Reading:
    """How a memory is read and how large it may grow."""

    read: Literal["nearest", "learned"] = "nearest"
    """``nearest``: by cosine alone, worth their outcomes; ``learned``: ranked by P(success)."""
    neighbours: int = 8
    """k, cases that are read."""
    pool: int = 32
    """Nearest cases that the learned read ranks."""
    tau: float = 1.0
    """Weight of what cases say against the frozen policy's logits, where there are moves to weigh."""
    prior: float = 0.0
    """Cases worth the baseline that are added to each move's, so that few cases say little."""
    capacity: int = 4096
    encoder: str = ""
    """Folder of a model for sentence vectors; only for backbones that read words."""


class Scorer(nn.Module):
    """P(success) of following a case in a state: encoders of query and case, then an MLP."""

    def __init__(self, state: int, action: int, width: int = _WIDTH) -> None:
        """Takes the lengths of states and actions. Begins with one half for every pair."""
        super().__init__()
        self.query = nn.Linear(state, width)
        self.case = nn.Linear(state + action + 1, width)
        self.head = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def encode(self, states: Tensor, actions: Tensor, outcomes: Tensor) -> Tensor:
        """float32[N, width], cases."""
        seen = torch.cat([states, actions, outcomes.float().unsqueeze(-1)], -1)
        return torch.relu(self.case(seen))

    def forward(self, queries: Tensor, cases: Tensor) -> Tensor:
        """float32[R, k], logit of success, from float32[R, F] and encoded cases float32[R, k, width]."""
        asked = torch.relu(self.query(queries)).unsqueeze(1).expand_as(cases)
        found: Tensor = self.head(torch.cat([asked, cases, asked * cases], -1)).squeeze(-1)
        return found


class Recalled(NamedTuple):
    """What a memory says about R states, with k cases each."""

    cases: Tensor
    """int64[R, k], the foremost first."""
    values: Tensor
    """float32[R, k], what each is worth: its outcome, or P(success) of following it."""
    baseline: Tensor
    """float32[R], mean value of all cases that were looked at, and of one more that is worth one half."""


class Memory:
    """A bounded case bank and the way it is read. Policies that share it see what is written at once."""

    def __init__(self, reading: Reading, state: int, action: int, *, seed: int = 0) -> None:
        """An empty memory.

        Args:
            reading: How it is read.
            state: F, length of state vectors.
            action: A, length of action vectors.
            seed: Of the scorer's weights.
        """
        self.reading, self.cases = reading, no_cases(state, action)
        self.scorer: Scorer | None = None
        if reading.read == "learned":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.scorer = Scorer(state, action)

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.cases)

    def write(self, cases: Cases) -> None:
        """Add cases; where there are too many, the oldest of the more frequent outcome go (`balanced`)."""
        every = join_cases(self.cases, cases)
        self.cases = every.select(balanced(every.outcomes, self.reading.capacity))

    @torch.no_grad()
    def recall(self, queries: Tensor) -> Recalled:
        """The cases that say most about some states, float32[R, F] with rows of length 1."""
        reading, bank = self.reading, self.cases
        if self.scorer is None:
            found = nearest(queries, bank.states, reading.neighbours)
            values = bank.outcomes[found].float()
            return Recalled(found, values, _baseline(values))
        found = nearest(queries, bank.states, max(reading.pool, reading.neighbours))
        known = self.scorer.encode(bank.states, bank.actions, bank.outcomes)
        values = self.scorer(queries, known[found]).sigmoid()
        order = values.argsort(dim=1, descending=True, stable=True)[:, : reading.neighbours]
        return Recalled(found.gather(1, order), values.gather(1, order), _baseline(values))

    def preference(self, queries: Tensor) -> Tensor | None:
        """What is to be added to the logits of moves, for memories whose actions are one-hot.

        Ours: ``tau * (mean value of the recalled cases that took the move - baseline)``, the mean taken with
        ``prior`` more cases that are worth the baseline; so it is 0 for moves that none of them took. It is
        the analogue of cases shown in a prompt for a policy that reads no words.

        Args:
            queries: float32[R, F], rows of length 1.

        Returns:
            float32[R, A]; None where the memory has nothing to say: it is empty, or ``tau`` is 0.
        """
        if not len(self) or not self.reading.tau:
            return None
        found = self.recall(queries)
        actions, better = self.cases.actions[found.cases], found.values - found.baseline.unsqueeze(-1)
        count = actions.sum(1)
        total = (better.unsqueeze(-1) * actions).sum(1)
        return self.reading.tau * torch.where(count > 0, total / (count + self.reading.prior), 0.0)

    # -- on disk

    def state(self) -> dict[str, Tensor]:
        """All arrays but the cases'; none for a memory that learns nothing."""
        return {f"scorer.{n}": v for n, v in self.scorer.state_dict().items()} if self.scorer else {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        if self.scorer is not None:
            self.scorer.load_state_dict({name.removeprefix("scorer."): v for name, v in state.items()})

    def save(self, folder: Path) -> None:
        """Write all of it into an existing folder.

        Raises:
            OSError: it cannot be written.
        """
        save_cases(folder, self.cases, asdict(self.reading), self.state())

    @classmethod
    def load(cls, folder: Path) -> "Memory":
        """The memory that `save` wrote.

        Raises:
            DialogGymError: it is missing, damaged, or of another version.
        """
        cases, facts, arrays = load_cases(folder)
        try:
            found = cls(Reading(**facts), cases.states.shape[1], cases.actions.shape[1])
            found.load_state(arrays)
        except (TypeError, RuntimeError):
            raise DialogGymError(f"{folder / ARRAYS} is a memory of another version of dialog-gym") from None
        found.cases = cases
        return found


def _baseline(values: Tensor) -> Tensor:
    return (values.sum(1) + 0.5) / (values.shape[1] + 1)


def memory_of(folder: Path, card: AgentCard) -> Memory | None:
    """The memory of a trained agent's folder; None for agents that have none.

    Raises:
        DialogGymError: it is missing or damaged.
    """
    return Memory.load(folder) if card.algorithm == "memento" or (folder / ARRAYS).exists() else None
