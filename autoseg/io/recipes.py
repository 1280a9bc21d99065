"""Where recipes lie: those that come with autoseg, and files of the user."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.io.files import read_text


def recipe_text(name: str) -> tuple[str, str]:
    """The name (without ``.json``) and the text of a recipe, given by its name or its path."""
    path = Path(name)
    if path.suffix == ".json" or len(path.parts) > 1:
        return path.stem, read_text(path)
    known = {Path(one.name).stem: one for one in _folder().iterdir() if one.name.endswith(".json")}
    if name not in known:
        raise BadInput(f"--recipe {name}: there is no such recipe; choose one of {', '.join(sorted(known))} or a file.")
    return name, known[name].read_text(encoding="utf-8")


def recipe_names() -> list[str]:
    """The recipes that come with autoseg."""
    return sorted(Path(one.name).stem for one in _folder().iterdir() if one.name.endswith(".json"))


def _folder() -> Traversable:
    """The installed package ``autoseg.plans``, or in a checkout the folder that it is made from."""
    try:
        return resources.files("autoseg.plans")
    except ModuleNotFoundError:
        return Path(__file__).parents[2] / "plans"
