"""Playing dialogues: one agent against one environment."""

from collections.abc import Callable, Mapping
from typing import Any

from dialog_gym.core import DialogGymError, Trajectory, Turn
from dialog_gym.envs.episode import Episode
from dialog_gym.noise import mix, text_key

_AGENT = text_key("agent")


def agent_seed(task_id: str, seed: int) -> int:
    """The seed of an agent's own randomness in a dialogue: the same in any process."""
    return mix(_AGENT, text_key(task_id), seed)


def speak(episode: Episode, session: Any, sees_hidden_state: bool) -> str | None:
    """One assistant turn and the user's answer; the line that says why the action could not be read, or None.

    Raises:
        DialogGymError: the agent failed or returned something that is no turn.
    """
    observation = episode.observation
    if sees_hidden_state:
        observation = observation._replace(hidden=episode.dialogue)
    try:
        reply = session.reply(observation)
    except DialogGymError:
        raise
    except Exception as error:  # an agent may fail in any way; its author needs the task and the cause
        cause = f"{type(error).__name__}: {error}"
        raise DialogGymError(f"the agent failed on task {episode.task.id}: {cause}") from error
    text, thought = (reply.text, reply.thought) if isinstance(reply, Turn) else (reply, None)
    if not isinstance(text, str):
        raise DialogGymError(f"the agent returned {type(reply).__name__}, not a text (str) or a Turn")
    said = episode.understand(text)
    episode.assistant(said, thought)
    return said.error


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
    privileged = bool(getattr(agent, "sees_hidden_state", False))
    while episode.ended_by is None:
        speak(episode, session, privileged)
        if on_turn is not None:
            on_turn(episode)
    return episode.trajectory(str(getattr(agent, "name", "agent")), trial, versions or {})
