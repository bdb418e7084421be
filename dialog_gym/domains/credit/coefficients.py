"""The named coefficients of the user model (`user_model.toml`) as lookup tables by buyer style."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.shoppers import STYLES
from dialog_gym.ops import Ops


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, Any]:
    """The shipped coefficients: table ``default`` and one table of changes per style."""
    return tomllib.loads((files("dialog_gym.domains.credit") / "user_model.toml").read_text("utf-8"))


class Coefficients:
    """The named coefficients as lookup tables by buyer style."""

    def __init__(self, ops: Ops, overrides: Mapping[str, float] | None = None) -> None:
        """Reads the shipped coefficients.

        Args:
            ops: Backend of the tables.
            overrides: Values replacing the default of every style, for sensitivity studies.

        Raises:
            DialogGymError: an override names no coefficient.
        """
        config = shipped()
        default: dict[str, float] = config["default"]
        if unknown := sorted(set(overrides or {}) - set(default)):
            raise DialogGymError(f"user model has no coefficient {unknown[0]!r}; known: {', '.join(default)}")
        by_style = [default | config["styles"].get(style, {}) | dict(overrides or {}) for style in STYLES]
        self.names = tuple(default)
        self.tables = {name: ops.table([float(style[name]) for style in by_style]) for name in default}
