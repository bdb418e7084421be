"""Plug-ins: entry points loaded one at a time by name, `module:Object`, or a path to a .py file.

A registered plug-in may be given an argument and options in its name, ``openai:MODEL?temperature=0.7``.
Built-ins are entry points of this project's own distribution, so there is one mechanism.
"""

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from dialog_gym.core import DialogGymError
from dialog_gym.noise import text_key

KINDS = ("agents", "algorithms", "simulators", "domains", "rewards", "metrics", "suites")
_CLOSE = 0.65
"""Names from this similarity on are taken for a slip; below it a suggestion is a guess."""
_BEGINNING = 3
"""So many letters may stand for a name that begins with them."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error line about an unknown name: one that begins so or is close, or the list.

    Dashes at the beginning do not make options alike.
    """
    names = {name.lstrip("-"): name for name in sorted(known)}
    bare = word.lstrip("-")
    begun = [name for name in names if len(bare) >= _BEGINNING and name.startswith(bare)]
    close = get_close_matches(bare, begun or names, n=1, cutoff=0.0 if begun else _CLOSE)
    return f"did you mean {names[close[0]]!r}?" if close else f"known: {', '.join(names.values())}"


@lru_cache(maxsize=len(KINDS))
def _points(kind: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"dialog_gym.{kind}")}


def names(kind: str) -> list[str]:
    """Registered names of a kind, sorted."""
    return sorted(_points(kind))


def source(kind: str, name: str) -> str:
    """Where a registered plug-in comes from: distribution and object."""
    point = _points(kind)[name]
    owner = f"{point.dist.name} {point.dist.version}" if point.dist else "?"
    return f"{point.value} ({owner})"


def load(kind: str, name: str) -> Any:
    """The object that a name, ``module:Object`` or ``path.py[:Object]`` refers to.

    Raises:
        DialogGymError: unknown name (the nearest is suggested), or the plug-in fails to import.
    """
    point = _points(kind).get(name)
    if point is not None:
        return _guarded(f"{kind[:-1]} {name!r}", lambda: point.load())
    path, _, attribute = name.partition(":")
    if path.endswith(".py"):
        return _guarded(name, lambda: _from_file(kind, Path(path), attribute))
    if attribute:
        return _guarded(name, lambda: getattr(importlib.import_module(path), attribute))
    raise DialogGymError(f"unknown {kind[:-1]} {name!r}; {nearest(name, names(kind))}")


class Named(NamedTuple):
    """A plug-in, and what its name says about how to build it."""

    found: Any
    arguments: tuple[str, ...]
    options: dict[str, Any]

    @property
    def bare(self) -> bool:
        """Whether the name says nothing but who it is."""
        return not self.arguments and not self.options


def resolve(kind: str, spec: str) -> Named:
    """The plug-in of a name that may carry an argument and options: ``NAME[:ARGUMENT][?OPTION=VALUE&...]``.

    Values are read as in JSON, and as text where they are none.

    Raises:
        DialogGymError: see `load`.
    """
    whole, _, query = spec.partition("?")
    options = {name: _value(text) for name, text in parse_qsl(query, keep_blank_values=True)}
    name, _, argument = whole.partition(":")
    if argument and name in _points(kind):
        return Named(load(kind, name), (argument,), options)
    return Named(load(kind, whole), (), options)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _guarded(what: str, loader: Any) -> Any:
    try:
        return loader()
    except DialogGymError:
        raise
    except (
        Exception
    ) as error:  # a plug-in's import may fail in any way; the user needs its name and the cause
        raise DialogGymError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error


def _from_file(kind: str, path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise DialogGymError(f"no such file: {path}")
    # the path is part of the module's name: two files called agent.py are two modules
    module_name = f"dialog_gym_plugin_{path.stem}_{text_key(str(path.resolve())):x}"
    if module_name in sys.modules:
        module = sys.modules[module_name]
    else:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise DialogGymError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    if attribute:
        return getattr(module, attribute)
    return _only_plugin(kind, path, module)


def _only_plugin(kind: str, path: Path, module: Any) -> Any:
    """The one public class or function defined in a file given without ``:Object``."""
    found = [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", "") == module.__name__
    ]
    if len(found) != 1:
        named = ", ".join(value.__name__ for value in found) or "none"
        raise DialogGymError(
            f"{path} must define one public class or function ({named} found); use {path}:NAME"
        )
    return found[0]
