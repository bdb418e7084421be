"""Mutation test of the shop's verifiers: break a rule on purpose, and a test must fail.

    python scripts/mutation_test.py                          # everything, about half an hour on two cores
    python scripts/mutation_test.py --only rulebook.toml     # one file
    python scripts/mutation_test.py --sample 40 --json out.json

Every mutant is one small change to the rulebook or to a verifier's code (DeMillo, Lipton & Sayward, "Hints on
test data selection", 1978). It is written into a temporary copy of the package, never into the working tree,
and the tests of that verifier run against the copy in a process of their own. A mutant that no test notices
has survived; the exit code is 1 if any did. Mutants that cannot change behaviour are listed in `EQUIVALENT`
with the reason. Needs a system with `os.fork`.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # processes are forked, so there must be no threads

import gymnasium  # noqa: F401 - loaded here once, not by every process
import hypothesis  # noqa: F401
import numpy  # noqa: F401
import pytest
from mutants import Mutant, code_mutants, rule_mutants

ROOT = Path(__file__).resolve().parents[1]
CREDIT = Path("dialog_gym/domains/credit")
TESTS = Path("tests/dialog_gym/domains")
TIMEOUT_S = 120
WRONG_COPY = 99
SUITES = {
    "rulebook.toml": ("test_reasoning.py", "test_rulebook.py"),
    "reasoning.py": ("test_reasoning.py", "test_facts.py"),
    "facts.py": ("test_facts.py", "test_tasks.py"),
    "tracker.py": ("test_tracker.py", "test_stages.py", "test_ops.py"),
    "claims.py": ("test_claims.py", "test_moves.py"),
}
_PRECISION = "more digits than any amount of money has"
_ROUNDING = "the last digits of a discount"
_SLACK = "the table is longer than any index"
_UNUSED = "an entry that is only ever multiplied by 0, or not looked up"
_SUPERSET = "further bits, which no topic has"
_NO_COUPON = "without a coupon its dates are 0 and long past"
_SINCERE = "a turn with any wrong solution settles nothing"
_WEIGHTLESS = "the stage has no weight in the other scenario"
_NEGATIVE = "any negative number means none"
_ABSURD = "no figure comes near"
_DUST = "the difference of two binary fractions never hits the tolerance exactly"
_OVERWRITTEN = "a first value that every product overwrites"
_CENTS = [
    "interest(amount, r.truth.rates[p] / 10000.0, int(days)) - said",
    "monthly_instalment(amount, r.truth.rates[p] / 10000.0, int(months)) - said",
]
EQUIVALENT: dict[tuple[str, str], str] = {
    ("reasoning.py", "monthly_instalment: 40 -> 41"): _PRECISION,
    ("reasoning.py", "monthly_instalment: 40 -> 39"): _PRECISION,
    ("reasoning.py", "monthly_instalment: context.prec = 40 -> (dropped)"): _PRECISION,
    (
        "rulebook.toml",
        '[products.revolving] limit = { base = "credit_left", share = 1.0, cap = 50000 } -> '
        'limit = { base = "credit_left", share = 1.0, cap = 80000 }',
    ): "the ladder ends at 50,000",
    ("facts.py", "derive: 1 -> 2"): _OVERWRITTEN,
    ("facts.py", "derive: 1 -> 0"): _OVERWRITTEN,
    ("facts.py", "derive: -1 -> 1"): _OVERWRITTEN,
    ("facts.py", "derive: has_coupon & (profiles.today <= expires) -> profiles.today <= expires"): _NO_COUPON,
    ("facts.py", "derive: 0 -> -1 (#6)"): _NO_COUPON,
    ("facts.py", "derive: profiles.coupon_amount > 0 -> profiles.coupon_amount >= 0"): _NO_COUPON,
    (
        "tracker.py",
        "Tracker.fractions: self._eligibility_done(s) & sale -> self._eligibility_done(s)",
    ): _WEIGHTLESS,
    ("tracker.py", "Tracker.fractions: s.reached & sale -> s.reached"): _WEIGHTLESS,
    ("claims.py", "_Reading.__init__: 1 -> 2 (#2)"): _NEGATIVE,
    ("claims.py", "_points: 1 -> 2"): _NEGATIVE,
    ("claims.py", "_points: 1000000.0 -> 1000001.0"): _ABSURD,
    ("claims.py", "_points: 1000000.0 -> 999999.0"): _ABSURD,
    ("claims.py", "_points: abs(number) < 1000000.0 -> abs(number) <= 1000000.0"): _ABSURD,
    ("claims.py", "_limit: 0 -> 1 (#2)"): "no limit is 1",
    ("claims.py", "_Fill._inform_coupon: 10 -> 11"): "any coupon is wrong where there is none",
    ("claims.py", "_Fill._inform_coupon: 10 -> 9"): "any coupon is wrong where there is none",
    ("claims.py", "_propose: 0 -> -1"): "less than one unit is rounded to none",
    ("tracker.py", "Tracker.judge: t.solved & s.fix_actions -> t.solved"): _SINCERE,
    ("tracker.py", ": 1 -> 2 (#3)"): _SUPERSET,
    ("tracker.py", ": 1 -> 0 (#3)"): _SUPERSET,
    ("tracker.py", ": 1 << len(TOPICS) -> 1 >> len(TOPICS)"): _SUPERSET,
    ("tracker.py", "Tracker.__init__: 0.0 -> 1.0"): _UNUSED,
    ("tracker.py", "Tracker.__init__: 0.0 -> -1.0"): _UNUSED,
    ("tracker.py", "Tracker.__init__: 0.0 -> 1.0 (#2)"): _UNUSED,
    ("tracker.py", "Tracker.__init__: 0.0 -> -1.0 (#2)"): _UNUSED,
    ("tracker.py", "Tracker.__init__: 9 -> 10"): _ROUNDING,
    ("tracker.py", "Tracker.__init__: 9 -> 8"): _ROUNDING,
    ("tracker.py", "Tracker.__init__: 9 -> 10 (#2)"): _ROUNDING,
    ("tracker.py", "Tracker.__init__: 16 -> 17"): _SLACK,
    ("tracker.py", "Tracker.__init__: 16 -> 15"): _SLACK,
    ("tracker.py", "Tracker.__init__: 2 -> 3"): _SLACK,
    ("tracker.py", "Tracker.__init__: 2 -> 1"): _SLACK,
    ("tracker.py", "Tracker.__init__: 16 -> 17 (#2)"): _SLACK,
    ("tracker.py", "Tracker.__init__: 16 -> 15 (#2)"): _SLACK,
}
EQUIVALENT |= {
    ("claims.py", f"{where}: abs({gap}) < CENT -> abs({gap}) <= CENT"): _DUST
    for where, gap in zip(("_interest", "_instalment"), _CENTS, strict=True)
}


def mutants(file: str) -> list[Mutant]:
    """All mutants of a file."""
    text = (ROOT / CREDIT / file).read_text("utf-8")
    make: Callable[[str, str], Iterator[Mutant]] = rule_mutants if file.endswith(".toml") else code_mutants
    return list(make(file, text))


def copy_tree(folder: Path) -> Path:
    """Copies package and tests to ``folder``."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dialog_gym", folder / "dialog_gym", symlinks=False, ignore=ignore)
    shutil.copytree(ROOT / TESTS, folder / TESTS, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def start_tests(folder: Path, file: str) -> int:
    """Runs the tests of ``file`` in the copy at ``folder``; the id of the process."""
    if child := os.fork():
        return child
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)  # for the processes that tests start
    import dialog_gym

    if not str(dialog_gym.__file__).startswith(str(folder)):
        os._exit(WRONG_COPY)
    names = [str(TESTS / name) for name in SUITES[file]]
    options = ["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    os._exit(pytest.main([*options, "-W", "ignore::pytest.PytestAssertRewriteWarning", *names]))


class Running(NamedTuple):
    """A mutant being tested."""

    mutant: Mutant
    folder: Path
    original: str
    since: float


def write(folder: Path, mutant: Mutant) -> Running:
    """Puts a mutant into the copy at ``folder``."""
    path = folder / CREDIT / mutant.file
    original = path.read_text("utf-8")
    path.write_text(mutant.text, "utf-8")
    for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        cached.unlink()  # compiled from another version, perhaps of the same second and size
    return Running(mutant, folder, original, time.monotonic())


def wait(running: dict[int, Running]) -> tuple[Running, str]:
    """Waits for any of the processes; its mutant and ``killed``, ``timeout`` or ``survived``."""
    while True:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child in running:
            code = os.waitstatus_to_exitcode(status)
            if code == WRONG_COPY:
                raise SystemExit("the tests did not import the copy of the package")
            return running.pop(child), "survived" if code == 0 else "killed"
        for child, job in running.items():
            if time.monotonic() - job.since > TIMEOUT_S:
                os.kill(child, 9)
                os.waitpid(child, 0)
                return running.pop(child), "timeout"
        time.sleep(0.01)


def run(chosen: list[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Every mutant's verdict, in the order in which they are reached."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        first = copy_tree(Path(place, "0").resolve())
        for file in dict.fromkeys(mutant.file for mutant in chosen):
            _, status = os.waitpid(start_tests(first, file), 0)  # also fills the caches of compiled code
            if status:
                raise SystemExit(f"the tests of {file} fail without any mutant: {', '.join(SUITES[file])}")
        free = [first, *(shutil.copytree(first, first.with_name(str(i))) for i in range(1, jobs))]
        running: dict[int, Running] = {}
        waiting = chosen[::-1]
        while waiting or running:
            while waiting and free:
                job = write(free.pop(), waiting.pop())
                running[start_tests(job.folder, job.mutant.file)] = job
            job, verdict = wait(running)
            (job.folder / CREDIT / job.mutant.file).write_text(job.original, "utf-8")
            free.append(job.folder)
            yield job.mutant, verdict


def table(results: list[tuple[Mutant, str]], skipped: Counter[str]) -> str:
    """Counts by file, and the survivors."""
    columns = ("mutants", "killed", "timeout", "survived", "equivalent")
    lines = [f"{'file':16s}" + "".join(f"{name:>11s}" for name in columns)]
    for file in SUITES:
        counts = Counter(verdict for mutant, verdict in results if mutant.file == file)
        if total := counts.total():
            numbers = (total, counts["killed"], counts["timeout"], counts["survived"], skipped[file])
            lines.append(f"{file:16s}" + "".join(f"{number:11d}" for number in numbers))
    survivors = [f"survived: {m.file}  {m.label}" for m, verdict in results if verdict == "survived"]
    return "\n".join(lines + survivors)


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the verifiers on purpose; a test must fail.")
    parser.add_argument("--only", default=",".join(SUITES), help="comma-separated files (default: all)")
    parser.add_argument("--match", default="", help="only mutants whose description contains this")
    parser.add_argument("--sample", type=int, help="try only so many mutants, drawn with --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the verdicts to this file")
    given = parser.parse_args()
    files = given.only.split(",")
    if unknown := sorted(set(files) - set(SUITES)):
        parser.error(f"unknown file {unknown[0]!r}; choose from: {', '.join(SUITES)}")
    every = [mutant for file in files for mutant in mutants(file)]
    chosen = [
        mutant
        for mutant in every
        if (mutant.file, mutant.label) not in EQUIVALENT and given.match in mutant.label
    ]
    skipped = Counter(file for file, label in EQUIVALENT if given.match in label)
    if given.sample:
        chosen = random.Random(given.seed).sample(chosen, min(given.sample, len(chosen)))
    start, results = time.monotonic(), []
    for result in run(chosen, given.jobs):
        results.append(result)
        if result[1] == "survived" or len(results) % 50 == 0:
            print(len(results), result[1], result[0].file, result[0].label, file=sys.stderr, flush=True)
    print(table(results, skipped), f"{len(results)} mutants in {time.monotonic() - start:.0f} s", sep="\n")
    if given.json:
        rows = [{"file": m.file, "mutant": m.label, "verdict": verdict} for m, verdict in results]
        given.json.write_text(json.dumps(rows, indent=1), "utf-8")
    return int(any(verdict == "survived" for _, verdict in results))


if __name__ == "__main__":
    sys.exit(main())
