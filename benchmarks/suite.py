"""Suites: what is measured, as data. A suite lists (task, trial) pairs; nothing about agents."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from dialog_gym import plugins
from dialog_gym.core import DialogGymError, Record, Scalar
from dialog_gym.noise import mix, text_key


class EpisodeKey(NamedTuple):
    """One episode of a suite."""

    scenario: str
    task_index: int
    trial: int
    seed: int


class Suite(Record):
    """A benchmark: which tasks, how often, against which simulator, and how the board shows it."""

    name: str
    version: int = Field(ge=1)
    description: str = ""
    domain: str
    split: str
    level: int = Field(ge=0, le=9)
    simulator: str
    trials: int = Field(ge=1)
    scenarios: Mapping[str, int]
    options: Mapping[str, Scalar] = Field(default_factory=dict)
    """Of the domain."""
    headline: tuple[str, ...]
    rank_by: str

    @property
    def size(self) -> int:
        """Number of episodes."""
        return self.trials * sum(self.scenarios.values())

    @property
    def compared(self) -> tuple[str, ...]:
        """The metrics that agents are compared on, that of the ranking first."""
        return tuple(dict.fromkeys((self.rank_by, *self.headline)))

    def episodes(self, count: int | None, seed: int) -> list[EpisodeKey]:
        """The first ``count`` episodes (default all), scenarios in proportion, all trials of a task together.

        The user's randomness of an episode depends on task, trial and ``seed`` only: common to all agents.

        Raises:
            DialogGymError: ``count`` is not positive or above the suite's size.
        """
        wanted = self.size if count is None else count
        if not 1 <= wanted <= self.size:
            raise DialogGymError(
                f"episodes must be from 1 to {self.size} for suite {self.name}, not {wanted}"
            )
        keys: list[EpisodeKey] = []
        for scenario, tasks in self.scenarios.items():
            share = -(-wanted * tasks // sum(self.scenarios.values()))
            for number in range(share):
                index, trial = divmod(number, self.trials)
                keys.append(EpisodeKey(scenario, index, trial, trial_seed(self.name, seed, trial)))
        # the last scenario gives up what rounding up has added
        return keys[:wanted]


def trial_seed(suite: str, seed: int, trial: int) -> int:
    """The 63-bit seed of a trial."""
    return mix(text_key(f"suite/{suite}"), seed, trial) >> 1


def load_suite(name: str) -> Suite:
    """A suite by registered name or path of a TOML file.

    Raises:
        DialogGymError: it does not exist or breaks the schema.
    """
    if name.endswith(".toml"):
        return parse_suite(Path(name))
    found = plugins.load("suites", name)
    suite = found() if callable(found) else found
    if not isinstance(suite, Suite):
        raise DialogGymError(f"suite {name!r}: its entry point must give a Suite, not {type(suite).__name__}")
    return suite


def parse_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises:
        DialogGymError: it is missing, not TOML, or breaks the schema.
    """
    try:
        return Suite.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise DialogGymError(f"suite {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DialogGymError(f"suite {path}: not a TOML file in UTF-8 ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise DialogGymError(f"suite {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def load_credit_v1() -> Suite:
    """The shipped credit suite."""
    return _shipped("credit-v1")


def load_multiwoz_v1() -> Suite:
    """The shipped MultiWOZ suite."""
    return _shipped("multiwoz-v1")


def _shipped(name: str) -> Suite:
    text = (files("dialog_gym.benchmarks") / f"suites/{name}.toml").read_text("utf-8")
    return Suite.model_validate(tomllib.loads(text))
