"""Single replies to logged calls: what the papers learn from that have no user to talk to (MORE's)."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from dialog_gym.agents.learning.rollout import Policy, Rollout
from dialog_gym.agents.learning.sampler import EpisodeSampler, demonstrated
from dialog_gym.agents.learning.trainer import Parts, Played
from dialog_gym.noise import mix, text_key

_LOGGED = text_key("logged calls")


class Logged(Protocol):
    """N calls that were made once, and may be cut before any of the agent's turns."""

    turns: Tensor
    """int64[N], the agent's turns in each."""

    def replies(self, calls: Tensor, turns: Tensor, group: np.ndarray, generator: torch.Generator) -> Rollout:
        """Sampled replies, each a dialogue of one turn with the rewards of that turn.

        Args:
            calls: int64[D], in which calls.
            turns: int64[D], at which of the agent's turns.
            group: int64[D].
            generator: Samples them.
        """
        ...


class SingleTurns(Played):
    """Replies to turns of logged calls, drawn anew for each iteration, until a budget of replies is used."""

    def __init__(self, policy: Policy, sampler: EpisodeSampler, steps: int, *, calls: int, seed: int) -> None:
        """As its parent.

        Args:
            policy: What replies.
            sampler: How many groups of replies there are of each scenario; its seeds choose the contexts.
            steps: Budget of replies.
            calls: Logged calls (see `sampler.demonstrated`). None is made yet.
            seed: Of the calls.
        """
        super().__init__(policy, sampler, steps)
        self.calls, self.key = demonstrated(calls, list(sampler.sizes)), mix(_LOGGED, seed)

    @cached_property
    def logged(self) -> Mapping[str, Logged]:
        """The calls by scenario, at least one of each."""
        policy: Any = self.policy
        return {name: policy.logged(max(n, 1), self.key, name) for name, n in self.calls.items()}

    def rollouts(self, iteration: int, generator: torch.Generator) -> Parts:
        """Fresh replies; a call's further course is not played, so nothing is known of its outcome."""
        found = {}
        for one in self.sampler.episodes(iteration):
            logged = self.logged[one.scenario]
            chosen = torch.from_numpy((one.seeds % np.uint64(int(logged.turns.sum()))).astype(np.int64))
            ends = logged.turns.cumsum(0)
            calls = torch.searchsorted(ends, chosen, right=True)
            turns = chosen - (ends - logged.turns)[calls]
            replies = logged.replies(calls, turns, one.group, generator)
            reached = torch.ones(len(replies), dtype=torch.bool)
            found[one.scenario] = replace(replies, outcome={"reached": reached})
        return found
