"""`dialog-gym train ALGORITHM`: one command per learning algorithm, with the algorithm's own options.

An algorithm is imported, and PyTorch with it, when its command is given; the list of commands needs neither.
"""

import inspect
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from dialog_gym import plugins
from dialog_gym.cli_evaluate import again
from dialog_gym.cli_output import Failed, Interrupted, Json, Seed, note, number, say, say_json
from dialog_gym.cli_training_progress import training_progress

if TYPE_CHECKING:
    from dialog_gym.agents.learning.run_options import Outcome, Progress, RunOptions
    from dialog_gym.agents.learning.settings import Setting


class _Algorithm(TyperCommand):
    """The command of an algorithm, built when it is given."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """That of the real command."""
        assert self.name is not None
        chosen = [
            _chosen(args, flag, usual) for flag, usual in (("--backbone", "net"), ("--domain", "credit"))
        ]
        return _command(self.name, *chosen).make_context(info_name, args, parent, **extra)


class _Algorithms(TyperGroup):
    """A command per registered algorithm."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all algorithms, and of what else is trained."""
        from dialog_gym.agents.learning import registry

        return [*registry.names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of an algorithm, or None."""
        from dialog_gym.agents.learning import registry

        if cmd_name not in registry.names():
            return super().get_command(ctx, cmd_name)
        return _Algorithm(cmd_name, help=registry.about(cmd_name), callback=None)


def _chosen(args: Sequence[str], flag: str, usual: str) -> str:
    """What a command line gives for a flag on which depends which options, or defaults, there are."""
    for position, argument in enumerate(args):
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
        if argument == flag and position + 1 < len(args):
            return args[position + 1]
    return usual


train = typer.Typer(
    cls=_Algorithms, rich_markup_mode=None, no_args_is_help=False,
    help="Train an agent. Its folder is what `evaluate`, `play` and `leaderboard` take as --agent.",
)  # fmt: skip


def _run_options(
    backbone: Annotated[
        str, typer.Option(help="net: a network at act level; lm: a language model.", metavar="NAME")
    ] = "net",
    domain: Annotated[str, typer.Option(help="Where the agent learns.", metavar="NAME")] = "credit",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default one in runs/train, named like the run.")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the agent to start from; default one trained by sft, into OUT/sft.", metavar="DIR"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    seed: Seed = 0,
    level: Annotated[int, typer.Option(min=0, max=9, help="Difficulty, 0 (easy) to 9 (hard).")] = 3,
    styles: Annotated[
        str, typer.Option(help="Buyer styles to train on; default all but the held-out one.", metavar="A,B")
    ] = "",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Budget of environment steps; default the backbone's.")
    ] = None,
    save_every: Annotated[int, typer.Option(min=1, help="Iterations between checkpoints.")] = 10,
    validate_every: Annotated[
        int, typer.Option(min=0, help="Iterations between validations on held-out tasks; 0: none.")
    ] = 10,
    validation_episodes: Annotated[
        int | None, typer.Option(min=1, help="Dialogues of a validation; default the backbone's.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch; default its own.")] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard event files.")
    ] = False,
    wandb: Annotated[
        bool, typer.Option("--wandb", help="Also log to Weights & Biases; offline unless WANDB_MODE is set.")
    ] = False,
    json: Json = False,
) -> None:
    """The options that all algorithms share."""


def _command(name: str, backbone: str, domain: str) -> Any:
    """The command of an algorithm: the run's options, the algorithm's, the backbone's."""
    from dialog_gym.agents.learning import backbones, registry, settings

    algorithm = registry.load(name)
    from dialog_gym.agents.learning.run_options import usual_weights  # imports torch, which is there now

    kind = settings.config_type(algorithm)
    weights = usual_weights(kind, plugins.load("domains", domain)())
    config = [one._replace(default=weights.get(one.name, one.default)) for one in settings.settings(kind)]
    model = backbones.backbone(backbone).settings()
    shared = [p for p in inspect.signature(_run_options).parameters.values() if _wanted(p.name, algorithm)]
    parameters = [*shared, *map(_parameter, [*config, *model])]

    def command(**values: Any) -> None:
        chosen = [{one.name: values.pop(one.name) for one in group} for group in (config, model)]
        given = [_given(group, own) for group, own in zip((config, model), chosen, strict=True)]
        _run(name, values, *given)

    command.__doc__ = f"{inspect.cleandoc(algorithm.__doc__ or name)}\n\nThe run's folder is an agent."
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(command)
    return typer.main.get_command(app)


def _wanted(option: str, algorithm: Any) -> bool:
    """Whether a shared option says something to an algorithm: demonstrations are not counted in steps."""
    return bool(option != "steps" or algorithm.online)


def _parameter(setting: "Setting") -> inspect.Parameter:
    """An option of a configuration; None if not given, because its default may be the backbone's."""
    kind: Any = setting.kind
    shown, declared, metavar = str(setting.default), list[str](), None
    if get_origin(kind) is Literal:
        kind = _choice(setting.name, get_args(kind))
    elif isinstance(setting.default, Mapping):
        kind, metavar = str, "NAME=W,..."
        shown = ",".join(f"{name}={weight:g}" for name, weight in setting.default.items())
    elif kind is bool:
        shown = "yes" if setting.default else "no"
        declared = [f"{setting.flag}/--no-{setting.flag[2:]}"]
    usual = f" Default: {shown}." if shown else ""
    option = typer.Option(*declared, help=f"{setting.help}{usual}", metavar=metavar)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _choice(name: str, choices: tuple[str, ...]) -> Any:
    """A type with some texts as its values: Typer takes enumerations."""
    members = {choice: choice for choice in choices}
    return Enum(name, members, type=str)


def _given(group: Sequence["Setting"], values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as a configuration takes them."""
    from dialog_gym.agents.learning.settings import parse_weights

    found: dict[str, Any] = {}
    for setting in group:
        value = values[setting.name]
        if value is not None:
            weights = isinstance(setting.default, Mapping)
            plain = value.value if isinstance(value, Enum) else value
            found[setting.name] = parse_weights(plain, setting.default) if weights else plain
    return found


def _run(name: str, values: dict[str, Any], config: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    from dialog_gym.agents.learning.run_options import RunOptions, run_name

    json = values.pop("json")
    run = run_name(name, values["backbone"], values["domain"], values["seed"])
    out = values.pop("out") or Path("runs/train") / run
    options = RunOptions(algorithm=name, out=out, model=model, config=config, **values)
    outcome = _played_out(options)
    if json:
        say_json({"folder": str(out), "agent": outcome.card.model_dump(), "metrics": outcome.metrics})
        return
    _present(out, outcome)


def _played_out(options: "RunOptions") -> "Outcome":
    """Run, with progress on stderr; Ctrl-C saves first.

    Raises:
        Interrupted: it was stopped; the text says how to go on.
        Failed: the loss was not finite.
    """
    from dialog_gym.agents.learning.algorithm import TrainingError
    from dialog_gym.agents.learning.runs import run

    try:
        with training_progress() as show, _ctrl_c() as stop:
            outcome = run(options, _Watch(show, stop))
    except TrainingError as error:
        raise Failed(str(error)) from error
    except KeyboardInterrupt:
        raise Interrupted(f"stopped at once, without saving; go on with: {again()}") from None
    if not outcome.finished:
        raise Interrupted(f"stopped and saved in {options.out}; go on with: {again()}")
    return outcome


class _Watch:
    """Follows a run for the command line."""

    def __init__(self, show: Callable[["Progress"], None], stop: Callable[[], bool]) -> None:
        self.progress, self.stop = show, stop

    def note(self, text: str) -> None:
        """A line on stderr."""
        note(text)


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C only asks to stop, because half an iteration cannot be saved; the second one stops."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        note("stopping after this iteration; Ctrl-C again stops at once")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def _present(out: Path, outcome: "Outcome") -> None:
    card, metrics = outcome.card, outcome.metrics
    learnt = (
        f"{card.env_steps:,} environment steps"
        if card.env_steps
        else f"{card.demonstrations:,} demonstrations"
    )
    say(f"{out}: {card.algorithm} on backbone {card.backbone}, seed {card.seed}, {learnt}")
    shown = ("conversion", "resolution", "violations", "reward")
    held_out = {name: metrics.get(f"validation_{name}") for name in shown}
    figures = [f"{name} {number(value)}" for name, value in held_out.items() if value is not None]
    if figures:
        say(f"held-out tasks, of reached customers: {', '.join(figures)}")
    say(f"score it with: dialog-gym evaluate --agent {out}")
