"""Nothing that a file names is imported, called or run: the source of every module is searched for ways to do so.

``test_architecture`` forbids pickle, ``eval`` and ``exec`` as well; here are the ways around.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.test_architecture import SOURCES

MODULES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code", "codeop"),
    *("runpy", "imp", "pkgutil", "pydoc", "yaml"),
}
CALLS = {"eval", "exec", "compile", "__import__", "globals"}
# Methods that import by a name, build what a file names, or run a line of text: of any object, whatever it is called.
METHODS = {
    *("import_module", "spec_from_file_location", "module_from_spec", "exec_module", "load_module", "resolve_name"),
    *("locate", "read_pickle", "to_pickle", "system", "popen"),
}
BY_NAME = {"getattr": 1, "setattr": 1, "delattr": 1, "attrgetter": 0, "methodcaller": 0}  # the place of the name
SAFE_LOADS = {"weights_only": True, "allow_pickle": False}  # of torch.load and numpy.load
# Attributes by a name that is not written there: of what, and where the name comes from.
NAMES_FROM_OURSELVES = {
    ("__init__.py", "from importlib import import_module"),  # of ``__all__`` and the table of their homes, both there
    ("__init__.py", "import_module(_HOMES[name])"),
    ("__init__.py", "getattr(import_module(_HOMES[name]), name)"),
    ("core/network_spec.py", "getattr(self, field)"),  # fields of the document itself, listed there
    ("core/plan.py", "getattr(self, field)"),
    ("core/plan.py", "getattr(configuration, field)"),
    ("evaluation/comparison.py", "getattr(metrics, score)"),  # a score of ``evaluation.scores``
    ("evaluation/evaluate.py", "getattr(metrics, column)"),  # the columns of those
    ("inference/engines.py", "setattr(module, name, norm.eval())"),  # the parts of the module itself
    ("inference/predictor.py", "getattr(configuration, field)"),  # ``prepare.GRID_FIELDS``
    ("interop/nnunet_plans.py", "getattr(theirs, field)"),  # fields of ``PeerConfiguration``, listed there
    ("interop/nnunet_plans.py", "getattr(theirs, kind)"),
    ("planning/measure.py", "getattr(one, field.name)"),  # fields of ``Samples``
    ("reporting/profile_table.py", "getattr(self, name)"),
}


def ways_to_run(source: str) -> Iterator[str]:
    """Every place in a module that could run what a file says, as it is written there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [alias.name for alias in node.names]
            if {name.split(".")[0] for name in ([module] if module else names)} & MODULES or set(names) & METHODS:
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and runs(node):
            yield ast.unparse(node)


def runs(call: ast.Call) -> bool:
    """Whether a call runs text, imports by a name, or takes an attribute by a name that is not written there."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    of = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name in BY_NAME and len(call.args) > BY_NAME[name]:
        return not isinstance(call.args[BY_NAME[name]], ast.Constant)
    if any(one.arg == "shell" and ast.unparse(one.value) != "False" for one in call.keywords):
        return True
    if name == "load" and of in ("torch", "np", "numpy"):
        given = {one.arg: ast.unparse(one.value) for one in call.keywords}
        return not any(given.get(option) == str(value) for option, value in SAFE_LOADS.items())
    return name in METHODS or (not of and name in CALLS)


@pytest.mark.parametrize("path", SOURCES)
def test_nothing_that_a_file_names_is_run(path: str) -> None:
    allowed = {written for place, written in NAMES_FROM_OURSELVES if place == path}
    assert [found for found in ways_to_run(SOURCES[path]) if found not in allowed] == []


def test_what_is_allowed_is_still_there() -> None:
    assert [one for one in NAMES_FROM_OURSELVES if one[1] not in set(ways_to_run(SOURCES[one[0]]))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "from importlib import import_module",
        "import yaml",
        "eval(text)",
        "exec(text)",
        "compile(text, 'x', 'exec')",
        "__import__(name)",
        "globals()[name]()",
        "importlib.import_module(name)",
        "importlib.util.spec_from_file_location('x', path)",
        "getattr(torch.optim, document['optimizer'])",
        "getattr(torch, f'{name}d')",
        "operator.attrgetter(name)(torch)",
        "setattr(self, key, value)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path)",
        "pandas.read_pickle(path)",
        "subprocess.run(line, shell=True)",
        "os.system(line)",
    ],
)
def test_what_could_run_is_found(source: str) -> None:
    assert list(ways_to_run(source))


@pytest.mark.parametrize(
    "source",
    [
        "getattr(torch.cpu, '_is_avx512_bf16_supported', None)",
        "re.compile(text)",
        "sorted(files, key=attrgetter('name'))",
        "torch.load(file, weights_only=True)",
        "np.load(file, allow_pickle=False)",
        "subprocess.run(['a', 'b'])",
        "network.eval()",
        "from importlib import resources",
        "json.loads(text)",
    ],
)
def test_what_is_harmless_is_not(source: str) -> None:
    assert list(ways_to_run(source)) == []
