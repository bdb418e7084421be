"""The seats of a multi-agent dialogue: their names, spaces, and who plays the ones that no agent claims."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gymnasium import Space, spaces

from dialog_gym import plugins
from dialog_gym.core import DialogGymError, Observation, Task, Turn, UserSimulator
from dialog_gym.envs.dialogue_env import MAX_UTTERANCE
from dialog_gym.envs.episode import Episode
from dialog_gym.noise import mix
from dialog_gym.rollout import agent_seed, observe
from dialog_gym.spaces import DialogueSpace, ProfileSpace, UtteranceSpace
from dialog_gym.speaking import load_simulator

EXPERT: Final = "expert_0"
ASSISTANT: Final = "assistant_0"
USER: Final = "user_0"
DEFAULT_SIMULATOR: Final = "agenda"
"""Words what a claimed user seat says in acts, and the task's opening turn."""
GRADED: Final = "graded"
"""The built-in expert: the allowed strategy that the domain's strategy book grades best."""
STRATEGY: Final = "strategy: "
"""How a private thought that names a strategy begins."""
_TOLD: Final = "Strategy for this turn: "


class Seats(NamedTuple):
    """Who sits where: all seats in the order of their turns, and the agents of those that are not open."""

    order: tuple[str, ...]
    open: tuple[str, ...]
    agents: Mapping[str, Any]
    simulator: UserSimulator


def take_seats(hierarchical: bool, players: Mapping[str, Any] | None) -> Seats:
    """Load the players of the unclaimed seats.

    Args:
        hierarchical: Whether there is an expert.
        players: Seat to player: a simulator for ``user_0``, an agent for the others (see `aec_env`).

    Raises:
        DialogGymError: a seat or player is unknown, or no seat is left open.
    """
    order = (EXPERT, ASSISTANT, USER) if hierarchical else (ASSISTANT, USER)
    if not isinstance(players, Mapping | None):
        raise DialogGymError(f"players must map seats to players, not be a {type(players).__name__}")
    given = dict(players or {})
    for seat in given:
        if seat not in order:
            hint = "it needs hierarchical=True" if seat == EXPERT else plugins.nearest(str(seat), order)
            raise DialogGymError(f"unknown seat {seat!r}; {hint}")
    vacant = tuple(seat for seat in order if seat not in given)
    if not vacant:
        raise DialogGymError(f"players must leave at least one seat open: {', '.join(order)}")
    simulator = load_simulator(given.pop(USER, DEFAULT_SIMULATOR))
    if not callable(getattr(simulator, "start", None)):
        raise DialogGymError(f"{USER}: {simulator!r} is no simulator; it needs start(task, seed) -> session")
    return Seats(
        order, vacant, {seat: _load_agent(seat, player) for seat, player in given.items()}, simulator
    )


def _load_agent(seat: str, player: Any) -> Any:
    if seat == EXPERT and player == GRADED:
        return None
    # through the plug-in loader, because this package never imports its agents statically
    return plugins.load("agents", "dialog_gym.agents.base:load_agent")(player)


class Hired:
    """The agents that play seats in one dialogue."""

    def __init__(self, seats: Seats, episode: Episode) -> None:
        """Starts a session of each; an assistant plays the same dialogue here as in `rollout.play`."""
        self.episode, self.agents = episode, seats.agents
        seed = agent_seed(episode.task.id, episode.seed)
        seeds = {ASSISTANT: seed, EXPERT: mix(seed, 1)}
        self.sessions: dict[str, Any] = {
            seat: None if agent is None else agent.start(seeds[seat]) for seat, agent in seats.agents.items()
        }

    def choose(self, names: Sequence[str]) -> int:
        """The hired expert's choice as an index into ``names``.

        Raises:
            DialogGymError: its reply names no strategy.
        """
        if self.sessions[EXPERT] is None:
            grades, allowed = (
                self.episode.dialogue.strategy_grades(),
                self.episode.dialogue.allowed_strategies(),
            )
            return names.index(max(allowed, key=lambda name: grades[name]))
        chosen = strategy_of(self.reply(EXPERT, ""))
        if chosen not in names:
            raise DialogGymError(
                f"{EXPERT}: {chosen[:60]!r} is no strategy; {plugins.nearest(chosen, names)}"
            )
        return names.index(chosen)

    def reply(self, seat: str, strategy: str) -> Turn:
        """A hired agent's turn; it reads the strategy to follow at the end of the guidelines.

        Raises:
            DialogGymError: the agent failed or returned something that is no turn.
        """
        seen: Observation = observe(self.episode, self.agents[seat])
        if strategy:
            seen = seen._replace(guidelines=f"{seen.guidelines}\n\n{_TOLD}{strategy}")
        try:
            answer = self.sessions[seat].reply(seen)
        except DialogGymError:
            raise
        except Exception as error:  # an agent may fail in any way; its author needs the seat and the cause
            raise DialogGymError(f"{seat}: the agent failed: {type(error).__name__}: {error}") from error
        if isinstance(answer, str):
            return Turn(role="assistant", text=answer)
        if not isinstance(answer, Turn):
            raise DialogGymError(
                f"{seat}: the agent returned {type(answer).__name__}, not a text (str) or a Turn"
            )
        return answer


def strategy_of(turn: Turn) -> str:
    """The strategy that a turn names: in its thought (an agent that plans and speaks), else in its text."""
    planned = (turn.thought or "").startswith(STRATEGY)
    words = (turn.thought or "").splitlines()[0] if planned else turn.text
    return words.strip().removeprefix(STRATEGY.strip()).strip()


def told_strategy(guidelines: str) -> str:
    """The strategy that a hired assistant is told at the end of its guidelines; "" for none."""
    last = guidelines.rpartition("\n")[2]
    return last.removeprefix(_TOLD) if last.startswith(_TOLD) else ""


def goal_text(task: Task) -> str:
    """What a user seat is told: the goal and the persona to play, hidden from the other seats."""
    goal = task.goal
    parts = {
        "need": goal.need,
        **goal.constraints,
        "questions": ", ".join(goal.requests),
        **goal.persona,
    }
    lines = [f"{name}: {value}" for name, value in parts.items() if value not in ("", None)]
    return "\n".join((f"You are the customer ({task.scenario}). Your goal and character:", *lines))


def seat_spaces(
    domain: Any, example: Task, order: Sequence[str]
) -> dict[str, tuple[spaces.Dict, Space[Any]]]:
    """Observation and action space of every seat; no two share a part, so each can be seeded by itself."""
    return {seat: (_observation(seat, domain, example, order), _action(seat, domain)) for seat in order}


def _observation(seat: str, domain: Any, example: Task, order: Sequence[str]) -> spaces.Dict:
    parts: dict[str, Space[Any]] = {
        "dialogue": DialogueSpace(2 * domain.max_turns + 1),
        "profile": ProfileSpace(example.profile.attributes),
    }
    if seat == USER:
        return spaces.Dict(parts | {"goal": UtteranceSpace(MAX_UTTERANCE, (goal_text(example),))})
    parts["guidelines"] = UtteranceSpace(MAX_UTTERANCE, (example.guidelines,))
    if seat == EXPERT:
        parts["action_mask"] = spaces.MultiBinary(len(domain.strategies))
    elif EXPERT in order:
        parts["strategy"] = UtteranceSpace(MAX_UTTERANCE, ("", *domain.strategies))
    return spaces.Dict(parts)


def _action(seat: str, domain: Any) -> Space[Any]:
    if seat == EXPERT:
        return spaces.Discrete(len(domain.strategies))
    samples = domain.sample_user_utterances if seat == USER else domain.sample_utterances
    return UtteranceSpace(MAX_UTTERANCE, samples)
