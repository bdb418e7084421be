"""Demonstrated calls as a language model reads them: whole ones, and contexts for single replies."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dialog_gym.agents.learning.demonstrators import demonstrated_episodes
from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.lm.playing import speak_once
from dialog_gym.agents.lm.transcript import Transcript, as_rollout, decisions, written
from dialog_gym.core import DialogGymError
from dialog_gym.envs.episode import Episode, Said
from dialog_gym.language import language_rewards
from dialog_gym.language_metrics import contexts
from dialog_gym.noise import mix, text_key
from dialog_gym.rollout import play

_PEOPLE = text_key("dialogues of people")


def demonstrations(policy: Any, count: int, seed: int, scenario: str) -> Rollout:
    """Whole calls. Nothing was sampled, so their log-probabilities are 0.

    A call that outgrows the context is cut off before the first turn that does not fit.

    Raises:
        DialogGymError: a prompt does not fit, or there are fewer dialogues of people than are asked for.
    """
    if policy.config.corpus:
        return _of_people(policy, count, seed)
    played = []
    for episode, _, agent in _calls(policy, count, seed, scenario):
        play(episode, agent)
        played.append((_whole(policy, episode), episode))
    return as_rollout(played, np.arange(count), policy.shape, policy.judge())


def _calls(policy: Any, count: int, seed: int, scenario: str) -> Any:
    place: dict[str, Any] = {"split": policy.config.split, "level": policy.config.level}
    return demonstrated_episodes(count, seed=seed, scenario=scenario, domain=policy.domain, **place)


def _of_people(policy: Any, count: int, seed: int) -> Rollout:
    """Dialogues of the corpus. Nobody judged them: their rewards are NaN."""
    there = policy.domain.human_dialogues()
    if count > len(there):
        raise DialogGymError(
            f"the corpus has {len(there)} dialogues to learn from: --demonstrations {len(there)}"
        )
    transcripts = []
    for place in np.random.default_rng(mix(_PEOPLE, seed)).permutation(len(there))[:count]:
        one = there[place]
        system, turns = policy.system(one.observation), one.observation.dialogue
        desk = one.desk if policy.notes else None
        found = written(policy.chat, system, turns, policy.config.dialect, desk)
        transcripts.append(_fitting(policy, found))
    inputs, logprob, mask = decisions(transcripts, policy.shape)
    none = torch.zeros(mask.shape[:2]).masked_fill(mask.any(-1), torch.nan)
    return Rollout(
        logprob=logprob,
        mask=mask,
        rewards=dict.fromkeys(policy.domain.act_level.reward_weights, none),
        cost=torch.zeros(mask.shape[:2]),
        group=torch.arange(count),
        outcome={"reached": torch.ones(count, dtype=torch.bool)},
        inputs=inputs,
    )


def _whole(policy: Any, episode: Episode) -> Transcript:
    return _fitting(policy, policy.transcript(episode.observation))


def _fitting(policy: Any, found: Transcript) -> Transcript:
    """A dialogue without the last turns that do not fit."""
    while found.spoken and not (
        len(found.ids) <= policy.shape.context and len(found.spoken) <= policy.shape.turns
    ):
        del found.ids[found.spoken.pop().start :]
    if not found.spoken:
        raise DialogGymError(
            f"a prompt has {len(found.ids)} tokens, but a dialogue may have {policy.shape.context}: "
            "use the compact prompt, or a longer context"
        )
    return found


class LMLogged:
    """`dialog_gym.agents.learning.single_turns.Logged` of a language model."""

    def __init__(self, policy: Any, count: int, seed: int, scenario: str) -> None:
        """Has the calls made."""
        self.policy, self.env = policy, policy.env(scenario)
        self._calls: list[tuple[int, int]] = []
        self._said: dict[tuple[str, int], list[Said]] = {}
        for episode, task, agent in _calls(policy, count, seed, scenario):
            play(episode, agent)
            said = [Said(turn.text, turn.acts, None) for turn in episode.turns if turn.role == "assistant"]
            self._calls.append((task, episode.seed))
            self._said[episode.task.id, episode.seed] = said
        self.turns = torch.tensor([len(said) for said in self._said.values()])

    def replies(self, calls: Tensor, turns: Tensor, group: np.ndarray, generator: torch.Generator) -> Rollout:
        """Sampled replies, judged by the seven language measures with the logged reply as ROUGE's reference.

        A call is begun again and goes as it went, up to the turn that is answered anew.
        """
        tasks, seeds = zip(*(self._calls[i] for i in calls.tolist()), strict=True)
        games = self.env.begin_many(tasks, seeds)
        for game, turn in zip(games, turns.tolist(), strict=True):
            for said in self._logged(game)[:turn]:
                game.assistant(said)
        transcripts = [self.policy.transcript(game.observation) for game in games]
        before = [len(transcript.spoken) for transcript in transcripts]
        run = int(torch.randint(2**62, (), generator=generator))
        keys = [mix(run, number) for number in range(len(games))]
        spoken = speak_once(self.policy, transcripts, keys, self.policy.config.temperature)
        for game, text in zip(games, spoken, strict=True):
            if game.ended_by is None:  # a simulator that fails ends a dialogue early
                game.assistant(game.understand(text))
        for transcript, logged in zip(transcripts, before, strict=True):
            del transcript.spoken[:logged]
        played = list(zip(transcripts, games, strict=True))
        return as_rollout(played, group, self.policy.shape._replace(turns=1), self._judge)

    def _logged(self, game: Episode) -> list[Said]:
        return self._said[game.task.id, game.seed]

    def _judge(self, game: Episode) -> list[Mapping[str, float]]:
        *_, reply = contexts(game.trajectory("", 0, {}))
        logged = self._logged(game)[len(game.costs) - 1].text
        return [language_rewards(replace(reply, reference=logged))]
