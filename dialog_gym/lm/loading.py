"""Language models by name or folder, checked before anything is trained or played."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from dialog_gym.core import DialogGymError
from dialog_gym.lm.shipped import shipped_model

Targets: TypeAlias = Literal["auto", "all-linear"]
ADAPTER: Final = "adapter"
"""Folder of the LoRA weights beside the model's."""


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to play, and its tokenizer."""

    model: Any
    """The model, or a `peft.PeftModel` around it."""
    tokenizer: Any
    stop: tuple[int, ...]
    """Tokens after which the model was made to stop, beside the tokenizer's own."""


def plain_model(model: Any) -> PreTrainedModel:
    """The Hugging Face model inside of LoRA, or the model itself."""
    found: PreTrainedModel = model if isinstance(model, PreTrainedModel) else model.get_base_model()
    return found


def chosen_device(name: str) -> torch.device:
    """A device by name; ``auto`` is the GPU where there is one.

    Raises:
        DialogGymError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise DialogGymError(
            f"device {name!r} cannot be used: {_line(error)}; give auto, cpu or cuda"
        ) from None


def load(
    name: str = "",
    *,
    lora: int = 0,
    targets: Targets = "auto",
    adapter: Path | None = None,
    device: str = "auto",
) -> Loaded:
    """A causal language model with weights in float32, and its tokenizer.

    Args:
        name: A folder in Hugging Face format or a model's name on the hub; default the shipped model.
        lora: Rank of LoRA adapters to train instead of the weights; 0 trains the weights.
        targets: Layers that get adapters: those that `peft` knows for the model, or all linear ones.
        adapter: Folder of trained adapters to go on from.
        device: ``auto``, ``cpu``, ``cuda``, ...

    Raises:
        DialogGymError: there is no such model, it is no causal language model, its tokenizer has no chat
            template or more tokens than the model, or no token ends a turn.
    """
    place, source = chosen_device(device), located(name)
    plain, tokenizer = _model(source), _tokenizer(source)
    stop = _stop_tokens(plain)
    _check(source, plain, tokenizer, stop)
    model: Any = plain
    if adapter is not None:
        model = _with_trained(model, adapter)
    elif lora:
        model = _with_adapters(model, lora, targets)
    return Loaded(model.to(place).eval(), tokenizer, stop)


def located(name: str) -> str:
    """Where a model is: a folder, or its name on the hub.

    Raises:
        DialogGymError: it can only be a path, and there is no such folder.
    """
    if not name:
        return str(shipped_model())
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise DialogGymError(f"{path} is no model in Hugging Face format: it has no config.json")
        return str(path)
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise DialogGymError(
            f"there is no model folder {name}; give a folder in Hugging Face format or a name"
        )
    return name


def _model(source: str) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise DialogGymError(_missing(source, error)) from None
    try:
        with quiet():
            loaded = AutoModelForCausalLM.from_pretrained(source, config=config, dtype=torch.float32)
    except Exception as error:  # damaged weights fail in many ways
        raise DialogGymError(_damaged(source, error)) from None
    model: PreTrainedModel = loaded
    return model


def _missing(source: str, error: Exception) -> str:
    if Path(source).is_dir():
        return _damaged(source, error)
    return (
        f"{source!r} is neither a folder nor a model in the local Hugging Face cache, and cannot be "
        f"fetched: {_line(error)}"
    )


def _damaged(source: str, error: Exception) -> str:
    return f"{source} cannot be loaded as a causal language model: {_line(error)}"


def _tokenizer(source: str) -> Any:
    try:
        return AutoTokenizer.from_pretrained(source)
    except Exception as error:  # missing or damaged files fail in many ways
        raise DialogGymError(f"the tokenizer of {source} cannot be loaded: {_line(error)}") from None


def _stop_tokens(model: PreTrainedModel) -> tuple[int, ...]:
    """The end-of-sequence tokens of the model's own generation settings."""
    settings = getattr(model, "generation_config", None)
    found = getattr(settings, "eos_token_id", None)
    found = model.config.get_text_config(decoder=True).eos_token_id if found is None else found
    if found is None:
        return ()
    return (found,) if isinstance(found, int) else tuple(found)


def _check(source: str, model: PreTrainedModel, tokenizer: Any, stop: tuple[int, ...]) -> None:
    if not tokenizer.chat_template:
        raise DialogGymError(
            f"the tokenizer of {source} has no chat template; give an instruction-tuned model, or put a "
            "chat_template.jinja beside its tokenizer.json"
        )
    embedding: Any = model.get_input_embeddings()
    rows, largest = embedding.weight.shape[0], max(tokenizer.get_vocab().values())
    if largest >= rows:
        raise DialogGymError(
            f"the tokenizer of {source} has token ids up to {largest}, the model embeds {rows}: "
            "they do not belong together"
        )
    if tokenizer.eos_token_id is None and not stop:
        raise DialogGymError(
            f"{source} names no token that ends a turn; set eos_token in its tokenizer_config.json"
        )
    if any(not 0 <= token < rows for token in stop):
        raise DialogGymError(f"{source} has eos_token_id {stop}, but the model embeds {rows} tokens only")


def _with_adapters(model: Any, rank: int, targets: Targets) -> Any:
    """The model with fresh LoRA adapters (Hu et al., arXiv 2106.09685), which change nothing yet."""
    from peft import LoraConfig, TaskType, get_peft_model
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    if rank < 0:
        raise DialogGymError(f"the rank of LoRA is {rank}; give 1 or more, or 0 to train all weights")
    wanted: Any = KNOWN.get(model.config.model_type, "all-linear") if targets == "auto" else targets
    transposed = any(isinstance(module, Conv1D) for module in model.modules())
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=rank,
        lora_alpha=2 * rank,
        target_modules=wanted,
        fan_in_fan_out=transposed,
    )
    try:
        with _peft_s_own_warnings_off():
            return get_peft_model(model, config)
    except (ValueError, RuntimeError) as error:
        raise DialogGymError(f"LoRA cannot be added to this model: {_line(error)}") from None


def _with_trained(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    try:
        with _peft_s_own_warnings_off():
            return PeftModel.from_pretrained(model, os.fspath(adapter), is_trainable=True)
    except Exception as error:  # missing or damaged files, or adapters of another model
        raise DialogGymError(f"the adapter in {adapter} does not fit the model: {_line(error)}") from None


@contextmanager
def _peft_s_own_warnings_off() -> Iterator[None]:
    """It asks transformers for names that transformers is about to drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _line(error: BaseException) -> str:
    """An error's message as one line of bearable length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]} ..."


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of Hugging Face's inside: commands show their own."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()  # type: ignore[no-untyped-call]
