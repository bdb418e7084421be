"""Where users' utterances come from: a corpus, the corpus's acts in our words, or played dialogues.

A source gives dialogues of (text, act labels); any other corpus or domain is compared by writing one more.
"""

from itertools import islice
from typing import Any, TypeAlias

from dialog_gym import plugins
from dialog_gym.core import DialogGymError, Turn
from dialog_gym.domains.multiwoz.corpus import CorpusDialogue, CorpusTurn, load_dialogues
from dialog_gym.domains.multiwoz.ontology import USER
from dialog_gym.envs.episode import Episode
from dialog_gym.noise import mix, text_key
from dialog_gym.rollout import play_many
from dialog_gym.simulators.agenda import MultiWOZVoice
from dialog_gym.speaking import load_simulator

Utterances: TypeAlias = list[list[tuple[str, tuple[str, ...]]]]
"""By dialogue, the users' texts and the labels of their acts."""

_WORDS = text_key("users reworded")


def real(split: str, dialogues: int, data_dir: str | None = None) -> Utterances:
    """The corpus's users, in the order of the corpus."""
    return [
        [(turn.text, _labels(turn)) for turn in dialogue.turns if turn.role == "user"]
        for dialogue in _corpus(split, dialogues, data_dir)
    ]


def reworded(split: str, dialogues: int, seed: int, data_dir: str | None = None) -> Utterances:
    """The same acts in the agenda simulator's words; turns without annotated acts are left out."""
    corpus = _corpus(split, dialogues, data_dir)
    return [_reworded(dialogue, mix(seed, _WORDS, i)) for i, dialogue in enumerate(corpus)]


def _corpus(split: str, dialogues: int, data_dir: str | None) -> list[CorpusDialogue]:
    return list(islice(load_dialogues(split, data_dir), dialogues))


def _reworded(dialogue: CorpusDialogue, key: int) -> list[tuple[str, tuple[str, ...]]]:
    voice = MultiWOZVoice({}, key)
    said: list[tuple[str, tuple[str, ...]]] = []
    before: list[Turn] = []
    for turn in dialogue.turns:
        acts = tuple(act for act in turn.acts if turn.role == "assistant" or act.intent in USER.acts)
        if turn.role == "user" and acts:
            text = voice.word(acts, voice.persona, mix(key, len(before)), before, False)
            said.append((text, _labels(turn)))
        before.append(Turn(role=turn.role, text=turn.text, acts=acts))
    return said


def played(
    split: str, dialogues: int, seed: int, data_dir: str | None = None, simulator: Any = "agenda"
) -> Utterances:
    """Users of the MultiWOZ environment at its default level, talking with the scripted agent.

    Args:
        split: Of the environment's tasks.
        dialogues: How many, played together.
        seed: Of the dialogues.
        data_dir: Not used: the environment brings its goals and databases.
        simulator: Who words the users, by name or as it is.

    Raises:
        DialogGymError: the simulator is unknown, or fails in a dialogue.
    """
    domain, agent = plugins.load("domains", "multiwoz")(), plugins.load("agents", "scripted")()
    users = load_simulator(simulator)
    episodes = []
    for i in range(dialogues):
        task, key = domain.task(i, split=split), mix(seed, i)
        episodes.append(Episode(domain, users, task, domain.start(task, key), key, greet=False))
    found = play_many(episodes, agent)
    if failures := [episode.failure for episode in episodes if episode.failure]:
        raise DialogGymError(f"users failed in {len(failures)} of {dialogues} dialogues: {failures[0]}")
    return [[(turn.text, _labels(turn)) for turn in one.turns if turn.role == "user"] for one in found]


def _labels(turn: Turn | CorpusTurn) -> tuple[str, ...]:
    """Act labels of a turn; a request carries its slot."""
    return tuple(
        f"{act.intent}({act.slots['slot']})" if "slot" in act.slots else act.intent for act in turn.acts
    )
