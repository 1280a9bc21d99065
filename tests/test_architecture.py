"""The rules of the house, checked on the source of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "core": 0,
    "io": 1,
    "runtime": 1,
    "preprocessing": 1,
    "networks": 1,
    "planning": 2,
    "training": 2,
    "inference": 2,
    "interop": 2,
    "evaluation": 3,
    "reporting": 4,
    "pipeline": 5,
    "cli": 6,
    "__init__": 7,  # of the package itself: what it offers to Python programs
    "__main__": 7,
}
RESOURCES = {"plans"}  # data, not code: any room may name it
PARENTS = {"Module", "Frozen", "BaseModel", "Exception", "NamedTuple", "Protocol", "StrEnum", "Generic"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec"}
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 300
WITHOUT_MIRROR = {
    "__main__.py",  # two lines; the tests of the command line run it
    "core/errors.py",  # one empty exception
}
HEAVY = ("torch", "nibabel", "SimpleITK", "pandas", "scipy", "skimage", "matplotlib", "sklearn")


SOURCES = {
    path.relative_to(ROOT / "autoseg").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "autoseg").rglob("*.py"))
}


def room_of(path: str) -> str:
    """``"io/images.py"`` -> ``"io"``; ``"pipeline.py"`` -> ``"pipeline"``."""
    return path.split("/")[0].removesuffix(".py")


def imported_names(node: ast.AST, path: str, modules: Collection[str]) -> list[str]:
    """The absolute dotted names that a statement imports: of modules where ``modules`` has them, relative resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = ["autoseg", *path.split("/")[:-1]]
        base = ".".join([*package[: len(package) - (node.level - 1)], *([node.module] if node.module else [])])
    full = [f"{base}.{alias.name}" for alias in node.names]
    return [name if base == "autoseg" or name in modules else base for name in full]


def dotted(path: str) -> str:
    """``"io/images.py"`` -> ``"autoseg.io.images"``; ``"io/__init__.py"`` -> ``"autoseg.io"``."""
    return ".".join(["autoseg", *path.removesuffix(".py").split("/")]).removesuffix(".__init__")


def executed(tree: ast.Module, functions: bool) -> Iterator[ast.AST]:
    """All nodes except those that only type checkers see and, unless ``functions``, those in functions."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def import_graph(sources: Mapping[str, str], functions: bool) -> dict[str, set[str]]:
    """Module -> the modules that it imports as it runs, by dotted names."""
    modules = {dotted(path) for path in sources}
    return {
        dotted(path): {
            name for node in executed(ast.parse(source), functions) for name in imported_names(node, path, modules)
        }
        for path, source in sources.items()
    }


def heavy_modules(sources: Mapping[str, str]) -> set[str]:
    """The modules of the package that load a heavy package as soon as they are imported."""
    graph = import_graph(sources, functions=False)
    heavy = set(HEAVY)
    while True:
        more = {module for module, names in graph.items() if any(loads(name, heavy) for name in names)}
        if more <= heavy:
            return heavy - set(HEAVY)
        heavy |= more


def loads(name: str, heavy: Collection[str]) -> bool:
    """Whether importing ``name`` imports one of ``heavy``: itself or a package that it is in."""
    parts = name.split(".")
    return any(".".join(parts[: i + 1]) in heavy for i in range(len(parts)))


def ring(graph: Mapping[str, set[str]]) -> set[str]:
    """The modules that import each other in a ring, and those between rings; empty if there is none."""
    left = dict(graph)
    while True:
        ends = {module for module, names in left.items() if not (names - {module}) & left.keys()}
        ends |= {module for module in left if not any(module in left[other] for other in left if other != module)}
        if not ends:
            return set(left)
        left = {module: names for module, names in left.items() if module not in ends}


def import_problems(tree: ast.Module, path: str, modules: Collection[str], heavy: Collection[str]) -> Iterator[str]:
    """Imports that go sideways or up, or hide in a function without need; modules that can run foreign code.

    A module that loads a heavy package at its top (every network does) may be imported in a function,
    or ``autoseg --help`` would wait for torch; so may any module by a verb of the command line, which
    nothing imports. Floors count all the same.
    """
    room = room_of(path)
    at_top = {id(node) for node in executed(tree, functions=False)}
    seen_by_program = {id(node) for node in executed(tree, functions=True)}
    for node in ast.walk(tree):
        for name in imported_names(node, path, modules):
            parts = name.split(".")
            if parts[0] in UNSAFE_MODULES:
                yield f"imports {name}, which can run code from a file"
            if parts[0] != "autoseg" or len(parts) == 1 or parts[1] in RESOURCES or parts[1].startswith("__version"):
                continue
            if id(node) in seen_by_program - at_top and room != "cli" and not loads(name, heavy):
                yield f"hides the import of {name} in a function"
            if parts[1] not in FLOORS:
                yield f"imports {name}, which is in no known room"
            elif parts[1] != room and FLOORS[parts[1]] >= FLOORS.get(room, 0):
                yield f"imports {name}, which is not on a lower floor"


def parent_name(base: ast.expr) -> str:
    """``nn.Module`` -> ``"Module"``; ``Generic[T]`` -> ``"Generic"``."""
    if isinstance(base, ast.Subscript):
        return parent_name(base.value)
    return base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "?")


def body_problems(tree: ast.Module) -> Iterator[str]:
    """Functions that are too long, inheritance, and calls that run text as code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.name} has {length} lines, more than {MAX_FUNCTION_LINES}"
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:
                if parent_name(base) not in PARENTS:
                    yield f"{node.name} inherits from {parent_name(base)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            yield f"calls {node.func.id}"


def problems(path: str, source: str, heavy: Collection[str]) -> list[str]:
    """Everything in the module at ``path`` (relative to the package) that the house forbids."""
    tree = ast.parse(source)
    found = [*import_problems(tree, path, {dotted(path) for path in SOURCES}, heavy), *body_problems(tree)]
    if path != "__init__.py" and room_of(path) not in FLOORS:
        found.append(f"is in no known room: {room_of(path)}")
    if len(source.splitlines()) > MAX_FILE_LINES:
        found.append(f"has {len(source.splitlines())} lines, more than {MAX_FILE_LINES}")
    if any(part.removesuffix(".py").strip("_").startswith("util") for part in path.split("/")):
        found.append("is called utils")
    return found


@pytest.fixture(scope="module")
def heavy() -> set[str]:
    return heavy_modules(SOURCES)


@pytest.mark.parametrize("path", SOURCES)
def test_module_keeps_the_rules(path: str, heavy: set[str]) -> None:
    assert problems(path, SOURCES[path], heavy) == []


def test_no_module_is_in_a_ring() -> None:
    assert ring(import_graph(SOURCES, functions=True)) == set()


def test_every_module_has_a_mirror_test() -> None:
    modules = [path for path in SOURCES if not path.endswith("__init__.py") and path not in WITHOUT_MIRROR]
    mirrors = {path: (Path(path).parent / f"test_{Path(path).name}").as_posix() for path in modules}
    assert [path for path, mirror in mirrors.items() if not (ROOT / "tests" / mirror).is_file()] == []
    assert WITHOUT_MIRROR - set(SOURCES) == set()


def test_launching_imports_nothing_heavy() -> None:
    command = f"import sys, autoseg.cli; print([name for name in {HEAVY} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("io/images.py", "from autoseg.runtime.jobs import map_threads", "not on a lower floor"),
        ("io/images.py", "from autoseg import planning", "not on a lower floor"),
        ("core/case.py", "import autoseg.cli", "not on a lower floor"),
        ("io/images.py", "from ..networks import unet", "not on a lower floor"),
        ("io/images.py", "from .. import networks", "not on a lower floor"),
        ("training/losses.py", "def f():\n    from autoseg.core import case", "hides the import"),
        ("core/case.py", "def f():\n    from autoseg.networks import unet", "not on a lower floor"),
        ("core/case.py", "if TYPE_CHECKING:\n    from autoseg.networks import unet", "not on a lower floor"),
        ("training/losses.py", "class A:\n    def f(self):\n        import autoseg.core", "hides the import"),
        ("io/images.py", "from autoseg.cellar import wine", "no known room"),
        ("cellar/wine.py", "", "no known room"),
        ("core/utils.py", "", "called utils"),
        ("utils/text.py", "", "called utils"),
        ("core/long.py", "x = 1\n" * 301, "301 lines"),
        ("core/long.py", "def f():\n" + "    x = 1\n" * 60, "61 lines"),
        ("core/shapes.py", "class A(B): ...", "inherits from B"),
        ("core/shapes.py", "class A(nn.Module, base.Mixin): ...", "inherits from Mixin"),
        ("io/store.py", "import pickle", "can run code"),
        ("io/store.py", "def f():\n    from pickle import loads", "can run code"),
        ("io/store.py", "eval('1')", "calls eval"),
        ("io/store.py", "exec('1')", "calls exec"),
    ],
)
def test_checker_finds(path: str, source: str, complaint: str) -> None:
    assert any(complaint in problem for problem in problems(path, source, {"autoseg.networks.unet"}))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("io/images.py", "from autoseg.core.case import Image\nfrom .grids import check\nfrom autoseg.io import bids"),
        ("pipeline.py", "from autoseg import evaluation, io\nfrom autoseg.reporting import figures"),
        ("io/images.py", "def f():\n    import torch\n    from scipy import ndimage"),
        ("networks/__init__.py", "def f():\n    from autoseg.networks.unet import PlainConvUNet"),
        ("networks/unet.py", "class A(nn.Module): ...\nclass B(torch.nn.Module): ...\nclass C(Protocol[T]): ..."),
        ("core/long.py", "def f():\n" + "    x = 1\n" * 59 + "y = 2\n" * 240),
    ],
)
def test_checker_accepts(path: str, source: str) -> None:
    assert problems(path, source, {"autoseg.networks.unet"}) == []


def test_heavy_modules_are_found_through_others() -> None:
    sources = {
        "core/a.py": "if TYPE_CHECKING:\n    import torch\ndef f():\n    import torch",
        "io/b.py": "import torch.nn as nn",
        "planning/c.py": "from autoseg.io import b",
        "planning/d.py": "from autoseg.core import a",
        "runtime/__init__.py": "import scipy",
        "training/e.py": "from autoseg.runtime.jobs import map_threads",
    }
    expected = {"autoseg.io.b", "autoseg.planning.c", "autoseg.runtime", "autoseg.training.e"}
    assert heavy_modules(sources) == expected


def test_rings_are_found_in_functions_too() -> None:
    one, other = "from autoseg.io import b\n", "def f():\n    from autoseg.io.a import x\n"
    third = "from autoseg.io import a, b\n"
    sources = {"io/a.py": one, "io/b.py": other, "io/c.py": third}
    assert ring(import_graph(sources, functions=True)) == {"autoseg.io.a", "autoseg.io.b"}
    assert ring(import_graph(sources, functions=False)) == set()


def test_what_pages_are_made_of_is_short_too() -> None:
    own = [path for ending in ("js", "css", "html") for path in (ROOT / "autoseg").rglob(f"*.{ending}")]
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in own}
    assert lengths.pop("niivue.umd.js") > MAX_FILE_LINES  # of others
    assert [name for name, length in lengths.items() if length > MAX_FILE_LINES] == []
