"""Simulators by name, and users of many dialogues speaking at once."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from dialog_gym import plugins
from dialog_gym.core import DialogGymError, DialogueAct, Task, Turn, UserSession, UserSimulator
from dialog_gym.noise import mix, text_key


class Request(NamedTuple):
    """What a user is to say now."""

    acts: tuple[DialogueAct, ...]
    """Chosen by the domain's user model; empty where the session chooses (``session.chooses``)."""
    dialogue: tuple[Turn, ...]
    """All turns so far, without the assistant's thoughts."""
    garbled: bool
    """So badly typed that its content cannot be read."""


class BatchedSimulator(Protocol):
    """A `dialog_gym.core.UserSimulator` whose sessions can speak together; others are asked one by one."""

    def say_many(self, sessions: Sequence[Any], requests: Sequence[Request]) -> list[str | None]:
        """What the users of some sessions say next, in their order.

        None from a session that chooses (``session.chooses``) leaves this turn to the domain's user model.
        """
        ...


def session_seed(task: Task, seed: int) -> int:
    """The seed of a simulator's session in the episode of a task with some seed."""
    return mix(text_key(task.id), seed)


def ask(session: UserSession, request: Request) -> str | None:
    """One user's next utterance; None where a user who chooses leaves it to the domain's user model."""
    return session.say(request.acts, request.dialogue, garbled=request.garbled)


def ask_many(
    simulator: Any, sessions: Sequence[UserSession], requests: Sequence[Request]
) -> list[str | Exception | None]:
    """What users of one simulator say next: in one call if it batches; a failure stands in for the words.

    Raises:
        DialogGymError: the simulator says what is wrong, e.g. that its model cannot be had.
    """
    together = getattr(simulator, "say_many", None)
    try:
        if together is not None:
            said = list(together(sessions, requests))
            if len(said) != len(requests):
                raise ValueError(f"say_many gave {len(said)} utterances in {len(requests)} dialogues")
            return said
    except DialogGymError:
        raise
    except Exception as error:  # a simulator may fail in any way: these episodes are void, never losses
        return [error] * len(requests)
    return [_tried(session, request) for session, request in zip(sessions, requests, strict=True)]


def _tried(session: UserSession, request: Request) -> str | Exception | None:
    try:
        return ask(session, request)
    except DialogGymError:
        raise
    except Exception as error:  # as above
        return error


def load_simulator(
    simulator: "str | UserSimulator", options: Mapping[str, Any] | None = None
) -> UserSimulator:
    """A simulator by name or as it is.

    Args:
        simulator: ``agenda``, ``lm``, ``lm:PATH``, ``module:Class``, a path, or an object. A name may carry
            options as a query: ``lm:PATH?mode=free&retries=0``, so that it says all about a stored run.
        options: Further options of a simulator given by name.

    Raises:
        DialogGymError: unknown name or option, or options for an object.
    """
    if not isinstance(simulator, str):
        if options:
            raise DialogGymError("simulator options only go with a simulator given by name")
        return simulator
    named = plugins.resolve("simulators", simulator)
    chosen = {**named.options, **(options or {})}
    if not isinstance(named.found, type):
        if chosen or named.arguments:
            raise DialogGymError(f"simulator {simulator!r} is no class: it takes no options")
        return cast(UserSimulator, named.found)
    try:
        return cast(UserSimulator, named.found(*named.arguments, **chosen))
    except TypeError as error:
        raise DialogGymError(f"simulator {simulator!r} cannot be built: {error}") from None
