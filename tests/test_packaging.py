"""The wheel holds everything, and the project's declarations are true."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from dialog_gym import plugins

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
LINKED = ("agents", "benchmarks", "simulators")
LEFT_OUT = ("benchmarks/performance/",)
"""Development only: not part of the package."""


def package_of(path):
    """The package whose folder holds a file, and the file's place in it."""
    mapped = {folder: name for name, folder in SETUPTOOLS["package-dir"].items()}
    for parent in path.parents:
        if name := mapped.get(parent.as_posix()):
            return name, path.relative_to(parent).as_posix()
    raise AssertionError(f"{path} is in no package")


def package_files(suffix):
    """Files below the package folders, relative to the root; caches and development folders left out."""
    for folder in ("dialog_gym", *LINKED):
        for found in sorted((ROOT / folder).rglob("*")):
            path = found.relative_to(ROOT)
            through_a_link = path.parts[:1] == ("dialog_gym",) and path.parts[1] in LINKED
            if found.is_dir() or through_a_link or "__pycache__" in path.parts:
                continue
            if not path.as_posix().startswith(LEFT_OUT) and (path.suffix == ".py") == (suffix == ".py"):
                yield path


def test_every_package_reaches_the_wheel():
    found = set()
    for package, folder in SETUPTOOLS["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            if not init.relative_to(ROOT).as_posix().startswith(LEFT_OUT):
                found.add(".".join([package, *init.parent.relative_to(ROOT / folder).parts]))
    assert found == set(SETUPTOOLS["packages"])


def test_each_sibling_folder_is_linked_into_the_package():
    """Without the links, type checkers are falsely green."""
    for name in LINKED:
        link = ROOT / "dialog_gym" / name
        assert link.resolve() == ROOT / name
        assert os.path.islink(link) and os.readlink(link) == f"../{name}"


def test_every_module_is_in_a_listed_package():
    for path in package_files(".py"):
        package, place = package_of(path)
        name = ".".join([package, *Path(place).parent.parts])
        assert name in SETUPTOOLS["packages"], f"{path}: add {name} to [tool.setuptools] packages"


def test_every_data_file_reaches_the_wheel():
    globs, missed = SETUPTOOLS["package-data"], []
    for path in package_files("data"):
        name, place = package_of(path)
        inside = [(name, place)]
        while "/" in place:  # the data of a package inside the package
            first, _, place = place.partition("/")
            name = f"{name}.{first}"
            inside.append((name, place))
        if not any(fnmatch(place, glob) for name, place in inside for glob in globs.get(name, ())):
            missed.append(path.as_posix())
    assert not missed


def test_every_glob_of_package_data_matches_something():
    for package, globs in SETUPTOOLS["package-data"].items():
        folder = ROOT / SETUPTOOLS["package-dir"].get(package, package.replace(".", "/"))
        assert folder.is_dir(), package
        if package == "dialog_gym":
            assert (folder / "py.typed").is_file()
        data = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
        assert not data or any(list(folder.glob(glob)) for glob in globs), package


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_declared_entry_points_are_installed_and_load(kind):
    declared = PROJECT["project"]["entry-points"].get(f"dialog_gym.{kind}", {})
    installed = {point.name: point.value for point in entry_points(group=f"dialog_gym.{kind}")}
    assert declared.items() <= installed.items(), "reinstall: pip install -e ."
    for name in declared:
        assert plugins.load(kind, name) is not None
        assert plugins.source(kind, name).startswith(declared[name])


def test_entry_point_groups_are_plugin_kinds():
    groups = PROJECT["project"]["entry-points"]
    assert {group.removeprefix("dialog_gym.") for group in groups} <= set(plugins.KINDS)
    assert (
        entry_points(group="console_scripts")["dialog-gym"].value
        == PROJECT["project"]["scripts"]["dialog-gym"]
    )


def test_optional_dependencies_stay_optional():
    needed = {re.match(r"[A-Za-z0-9-]+", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert not needed & {"torch", "transformers", "datasets", "plotly", "jinja2", "stable-baselines3"}
    assert "pytest" not in needed and PROJECT["project"]["requires-python"] == ">=3.11"


@pytest.mark.slow
def test_a_built_wheel_is_complete_and_works(tmp_path):
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".*cache*", "__pycache__", "*.egg-info", "build", "runs", ".hypothesis"
    )
    shutil.copytree(ROOT, tree, symlinks=True, ignore=ignored)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(tree),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in [*package_files(".py"), *package_files("data")]:
        inside = path.as_posix() if path.parts[0] == "dialog_gym" else f"dialog_gym/{path.as_posix()}"
        assert inside in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"dialog_gym", next(top for top in tops if top.endswith(".dist-info"))}
    assert not [
        name for name in names if "test" in name.split("/")[-1].split("_")[0] and "testing" not in name
    ]
    program = (
        "import dialog_gym, dialog_gym.agents.scripted, dialog_gym.benchmarks.suite as suite\n"
        "assert dialog_gym.__file__.startswith(sys.path[0]), dialog_gym.__file__\n"
        "suite.load_credit_v1()\n"
        "from dialog_gym.envs import DialogueEnv\n"
        "from dialog_gym.simulators.agenda import AgendaSimulator\n"
        "env = DialogueEnv(simulator=AgendaSimulator(), scenario='customer_service')\n"
        "print(env.reset(seed=0)[0]['dialogue'][0].role)"
    )
    program = f"import sys; sys.path.insert(0, {str(wheel)!r} + '.d')\n{program}"
    zipfile.ZipFile(wheel).extractall(f"{wheel}.d")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "user\n", done.stderr
