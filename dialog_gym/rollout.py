"""Playing dialogues: one agent against one environment, one dialogue at a time or many in lock-step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dialog_gym.core import DialogGymError, Observation, Trajectory, Turn
from dialog_gym.envs.episode import Episode, Said
from dialog_gym.noise import mix, text_key
from dialog_gym.speaking import ask_many

_AGENT = text_key("agent")


def agent_seed(task_id: str, seed: int) -> int:
    """The seed of an agent's own randomness in a dialogue: the same in any process."""
    return mix(_AGENT, text_key(task_id), seed)


def observe(episode: Episode, agent: Any) -> Observation:
    """What an agent is shown now: more than the dialogue only if its class declares that it needs more."""
    observation = episode.observation
    if getattr(agent, "sees_hidden_state", False):
        observation = observation._replace(hidden=episode.dialogue)
    if getattr(agent, "sees_act_view", False):
        observation = observation._replace(act_view=episode.dialogue.act_view())
    return observation


def speak(episode: Episode, session: Any, agent: Any) -> str | None:
    """One assistant turn and the user's answer; the line that says why the action could not be read, or None.

    Args:
        episode: A dialogue that is not over.
        session: The agent's session in it.
        agent: The agent service, which declares what it needs to see.

    Raises:
        DialogGymError: the agent failed or returned something that is no turn.
    """
    try:
        reply = session.reply(observe(episode, agent))
    except DialogGymError:
        raise
    except Exception as error:  # an agent may fail in any way; its author needs the task and the cause
        raise _failure(error, episode) from error
    return _say(episode, reply)


def _failure(error: Exception, episode: Episode) -> DialogGymError:
    return DialogGymError(f"the agent failed on task {episode.task.id}: {type(error).__name__}: {error}")


def _say(episode: Episode, reply: Any) -> str | None:
    said, thought = _understood(episode, reply)
    episode.assistant(said, thought)
    return said.error


def _understood(episode: Episode, reply: Any) -> tuple[Said, str | None]:
    text, thought = (reply.text, reply.thought) if isinstance(reply, Turn) else (reply, None)
    if not isinstance(text, str):
        raise DialogGymError(f"the agent returned {type(reply).__name__}, not a text (str) or a Turn")
    return episode.understand(text), thought


def play(
    episode: Episode,
    agent: Any,
    *,
    trial: int = 0,
    versions: Mapping[str, str] | None = None,
    on_turn: Callable[[Episode], None] | None = None,
) -> Trajectory:
    """Play a fresh episode to its end.

    Args:
        episode: A fresh episode (see `DialogueEnv.begin`).
        agent: An agent service (see `dialog_gym.agents.base`).
        trial: Number of the trial, for the record.
        versions: What produced it, for the record.
        on_turn: Called after every assistant turn, e.g. to show progress.

    Returns:
        The finished dialogue.
    """
    session = agent.start(agent_seed(episode.task.id, episode.seed))
    while episode.ended_by is None:
        speak(episode, session, agent)
        if on_turn is not None:
            on_turn(episode)
    return episode.trajectory(_name(agent), trial, versions or {})


def play_many(
    episodes: Sequence[Episode], agent: Any, *, trials: Sequence[int] | None = None
) -> list[Trajectory]:
    """Play fresh episodes together, turn by turn: the dialogues that `play` gives, for whoever batches.

    Args:
        episodes: Fresh episodes; where the user opens, the first turn may still be waiting.
        agent: A service; one with ``start_many(seeds) -> session``, whose ``reply_many(rows, observations)``
            answers in the dialogues ``rows`` (positions in ``seeds``), one turn each, in their order, is
            asked for all dialogues at once.
        trials: Numbers of the trials, for the records; default 0.

    Raises:
        DialogGymError: the agent failed, or did not answer every dialogue.
    """
    answer_together(episodes)
    seeds = [agent_seed(one.task.id, one.seed) for one in episodes]
    session = agent.start_many(seeds) if batches(agent) else _Apart(agent, seeds)
    while rows := [row for row, one in enumerate(episodes) if one.ended_by is None]:
        observations = [observe(episodes[row], agent) for row in rows]
        try:
            replies = session.reply_many(rows, observations)
        except DialogGymError:
            raise
        except Exception as error:  # as in `speak`
            raise _failure(error, episodes[rows[0]]) from error
        if len(replies) != len(rows):
            raise DialogGymError(f"the agent gave {len(replies)} replies in {len(rows)} dialogues")
        for row, reply in zip(rows, replies, strict=True):
            episodes[row].listen(*_understood(episodes[row], reply))
        answer_together([episodes[row] for row in rows])
    numbers = trials or [0] * len(episodes)
    return [one.trajectory(_name(agent), n, {}) for one, n in zip(episodes, numbers, strict=True)]


def batches(service: Any) -> bool:
    """Whether an agent or a simulator plays many dialogues at once."""
    return callable(getattr(service, "start_many", None) or getattr(service, "say_many", None))


class _Apart:
    """An agent that answers one dialogue at a time."""

    def __init__(self, agent: Any, seeds: Sequence[int]) -> None:
        self.sessions = [agent.start(seed) for seed in seeds]

    def reply_many(self, rows: Sequence[int], observations: Sequence[Observation]) -> list[Any]:
        return [self.sessions[row].reply(seen) for row, seen in zip(rows, observations, strict=True)]


def answer_together(episodes: Sequence[Episode]) -> None:
    """Have the users of some episodes say what is waiting, those of one simulator in one call.

    Raises:
        DialogGymError: a simulator says what is wrong, e.g. that its model cannot be had.
    """
    while waiting := [one for one in episodes if one.waiting is not None]:
        simulator = waiting[0].simulator
        asked = [one for one in waiting if one.simulator is simulator]
        requests = [one.waiting for one in asked if one.waiting is not None]
        for one, said in zip(
            asked, ask_many(simulator, [one.session for one in asked], requests), strict=True
        ):
            one.hear(said)


def _name(agent: Any) -> str:
    return str(getattr(agent, "name", "agent"))
