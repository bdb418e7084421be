"""Rollouts on an OpenAI-compatible server that returns token ids and log-probabilities, such as vLLM.

Prompts go out as token ids and turns come back as token ids, as with the engines that run here; the server
keeps the key-value cache. What it samples is its own: only LoRA adapters can follow the training, by being
published to the server (``vllm serve --enable-lora`` with ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=1``).
"""

import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from dialog_gym import noise
from dialog_gym.core import DialogGymError
from dialog_gym.lm.engine import Sampled, Sampling

STREAM: Final = noise.text_key("seeds of a language model's server")
AS_IDS: Final = "token_id:"
"""How vLLM writes a token whose id is asked for in the place of its text."""
PLAIN: Final[Mapping[str, Any]] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Against what a model's generation settings would have the server do: the policy is sampled as it is."""


class ServerEngine:
    """An `Engine` whose model runs on a server."""

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str = "",
        publish: Callable[[Path], object] | None = None,
        concurrency: int = 64,
        timeout: float = 120.0,
        retries: int = 4,
    ) -> None:
        """Connects.

        Args:
            url: Of the API, e.g. ``http://localhost:8000/v1``.
            model: Name that it serves the model under; default its first.
            api_key: Default the environment variable OPENAI_API_KEY, or none.
            publish: Writes the adapters in training into a folder that the server can read.
            concurrency: Requests under way at once.
            timeout: Seconds to wait for an answer.
            retries: Attempts after a failure that may pass: no connection, too busy, an error of the server.

        Raises:
            DialogGymError: the server cannot be reached, serves no such model, or the openai package is
                missing.
        """
        self.api = _openai()
        self.url, self.concurrency, self.publish, self.version = url, concurrency, publish, 0
        self.client = self.api.OpenAI(
            base_url=url, api_key=api_key or _environment_key(), timeout=timeout, max_retries=retries
        )
        served = {one.id: one for one in self.ask(self.client.models.list).data}
        if not served or (model and model not in served):
            known = ", ".join(sorted(served)) or "none"
            raise DialogGymError(
                f"the server at {url} does not serve {model or 'any model'}; served: {known}"
            )
        self.base = model or next(iter(served))
        self.model = self.base
        self.limit = int(getattr(served[self.base], "max_model_len", None) or sys.maxsize)
        if publish is not None:
            self.refresh()

    def open(self, rows: int, sampling: Sampling) -> "ServerSession":
        """See `Engine`.

        Raises:
            DialogGymError: the temperature is neither 0 nor 1.
        """
        if sampling.temperature not in (0.0, 1.0):
            raise DialogGymError(
                f"the temperature is {sampling.temperature}, but servers report log-probabilities at 1: "
                "sample at 1, or take the likeliest token with 0"
            )
        return ServerSession(self, rows, sampling)

    def refresh(self) -> None:
        """See `Engine`: publishes the adapters under a new name, and has the server forget the old ones.

        Raises:
            DialogGymError: there are no adapters, or the server does not take them.
        """
        if self.publish is None:
            raise DialogGymError(
                f"the weights have changed, those of the server at {self.url} have not: only LoRA adapters "
                "can follow the training; train with --lora, or without a server"
            )
        before, self.version = self.model, self.version + 1
        self.model = f"{self.base.rsplit('/', 1)[-1]}-lora-{self.version}"
        with tempfile.TemporaryDirectory(prefix="dialog-gym-adapter-") as folder:
            self.publish(Path(folder))
            self._post("/load_lora_adapter", {"lora_name": self.model, "lora_path": folder})
        if before != self.base:
            self._post("/unload_lora_adapter", {"lora_name": before})

    def _post(self, path: str, body: Mapping[str, str]) -> None:
        self.ask(lambda: self.client.post(path, cast_to=str, body=body))

    def ask(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """The server's answer.

        Raises:
            DialogGymError: there is none, or it is an error.
        """
        try:
            return call(**arguments)
        except self.api.APIStatusError as error:
            message = " ".join(str(error.message).split())[:300]
            raise DialogGymError(f"the server at {self.url} refuses: {message}") from None
        except self.api.APITimeoutError:
            raise DialogGymError(
                f"the server at {self.url} gave no answer in {self.client.timeout:g} seconds"
            ) from None
        except self.api.APIConnectionError as error:
            cause = error.__cause__ or error
            raise DialogGymError(f"the server at {self.url} cannot be reached: {cause}") from None
        except self.api.APIError as error:
            raise DialogGymError(f"the server at {self.url} gave no usable answer: {error}") from None


class ServerSession:
    """A `Session` whose rows are lists of ids here; a turn is one request."""

    def __init__(self, engine: ServerEngine, rows: int, sampling: Sampling) -> None:
        """Begins with empty rows."""
        self.engine, self.sampling = engine, sampling
        self._version = engine.version
        self._ids: dict[int, list[int]] = {row: [] for row in range(rows)}

    def append(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> None:
        """See `Session`."""
        self._check(rows)
        for row, new in zip(rows, tokens, strict=True):
            if len(new) > self.room(row):
                raise DialogGymError(
                    f"row {row} has room for {self.room(row)} more tokens, not {len(new)}: the server's "
                    f"context holds {self.engine.limit}; shorten the prompt or end the dialogue"
                )
        for row, new in zip(rows, tokens, strict=True):
            self._ids[row].extend(new)

    def sample(self, rows: Sequence[int], keys: Sequence[int]) -> list[Sampled]:
        """See `Session`."""
        self._check(rows)
        if empty := [row for row in rows if not self._ids[row]]:
            raise DialogGymError(f"row {empty[0]} is empty; append a prompt before sampling")
        with ThreadPoolExecutor(max(1, min(self.engine.concurrency, len(rows)))) as pool:
            turns = list(pool.map(self._turn, rows, keys))
        for row, turn in zip(rows, turns, strict=True):
            self._ids[row].extend(turn.ids)
        return turns

    def drop(self, rows: Sequence[int]) -> None:
        """See `Session`."""
        self._check(rows)
        for row in rows:
            del self._ids[row]

    def length(self, row: int) -> int:
        """See `Session`."""
        self._check([row])
        return len(self._ids[row])

    def room(self, row: int) -> int:
        """See `Session`."""
        return self.engine.limit - self.length(row)

    def _turn(self, row: int, key: int) -> Sampled:
        longest = min(self.sampling.max_new_tokens, self.room(row))
        if not longest:
            return Sampled([], [], False)
        answer = self.engine.ask(
            self.engine.client.completions.create,
            model=self.engine.model,
            prompt=self._ids[row],
            max_tokens=longest,
            temperature=self.sampling.temperature,
            top_p=1.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            seed=noise.mix(key, STREAM, self.length(row)) >> 1,
            logprobs=1,
            extra_body={
                **PLAIN,
                "stop_token_ids": list(self.sampling.stop),
                "skip_special_tokens": False,
                "return_token_ids": True,
                "return_tokens_as_token_ids": True,
            },
        )
        return self._read(answer.choices[0])

    def _read(self, choice: Any) -> Sampled:
        """Ids and log-probabilities of an answer."""
        logprobs = getattr(choice.logprobs, "token_logprobs", None) or []
        ids = getattr(choice, "token_ids", None)
        if ids is None:
            words = getattr(choice.logprobs, "tokens", None) or []
            ids = [int(word.removeprefix(AS_IDS)) for word in words if word.startswith(AS_IDS)]
        if len(ids) != len(logprobs) or not ids or any(p is None or math.isnan(p) for p in logprobs):
            raise DialogGymError(
                f"the server at {self.engine.url} returns no token ids with log-probabilities "
                "(return_token_ids and logprobs of /v1/completions); vLLM does"
            )
        return Sampled(list(ids), list(logprobs), ids[-1] in self.sampling.stop)

    def _check(self, rows: Sequence[int]) -> None:
        if self._version != self.engine.version:
            raise DialogGymError(
                "the engine was refreshed: this session is of the old weights; open a new one"
            )
        if len(set(rows)) < len(rows):
            raise DialogGymError(f"a row is named twice in {list(rows)}; name each once")
        if missing := [row for row in rows if row not in self._ids]:
            raise DialogGymError(f"row {missing[0]} is not in this session; there are {sorted(self._ids)}")


def _openai() -> Any:
    try:
        import openai
    except ModuleNotFoundError:
        raise DialogGymError(
            "rollouts on a server need the openai package: pip install 'dialog-gym[openai]'"
        ) from None
    return openai


def _environment_key() -> str:
    """The key in the environment; servers of one's own need none, but the client does."""
    return os.environ.get("OPENAI_API_KEY") or "none"
