"""Plug-ins of another package: found by entry point, used, checked, and harmless when broken."""

import json
import tomllib
from pathlib import Path

import pytest

from dialog_gym import cli, plugins
from dialog_gym.core import DialogGymError

PLUGIN = Path(__file__).parents[1] / "plugin"


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """The fixture package as an installer would leave it: on the path, with the metadata of its pyproject."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    info = tmp_path / "site" / "shop_plugin-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.chdir(tmp_path)
    plugins._points.cache_clear()
    yield
    plugins._points.cache_clear()


def test_found_beside_the_built_in_ones():
    assert {"polite", "broken", "scripted"} <= set(plugins.names("agents"))
    assert plugins.source("agents", "polite") == "shop_plugin:Polite (shop-plugin 1.2)"


def test_a_broken_one_is_named_and_leaves_the_others_alone(capsys):
    with pytest.raises(DialogGymError, match="agent 'broken' cannot be loaded: ModuleNotFoundError"):
        plugins.load("agents", "broken")
    assert cli.run(["list", "agents"]) == 0
    assert "shop_plugin_broken:Nothing (shop-plugin 1.2)" in capsys.readouterr().out
    assert cli.run(["check", "agent", "broken"]) == 1


@pytest.mark.parametrize("arguments", [["agent", "polite"], ["simulator", "shouting"], ["suite", "tiny"]])
def test_checks_pass(arguments, capsys):
    assert cli.run(["check", *arguments]) == 0, capsys.readouterr().out


def test_evaluated_on_its_own_suite_with_its_own_metric(capsys):
    arguments = ["evaluate", "--suite", "tiny", "--agent", "polite", "--workers", "1", "--json"]
    assert cli.run(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["simulator"], found["episodes"]) == ("shouting", 8)
    assert 0 <= found["scores"]["politeness"]["value"] <= 1
    assert cli.run(["replay", "runs/tiny/polite-seed0.jsonl"]) == 0


def test_the_simulator_is_heard(capsys):
    assert cli.run(["play", "--agent", "polite", "--simulator", "shouting", "--seed", "1"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("customer: ")]
    assert said and all(line[10:] == line[10:].upper() for line in said)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("polit", "unknown agent 'polit'; did you mean 'polite'?"),
        ("nowhere.py", "no such file: nowhere.py"),
        ("nowhere:Agent", "nowhere:Agent cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("shop_plugin:Rude", "shop_plugin:Rude cannot be loaded: AttributeError"),
    ],
)
def test_unknown_names(spec, line):
    with pytest.raises(DialogGymError) as caught:
        plugins.load("agents", spec)
    assert str(caught.value).startswith(line)


def test_a_file_with_one_class_needs_no_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def answer(text):\n    return 'Hello.'\n")
    assert plugins.load("agents", str(file))("x") == "Hello."
    file = tmp_path / "two.py"
    file.write_text("class A: ...\nclass B: ...\n")
    with pytest.raises(DialogGymError, match="must define one public class or function"):
        plugins.load("agents", str(file))
    assert plugins.load("agents", f"{file}:B").__name__ == "B"


def test_two_files_of_one_name_are_two_agents(tmp_path):
    for folder, word in (("a", "one"), ("b", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "agent.py").write_text(f"def answer(text):\n    return {word!r}\n")
    assert plugins.load("agents", "a/agent.py")("") == "one"
    assert plugins.load("agents", "b/agent.py")("") == "two"


@pytest.mark.parametrize(
    ("spec", "found", "arguments", "options"),
    [
        ("polite", "Polite", (), {}),
        ("polite:m:free?a=1&b=x&c=&d=true&e=[1,2]", "Polite", ("m:free",),
         {"a": 1, "b": "x", "c": "", "d": True, "e": [1, 2]}),
        ("shop_plugin:Polite?a=0.5", "Polite", (), {"a": 0.5}),
    ],
)  # fmt: skip
def test_names_carry_an_argument_and_options(spec, found, arguments, options):
    named = plugins.resolve("agents", spec)
    assert (named.found.__name__, named.arguments, named.options) == (found, arguments, options)
    assert named.bare == (not arguments and not options)


@pytest.mark.parametrize(
    ("word", "known", "line"),
    [
        ("scriptd", ["scripted", "silent"], "did you mean 'scripted'?"),
        ("--episods", ["--episodes", "--seed"], "did you mean '--episodes'?"),
        ("-seed", ["--episodes", "--seed"], "did you mean '--seed'?"),
        ("conv", ["conversion", "violation"], "did you mean 'conversion'?"),
        ("credit", ["credit-service-v1", "credit-v1", "edit"], "did you mean 'credit-v1'?"),
        ("--violation", ["--simulator", "--split"], "known: --simulator, --split"),
        ("--turns", ["--out", "--train"], "known: --out, --train"),
        ("co", ["conversion", "turn"], "known: conversion, turn"),
        ("", ["b", "a"], "known: a, b"),
    ],
)
def test_only_what_is_close_is_suggested(word, known, line):
    assert plugins.nearest(word, known) == line
