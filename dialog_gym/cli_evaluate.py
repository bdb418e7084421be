"""`dialog-gym evaluate`, `grade` and `replay`: score an agent, recompute scores, verify dialogues."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialog_gym.cli_corpus import evaluate_predictions
from dialog_gym.cli_output import (
    Interrupted,
    Json,
    Level,
    Seed,
    Workers,
    note,
    number,
    progress,
    say,
    say_json,
    table,
)
from dialog_gym.cli_served import (
    ApiKeyEnv,
    BaseUrl,
    ChatCache,
    Concurrency,
    MaxTokens,
    PerMinute,
    Prices,
    Prompt,
    Temperature,
    Tools,
    note_usage,
    paused,
    served_options,
)
from dialog_gym.core import DialogGymError, Result, Trajectory

if TYPE_CHECKING:
    from dialog_gym.benchmarks.evaluate import RunConfig

SHOWN = 5
"""Mismatches printed by `replay`."""

StoreFile = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `evaluate` wrote (.jsonl).")]
SuiteName = Annotated[str, typer.Option(help="What to play: a name (see `list suites`) or a .toml file.")]
AllMetrics = Annotated[bool, typer.Option("--all", help="Show every metric, not only the headline ones.")]


def evaluate(
    agent: Annotated[
        str | None,
        typer.Option(help="A name (see `list agents`), openai:MODEL, module:Class or path.py[:Class]."),
    ] = None,
    suite: SuiteName = "credit-v1",
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score this file of responses instead of an agent (suite multiwoz-corpus).", metavar="FILE"
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Accept a predictions file in which dialogues or turns are missing."),
    ] = False,
    episodes: Annotated[
        int | None, typer.Option(help="Play only the first N dialogues of the suite.", metavar="N")
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    simulator: Annotated[
        str | None, typer.Option(help="Play against another user simulator than the suite's.")
    ] = None,
    level: Level = None,
    profiles: Annotated[
        str, typer.Option(help="Shoppers from the `generator`, or rows of `real` data.")
    ] = "generator",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are; default $DIALOG_GYM_DATA.", metavar="DIR")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to store the dialogues; default runs/SUITE/AGENT-seedN.jsonl.", metavar="FILE"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped, keeping what it finished.")
    ] = False,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    concurrency: Concurrency = None,
    requests_per_minute: PerMinute = None,
    prices: Prices = None,
    tools: Tools = False,
    prompt: Prompt = None,
    chat_cache: ChatCache = None,
    show_all: AllMetrics = False,
    json: Json = False,
) -> None:
    """Score an agent on a suite.

    Plays it, stores every dialogue, and prints the scores with their 95 % intervals. The same seed gives the
    same file, whatever the number of workers. A stopped run goes on with --resume.
    """
    from dialog_gym.benchmarks import evaluate as evaluation
    from dialog_gym.benchmarks import multiwoz_corpus
    from dialog_gym.benchmarks.suite import load_suite

    if data_dir is not None:
        os.environ["DIALOG_GYM_DATA"] = str(data_dir)  # not in the store: it is the same run elsewhere
    if predictions is not None or suite == multiwoz_corpus.SUITE:
        playing = {
            "--agent": agent, "--episodes": episodes, "--workers": workers, "--simulator": simulator,
            "--level": level, "--out": out, "--resume": resume or None,
        }  # fmt: skip
        evaluate_predictions(predictions, suite, playing, seed, partial, json)
        return
    if agent is None:
        raise DialogGymError("missing option '--agent': who is to be scored (see `dialog-gym list agents`)")
    if partial:
        raise DialogGymError("--partial goes with --predictions FILE")
    options = {} if profiles == "generator" else {"profile_source": profiles}
    played = load_suite(suite)
    served = served_options(
        agent, base_url=base_url, api_key_env=api_key_env, temperature=temperature,
        max_tokens=max_tokens, concurrency=concurrency, requests_per_minute=requests_per_minute,
        prices=prices, tools=tools, prompt=prompt,
    )  # fmt: skip
    if tools:
        served["domain"] = played.domain
    config = evaluation.RunConfig(
        played, agent, episodes, seed, simulator=simulator, level=level, domain_options=options,
        agent_options=served,
    )  # fmt: skip
    store = out or evaluation.default_store(config, agent)
    check_run(config)
    if not resume:
        put_aside(store)
    try:
        with (
            paused(f"finished dialogues are in {store}", again()),
            progress(f"{agent} on {config.suite.name}") as update,
        ):
            result, dialogues = evaluation.evaluate(
                config, store=store, workers=workers, resume=resume, on_progress=update, cache=chat_cache
            )
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; finished dialogues are in {store}; go on with: {again()}") from None
    except Exception as error:
        if type(error).__name__ != "BrokenProcessPool":
            raise
        cause = "a worker process died (out of memory?)"
        raise DialogGymError(f"{cause}; go on with: {again()} --workers 1") from error
    _present(result, dialogues, () if show_all else config.suite.headline, json)
    note_usage(result)
    note(f"dialogues: {store}")


def check_run(config: "RunConfig") -> None:
    """Find mistakes in what was asked before anything is played or written."""
    from dialog_gym.agents.base import load_agent

    load_agent(config.agent, config.agent_options)
    config.suite.episodes(config.episodes, config.seed)
    config.env(next(iter(config.suite.scenarios)))


def put_aside(store: Path) -> None:
    """Keep an earlier run's file under another name: a run without --resume starts afresh."""
    if store.is_file() and store.stat().st_size:
        kept = store.with_name(f"{store.name}.old")
        os.replace(store, kept)
        note(f"the earlier run is kept as {kept}")


def again(resume: bool = True) -> str:
    """The present command, to take it up again or to repeat it."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["dialog-gym", *arguments, *(["--resume"] if resume else [])])


def grade(file: StoreFile, show_all: AllMetrics = False, json: Json = False) -> None:
    """Recompute the scores of stored dialogues.

    Nothing is played.
    """
    from dialog_gym.benchmarks.evaluate import grade as recompute
    from dialog_gym.store import read_store

    readable(file)
    result = recompute(file)
    found = read_store(file)
    if found.truncated:
        note(f"{file}: the last line is cut off and was skipped")
    wanted = found.header.config.get("episodes", 0)
    if isinstance(wanted, int) and len(found.trajectories) < wanted:
        note(f"{file}: an unfinished run, {len(found.trajectories):,} of {wanted:,} dialogues")
    _present(result, found.trajectories, () if show_all else _headline(result.suite), json)


def _headline(suite: str) -> tuple[str, ...]:
    from dialog_gym.benchmarks.suite import load_suite

    try:
        return load_suite(suite).headline
    except DialogGymError:  # scores need no suite: the file may come from one that is not installed here
        return ()


def replay(file: StoreFile, chat_cache: ChatCache = None, json: Json = False) -> int:
    """Verify stored dialogues.

    Plays them again from their seeds and compares everything. Exits with 1 when something differs. Served
    users are asked again, unless their replies are in --chat-cache.
    """
    from dialog_gym.benchmarks.replay import replay_store
    from dialog_gym.chat_records import known_replies

    readable(file)
    with known_replies(chat_cache), progress(f"replay {file.name}") as update:
        found = replay_store(file, update)
    if json:
        counts = {"dialogues": found.dialogues, "turns": found.turns, "as_acts": found.as_acts}
        say_json({"file": str(file), "ok": found.ok, **counts, "mismatches": found.mismatches})
        return not found.ok
    for line in found.mismatches[:SHOWN]:
        say(f"differs: {line}")
    if len(found.mismatches) > SHOWN:
        say(f"... and {len(found.mismatches) - SHOWN:,} more")
    verdict = "all the same" if found.ok else f"{len(found.mismatches):,} differ"
    say(
        f"{found.dialogues:,} dialogues with {found.turns:,} turns played again: {verdict} "
        f"({found.as_acts:,} assistant turns were sent as acts: their words alone read differently)"
    )
    return not found.ok


def readable(file: Path) -> None:
    """Refuse what cannot be a store.

    Raises:
        DialogGymError: it is a folder, or not there.
    """
    if file.is_dir():
        raise DialogGymError(f"{file} is a folder; name a file that `dialog-gym evaluate` wrote")
    if not file.exists():
        raise DialogGymError(f"{file}: no such file; `dialog-gym evaluate` writes them under runs/")


def _present(result: Result, played: list[Trajectory], metrics: tuple[str, ...], json: bool) -> None:
    from dialog_gym.metrics import detectable_difference

    smallest = {"conversion": detectable_difference(played, "conversion")}
    if json:
        say_json(result.model_dump() | {"detectable_difference": smallest})
        return
    where = f"{result.suite} v{result.suite_version} against {result.simulator}, seed {result.seed}"
    say(f"{result.agent} on {where}: {result.episodes:,} dialogues")
    say("(a reference: it sees hidden state and is never ranked)\n" if result.reference else "")
    say(table(("metric", "value", "95 % interval", "n", "better"), _rows(result, metrics)))
    if smallest["conversion"] == smallest["conversion"]:
        found = f"{smallest['conversion']:.3f} between two agents would be found in 4 of 5 runs of this size"
        say(f"\nA difference in conversion of {found}.")


def _rows(result: Result, metrics: tuple[str, ...]) -> list[list[Any]]:
    rows = []
    for name in metrics or result.scores:
        if (score := result.scores.get(name)) is not None:
            interval = f"[{number(score.low)}, {number(score.high)}]" if score.n else "not judged"
            better = "higher" if result.higher_is_better.get(name, True) else "lower"
            rows.append([name, number(score.value), interval, f"{score.n:,}", better])
    return rows
