"""The package has the structure of docs/architecture.md, and imports nothing heavy at the start."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import kmagic

PACKAGE = Path(kmagic.__file__).parent

# From the ground up: every folder and module directly below kmagic; "" is kmagic/__init__.py.
# A unit may import only from itself and from the units listed before it.
LAYERS = (
    "support",
    "language",
    "models",
    "from_r",
    "data",
    "cluster",
    "training",
    "evaluation",
    "persistence",
    "tuning",
    "display",
    "api",
    "magics",
    "",
    "testing",
)
LAYER_OF = {unit: layer for layer, unit in enumerate(LAYERS)}

HEAVY = (
    *("tensorflow", "keras", "matplotlib", "pandas", "sklearn", "anywidget", "ipywidgets"),
    *("optuna", "ray"),
)


def _name(path: Path) -> str:
    parts = ("kmagic", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _unit(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below a node, except those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield other
                yield from _runtime_nodes(other)
            continue
        yield child
        yield from _runtime_nodes(child)


def _imports(name: str) -> set[str]:
    """The modules of kmagic that a module imports."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in _runtime_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            wanted = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for each in wanted:
            # `from kmagic.data import arrays` names a module, `... import load_data` does not.
            known = each if each in MODULES else each.rpartition(".")[0]
            if known in MODULES and known != name:
                found.add(known)
    return found


IMPORTS = {name: _imports(name) for name in MODULES}


def test_the_check_sees_imports() -> None:
    assert "kmagic.support.errors" in IMPORTS["kmagic.data.keras_datasets"]
    # load_options says: from kmagic.data.preparation import scaling
    assert "kmagic.data.preparation.scaling" in IMPORTS["kmagic.data.load_options"]
    assert "kmagic.magics" in IMPORTS["kmagic"]  # within a function
    assert "kmagic.data" not in IMPORTS["kmagic"]  # for types only


def test_every_unit_is_listed_once() -> None:
    assert len(LAYERS) == len(LAYER_OF), "a unit is listed twice"
    assert {_unit(name) for name in MODULES} == set(LAYERS)


def test_the_documentation_names_every_folder(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = [each.name for each in PACKAGE.iterdir() if (each / "__init__.py").is_file()]
    missing = [name for name in [*folders, "static"] if f"{name}/" not in text]
    assert not missing, "describe these folders in docs/architecture.md"


def test_few_modules_lie_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 3


def test_no_file_name_is_used_twice() -> None:
    names = Counter(path.name for path in MODULES.values())
    twice = {name for name, count in names.items() if count > 1}
    assert twice <= {"__init__.py", "__main__.py"}


def test_no_class_name_is_used_twice() -> None:
    names = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    own = _unit(name)
    wrong = [
        each
        for each in sorted(IMPORTS[name])
        if _unit(each) != own and LAYER_OF[_unit(each)] >= LAYER_OF[own]
    ]
    assert not wrong, f"{name} imports from beside or above"


def test_no_module_imports_itself_in_a_circle() -> None:
    # Modules of one package are initialised by their __init__, which is not an import of theirs.
    graph = {
        name: {each for each in found if not name.startswith(f"{each}.")}
        for name, found in IMPORTS.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


EXPORTING = [name for name, path in MODULES.items() if "__all__" in path.read_text("utf-8")]


@pytest.mark.parametrize("name", EXPORTING)
def test_what_a_module_exports_is_there_and_documented(name: str) -> None:
    module = import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    for each in module.__all__:
        value = getattr(module, each)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert value.__doc__, f"{name}.{each} has no docstring"


def _renderers() -> Iterator[tuple[str, str]]:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign):
                targets, value = node.targets, node.value
            elif isinstance(node, ast.AnnAssign) and node.value:
                targets, value = [node.target], node.value
            else:
                continue
            named = any(isinstance(each, ast.Name) and each.id == "renderer" for each in targets)
            if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield name, value.value


@pytest.mark.parametrize(("name", "address"), list(_renderers()))
def test_a_renderer_exists_at_its_address(name: str, address: str) -> None:
    module, _, function = address.partition(":")
    assert module.startswith("kmagic.display."), f"{name}: pictures are drawn by display"
    assert callable(getattr(import_module(module), function))


# --- light start -------------------------------------------------------------------------------

SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "kmagic")
assert "keras_fit" in shell.magics_manager.magics["line"], "the magics are not there"
"""


def _run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_kmagic_imports_nothing_heavy() -> None:
    loaded = _run("import sys, kmagic; print(*sys.modules)").split()
    assert [each for each in HEAVY if each in loaded] == []


def test_load_ext_imports_nothing_heavy() -> None:
    # How long it takes is measured by benchmarks/load_ext.py; numpy and http.client take the most.
    loaded = _run(SHELL + "print(*set(sys.modules) - before)").split()
    assert [name for name in (*HEAVY, "numpy", "http.client", "PIL") if name in loaded] == []
