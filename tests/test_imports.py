"""What importing costs, and who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dialog_gym.core import DialogGymError

ROOT = Path(__file__).parents[1]
FOLDERS = ("agents", "benchmarks", "dialog_gym", "simulators")
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "pandas",
    "pettingzoo",
    "typer",
    "rich",
    "plotly",
    "jinja2",
    "scipy",
)
LONGEST = 300


def sources():
    """Every module of the package, by its dotted name; the linked folders are found at their real place."""
    for folder in FOLDERS:
        prefix = () if folder == "dialog_gym" else ("dialog_gym",)
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[:2] != ("benchmarks", "performance"):
                yield ".".join((*prefix, *parts)), path


MODULES = dict(sources())


def imported(path):
    """``(module, whether at module level)`` of every import in a file; TYPE_CHECKING blocks do not count."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only, inside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing_only |= {id(child) for child in ast.walk(node)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: a relative import"
            yield node.module, id(node) not in inside
            yield from ((f"{node.module}.{alias.name}", id(node) not in inside) for alias in node.names)


def test_the_files_are_all_found():
    assert {"dialog_gym.core", "dialog_gym.agents.base", "dialog_gym.simulators.agenda"} <= MODULES.keys()
    assert {"dialog_gym.benchmarks.suite", "dialog_gym.domains.credit.domain"} <= MODULES.keys()
    assert len(MODULES) > 60


@pytest.mark.parametrize("module", MODULES)
def test_import_direction(module):
    """Core, environments and domains reach agents, simulators and benchmarks by plug-in name only."""
    part = module.split(".")[1] if module.count(".") else ""
    banned = {
        "agents": ("benchmarks", "simulators"),
        "simulators": ("benchmarks", "agents"),
        "benchmarks": (),
    }.get(part, ("agents", "benchmarks", "simulators"))
    front_door = part.startswith(("cli", "testing"))  # what people run: it may use everything, when it runs
    for name, at_top in imported(MODULES[module]):
        for folder in banned:
            if f"{name}.".startswith(f"dialog_gym.{folder}."):
                assert front_door and not at_top, f"{module} imports {name}"
        assert name.split(".")[0] not in ("agents", "benchmarks", "simulators", "tests"), (
            f"{module} imports {name}"
        )


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_small(module):
    path = MODULES[module]
    length = len(path.read_text("utf-8").splitlines())
    assert length <= LONGEST, f"{path} has {length} lines"


def run(program, cwd):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=cwd
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import dialog_gym",
        "import dialog_gym.envs",
        "import gymnasium; import dialog_gym; gymnasium.make('EcomDialog-v0').reset(seed=0)",
        "import gymnasium; import dialog_gym; gymnasium.make('EcomDialogActs-v0').reset(seed=0)",
        "import gymnasium; import dialog_gym; gymnasium.make_vec('EcomDialogActs-v0', 2).reset(seed=0)",
    ],
)
def test_nothing_heavy_is_imported(statement, tmp_path):
    program = f"{statement}\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_importing_registers_the_environments(tmp_path):
    program = (
        "import gymnasium, dialog_gym\n"
        "print(sorted(name for name in gymnasium.registry if name.startswith('EcomDialog')))\n"
        "import sys; print(any(name.startswith('dialog_gym.' + part) for name in sys.modules\n"
        "                      for part in ('agents', 'benchmarks', 'simulators', 'domains')))"
    )
    done = run(program, tmp_path)
    assert done.stdout == "['EcomDialog-v0', 'EcomDialogActs-v0']\nFalse\n", done.stderr


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith(("__init__", "__main__"))])
def test_every_module_can_be_imported(module):
    try:
        pytest.importorskip(module, reason="an optional dependency is missing", exc_type=ModuleNotFoundError)
    except DialogGymError as error:  # a module of an extra says which one is missing
        assert "pip install 'dialog-gym[" in str(error)


def test_environments_are_loaded_when_first_asked_for(tmp_path):
    program = (
        "import sys, dialog_gym.envs as envs\n"
        "before = 'pettingzoo' in sys.modules\n"
        "envs.aec_env\n"
        "print(before, 'pettingzoo' in sys.modules)\n"
        "try:\n    envs.nothing\nexcept AttributeError as error:\n    print(error)"
    )
    done = run(program, tmp_path)
    assert done.stdout == "False True\nmodule 'dialog_gym.envs' has no attribute 'nothing'\n", done.stderr
