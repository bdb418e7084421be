"""Playing the episodes of a suite: in chunks, in this process or over several."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import lru_cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.suite import EpisodeKey
from dialog_gym.core import Trajectory
from dialog_gym.rollout import batches, play, play_many

if TYPE_CHECKING:
    from dialog_gym.benchmarks.evaluate import RunConfig

CHUNK = 16
"""Episodes handed to a worker at once: prepared together, and lost together when a slow run is killed."""
BATCH = 64
"""The same for agents or users that answer many dialogues at once."""


def play_chunk(config: "RunConfig", agent: Any, keys: Sequence[EpisodeKey]) -> list[Trajectory]:
    """Play some episodes of one scenario in a worker; see `stream_chunk`."""
    return list(stream_chunk(config, _kept(agent) if isinstance(agent, str) else agent, keys))


@lru_cache(maxsize=1)
def _kept(agent: str) -> Any:
    """The agent that a worker keeps from chunk to chunk: trained ones take a while to load."""
    return load_agent(agent)


def stream_chunk(config: "RunConfig", agent: Any, keys: Sequence[EpisodeKey]) -> Iterator[Trajectory]:
    """Play some episodes of one scenario: one after the other, or together if the agent or the users can.

    Args:
        config: The run.
        agent: An agent service.
        keys: Episodes; all of the same scenario.
    """
    env = config.env(keys[0].scenario)
    together = _together(config, agent)
    tasks, seeds = [key.task_index for key in keys], [key.seed for key in keys]
    episodes = env.begin_many(tasks, seeds, greet=not together)
    if together:
        yield from play_many(episodes, agent, trials=[key.trial for key in keys])
        return
    for key, episode in zip(keys, episodes, strict=True):
        yield play(episode, agent, trial=key.trial)


def _together(config: "RunConfig", agent: Any) -> bool:
    """Whether the agent or the users answer many dialogues at once."""
    return any(map(batches, _seats(config, agent)))


def _seats(config: "RunConfig", agent: Any) -> tuple[Any, Any]:
    return agent, config.env(next(iter(config.suite.scenarios))).simulator


def _size(config: "RunConfig", agent: Any) -> int:
    """Episodes of a chunk: those who wait for a server may want more."""
    wanted = [int(getattr(seat, "batch", BATCH)) for seat in _seats(config, agent) if batches(seat)]
    return max(wanted, default=CHUNK)


def _alone(config: "RunConfig", agent: Any) -> bool:
    """Whether one process is to play everything, because somebody keeps to one limit of requests."""
    return any(getattr(seat, "remote", False) for seat in _seats(config, agent))


def _chunks(keys: Sequence[EpisodeKey], size: int) -> Iterator[list[EpisodeKey]]:
    chunk: list[EpisodeKey] = []
    for key in keys:
        if chunk and (len(chunk) == size or key.scenario != chunk[0].scenario):
            yield chunk
            chunk = []
        chunk.append(key)
    if chunk:
        yield chunk


def _begin_worker() -> None:
    """Workers leave Ctrl-C to the parent, which stops them in order; each has one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, which nothing has done yet
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def run_episodes(
    config: "RunConfig", agent: Any, keys: Sequence[EpisodeKey], workers: int
) -> Iterator[list[Trajectory]]:
    """Play episodes in chunks, in this process or over several; chunks arrive in any order."""
    service = load_agent(agent, config.agent_options if isinstance(agent, str) else None)
    chunks = list(_chunks(keys, _size(config, service)))
    if workers <= 1 or len(chunks) <= 1 or not isinstance(agent, str) or _alone(config, service):
        for chunk in chunks:
            for trajectory in stream_chunk(config, service, chunk):
                yield [trajectory]
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        pending: set[Future[list[Trajectory]]] = {pool.submit(play_chunk, config, agent, c) for c in chunks}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
