"""MORE's reasoning tasks on the language-model backbone: chats of one turn, answered in JSON.

The system message is that of dialogues, so that what is learnt about reading a profile serves them, and the
question is what the customer's side says. An answer is right when it is the JSON object asked for, value by
value, and nothing else.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.learning.scaffold import FORMAT, KINDS, by_kind
from dialog_gym.agents.lm.attention import attention_in_blocks
from dialog_gym.agents.lm.network import LanguageModel
from dialog_gym.agents.lm.playing import speak_once
from dialog_gym.agents.lm.prompts import system_message
from dialog_gym.agents.lm.transcript import Shape, Transcript, decisions
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.reasoning_tasks import Question, is_unseen, questions
from dialog_gym.noise import mix

LONGEST: Final = 96
"""Most tokens of an answer; right ones have some sixty with the shipped tokenizer."""


class Posed(NamedTuple):
    """A question as a model reads it."""

    question: Question
    prompt: list[int]
    unseen: bool
    customer: int
    """Which of the customers who are asked."""


class LMTasks:
    """`dialog_gym.agents.learning.scaffold.Tasks` of a language model."""

    def __init__(self, policy: Any, split: str) -> None:
        """Takes the policy and the split of the customers.

        Raises:
            DialogGymError: the policy's domain has no such tasks.
        """
        self.policy, self.domain = policy, policy.domain
        if self.domain.name != "credit":
            raise DialogGymError(f"domain {self.domain.name} has no reasoning tasks: use domain credit")
        self._place = {"split": split, "scenario": self.domain.scenarios[0], "level": policy.config.level}
        self.size: int = self.domain.space(**self._place).size
        self.shape = Shape(1, LONGEST, policy.shape.context)

    def answer(self, customers: Tensor, answers: int, generator: torch.Generator | None) -> Rollout:
        """Sampled or likeliest answers; see `Tasks.answer`."""
        posed = [one for one in self.pose(customers) for _ in range(answers)]
        run = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
        temperature = 0.0 if generator is None else self.policy.config.temperature
        transcripts = [Transcript(list(one.prompt)) for one in posed]
        keys = [mix(run, number) for number in range(len(posed))]
        said = speak_once(self.policy, transcripts, keys, temperature, LONGEST)
        return self._rollout(posed, transcripts, said, answers)

    def solved(self, customers: Tensor) -> Rollout:
        """The right answers."""
        posed = self.pose(customers)
        said = [json.dumps(dict(one.question.answer)) for one in posed]
        transcripts = []
        for one, text in zip(posed, said, strict=True):
            transcripts.append(Transcript(list(one.prompt)))
            ids = self.policy.chat.turn(text)
            transcripts[-1].speak(ids, [0.0] * len(ids))
        return self._rollout(posed, transcripts, said, 1)

    def pose(self, customers: Tensor) -> list[Posed]:
        """Both questions to some customers, all of one kind first."""
        by_customer = [self._pose(number, index) for number, index in enumerate(customers.tolist())]
        return [pair[kind] for kind in range(len(KINDS)) for pair in by_customer]

    def _pose(self, number: int, index: int) -> list[Posed]:
        task, chosen = self.domain.task(index, **self._place), self.policy.config
        profile, products = task.profile.attributes, self.domain.products
        asked = questions(profile, self.domain.rulebook, products[index % len(products)])
        system = system_message(
            profile, task.guidelines, dialect=chosen.dialect, style=chosen.prompt, opened="user"
        )
        begin, unseen = self.policy.chat.begin, is_unseen(profile)
        return [Posed(one, begin(system, one.text), unseen, number) for one in asked]

    def _rollout(
        self, posed: Sequence[Posed], transcripts: Sequence[Transcript], said: Sequence[str], answers: int
    ) -> Rollout:
        inputs, logprob, mask = decisions(transcripts, self.shape)
        judged = [judge(text, one.question) for text, one in zip(said, posed, strict=True)]
        formed, right = torch.tensor(judged).float().unbind(1)
        numerical = torch.tensor([one.question.kind == "pnr" for one in posed])
        return Rollout(
            logprob=logprob,
            mask=mask,
            rewards={**by_kind(right, numerical), FORMAT: formed[:, None]},
            cost=torch.zeros(len(posed), 1),
            group=torch.from_numpy(np.arange(len(posed)) // answers),
            outcome={
                "unseen": torch.tensor([one.unseen for one in posed]),
                "customer": torch.tensor([one.customer for one in posed]),
            },
            inputs=inputs,
        )


def judge(text: str, question: Question) -> tuple[bool, bool]:
    """Whether an answer is a JSON object with exactly the keys asked for, and whether it is right."""
    try:
        found = json.loads(text)
    except ValueError:
        return False, False
    formed = isinstance(found, dict) and found.keys() == question.answer.keys()
    return formed, formed and found == dict(question.answer)


@torch.no_grad()
def score_gradients(
    module: LanguageModel, rollout: Rollout, temperature: float, precision: AbstractContextManager[Any]
) -> Tensor:
    """Gradient of each dialogue's log-likelihood in the output layer's weights, float32[D, V * H].

    Of a decision with state h and probabilities p it is ``(onehot - p) h' / temperature``. Where the output
    layer is the embedding as well, this is its part as the output layer.

    Args:
        module: The model.
        rollout: Its dialogues.
        temperature: At which the decisions were sampled, above 0.
        precision: In which the model runs.
    """
    found = []
    with torch.no_grad(), precision, attention_in_blocks(module.model):
        for row in range(len(rollout)):
            t, k = rollout.mask[row].nonzero(as_tuple=True)
            columns = (rollout.inputs["starts"][row][t] + k).to(module.device)
            length = int(rollout.inputs["lengths"][row])
            ids = rollout.inputs["ids"][row : row + 1, :length].to(module.device)
            logits, states = module(ids, torch.zeros_like(columns), columns - 1)
            slope = -torch.softmax(logits.float() / temperature, -1)
            slope[torch.arange(len(columns)), ids[0, columns]] += 1.0
            with torch.autocast(module.device.type, enabled=False):
                gradient = slope.T @ states[0, columns - 1].float()
            found.append(gradient.flatten().cpu() / temperature)
    return torch.stack(found)
