"""A toy shop that is learnt in seconds, and a small policy for each backbone.

The shop sells three things. A turn is a move (ask, offer, leave) and, with an offer, a thing. The customer
says what is wanted only when asked; an offer or leaving ends the call; the right offer converts, but
only after asking. A random agent converts one call in twenty.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from dialog_gym.agents.learning.algorithm import Algorithm
from dialog_gym.agents.learning.rollout import Episodes, Evaluation, Rollout
from dialog_gym.noise import mix_array

ASK, OFFER, LEAVE = range(3)
THINGS, TURNS = 3, 3
SHOP = {"conversion": 1.0, "progress": 0.2}
"""Weights of the toy's rewards."""
PLAIN: Mapping[str, Any] = {
    "weights": SHOP, "learning_rate": 1e-3, "epochs": 2, "minibatch": 512, "clip_low": 0.2, "clip_high": 0.2,
    "kl": 0.0, "entropy": 0.0, "discount": 1.0, "length": "token",
}  # fmt: skip
"""Options written out, so that tests do not depend on tuned defaults."""
LEARNS: Mapping[str, Any] = {"learning_rate": 5e-3, "minibatch": 48, "anneal": False, "entropy": 0.15}
"""Options with which the shop is learnt; with less entropy the language model sells one thing only."""
BLANK, HELLO, PARDON, WANT, WORD = 0, 1, 2, 3, 6
"""Tokens: nothing, two things customers say, the first of three wishes, the first of the agent's words."""
VOCABULARY = 16
PLAN = torch.tensor([True, False])
"""Which decisions of a turn are strategies, for algorithms that plan: the move, not the thing."""
Choose = Callable[[Tensor, int], tuple[Tensor, Tensor]]


class ToyPolicy:
    """What both toy policies share: playing the shop. Subclasses score decisions."""

    backbone = "toy"
    module: nn.Module

    def logits(self, words: Tensor, turn: int, thing: bool) -> Tensor:
        """float32[D, 3], logits of a turn's move, or of its thing, after the words int64[D, n]."""
        raise NotImplementedError

    def scores(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Logits float32[D, TURNS, 2, 3] of all decisions and values float32[D, TURNS]."""
        raise NotImplementedError

    def clone(self) -> Any:
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module).requires_grad_(False).eval()
        return twin

    def collect(self, episodes: Episodes, generator: torch.Generator) -> Rollout:
        def sample(logits: Tensor) -> Tensor:
            return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)

        def choose(words: Tensor, turn: int) -> tuple[Tensor, Tensor]:
            move = sample(self.logits(words, turn, False))
            return move, sample(self.logits(torch.cat([words, WORD + move[:, None]], 1), turn, True))

        with torch.no_grad():
            return self._play(episodes, choose)

    def demonstrations(self, count: int, seed: int) -> Rollout:
        """Ask, then offer what is wanted."""

        def choose(words: Tensor, turn: int) -> tuple[Tensor, Tensor]:
            wanted = (words[:, -1] - WANT).clamp(min=0)
            return torch.full((len(words),), ASK if turn == 0 else OFFER), wanted

        with torch.no_grad():
            return self._play(episodes(count, 1, seed), choose)

    def evaluate(self, rollout: Rollout, *, value: bool = False) -> Evaluation:
        logits, values = self.scores(rollout.inputs["words"])
        logp = logits.log_softmax(-1)
        chosen = logp.gather(-1, rollout.inputs["action"].unsqueeze(-1)).squeeze(-1)
        entropy = -(logp.exp() * logp).sum(-1)
        found = values * rollout.turns if value else None
        return Evaluation(chosen * rollout.mask, entropy * rollout.mask, found)

    def values(self, rollout: Rollout) -> Tensor:
        with torch.no_grad():
            return self.scores(rollout.inputs["words"])[1] * rollout.turns

    def reasoning(self, split: str) -> Any:
        """Tasks on what a wish is called."""
        from tests.agents.learning.toy_tasks import ToyTasks

        return ToyTasks(self)

    def score_gradients(self, rollout: Rollout) -> Tensor:
        """Gradient of each dialogue's log-likelihood in the last weights, float32[D, P]."""
        likely = self.evaluate(rollout).logprob.sum((1, 2))
        found = [torch.autograd.grad(one, self.last, retain_graph=True) for one in likely]
        return torch.stack([torch.cat([part.flatten() for part in one]) for one in found])

    @property
    def last(self) -> list[nn.Parameter]:
        """The weights of the last layers before the decisions."""
        raise NotImplementedError

    def _play(self, asked: Episodes, choose: Choose) -> Rollout:
        wanted = torch.from_numpy(asked.tasks) % THINGS
        count = len(wanted)
        running, told = torch.ones(count, dtype=torch.bool), torch.zeros(count, dtype=torch.bool)
        said = torch.full((count,), HELLO)
        words = torch.zeros(count, 0, dtype=torch.long)
        mask, action = torch.zeros(count, TURNS, 2).bool(), []
        conversion, progress = torch.zeros(2, count, TURNS)
        for turn in range(TURNS):
            words = torch.cat([words, torch.where(running, said, BLANK)[:, None]], 1)
            move, thing = choose(words, turn)
            offers = running & (move == OFFER)
            mask[:, turn] = torch.stack([running, offers], 1)
            conversion[:, turn] = (offers & told & (thing == wanted)).float()
            progress[:, turn] = (running & ~told & (move == ASK)).float()
            action.append(torch.stack([move, thing], 1) * mask[:, turn])
            spoken = torch.where(mask[:, turn], WORD + action[-1], BLANK)
            words = torch.cat([words, spoken], 1)
            told = told | (move == ASK)
            said = torch.where(move == ASK, WANT + wanted, PARDON)
            running = running & (move == ASK)
        rollout = Rollout(
            logprob=torch.zeros(mask.shape), mask=mask,
            rewards={"conversion": conversion, "progress": progress},
            cost=torch.zeros(count, TURNS), group=torch.from_numpy(asked.group),
            outcome={"converted": conversion.sum(1) > 0},
            inputs={"words": words, "action": torch.stack(action, 1), "strategic": mask & PLAN},
        )  # fmt: skip
        rollout.logprob[:] = self.evaluate(rollout).logprob
        return rollout


class _Shopper(nn.Module):
    """Two heads and a value over one-hot features; the thing sees the move."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.move = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 3))
        self.thing = nn.Sequential(nn.Linear(inputs + 3, 32), nn.Tanh(), nn.Linear(32, THINGS))
        self.value = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 1))
        nn.init.zeros_(self.value[-1].weight)
        nn.init.zeros_(self.value[-1].bias)


class NetShopper(ToyPolicy):
    """Sees the turn and the customer's last words, and decides in two factorised steps."""

    backbone = "net"

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = _Shopper(TURNS + WORD)

    @property
    def last(self) -> list[nn.Parameter]:
        return [self.module.move[-1].weight, self.module.thing[-1].weight]

    @staticmethod
    def _seen(said: Tensor, turn: Tensor) -> Tensor:
        return torch.cat([nn.functional.one_hot(turn, TURNS), nn.functional.one_hot(said, WORD)], -1).float()

    def logits(self, words: Tensor, turn: int, thing: bool) -> Tensor:
        seen = self._seen(words[:, 3 * turn], torch.full((len(words),), turn))
        if not thing:
            return self.module.move(seen)
        return self.module.thing(torch.cat([seen, nn.functional.one_hot(words[:, -1] - WORD, 3).float()], -1))

    def scores(self, words: Tensor) -> tuple[Tensor, Tensor]:
        seen = self._seen(words[:, ::3], torch.arange(TURNS).expand(len(words), TURNS))
        move = nn.functional.one_hot((words[:, 1::3] - WORD).clamp(min=0), 3).float()
        thing = self.module.thing(torch.cat([seen, move], -1))
        return torch.stack([self.module.move(seen), thing], 2), self.module.value(seen).squeeze(-1)


class _Reader(nn.Module):
    """A causal language model with a value head."""

    def __init__(self) -> None:
        super().__init__()
        config = LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=16, tie_word_embeddings=False,
            pad_token_id=None, bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        self.model = LlamaForCausalLM(config)
        self.value = nn.Linear(32, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)


class LMShopper(ToyPolicy):
    """Reads the call as a text, ``customer move thing customer move thing ...``, and writes the next word."""

    backbone = "lm"

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = _Reader()

    @property
    def last(self) -> list[nn.Parameter]:
        return [self.module.model.lm_head.weight]

    def _read(self, words: Tensor) -> tuple[Tensor, Tensor]:
        found = self.module.model.model(input_ids=words, use_cache=False).last_hidden_state
        return self.module.model.lm_head(found)[..., WORD : WORD + 3], found

    def logits(self, words: Tensor, turn: int, thing: bool) -> Tensor:
        return self._read(words)[0][:, -1]

    def scores(self, words: Tensor) -> tuple[Tensor, Tensor]:
        logits, hidden = self._read(words)
        return torch.stack([logits[:, ::3], logits[:, 1::3]], 2), self.module.value(hidden[:, ::3]).squeeze(
            -1
        )


# -- playing and learning


def episodes(groups: int, size: int, seed: int) -> Episodes:
    """Groups of calls with random customers."""
    seeds = mix_array(np.full(groups, seed, np.uint64), np.arange(groups)) >> np.uint64(1)
    group = np.repeat(np.arange(groups), size)
    return Episodes("toy", (seeds % np.uint64(1000)).astype(np.int64)[group], seeds[group], group)


def calls(policy: ToyPolicy, groups: int = 16, size: int = 4, seed: int = 0) -> Rollout:
    """Dialogues that the policy plays itself."""
    return policy.collect(episodes(groups, size, seed), torch.Generator().manual_seed(seed))


def success(policy: ToyPolicy) -> float:
    """Share of calls converted, sampling."""
    return calls(policy, groups=300, size=1, seed=99).outcome["converted"].float().mean().item()


def learn(algorithm: Algorithm, iterations: int, groups: int, size: int) -> None:
    """Play and learn, anew from every iteration's own generator."""
    for k in range(iterations):
        rollout = calls(algorithm.policy, groups, size, seed=k)
        algorithm.update(rollout, torch.Generator().manual_seed(k), k / iterations)


def weights_of(policy: Any) -> dict[str, Tensor]:
    """A copy of all parameters."""
    return {name: value.detach().clone() for name, value in policy.module.named_parameters()}


def moved(before: Mapping[str, Tensor], policy: Any) -> set[str]:
    """Names of the parameters that are no longer what they were."""
    return {name for name, value in policy.module.named_parameters() if not value.equal(before[name])}


def gradient_of(algorithm: Algorithm, batch: Any, microbatch: int = 0) -> dict[str, Tensor]:
    """The loss's gradient by parameter, summed over parts as a gradient step does."""
    algorithm.policy.module.zero_grad()
    for index in torch.arange(len(batch)).split(microbatch or len(batch)):
        algorithm.loss(batch.select(index), batch)[0].backward()
    named = algorithm.policy.module.named_parameters()
    return {name: value.grad.clone() for name, value in named if value.grad is not None}


def likes_asking(policy: ToyPolicy) -> float:
    """Log-probability of asking first."""
    with torch.no_grad():
        return float(policy.logits(torch.tensor([[HELLO]]), 0, False).log_softmax(-1)[0, ASK])


def paid_for_asking(rollout: Rollout, sign: float) -> Rollout:
    """The same calls, but whoever asks first earns ``sign`` in the last turn, and nothing else pays."""
    asked = (rollout.inputs["action"][:, 0, 0] == ASK).float() * sign
    last = rollout.turns.sum(1, keepdim=True) - 1
    paid = torch.zeros_like(rollout.cost).scatter_(1, last, asked[:, None])
    return replace(rollout, rewards={"conversion": paid, "progress": torch.zeros_like(paid)})


def one_update(algorithm: Algorithm, rollout: Rollout, seed: int = 0) -> dict[str, float]:
    """An update with a generator of its own."""
    return algorithm.update(rollout, torch.Generator().manual_seed(seed))
