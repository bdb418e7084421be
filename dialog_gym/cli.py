"""The command ``dialog-gym``: its commands, and how every mistake ends in one line on stderr.

Exit codes: 0 done, 1 a check or a replay found something wrong, training broke down or a served model is
down, 2 a mistake in what was asked, 70 a defect of dialog-gym itself, 130 stopped with Ctrl-C.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

import dialog_gym
from dialog_gym import (
    cli_board,
    cli_curves,
    cli_evaluate,
    cli_judge,
    cli_play,
    cli_plugins,
    cli_simulators,
    cli_train,
    cli_transfer,
)
from dialog_gym.cli_output import Failed, Interrupted, plain_warnings, printable, say
from dialog_gym.core import DialogGymError
from dialog_gym.plugins import nearest

NAME = "dialog-gym"
FAILED, MISTAKE, DEFECT, STOPPED = 1, 2, 70, 130
# the base of all usage errors; typer has moved it between releases, the class above this one has not
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(name=NAME, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("play")(cli_play.play)
app.command("evaluate")(cli_evaluate.evaluate)
app.command("grade")(cli_evaluate.grade)
app.command("replay")(cli_evaluate.replay)
app.command("judge")(cli_judge.judge)
app.command("leaderboard")(cli_board.leaderboard)
app.command("report")(cli_board.report)
app.command("curves")(cli_curves.curves)
app.command("matrix")(cli_simulators.matrix)
app.command("transfer")(cli_transfer.transfer)
app.command("list")(cli_plugins.list_plugins)
cli_train.train.command("simulator")(cli_simulators.train_simulator)
app.add_typer(cli_train.train, name="train")
app.add_typer(cli_plugins.check, name="check")
app.add_typer(cli_simulators.certify, name="certify")
app.add_typer(cli_plugins.data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"{NAME} {dialog_gym.__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A simulation gym and benchmark for e-commerce dialogue agents.

    Begin with `dialog-gym play` to be the agent yourself, or `dialog-gym play --agent scripted` to watch one.
    """
    if context.invoked_subcommand is None:
        say(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    Args:
        arguments: Instead of those of the process.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _prepare() -> None:
    """Make streams, warnings and the import path what a command needs."""
    plain_warnings()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without some character still shows the rest
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # module:Class in the present folder; last, so that it hides nothing


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    _prepare()
    try:
        code = app(list(arguments), prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed()
    except SystemExit as leaving:  # typer leaves by itself on a closed pipe, and after shell completion
        if isinstance(leaving.__context__, BrokenPipeError):
            return _closed()
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _fail(STOPPED, "stopped")
    except Interrupted as stop:
        return _fail(STOPPED, str(stop))
    except Failed as failure:
        return _fail(FAILED, str(failure))
    except Exception as error:  # the last stop: whatever went wrong becomes one line
        return _failure(error)
    if code == STOPPED:  # what newer releases of typer make of Ctrl-C
        return _fail(STOPPED, "stopped")
    return code if isinstance(code, int) else 0


def _closed() -> int:
    """Nothing more can be written to stdout, and Python would try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _fail(MISTAKE, "the output was closed before everything was written")


def _failure(error: Exception) -> int:
    if isinstance(error, DialogGymError):
        return _fail(MISTAKE, str(error))
    if isinstance(error, _UsageError):
        return _fail(MISTAKE, _usage(error))
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _fail(MISTAKE, f"{where}{error.strerror or error}")
    if os.environ.get("DIALOG_GYM_DEBUG"):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    line = (
        f"internal error: {type(error).__name__}: {error} ({place}); DIALOG_GYM_DEBUG=1 shows the traceback"
    )
    return _fail(DEFECT, line)


def _usage(error: Any) -> str:
    """A usage error in one line, with the nearest option and where to read on."""
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    context: Any = getattr(error, "ctx", None)
    if text.startswith("no such option"):
        known = [name for parameter in context.command.params for name in parameter.opts]
        text = f"no such option {error.option_name}; {nearest(error.option_name, known)}"
    if text.startswith("no such command"):
        word = text.split("'")[1]
        text = f"no such command {word!r}; {nearest(word, context.command.list_commands(context))}"
    return f"{text} (see {context.command_path} --help)" if context else text


def _fail(code: int, line: str) -> int:
    print(f"{NAME}: {' '.join(printable(line).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
