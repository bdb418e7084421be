"""`dialog-gym list`, `check` and `data`: what is installed, and whether one's own plug-in is right."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from dialog_gym import plugins
from dialog_gym.cli_output import Interrupted, Json, Seed, progress, say, say_json, table
from dialog_gym.core import DialogGymError
from dialog_gym.downloads import data_folder

ENTRY_POINTS = ("agents", "simulators", "domains", "suites", "rewards")
KINDS = ("agents", "algorithms", "simulators", "domains", "suites", "metrics", "rewards", "envs")

check = typer.Typer(
    rich_markup_mode=None, no_args_is_help=False, help="Try your own agent, simulator, suite or rulebook out."
)
data = typer.Typer(
    rich_markup_mode=None, no_args_is_help=False, help="Public data sets: get them, see where they are."
)

DataDir = Annotated[
    Path | None, typer.Option(help="The folder to use instead of $DIALOG_GYM_DATA.", metavar="DIR")
]
DATA_SETS = {"multiwoz": "dialog_gym.domains.multiwoz.releases"}
"""Data set -> the module that knows its files: ``folder_of``, ``download``, ``take`` and ``absent``."""

Plugin = Annotated[str, typer.Argument(metavar="NAME", help="A name, module:Class or path.py[:Class].")]


def list_plugins(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}, or all.", metavar="KIND")] = "all",
    json: Json = False,
) -> None:
    """List what is installed, and where it comes from."""
    if kind not in (*KINDS, "all"):
        raise DialogGymError(f"unknown kind {kind!r}; {plugins.nearest(kind, (*KINDS, 'all'))}")
    found = {name: _found(name) for name in (KINDS if kind == "all" else (kind,))}
    if json:
        say_json(found)
        return
    parts = []
    for name, rows in found.items():
        head = (name, "meaning" if name in ("algorithms", "metrics") else "from")
        body = table(head, list(rows.items())) if rows else f"{name}\nnone installed"
        parts.append(body)
    say("\n\n".join(parts))


def _found(kind: str) -> dict[str, str]:
    if kind == "envs":
        import gymnasium

        return {
            name: str(spec.entry_point)
            for name, spec in sorted(gymnasium.registry.items())
            if str(spec.entry_point).startswith("dialog_gym.")
        }
    if kind == "algorithms":
        from dialog_gym.agents.learning import registry

        return {name: registry.about(name) for name in registry.names()}
    if kind == "metrics":
        from dialog_gym.metrics import METRICS

        built_in = {name: str(getattr(metric, "about", "built in")) for name, metric in METRICS.items()}
        return built_in | {name: plugins.source(kind, name) for name in plugins.names(kind)}
    return {name: plugins.source(kind, name) for name in plugins.names(kind)}


def _verdict(subject: str, checks: Sequence[Any], json: bool) -> int:
    """Print checks; the exit code is 1 when one failed."""
    failed = sum(one.failed for one in checks)
    if json:
        lines = [{"name": c.name, "status": c.status, "detail": c.detail, "remedy": c.remedy} for c in checks]
        say_json({"subject": subject, "ok": not failed, "checks": lines})
        return int(failed > 0)
    for one in checks:
        say(one.line())
    warned = sum(one.status == "warning" for one in checks)
    ends = [f"{failed} failed"] * bool(failed) + [f"{warned} warning{'s' * (warned > 1)}"] * bool(warned)
    say(f"{subject}: {', '.join(ends) or 'all is well'}")
    return int(failed > 0)


@check.command("agent")
def check_agent(name: Plugin, seed: Seed = 0, json: Json = False) -> int:
    """Try an agent out.

    Does it answer, repeat itself, keep dialogues apart, survive odd users? Exits with 1 if not.
    """
    from dialog_gym import testing

    _there("agents", name)
    return _verdict(name, testing.check_agent(name, seed=seed), json)


@check.command("simulator")
def check_simulator(name: Plugin, seed: Seed = 0, json: Json = False) -> int:
    """Try a user simulator out.

    Does it say what it is asked to, repeat itself, keep dialogues apart? Exits with 1 if not.
    """
    from dialog_gym import testing

    _there("simulators", name)
    return _verdict(name, testing.check_simulator(name, seed=seed), json)


@check.command("suite")
def check_suite(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .toml file, or a suite's name.")],
    json: Json = False,
) -> int:
    """Check a suite.

    Are its names known, its tasks there, its metrics computed? Exits with 1 if not.
    """
    from dialog_gym.benchmarks.suite import Suite, load_suite
    from dialog_gym.envs.dialogue_env import DialogueEnv
    from dialog_gym.metrics import all_metrics
    from dialog_gym.testing_tools import Check, Wrong

    _there("suites", file, ".toml")
    found: list[Suite] = []

    def parsed() -> str:
        found.append(load_suite(file))
        return f"{found[0].name} version {found[0].version}, {found[0].size:,} dialogues"

    def scenario(name: str, tasks: int) -> Callable[[], str]:
        def test() -> str:
            suite = found[0]
            env = DialogueEnv(suite.domain, scenario=name, simulator=suite.simulator, split=suite.split,
                              level=suite.level)  # fmt: skip
            if tasks < 1:
                raise Wrong(f"{tasks} tasks", "give at least 1, or leave the scenario out")
            env.begin(tasks - 1, 0)
            return f"{tasks:,} tasks"

        return test

    def metrics() -> str:
        suite, known = found[0], all_metrics()
        for name in (*suite.headline, suite.rank_by):
            if name not in known:
                raise Wrong(f"unknown metric {name!r}", plugins.nearest(name, known))
        return f"ranked by {suite.rank_by}"

    checks: list[Check] = [_tried("can be read", parsed)]
    if found:
        checks += [_tried(f"scenario {name}", scenario(name, n)) for name, n in found[0].scenarios.items()]
        checks.append(_tried("metrics", metrics))
    return _verdict(file, checks, json)


@check.command("rulebook")
def check_rulebook(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A rulebook (.toml) of the credit domain.")],
    json: Json = False,
) -> int:
    """Check a rulebook.

    Can it be read, is it complete, can dialogues be played by it? Exits with 1 if not.
    """
    from dialog_gym.agents.base import load_agent
    from dialog_gym.domains.credit.rulebook import load_rulebook
    from dialog_gym.testing_tools import Bench, alone

    if not file.is_file():
        raise DialogGymError(f"no such file: {file}")

    def read() -> str:
        book = load_rulebook(file)
        return f"version {book.version}, products {', '.join(book.products)}"

    def played() -> str:
        domain = plugins.load("domains", "credit")(rulebook=file)
        said = alone(load_agent("hello-and-stop"), Bench(domain).episodes())
        return f"{len(said)} dialogues"

    checks = [_tried("can be read and is consistent", read)]
    if not checks[0].failed:
        checks.append(_tried("dialogues can be played by it", played))
    return _verdict(str(file), checks, json)


def _there(kind: str, name: str, suffix: str = ".py") -> None:
    """A mistyped name is the caller's mistake, not a finding about a plug-in."""
    path, _, attribute = name.partition(":")
    if path.endswith(suffix):
        if not Path(path).is_file():
            raise DialogGymError(f"no such file: {path}")
    elif not attribute and name not in plugins.names(kind):
        raise DialogGymError(f"unknown {kind[:-1]} {name!r}; {plugins.nearest(name, plugins.names(kind))}")


def _tried(name: str, test: Callable[[], str]) -> Any:
    from dialog_gym.testing_tools import attempt

    return attempt(name, test)


@data.command("path")
def data_path(data_dir: DataDir = None, json: Json = False) -> None:
    """Print where data sets are looked for.

    That is --data-dir, else the environment variable DIALOG_GYM_DATA, else your cache folder.
    """
    folder = data_folder(data_dir)
    if json:
        say_json({"path": str(folder), "exists": folder.is_dir()})
        return
    say(str(folder) if folder.is_dir() else f"{folder} (there is no such folder)")


@data.command("get")
def data_get(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(DATA_SETS)}.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Take the files from this folder instead of downloading them."
        ),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Download a public data set, or take it from a folder; every file is verified.

    What is already there is left alone, and a download that was stopped goes on where it was.
    """
    if name not in DATA_SETS:
        raise DialogGymError(f"unknown data set {name!r}; {plugins.nearest(name, DATA_SETS)}")
    if source and not source.is_dir():
        raise DialogGymError(f"no such folder: {source}")
    releases = import_module(DATA_SETS[name])
    folder = releases.folder_of(data_dir)
    try:
        with progress(name) as bar:
            got = releases.take(source, folder, bar) if source else releases.download(folder, bar)
    except KeyboardInterrupt:
        raise Interrupted("stopped; the same command goes on where it was") from None
    left = releases.absent(folder)
    if json:
        say_json({"path": str(folder), "files": [str(path) for path in got], "missing": left})
        return
    say(f"{name}: {len(got)} files {'taken' if source else 'downloaded'}, now in {folder}")
    if left:
        say(f"{len(left)} files of the release are missing ({left[0]}, ...); without --from they are fetched")
