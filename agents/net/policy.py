"""The net backbone: plays and evaluates dialogues at act level, thousands at a time."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from dialog_gym.agents.learning.algorithm import option
from dialog_gym.agents.learning.backbones import NET
from dialog_gym.agents.learning.casebank import Cases
from dialog_gym.agents.learning.memory import Memory, Reading
from dialog_gym.agents.learning.rollout import Episodes, Evaluation, Rollout
from dialog_gym.agents.learning.scaffold import HEADS
from dialog_gym.agents.net import reasoning, recall
from dialog_gym.agents.net.arrays import ArrayDialogues
from dialog_gym.agents.net.demonstrations import NetLogged, demonstrate_actions
from dialog_gym.agents.net.network import Network
from dialog_gym.agents.net.strategy import PlannedDialogues, StrategyNetwork, strategic
from dialog_gym.core import DialogGymError
from dialog_gym.envs.lanes import ActLevel

WEIGHTS = "net.safetensors"


@dataclass(frozen=True)
class NetConfig:
    """Shape of the network and where it plays."""

    hidden: int = option(128, "Width of the network.")
    masked: bool = option(True, "Only moves that the shop's rules allow are open.")
    strategies: bool = option(False, "A turn begins with a strategy that its first move carries out.")
    reasoning: bool = option(False, "Heads that answer MORE's reasoning tasks.")
    language_rewards: bool = option(False, "Add those language rewards that can be judged on acts.")
    split: str = "train"
    level: int = 3


class NetPolicy:
    """A `Policy` over the array dynamics of a domain."""

    backbone = "net"

    def __init__(self, domain: Any, config: NetConfig | None = None, *, seed: int = 0) -> None:
        """Sets up a network with random weights.

        Args:
            domain: Where it plays.
            config: Shape and place.
            seed: Of the weights.

        Raises:
            DialogGymError: the domain has no strategies or reasoning tasks, and they are wanted.
        """
        self.domain, self.config = domain, config or NetConfig()
        NET.check_domain(domain, asdict(self.config))
        act_level: ActLevel = domain.act_level
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            chosen = self.config
            shape = act_level.size, act_level.nvec, act_level.uses, chosen.hidden
            if chosen.strategies:
                plans = {"carried": domain.act_level.carried, "names": domain.strategies}
                self.module: Network = StrategyNetwork(*shape, masked=chosen.masked, **plans)
            else:
                self.module = Network(*shape, masked=chosen.masked)
            if chosen.reasoning:
                self.module.reasoning = reasoning.fresh(domain, chosen.hidden)
        self.memory: Memory | None = None
        self._dialogues: dict[str, ArrayDialogues] = {}

    def dialogues(self, scenario: str) -> ArrayDialogues:
        """The array dialogues of a scenario."""
        if scenario not in self._dialogues:
            chosen = self.config
            kind = PlannedDialogues if chosen.strategies else ArrayDialogues
            self._dialogues[scenario] = kind(
                self.domain, scenario=scenario, split=chosen.split, level=chosen.level,
                language=chosen.language_rewards,
            )  # fmt: skip
        return self._dialogues[scenario]

    def clone(self) -> "NetPolicy":
        """A frozen copy that shares the task tables."""
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module).requires_grad_(False).eval()
        return twin

    def on_split(self, split: str) -> "NetPolicy":
        """The same network, playing the tasks of another split."""
        twin = copy.copy(self)
        twin.config, twin._dialogues = replace(self.config, split=split), {}
        return twin

    def save(self, folder: Path) -> None:
        """Write the weights into a folder.

        Raises:
            OSError: they cannot be written.
        """
        weights = {name: values.contiguous() for name, values in self.module.state_dict().items()}
        (folder / WEIGHTS).write_bytes(safetensors.torch.save(weights))
        if self.memory is not None:
            self.memory.save(folder)

    @classmethod
    def load(cls, folder: Path, domain: Any, config: NetConfig | None = None) -> "NetPolicy":
        """A policy with the weights that `save` wrote; ``config`` must have the same shape.

        Raises:
            DialogGymError: there are none, they are broken, or they are those of another network.
        """
        policy, path = cls(domain, config), folder / WEIGHTS
        try:
            own = policy.module.state_dict()  # reasoning may begin with agents that never reasoned
            fresh = {name: values for name, values in own.items() if name.startswith(HEADS)}
            policy.module.load_state_dict({**fresh, **safetensors.torch.load(path.read_bytes())})
        except OSError as error:
            raise DialogGymError(f"{path}: {error.strerror}") from None
        except safetensors.SafetensorError as error:
            raise DialogGymError(f"{path} cannot be read: {error}") from None
        except RuntimeError:
            raise DialogGymError(f"{path} holds the weights of another network") from None
        return policy

    # -- playing

    def collect(self, episodes: Episodes, generator: torch.Generator | None) -> Rollout:
        """Play dialogues to their end, sampling every decision; without a generator, the likeliest ones."""
        return self._play(episodes, lambda view, turn: self._act(view, generator))

    def _act(self, view: Any, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        shape = (len(view.rows), self.module.decisions)
        uniforms = None if generator is None else torch.rand(shape, generator=generator)
        with torch.inference_mode():
            seen = torch.from_numpy(view.observation), torch.from_numpy(view.allowed)
            liked = recall.preference(self.module, self.memory, seen[0])
            chosen = self.module.decide(*seen, None, uniforms, liked)
        return chosen.action, chosen.logprob, chosen.made

    def replay(self, episodes: Episodes, actions: np.ndarray) -> Rollout:
        """Dialogues in which given actions, int64[D, T, K], are taken; only allowed moves are decisions."""
        dialogues = self.dialogues(episodes.scenario)

        def act(view: Any, turn: int) -> tuple[Tensor, Tensor, Tensor]:
            action = self._given(dialogues, actions[view.rows, turn])
            seen = torch.from_numpy(view.observation), torch.from_numpy(view.allowed)
            with torch.inference_mode():
                chosen = self.module.decide(*seen, action, None)
            # a move against the shop's rules is no example to learn from, nor what follows from it
            logprob, made = chosen.logprob, chosen.made & (chosen.logprob > -1e6).all(1, keepdim=True)
            return action, logprob * made, made

        return self._play(episodes, act)

    def reply(
        self, episodes: Episodes, actions: np.ndarray, turns: Tensor, generator: torch.Generator
    ) -> Rollout:
        """Dialogues with given actions, int64[D, T, K], up to a turn of each, int64[D], that is sampled."""
        dialogues = self.dialogues(episodes.scenario)

        def act(view: Any, turn: int) -> tuple[Tensor, Tensor, Tensor]:
            action, logprob, made = self._act(view, generator)
            now = turns[torch.from_numpy(view.rows)] == turn
            given = self._given(dialogues, actions[view.rows, turn])
            return torch.where(now[:, None], action, given), logprob, made

        return self._play(episodes, act, turns.numpy())

    @staticmethod
    def _given(dialogues: ArrayDialogues, taken: np.ndarray) -> Tensor:
        """int64[n, K], actions that were taken, with the strategies they carry out where there are any."""
        named = dialogues.name(taken) if isinstance(dialogues, PlannedDialogues) else taken
        return torch.from_numpy(np.ascontiguousarray(named))

    def _play(self, episodes: Episodes, act: Any, last: np.ndarray | None = None) -> Rollout:
        """Dialogues to their ends, or to a last turn, int64[D]."""
        dialogues, count = self.dialogues(episodes.scenario), len(episodes.tasks)
        dialogues.begin(episodes.tasks, episodes.seeds)
        extra = dialogues.act_level.language_rewards if self.config.language_rewards else ()
        record = _Record(count, self.domain, self.module, extra)
        turn = 0
        while len(dialogues.rows):
            view = dialogues.view()
            action, logprob, made = act(view, turn)
            turns = dialogues.step(action.numpy())
            record.write(turn, view, (action, logprob, made), turns)
            if last is not None and (last[dialogues.rows] == turn).any():
                dialogues.leave(last[dialogues.rows] == turn)
            turn += 1
        found = record.rollout(dialogues.outcome, episodes.group)
        return strategic(found) if self.config.strategies else found

    def demonstrations(self, count: int, seed: int, scenario: str = "proactive_sale") -> Rollout:
        """Calls of the mixed population, fitted into actions."""
        place = {"split": self.config.split, "level": self.config.level, "scenario": scenario}
        found = demonstrate_actions(count, self.domain, seed=seed, **place)
        group = np.arange(count)
        return self.replay(Episodes(scenario, found.tasks, found.seeds, group), found.actions)

    def logged(self, count: int, seed: int, scenario: str = "proactive_sale") -> NetLogged:
        """Calls of the mixed population, any turn of which can be answered anew."""
        return NetLogged(self, count, seed, scenario)

    # -- remembering

    def remember(self, reading: Reading, seed: int = 0) -> Memory:
        """Play with an empty memory from now on, and give it away."""
        self.memory = recall.new_memory(self.module, reading, seed)
        return self.memory

    def cases(self, rollout: Rollout, success: Tensor) -> Cases:
        """One case per turn of some dialogues, bool[D] of which ended well."""
        return recall.cases_of(self.module, rollout, success)

    # -- learning

    def evaluate(self, rollout: Rollout, *, value: bool = False) -> Evaluation:
        """Log-probabilities, entropies and values of a rollout's decisions now."""
        if reasoning.ANSWERED in rollout.inputs:
            return reasoning.evaluate_answers(self.module, rollout)
        inputs, taken = rollout.inputs, rollout.inputs["taken"]
        rows = taken.nonzero(as_tuple=True)
        observation = inputs["observation"][rows]
        chosen = self.module.decide(observation, inputs["allowed"][rows], inputs["action"][rows], None)
        shape = rollout.mask.shape
        logprob, entropy = (
            torch.zeros(shape).index_put(rows, part * rollout.mask[rows])
            for part in (chosen.logprob, chosen.entropy)
        )
        values = torch.zeros(shape[:2]).index_put(rows, self.module.value(observation)) if value else None
        return Evaluation(logprob, entropy, values)

    def values(self, rollout: Rollout) -> Tensor:
        """Expected returns only: they need no decision."""
        rows = rollout.inputs["taken"].nonzero(as_tuple=True)
        with torch.inference_mode():
            found = self.module.value(rollout.inputs["observation"][rows])
        return torch.zeros(rollout.mask.shape[:2]).index_put(rows, found)

    def reasoning(self, split: str) -> reasoning.NetTasks:
        """MORE's reasoning tasks on a split's customers."""
        return reasoning.NetTasks(self, split)

    def score_gradients(self, rollout: Rollout) -> Tensor:
        """Gradient of each dialogue's log-likelihood in the trunk's last weights, float32[D, P]."""
        return reasoning.score_gradients(self, rollout)


class _Record:
    """The arrays of a rollout while it is being played."""

    def __init__(self, count: int, domain: Any, network: Network, extra: Sequence[str]) -> None:
        turns, decisions = domain.max_turns, network.decisions
        self.names = (*domain.act_level.reward_weights, *extra)
        self.logprob = torch.zeros(count, turns, decisions)
        self.mask = torch.zeros(count, turns, decisions, dtype=torch.bool)
        self.rewards = np.zeros((len(self.names), count, turns), np.float32)
        self.cost = np.zeros((count, turns), np.float32)
        self.inputs = {
            "observation": torch.zeros(count, turns, network.inputs),
            "allowed": torch.zeros(count, turns, network.choices, dtype=torch.bool),
            "action": torch.zeros(count, turns, decisions, dtype=torch.long),
            "taken": torch.zeros(count, turns, dtype=torch.bool),
        }

    def write(self, turn: int, view: Any, decisions: Sequence[Tensor], turns: Any) -> None:
        """One turn of the running dialogues."""
        rows = torch.from_numpy(view.rows)
        action, self.logprob[rows, turn], self.mask[rows, turn] = decisions
        self.inputs["observation"][rows, turn] = torch.from_numpy(view.observation)
        self.inputs["allowed"][rows, turn] = torch.from_numpy(view.allowed)
        self.inputs["action"][rows, turn] = action
        self.inputs["taken"][rows, turn] = True
        for i, name in enumerate(self.names):
            self.rewards[i, view.rows, turn] = turns.rewards[name]
        self.cost[view.rows, turn] = turns.cost

    def rollout(self, outcome: dict[str, np.ndarray], group: np.ndarray) -> Rollout:
        """All of it."""
        facts = {name: torch.from_numpy(values) for name, values in outcome.items()}
        rewards = {name: torch.from_numpy(self.rewards[i]) for i, name in enumerate(self.names)}
        return Rollout(
            logprob=self.logprob, mask=self.mask, rewards=rewards, cost=torch.from_numpy(self.cost),
            group=torch.from_numpy(group), outcome=facts,
            inputs=self.inputs,
        )  # fmt: skip
