"""An algorithm's options: read from its configuration's fields, filled in, and checked."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple, get_type_hints

from dialog_gym.core import DialogGymError
from dialog_gym.plugins import nearest

POSITIVE = (
    "learning_rate", "minibatch", "epochs", "dialogues", "demonstrations", "passes", "pairs", "beta",
    "hidden", "max_new_tokens", "context", "lockstep", "neighbours", "pool", "capacity", "written",
)  # fmt: skip
"""Options that must be above 0; all other numbers may be 0."""
SHARES = ("discount", "gae_lambda", "clip_low")
"""Options from 0 to 1."""


class Setting(NamedTuple):
    """One option of an algorithm."""

    name: str
    kind: Any
    """Its type: bool, int, float, str, a Literal or a Mapping of weights."""
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return flag(self.name)


def flag(name: str) -> str:
    """An option's name on the command line."""
    return f"--{name.replace('_', '-')}"


def config_type(algorithm: type) -> Any:
    """The configuration class of an algorithm: what its attribute ``config`` is declared as."""
    return get_type_hints(algorithm)["config"]


def settings(config: Any) -> list[Setting]:
    """The options of a configuration class, in its order."""
    kinds = get_type_hints(config)
    return [
        Setting(
            field.name,
            kinds[field.name],
            field.default if field.default_factory is MISSING else field.default_factory(),
            str(field.metadata.get("help", "")),
        )
        for field in fields(config)
    ]


def parse_weights(text: str, default: Mapping[str, float]) -> dict[str, float]:
    """Weights written ``NAME=W,NAME=W``: changes to the default ones.

    Raises:
        DialogGymError: it is not written so, or there is no reward of that name.
    """
    found = dict(default)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, weight = part.partition("=")
        if not equals:
            raise DialogGymError(f"--weights: {part!r} is not of the form NAME=W, e.g. conversion=3")
        if name.strip() not in default:
            raise DialogGymError(
                f"--weights: unknown reward {name.strip()!r}; {nearest(name.strip(), default)}"
            )
        try:
            found[name.strip()] = float(weight)
        except ValueError:
            raise DialogGymError(f"--weights: {weight!r} is not a number") from None
    return found


def check(config: Any) -> None:
    """Find values that an algorithm cannot work with.

    Raises:
        DialogGymError: naming the option and what it may be.
    """
    values = {setting.name: getattr(config, setting.name) for setting in settings(type(config))}
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(name, value)
    for name, weight in values.get("weights", {}).items():
        if not math.isfinite(weight):
            raise DialogGymError(f"--weights: the weight of {name} must be a finite number, not {weight}")
    _check_groups(values)


def _check_number(name: str, value: float) -> None:
    if not math.isfinite(value):
        wanted = "a finite number"
    elif name in POSITIVE:
        wanted = "" if value > 0 else "above 0"
    elif name in SHARES:
        wanted = "" if 0 <= value <= 1 else "from 0 to 1"
    else:
        wanted = "" if value >= 0 else "0 or more"
    if wanted:
        raise DialogGymError(f"{flag(name)} must be {wanted}, not {value}")


def _check_groups(values: Mapping[str, Any]) -> None:
    if "group" not in values:
        return
    group, dialogues = values["group"], values["dialogues"]
    if group < 2:
        raise DialogGymError(f"--group must be 2 or more, not {group}: dialogues of a group are compared")
    if dialogues % group:
        below, above = dialogues - dialogues % group, dialogues + group - dialogues % group
        near = f"{below} or {above}" if below else str(above)
        raise DialogGymError(f"--dialogues {dialogues} cannot be divided into groups of {group}; e.g. {near}")
