"""Customer profiles of the credit shop, as arrays; element i is a function of ``keys[i]`` alone.

**Fitted** to 30,000 real clients (Yeh, "Default of Credit Card Clients", UCI, doi 10.24432/C55S3H, CC BY
4.0), without sex, marriage and education: limit, age, used balance, overdue history. The model: a Gaussian
copula over `COPULA`; count tables of limit and age; utilisation given the last two statuses (late for the
first time: mostly nothing owed); and the distribution of six-month histories, ordered by severity, so that
only histories of real clients are drawn. **Synthetic**: everything else, see `_complete`.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from dialog_gym import noise
from dialog_gym.core import DialogGymError, Scalar
from dialog_gym.noise import Floats, Ints, Keys, pick

ACTIVATIONS: Final = ("active", "dormant", "suspended", "never_activated")
TIER_RATES: Final = (0.072, 0.108, 0.144, 0.198, 0.234)  # annual, best tier first
SURNAMES: Final = tuple(Path(__file__).with_name("surnames.txt").read_text(encoding="ascii").split())
NO_COUPON: Final = "none"
_DATE: Final = "an ISO date such as 2025-01-31"
_HISTORY: Final = "six of 0..8 like '0,0,1,0,0,0'"
REAL_COLUMNS: Final = ("LIMIT_BAL", "AGE", "BILL_AMT1", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
COPULA: Final = ("limit", "age", "utilisation", "recent", "past")
_DRAWS: Final = (
    "tenure", "income", "activation", "granted", "today", "surname", "phone_tail", "id_tail", "coupon_amount",
    "coupon_days", "coupon_issued", "coupon_valid",
)  # fmt: skip
_STREAM: Final = noise.text_key("credit.profiles")
_NEW_YEAR: Final = date(2025, 1, 1).toordinal()
_COUPON_AMOUNTS: Final = np.array([10, 20, 30, 50, 80])
_TENURE: Final = np.rint(30 * np.exp(0.9 * noise.NORMAL_QUANTILES)).astype(np.int64)
_INCOME_NOISE: Final = np.round(np.exp(0.35 * noise.NORMAL_QUANTILES), 6)


@dataclass(frozen=True, eq=False)
class Profiles:
    """N customers as ``int64`` arrays of shape ``[N]`` (``overdue``: ``[N, 6]``); money in shop units."""

    age: Ints  # years
    tenure: Ints  # months as customer
    income: Ints  # monthly, a multiple of 50
    activation: Ints  # index into ACTIVATIONS
    granted: Ints  # day the credit was granted, a date ordinal
    limit: Ints  # credit limit
    used: Ints  # used balance, at most the limit
    tier: Ints  # index into TIER_RATES
    overdue: Ints  # months overdue (0..8) in each of the last six months, most recent first
    coupon_amount: Ints  # 0: no coupon, and then the other coupon fields are 0 too
    coupon_days: Ints  # interest-free days: 0, 15 or 30
    coupon_issued: Ints  # date ordinal
    coupon_valid: Ints  # days: 30, 60 or 90; some coupons are past them
    today: Ints  # date ordinal in 2025
    surname: Ints  # index into SURNAMES
    phone_tail: Ints  # last four digits
    id_tail: Ints  # last four digits

    def __len__(self) -> int:
        """N."""
        return len(self.age)


class Core(NamedTuple):
    """The attributes fitted to real clients, fields as in `Profiles`."""

    limit: Ints
    age: Ints
    used: Ints
    overdue: Ints


def shop_attributes(raw: Ints) -> Core:
    """Map real rows, shape ``[N, 9]`` in the order of `REAL_COLUMNS`, to shop attributes.

    One shop unit is 10 NT$. The used balance is the latest bill, clipped to 0..limit. A status of -2, -1 or 0
    (nothing due, paid, revolving) is 0 months overdue.
    """
    limit = raw[:, 0] // 10
    used = np.rint(np.clip(raw[:, 2] / 10, 0, limit)).astype(np.int64)
    return Core(limit, raw[:, 1], used, np.maximum(raw[:, 3:9], 0))


def read_real(data_dir: Path | str | None = None) -> Core:
    """All real clients; ``data_dir`` defaults to ``$DIALOG_GYM_DATA``. Unreadable data: DialogGymError."""
    root = data_dir or os.environ.get("DIALOG_GYM_DATA", "")
    return _read_csv(Path(root, "uci_credit_default", "credit-card-clients.csv.gz"))


@cache
def _read_csv(path: Path) -> Core:
    try:
        header = np.loadtxt(path, str, delimiter=",", max_rows=1).tolist()
        columns = [header.index(name) for name in REAL_COLUMNS]
        return shop_attributes(np.loadtxt(path, np.int64, delimiter=",", skiprows=1, usecols=columns))
    except (OSError, ValueError) as error:
        right = "set DIALOG_GYM_DATA to the folder with the UCI credit-default data"
        raise DialogGymError(f"cannot read the real clients from {path}: {error}; {right}") from None


@cache
def _shipped_model() -> dict[str, NDArray[Any]]:
    text = Path(__file__).with_name("profile_model.json").read_text(encoding="utf-8")
    return {name: np.asarray(value) for name, value in json.loads(text).items()}


def utilisation_group(overdue: Ints) -> Ints:
    """Who is fitted together, 0..5: by most recent status (0, 1, 2+), then whether late before that."""
    return 2 * np.minimum(overdue[:, 0], 2) + (overdue[:, 1] > 0)


def sample_core(numbers: Mapping[str, Any], draws: Floats) -> Core:
    """Sample from fitted numbers (``scripts/fit_profiles.py``), draws ``[N, 5]``, a column per `COPULA`."""
    model: dict[str, NDArray[Any]] = {name: np.asarray(value) for name, value in numbers.items()}
    u = dict(zip(COPULA, noise.copula(draws, model["factor"]), strict=True))
    limit = model["limit_values"][noise.pick_counted(u["limit"], model["limit_totals"])]
    age = model["age_values"][noise.pick_counted(u["age"], model["age_totals"])]

    histories, totals = model["histories"], model["history_totals"]  # by recent status, then past severity
    recent = histories[noise.pick_counted(u["recent"], totals), 0]
    below = np.concatenate([[0], totals])[np.searchsorted(histories[:, 0], np.arange(10))]
    position = below[recent] + u["past"] * (below[recent + 1] - below[recent])
    overdue = histories[np.searchsorted(totals, position, side="right")]

    group, quantiles = utilisation_group(overdue), model["utilisation_quantiles"]
    zero = model["utilisation_zero"][group]
    place = np.maximum((u["utilisation"] - zero) / (1 - zero), 0) * (quantiles.shape[1] - 1)
    step = place.astype(np.int64)
    low, high = quantiles[group, step], quantiles[group, step + 1]
    utilisation = np.where(u["utilisation"] < zero, 0, low + (high - low) * (place - step))
    return Core(limit, age, np.rint(utilisation * limit).astype(np.int64), overdue)


def _complete(core: Core, keys: Keys) -> Profiles:
    """Add the synthetic attributes, consistent with the fitted ones: who never activated owes nothing."""
    u = dict(zip(_DRAWS, noise.uniform_block(keys, len(_DRAWS), _STREAM).T, strict=True))
    today = _NEW_YEAR + pick(u["today"], 365)
    worst = core.overdue.max(axis=1)
    months = np.where(core.overdue > 0, core.overdue + np.arange(1, 7), 0).max(axis=1)  # since oldest debt
    tenure = _TENURE[pick(u["tenure"], noise.TABLE_BINS)]
    tenure = np.clip(tenure, np.maximum(months, 1), (core.age - 18) * 12)
    latest = np.maximum(30 * months, 1)  # nobody is overdue on credit granted later than the debt
    income = 3000 * np.sqrt(core.limit / 14000) * _INCOME_NOISE[pick(u["income"], noise.TABLE_BINS)]
    suspended = np.where(worst >= 3, 0.5, 0.02)
    never = suspended + np.where((core.used == 0) & (worst == 0), 0.9, 0)
    dormant = never + np.where(core.used == 0, 0.2, 0.1)
    chance, coupon = u["activation"], u["coupon_amount"] < 0.5
    return Profiles(
        **core._asdict(),
        today=today,
        tenure=tenure,
        income=np.rint(income / 50).astype(np.int64) * 50,
        granted=today - latest - pick(u["granted"], 30 * tenure - latest + 1),
        activation=np.select([chance < suspended, chance < never, chance < dormant], [2, 3, 1], 0),
        # one month overdue costs one price tier, more cost two; under 3 years of custom one, under 1 year two
        tier=np.minimum(worst, 2) + (tenure < 36) + (tenure < 12),
        surname=pick(u["surname"], len(SURNAMES)),
        phone_tail=pick(u["phone_tail"], 10_000),
        id_tail=pick(u["id_tail"], 10_000),
        coupon_amount=np.where(coupon, _COUPON_AMOUNTS[pick(u["coupon_amount"], 10) % 5], 0),
        coupon_days=np.where(coupon, 15 * pick(u["coupon_days"], 3), 0),
        coupon_issued=np.where(coupon, today - pick(u["coupon_issued"], 75), 0),
        coupon_valid=np.where(coupon, 30 + 30 * pick(u["coupon_valid"], 3), 0),
    )


def generate(keys: Keys) -> Profiles:
    """One profile per key, shape ``[N]``: the same key, the same profile, in any batch and on any machine."""
    return _complete(sample_core(_shipped_model(), noise.uniform_block(keys, len(COPULA), _STREAM + 1)), keys)


def from_real_rows(rows: Ints, data_dir: Path | str | None, keys: Keys) -> Profiles:
    """Profiles of real clients: fitted attributes from ``rows`` of the data (0-based), others from ``keys``.

    Raises:
        DialogGymError: If the data cannot be read, a row does not exist, or the lengths differ.
    """
    real, rows = read_real(data_dir), np.asarray(rows)
    if len(rows) != len(keys):
        raise DialogGymError(f"{len(rows)} rows but {len(keys)} keys; give one key per row")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(real.age):
        raise DialogGymError(f"rows {rows.min()}..{rows.max()} must be within 0..{len(real.age) - 1}")
    return _complete(Core(*(column[rows] for column in real)), keys)


def take(profiles: Profiles, index: Any) -> Profiles:
    """The profiles at ``index``: an integer, a slice, or an integer or boolean array."""
    at = index if isinstance(index, slice) else np.atleast_1d(index)
    return Profiles(**{f.name: getattr(profiles, f.name)[at] for f in fields(Profiles)})


def concat(parts: Sequence[Profiles]) -> Profiles:
    """The profiles of one or more ``parts``, one after the other."""
    return Profiles(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Profiles)})


class _Format(NamedTuple):
    """How a field is shown as an attribute and read back; a wrong value fails or reads differently."""

    field: str
    show: Callable[[Any], Scalar]
    read: Callable[[Any], Any]
    right: str  # what a user should give


def _whole(field: str, low: int, high: int) -> _Format:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return int(value)

    return _Format(field, int, read, f"a whole number from {low} to {high}")


def _choice(field: str, choices: tuple[Scalar, ...]) -> _Format:
    return _Format(field, choices.__getitem__, choices.index, f"one of {', '.join(map(str, choices[:5]))}")


def _tail(field: str, mask: str) -> _Format:
    return _Format(field, lambda n: f"{mask}{n % 10**4:04d}", lambda s: int(s[-4:]), f"{mask!r} + 4 digits")


def _day(field: str) -> _Format:
    def read(value: Any) -> int:
        return 0 if value == NO_COUPON else date.fromisoformat(value).toordinal()

    return _Format(field, lambda day: date.fromordinal(day).isoformat() if day else NO_COUPON, read, _DATE)


def _read_history(value: Any) -> list[int]:
    months = ["012345678".index(month) for month in value.split(",")]
    return months if len(months) == 6 else [-1]


_FORMATS: Final = {
    "today": _day("today"),
    "surname": _choice("surname", SURNAMES),
    "phone": _tail("phone_tail", "*" * 7),
    "id_number": _tail("id_tail", "*" * 14),
    "age": _whole("age", 18, 120),
    "months_as_customer": _whole("tenure", 0, 1200),
    "monthly_income": _whole("income", 0, 10**9),
    "activation": _choice("activation", ACTIVATIONS),
    "credit_granted_on": _day("granted"),
    "credit_limit": _whole("limit", 0, 10**9),
    "used_balance": _whole("used", 0, 10**9),
    "annual_rate": _choice("tier", TIER_RATES),
    "repayment_history": _Format("overdue", lambda m: ",".join(map(str, m)), _read_history, _HISTORY),
    "coupon_amount": _whole("coupon_amount", 0, 10**6),
    "coupon_interest_free_days": _whole("coupon_days", 0, 3650),
    "coupon_issued_on": _day("coupon_issued"),
    "coupon_valid_days": _whole("coupon_valid", 0, 3650),
}


def attributes(profiles: Profiles, i: int) -> dict[str, Scalar]:
    """What the agent may see of customer ``i``, in display order; dates ISO, history latest month first."""
    return {name: form.show(getattr(profiles, form.field)[i].tolist()) for name, form in _FORMATS.items()}


def _refuse(name: str, value: object, right: str) -> NoReturn:
    raise DialogGymError(f"profile attribute {name!r} is {value!r}; give {right}")


def profile_from_attributes(attrs: Mapping[str, Scalar]) -> Profiles:
    """One customer from visible attributes: the exact inverse of `attributes`, shape ``[1]``.

    Raises:
        DialogGymError: One line naming the attribute that is missing, unknown or wrong, and what is right.
    """
    for name in sorted(_FORMATS.keys() ^ attrs.keys()):
        state = "missing" if name in _FORMATS else "unknown"
        raise DialogGymError(f"profile attribute {name!r} is {state}; give exactly {', '.join(_FORMATS)}")
    one = {}
    for name, form in _FORMATS.items():
        try:
            one[form.field] = form.read(attrs[name])
            exact = form.show(one[form.field]) == attrs[name]
        except (ValueError, TypeError, AttributeError):
            exact = False
        if not exact:
            _refuse(name, attrs[name], form.right)
    if one["used"] > one["limit"]:
        _refuse("used_balance", one["used"], f"at most the credit_limit, {one['limit']}")
    for name in ("today", "credit_granted_on", "coupon_issued_on"):
        day = one[_FORMATS[name].field]
        if day > one["today"] or (not day and name != "coupon_issued_on"):
            _refuse(name, attrs[name], "an ISO date no later than today")
    coupon = [bool(one[f"coupon_{part}"]) for part in ("amount", "issued", "valid", "days")]
    if coupon not in ([False] * 4, [True, True, True, False], [True] * 4):
        _refuse("coupon_amount", one["coupon_amount"], f"0, {NO_COUPON!r} and no days, or a complete coupon")
    return Profiles(**{field: np.array([value]) for field, value in one.items()})
