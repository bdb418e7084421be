"""The declarative rulebook: products, conditions, rates and limits, loaded from TOML and checked.

A user adds a product by adding a table to a TOML file; nothing here names one. The order of the products in
the file is their index everywhere (bit numbers, action dimensions).
"""

import operator
import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from dialog_gym.core import DialogGymError, Record
from dialog_gym.domains.credit.ontology import PROBLEMS, PURPOSES, REASONS, SOLUTIONS, TOPICS

Attribute = Literal[
    "age", "months_as_customer", "monthly_income", "overdue_now", "overdue_max", "overdue_count",
    "utilisation", "credit_left", "credit_limit", "activation", "months_since_grant",
]  # fmt: skip
Activation = Literal["active", "dormant", "suspended", "never_activated"]
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt,
    "<": operator.lt,
}  # fmt: skip


class Condition(Record):
    """``attribute op value``; when it fails the product is refused with ``reason``."""

    attribute: Attribute
    op: Literal[">=", "<=", "==", "!=", ">", "<"]
    value: int | float | Activation
    reason: str
    from_level: int = Field(default=0, ge=0, le=9)

    @field_validator("reason")
    @classmethod
    def _known_reason(cls, reason: str) -> str:
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}; known: {', '.join(REASONS)}")
        return reason

    def holds(self, value: Any) -> Any:
        """Whether the condition holds for a value, or elementwise for an array of values."""
        return OPERATORS[self.op](value, self.value)


class LimitRule(Record):
    """A product's limit: the ladder step within ``min(cap, share * base)``."""

    base: Literal["credit_left", "credit_limit", "monthly_income"]
    share: float = Field(gt=0)
    cap: int = Field(gt=0)


class Product(Record):
    """One product: names, purposes it suits (0..1), rates by price tier, fee, terms, limit, conditions."""

    label: str
    names: tuple[str, ...] = Field(min_length=1)
    suits: Mapping[str, float]
    rates: tuple[float, ...]
    fee: float = Field(ge=0, lt=1)
    months: tuple[int, ...] = Field(min_length=1)
    limit: LimitRule
    conditions: tuple[Condition, ...] = Field(min_length=1)


class Problem(Record):
    """The right solution of a service problem, unless a fact makes an answer the right reaction."""

    solution: Literal[SOLUTIONS]  # type: ignore[valid-type]
    unless: Literal["inactive", "coupon_expired"] | None = None
    answer_instead: Literal[TOPICS] | None = None  # type: ignore[valid-type]


class Reactivation(Record):
    """Waiting time before an account can be reopened, in days."""

    per_month_overdue: int = Field(ge=0)
    wait_days: Mapping[Activation, int]


class Rulebook(Record):
    """All rules of the shop."""

    version: str
    ladder: tuple[int, ...] = Field(min_length=1)
    rate_grid: tuple[float, ...]
    reactivation: Reactivation
    problems: Mapping[str, Problem]
    products: Mapping[str, Product] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> "Rulebook":
        for name, product in self.products.items():
            if len(product.rates) != 5:
                raise ValueError(
                    f"products.{name}.rates: {len(product.rates)} rates given, 5 price tiers needed"
                )
            if not set(product.rates) <= set(self.rate_grid):
                raise ValueError(
                    f"products.{name}.rates: every rate must be on rate_grid {list(self.rate_grid)}"
                )
            if not set(product.suits) <= set(PURPOSES):
                raise ValueError(f"products.{name}.suits: purposes are {', '.join(PURPOSES)}")
        if missing := sorted(set(PROBLEMS) - set(self.problems)):
            raise ValueError(f"problems.{missing[0]}: missing")
        if list(self.ladder) != sorted(set(self.ladder)):
            raise ValueError("ladder: amounts must rise")
        return self

    def conditions(self, product: str, level: int) -> tuple[Condition, ...]:
        """The conditions of a product that are switched on at a difficulty level."""
        return tuple(c for c in self.products[product].conditions if c.from_level <= level)


def load_rulebook(path: Path | str | None = None) -> Rulebook:
    """Read a rulebook; without a path, the one that ships with the package.

    Raises:
        DialogGymError: the file is missing, not TOML, or breaks the schema (the field is named).
    """
    return _shipped() if path is None else _parse(Path(path).name, _read(Path(path)))


@lru_cache(maxsize=1)
def _shipped() -> Rulebook:
    return _parse("rulebook.toml", (files("dialog_gym.domains.credit") / "rulebook.toml").read_text("utf-8"))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DialogGymError(f"rulebook {path}: cannot be read as UTF-8 text ({error})") from None


def _parse(name: str, text: str) -> Rulebook:
    try:
        return Rulebook.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DialogGymError(f"rulebook {name}: not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DialogGymError(f"rulebook {name}: {where + ': ' if where else ''}{first['msg']}") from None
