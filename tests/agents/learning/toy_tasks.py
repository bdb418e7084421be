"""Reasoning tasks of the toy shop: two questions on a wish, put where no call ever has one."""

from typing import Any

import torch
from torch import Tensor

from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.learning.scaffold import by_kind
from tests.agents.learning.toy import ASK, BLANK, THINGS, TURNS, WANT, WORD

SIZE, EVERY = 30, 5
"""Customers, and one in how many is kept out of training."""


class ToyTasks:
    """A call begins with a wish: MAC names it with the move, PNR the wish after it with the thing."""

    size = SIZE

    def __init__(self, policy: Any) -> None:
        self.policy = policy

    def answer(self, customers: Tensor, answers: int, generator: torch.Generator | None) -> Rollout:
        asked = customers.repeat_interleave(answers).repeat(2)
        numerical = torch.arange(len(asked)) >= len(asked) // 2
        words = self._words(asked)
        with torch.no_grad():
            logits = self.policy.scores(words)[0][:, 0]
        own = logits[torch.arange(len(asked)), numerical.long()]
        if generator is None:
            picked = own.argmax(-1)
        else:
            picked = torch.multinomial(own.softmax(-1), 1, generator=generator).squeeze(1)
        return self._rollout(customers, answers, picked, sampled=True)

    def solved(self, customers: Tensor) -> Rollout:
        return self._rollout(customers, 1, _right(customers), sampled=False)

    def _words(self, asked: Tensor) -> Tensor:
        words = torch.full((len(asked), 3 * TURNS), BLANK)
        words[:, 0], words[:, 1] = WANT + asked % THINGS, WORD + ASK
        return words

    def _rollout(self, customers: Tensor, answers: int, picked: Tensor, *, sampled: bool) -> Rollout:
        who = torch.arange(len(customers)).repeat_interleave(answers).repeat(2)
        count = len(who)
        numerical = torch.arange(count) >= count // 2
        action, mask = torch.zeros(count, TURNS, 2).long(), torch.zeros(count, TURNS, 2).bool()
        row = torch.arange(count), torch.zeros(count).long(), numerical.long()
        action[row], mask[row] = picked, True
        right = _right(customers)[who + numerical * len(customers)] == picked
        rest = torch.zeros(count, TURNS - 1)
        rewards = {n: torch.cat([v, rest], 1) for n, v in by_kind(right.float(), numerical).items()}
        found = Rollout(
            logprob=torch.zeros(mask.shape), mask=mask, rewards=rewards, cost=torch.zeros(count, TURNS),
            group=torch.arange(2 * len(customers)).repeat_interleave(answers),
            outcome={"unseen": customers[who] % EVERY == 0, "customer": who},
            inputs={"words": self._words(customers[who]), "action": action},
        )  # fmt: skip
        if sampled:
            with torch.no_grad():
                found.logprob[:] = self.policy.evaluate(found).logprob
        return found


def _right(customers: Tensor) -> Tensor:
    """int64[2C], both answers."""
    wish = customers % THINGS
    return torch.cat([wish, (wish + 1) % THINGS])
