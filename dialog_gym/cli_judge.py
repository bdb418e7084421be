"""`dialog-gym judge`: a language model's view of stored dialogues, beside the formulas'."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialog_gym.cli_evaluate import StoreFile, again, readable
from dialog_gym.cli_output import Json, Seed, note, number, progress, say, say_json, table
from dialog_gym.cli_served import (
    PREFIX,
    ApiKeyEnv,
    BaseUrl,
    ChatCache,
    Concurrency,
    MaxTokens,
    PerMinute,
    Prices,
    Temperature,
    paused,
    served_options,
)

if TYPE_CHECKING:
    from dialog_gym.benchmarks.judge import Judgement


def judge(
    file: StoreFile,
    model: Annotated[str, typer.Option(help="The judge, as its server names it.")],
    turns: Annotated[int, typer.Option(min=1, help="Assistant turns to be judged, drawn at random.")] = 200,
    seed: Seed = 0,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    concurrency: Concurrency = None,
    requests_per_minute: PerMinute = None,
    prices: Prices = None,
    chat_cache: ChatCache = None,
    json: Json = False,
) -> None:
    """Have a language model judge stored dialogues.

    It gives the seven language measures of assistant turns; what is shown is how far it agrees with the
    formulas that scores are made of. Scores stay as they are.
    """
    from dialog_gym.benchmarks.judge import judge_store
    from dialog_gym.chat_options import ChatOptions

    readable(file)
    chosen = served_options(
        PREFIX + model, base_url=base_url, api_key_env=api_key_env, temperature=temperature,
        max_tokens=max_tokens, concurrency=concurrency, requests_per_minute=requests_per_minute,
        prices=prices,
    )  # fmt: skip
    options = ChatOptions.of(model.removeprefix(PREFIX), chosen)
    with paused("what is judged is kept", again(resume=False)), progress(f"judging {file.name}") as update:
        found = judge_store(file, options, turns=turns, seed=seed, cache=chat_cache, on_progress=update)
    if json:
        say_json({"file": str(file), **found.model_dump()})
    else:
        _present(found, file)


def _present(found: "Judgement", file: Path) -> None:
    say(f"{found.model} on {found.turns:,} assistant turns of {file}\n")
    rows = []
    for name, measure in found.measures.items():
        rank = measure.spearman
        interval = f"[{number(rank.low)}, {number(rank.high)}]" if rank.n else "not judged"
        means = [number(measure.judge), number(measure.formula)]
        rows.append([name, *means, number(rank.value), interval, f"{rank.n:,}"])
    say(table(("measure", "judge", "formula", "Spearman", "95 % interval", "n"), rows))
    if found.unread:
        note(f"{found.unread:,} answers held no scores")
