"""Where the shipped language model is."""

from importlib.resources import files
from pathlib import Path


def shipped_model() -> Path:
    """The folder of the tiny model, for ``AutoModelForCausalLM`` and ``AutoTokenizer``; works offline."""
    return Path(str(files("dialog_gym.lm.tiny")))
