"""Options of the command line for models behind OpenAI-compatible servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dialog_gym.chat_faults import ChatOutage
from dialog_gym.chat_ledger import told
from dialog_gym.cli_output import Failed, note
from dialog_gym.core import DialogGymError, Result

PREFIX: Final = "openai:"
BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="Server of an agent named openai:MODEL, e.g. http://localhost:8000/v1; default "
        "$OPENAI_BASE_URL, else OpenAI's.",
        metavar="URL",
    ),
]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(help="Environment variable with its API key; default OPENAI_API_KEY.", metavar="NAME"),
]
Temperature = Annotated[
    float | None, typer.Option(min=0, help="Of its sampling; default 0, the likeliest token.")
]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Longest reply, reasoning included; default 400.", metavar="N")
]
Concurrency = Annotated[
    int | None, typer.Option(min=1, help="Requests under way at once; default 32.", metavar="N")
]
PerMinute = Annotated[
    float | None, typer.Option(help="Most requests a minute; default no limit.", metavar="N")
]
Prices = Annotated[
    str | None,
    typer.Option(help="For a million tokens of input and of output, e.g. 0.4,1.6.", metavar="IN,OUT"),
]
Tools = Annotated[bool, typer.Option("--tools", help="Offer it the shop's acts as tools to call.")]
Prompt = Annotated[
    Path | None,
    typer.Option(help="A text that stands before the guidelines in its system message.", metavar="FILE"),
]
ChatCache = Annotated[
    Path | None,
    typer.Option(
        help="Keep replies of served models in this file, and ask nothing that is in it.", metavar="FILE"
    ),
]


def served_options(agent: str, **options: Any) -> dict[str, Any]:
    """What an agent named ``openai:MODEL`` is built with; options that were not given are None or False.

    Raises:
        DialogGymError: options for another agent, prices that are none, or a prompt that cannot be read.
    """
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if not agent.startswith(PREFIX):
        if given:
            option = next(iter(given)).replace("_", "-")
            raise DialogGymError(f"--{option} goes with --agent openai:MODEL, not with {agent}")
        return {}
    if "prices" in given:
        given["prices"] = _prices(given["prices"])
    if "prompt" in given:
        given["prompt"] = _text(given["prompt"])
    return given


def _prices(text: str) -> tuple[float, float]:
    try:
        paid, made = map(float, text.split(","))
    except ValueError:
        raise DialogGymError(f"--prices is {text!r}; give two numbers, e.g. 0.4,1.6") from None
    return paid, made


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DialogGymError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def paused(where: str, again: str) -> Iterator[None]:
    """Turn an outage into one line that says where things are and how to go on.

    Args:
        where: What has been kept, e.g. "finished dialogues are in FILE".
        again: The command to go on with.

    Raises:
        Failed: there was one.
    """
    try:
        yield
    except ChatOutage as outage:
        raise Failed(f"paused: {outage}; {where}; go on with: {again}") from None


def note_usage(result: Result) -> None:
    """What served models were asked for, one line per role."""
    for role, sums in result.usage.items():
        note(told(role, sums))
