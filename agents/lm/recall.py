"""How a language model reads and writes cases: whole calls, shown in its prompt as examples.

A case is what the model knew when its first turn came, the plan it then went through (the acts of its turns,
as the shop understood them), and whether the call ended well. Cases are read once per call, so the prompt
stays as it is and the key-value cache with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from dialog_gym.agents.learning.casebank import Cases, unit_rows
from dialog_gym.agents.learning.memory import Memory, Reading
from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.lm.prompts import case_blocks
from dialog_gym.core import DialogGymError, Turn
from dialog_gym.envs.episode import Episode

Encode: TypeAlias = Callable[[str], Tensor]
"""Text to float32[F]."""
SHARE: Final = 8
"""One in this many tokens of a call may be cases."""
_KEPT: Final = 4096


def sentence_encoder(folder: str) -> Encode:
    """Sentence vectors of a model in Hugging Face format: the mean of its last states.

    Args:
        folder: Of the model and its tokenizer; nothing is downloaded.

    Raises:
        DialogGymError: there is no such model.
    """
    from transformers import AutoModel, AutoTokenizer

    if not Path(folder).is_dir():
        raise DialogGymError(f"--encoder: {folder} is no folder of a model; leave it out for the model's own")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise DialogGymError(f"--encoder: {folder} holds no model with a tokenizer: {line}") from None

    @torch.no_grad()
    def encode(text: str) -> Tensor:
        found: Tensor = model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state
        return found[0].mean(0).float()

    return encode


def own_encoder(tokenizer: Any, module: Any) -> Encode:
    """Vectors of a language model: the mean of its own last states over a text."""

    @torch.no_grad()
    def encode(text: str) -> Tensor:
        ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        found: Tensor = module.states(torch.tensor([ids], device=module.device))
        return found[0].mean(0).float().cpu()

    return encode


class CaseReader:
    """A memory of calls and the vectors it is searched by."""

    def __init__(
        self, memory: Memory, encode: Encode, tokenizer: Any, *, acts: Sequence[str], context: int
    ) -> None:
        """Takes a memory.

        Args:
            memory: Of this encoder's vectors.
            encode: Vectors of what the model knows when its first turn comes.
            tokenizer: The model's, which counts tokens.
            acts: Names of the assistant's acts.
            context: Most tokens of a call.

        Raises:
            DialogGymError: the memory's vectors are of another encoder or shop.
        """
        self.memory, self.tokenizer, self.acts, self.room = memory, tokenizer, tuple(acts), context // SHARE
        self.encode = lru_cache(maxsize=_KEPT)(lambda text: unit_rows(encode(text)))
        size, known = len(self.encode("hello")), (memory.cases.states.shape[1], memory.cases.actions.shape[1])
        if known != (size, len(self.acts)):
            raise DialogGymError(
                f"the memory has vectors of length {known[0]} and {known[1]}, but this model and shop have "
                f"{size} and {len(self.acts)}: is it of another encoder?"
            )

    def shown(self, system: str, opening: Sequence[Turn]) -> str:
        """A system message with the cases that the memory has for a call, those to follow first.

        Args:
            system: Without cases.
            opening: What the customer has said before the assistant's first turn.
        """
        if not len(self.memory):
            return system
        found = self.memory.recall(self._vector(system, opening)[None]).cases[0]
        cases = self.memory.cases.select(found)
        kept = list(range(len(cases)))
        while kept:
            blocks = self._blocks(cases.select(torch.tensor(kept)))
            if len(self.tokenizer.encode(blocks, add_special_tokens=False)) <= self.room:
                return f"{system} {blocks}"
            kept.pop()
        return system

    @staticmethod
    def _blocks(cases: Cases) -> str:
        pairs = list(zip(cases.texts, cases.outcomes.tolist(), strict=True))
        return case_blocks([text for text, good in pairs if good], [text for text, good in pairs if not good])

    def _vector(self, system: str, opening: Sequence[Turn]) -> Tensor:
        return self.encode(" ".join([system, *(turn.text for turn in opening)]))

    # -- writing

    def annotated(self, rollout: Rollout, episodes: Sequence[Episode], systems: Sequence[str]) -> Rollout:
        """A rollout that also tells what cases are made of.

        Args:
            rollout: Of these episodes, but for those that are void.
            episodes: Finished.
            systems: Their system messages without cases.
        """
        valid = [(e, s) for e, s in zip(episodes, systems, strict=True) if e.ended_by != "error"]
        states = torch.stack([self._vector(system, opening_of(episode.record)) for episode, system in valid])
        plans = torch.full((len(valid), rollout.mask.shape[1]), -1)
        for row, (episode, _) in enumerate(valid):
            said = [turn for turn in episode.record if turn.role == "assistant"]
            for place, turn in enumerate(said[: plans.shape[1]]):
                if turn.acts and turn.acts[0].intent in self.acts:
                    plans[row, place] = self.acts.index(turn.acts[0].intent)
        return replace(rollout, inputs={**rollout.inputs, "state": states, "plan": plans})

    def cases(self, rollout: Rollout, success: Tensor) -> Cases:
        """One case per call, bool[D] of which ended well; calls in which nothing was understood have none."""
        plans = rollout.inputs["plan"]
        rows = (plans >= 0).any(1).nonzero().squeeze(1)
        counts = torch.zeros(len(plans), len(self.acts) + 1)
        counts.scatter_add_(1, plans + 1, torch.ones(plans.shape))
        texts = tuple(self._told(plans[row]) for row in rows.tolist())
        return Cases(rollout.inputs["state"][rows], unit_rows(counts[rows, 1:]), success[rows], texts)

    def _told(self, plan: Tensor) -> str:
        names = [self.acts[act] for act in plan.tolist() if act >= 0]
        return ", ".join(name.replace("_", " ") for name in names)


def new_reader(policy: Any, reading: Reading, seed: int) -> CaseReader:
    """A reader with an empty memory for a policy of this backbone.

    Raises:
        DialogGymError: the encoder cannot be loaded.
    """
    encode, acts = _encoder(policy, reading), tuple(policy.domain.assistant_acts)
    memory = Memory(reading, len(encode("hello")), len(acts), seed=seed)
    return CaseReader(memory, encode, policy.tokenizer, acts=acts, context=policy.shape.context)


def reader_of(policy: Any, memory: Memory) -> CaseReader:
    """A reader of a trained agent's memory.

    Raises:
        DialogGymError: the encoder cannot be loaded, or is not the memory's.
    """
    encode, acts = _encoder(policy, memory.reading), tuple(policy.domain.assistant_acts)
    return CaseReader(memory, encode, policy.tokenizer, acts=acts, context=policy.shape.context)


def _encoder(policy: Any, reading: Reading) -> Encode:
    if reading.encoder:
        return sentence_encoder(reading.encoder)
    return own_encoder(policy.tokenizer, policy.module)


def opening_of(dialogue: Sequence[Turn]) -> Sequence[Turn]:
    """The turns before the assistant's first one."""
    first = next((i for i, turn in enumerate(dialogue) if turn.role == "assistant"), len(dialogue))
    return dialogue[:first]
