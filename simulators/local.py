"""Words from a causal language model in this process: all dialogues that wait are sampled together."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dialog_gym.core import DialogGymError
from dialog_gym.simulators.delexical import filled, shown
from dialog_gym.simulators.generation import ChatPrompt
from dialog_gym.simulators.trained import card_of

if TYPE_CHECKING:
    from dialog_gym.lm.chat import ChatFormat
    from dialog_gym.lm.engine import Engine

BATCH: Final = 64
"""Most dialogues sampled at once: more do not speed up a CPU, and hold more memory."""
SMALL: Final = 20_000_000
"""Most parameters of a model that is sampled in float64."""


class LocalGenerator:
    """A `Generator` over any model in Hugging Face format; it is loaded when it first speaks.

    Weights are sampled in float32 on a CPU, those of small models in float64: rounding differs with who else
    is in a batch, and a dialogue must have the same words alone. A model that was trained with marks for
    values (`delexical`) is prompted with them.
    """

    def __init__(
        self, model: str = "", *, temperature: float = 0.7, max_new_tokens: int = 48, device: str = "auto"
    ) -> None:
        """Names a model.

        Args:
            model: A folder, or a name on the hub; default the shipped model.
            temperature: 0 takes the likeliest token; then seeds have no effect.
            max_new_tokens: Longest utterance, in tokens, at least 1.
            device: ``auto``, ``cpu``, ``cuda``, ...

        Raises:
            DialogGymError: a number is out of range.
        """
        if max_new_tokens < 1:
            raise DialogGymError(f"max_new_tokens is {max_new_tokens}; give at least 1")
        if not 0 <= temperature <= 10:
            raise DialogGymError(f"the temperature is {temperature}; give 0 (greedy) to 10, usually below 1")
        self.model, self.temperature, self.device = model, temperature, device
        self.max_new_tokens = max_new_tokens
        self.name = f"lm:{model}" if model else "lm"
        self.calls = self.tokens = 0
        """Batches sampled, and tokens sampled in them."""
        self._loaded: tuple[ChatFormat, Engine, Any] | None = None
        self._marks = False

    def generate(self, prompts: Sequence[ChatPrompt], seeds: Sequence[int]) -> list[str]:
        """See `Generator`.

        Raises:
            DialogGymError: the model cannot be loaded, or a prompt leaves no room for an utterance.
        """
        texts: list[str] = []
        for begin in range(0, len(prompts), BATCH):
            texts += self._together(prompts[begin : begin + BATCH], seeds[begin : begin + BATCH])
        return texts

    def fingerprint(self) -> str:
        """Of the weights and the tokenizer where the model is a folder, else the model's name."""
        from dialog_gym.lm.loading import located

        folder = Path(located(self.model))
        if not folder.is_dir():
            return self.model
        found = sha256()
        for path in sorted(folder.iterdir()):
            if path.suffix in (".safetensors", ".bin", ".json", ".jinja"):
                found.update(path.name.encode())
                found.update(path.read_bytes())
        return found.hexdigest()[:16]

    def _together(self, prompts: Sequence[ChatPrompt], seeds: Sequence[int]) -> list[str]:
        if self._loaded is None:
            self._loaded = self._load()
        chat, engine, sampling = self._loaded
        rows, seen = list(range(len(prompts))), [shown(prompt) for prompt in prompts] if self._marks else []
        session = engine.open(len(rows), sampling)
        session.append(rows, [prompt_ids(chat, p) for p in ([one.prompt for one in seen] or prompts)])
        turns = session.sample(rows, seeds)
        self.calls += 1
        self.tokens += sum(len(turn.ids) for turn in turns)
        texts = [chat.text(turn.ids) for turn in turns]
        if not seen:
            return texts
        return [filled(text, one.values, seed) for text, one, seed in zip(texts, seen, seeds, strict=True)]

    def _load(self) -> tuple[Any, Any, Any]:
        try:
            import torch
        except ModuleNotFoundError:
            raise DialogGymError(
                "a language model as the user needs torch and transformers: pip install 'dialog-gym[train]'"
            ) from None
        from dialog_gym.lm.chat import ChatFormat
        from dialog_gym.lm.engine import Sampling, make_engine
        from dialog_gym.lm.engine_llama import unfit
        from dialog_gym.lm.loading import load, located

        found = load(self.model, device=self.device)
        self._marks = bool(card_of(Path(located(self.model))).get("marks"))
        chat = ChatFormat(found.tokenizer, stop=found.stop)
        small = found.model.num_parameters() <= SMALL and found.model.device.type in ("cpu", "cuda")
        exact = (torch.float64 if small else torch.float32) if not unfit(found.model) else None
        sampling = Sampling(chat.stop, self.max_new_tokens, self.temperature)
        return chat, make_engine(found.model, dtype=exact), sampling


def prompt_ids(chat: "ChatFormat", prompt: ChatPrompt) -> list[int]:
    """The ids of a chat up to where the model's turn begins: the system, then user and model in turn."""
    system, *turns = [message["content"] for message in prompt]
    ids = chat.begin(system, turns[0])
    for said, answer in zip(turns[1::2], turns[2::2], strict=True):
        ids += [*chat.turn(said), *chat.answer(answer)]
    return ids
