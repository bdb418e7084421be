"""Fit the profile generator of the credit shop to the real clients and write ``profile_model.json``.

    python scripts/fit_profiles.py --data-dir DATA [--output FILE]

Keys of the file: ``limit_values`` and ``age_values`` with ``limit_totals`` and ``age_totals`` (cumulative
numbers of clients); ``histories`` (most recent month first; ordered by most recent status, then past
severity) with ``history_totals``; ``utilisation_zero`` (share of clients who owe nothing) and
``utilisation_quantiles`` (of the others, equally spaced), one row per `profiles.utilisation_group`;
``factor`` (lower triangular factor of the latent correlations of the Gaussian copula).

The latent correlations start from 2 sin(pi r / 6) (Pearson 1907) and are then corrected until the rank
correlations of simulated clients match the real ones: ties, zeros and discrete histories weaken them in a
way no formula covers.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit import profiles
from dialog_gym.domains.credit.profiles import COPULA, Core
from dialog_gym.files import write_text
from dialog_gym.noise import Floats, Ints, mix_array, text_key, uniform_block

SIMULATED: Final = 60_000
ROUNDS: Final = 12
QUANTILES: Final = 128
DEFAULT_OUTPUT: Final = Path(profiles.__file__).with_name("profile_model.json")


def features(core: Core) -> list[Floats]:
    """The five quantities of `COPULA`, each ``[N]``; past severity sums the five earlier months."""
    past = core.overdue[:, 1:].sum(axis=1)
    return [
        np.asarray(x, float) for x in (core.limit, core.age, core.used / core.limit, core.overdue[:, 0], past)
    ]


def spearman(columns: list[Floats]) -> Floats:
    """Spearman's rank correlations with mid-ranks; sums are over integers, so exact on every machine."""
    ranks = []
    for column in columns:
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        ranks.append((2 * np.cumsum(count) - count - len(column))[place])  # twice the mid-rank, centred
    products = np.array([[int((a * b).sum()) for b in ranks] for a in ranks], dtype=float)
    spread = np.sqrt(np.diag(products))
    correlations: Floats = products / (spread[:, None] * spread)
    return correlations


def fit_histories(overdue: Ints) -> dict[str, list[Any]]:
    """The distinct six-month histories and, cumulatively, how many clients have each."""
    histories, counts = np.unique(overdue, axis=0, return_counts=True)
    order = np.lexsort(
        (histories[:, 1:].sum(axis=1), histories[:, 0])
    )  # stable: ties stay in ascending order
    return {"histories": histories[order].tolist(), "history_totals": np.cumsum(counts[order]).tolist()}


def fit_utilisation(core: Core) -> dict[str, list[Any]]:
    """Share of zeros and quantiles of the rest, for each `profiles.utilisation_group`."""
    utilisation, group = core.used / core.limit, profiles.utilisation_group(core.overdue)
    parts = [utilisation[group == g] for g in range(6)]
    shares = np.arange(QUANTILES + 1) / QUANTILES
    return {
        "utilisation_zero": [round(float((part == 0).mean()), 5) for part in parts],
        "utilisation_quantiles": [np.quantile(part[part > 0], shares).round(5).tolist() for part in parts],
    }


def fit_factor(core: Core, numbers: dict[str, Any]) -> list[list[float]]:
    """The factor of the latent correlations, by simulation with the other numbers already fitted."""
    target = spearman(features(core))
    free = ~np.eye(len(COPULA), dtype=bool)
    for a, b in (
        ("recent", "past"),
        ("recent", "utilisation"),
    ):  # already in the tables, which are given `recent`
        free[COPULA.index(a), COPULA.index(b)] = free[COPULA.index(b), COPULA.index(a)] = False
    latent = np.where(free, 2 * np.sin(np.pi / 6 * target), np.eye(len(COPULA))).round(4)
    draws = uniform_block(mix_array(np.arange(SIMULATED, dtype=np.uint64), text_key("fit")), len(COPULA))
    for _ in range(ROUNDS):
        simulated = profiles.sample_core(numbers | {"factor": _factor(latent)}, draws)
        latent = (latent + np.where(free, target - spearman(features(simulated)), 0)).round(4)
    return _factor(latent)


def _factor(latent: NDArray[np.float64]) -> list[list[float]]:
    rows: list[list[float]] = np.linalg.cholesky(latent).round(4).tolist()
    return rows


def fit(core: Core) -> dict[str, Any]:
    """All fitted numbers, JSON-ready."""
    numbers: dict[str, Any] = {"source": "UCI default of credit card clients, doi 10.24432/C55S3H, CC BY 4.0"}
    for name, column in (("limit", core.limit), ("age", core.age)):
        values, counts = np.unique(column, return_counts=True)
        numbers |= {f"{name}_values": values.tolist(), f"{name}_totals": np.cumsum(counts).tolist()}
    numbers |= fit_histories(core.overdue) | fit_utilisation(core)
    return numbers | {"factor": fit_factor(core, numbers)}


def write(numbers: dict[str, Any], path: Path) -> None:
    """Write one line per key, in place of an older file only when complete."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in numbers.items()
    )
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the profile generator to the real clients.")
    parser.add_argument(
        "--data-dir", type=Path, help="folder with uci_credit_default (default: $DIALOG_GYM_DATA)"
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    args = parser.parse_args()
    try:
        write(fit(profiles.read_real(args.data_dir)), args.output)
    except (DialogGymError, OSError) as error:
        parser.error(str(error))
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
