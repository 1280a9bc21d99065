"""Configurations of a plan that are written as changes of another one: ``inherits_from``.

Works on the parsed JSON, before it is checked as a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "inherits_from"


def resolve(document: Any) -> tuple[Any, list[tuple[str, str]]]:
    """The document with every configuration written out, and the problems as (path, sentence).

    Objects are merged key by key unless their names differ (a network takes the place of another one), and anything
    else is replaced, lists too; chains are followed. A name is not inherited: a configuration that gives none is
    named by its key. What cannot be resolved, and what is no object where a plan has one, is left as it is.
    """
    configurations = document.get("configurations") if isinstance(document, dict) else None
    if not isinstance(configurations, dict):
        return document, []
    problems, resolved = [], {}
    for name, configuration in configurations.items():
        lineage, problem = _lineage(name, configurations)
        resolved[name] = configuration
        if problem:
            problems.append((f"configurations.{name}.{KEY}", problem))
        elif len(lineage) > 1:
            merged: dict[str, Any] = {}
            for ancestor in reversed(lineage):
                merged = merge(merged, configurations[ancestor])
            merged["name"] = configuration.get("name", name)
            del merged[KEY]
            resolved[name] = merged
    return {**document, "configurations": resolved}, problems


def _lineage(name: str, configurations: Mapping[str, Any]) -> tuple[list[str], str]:
    """The configuration, its parent, the parent of that and so on; and why that fails, or an empty string."""
    lineage = [name]
    while isinstance(configurations[lineage[-1]], dict) and KEY in configurations[lineage[-1]]:
        parent = configurations[lineage[-1]][KEY]
        if not isinstance(parent, str) or parent not in configurations:
            return lineage, f"{parent!r} is no configuration of this plan"
        if parent in lineage:
            return lineage, f"it inherits from itself ({' from '.join([*lineage, parent])})"
        lineage.append(parent)
    return lineage, ""


def merge(base: Any, changes: Any) -> Any:
    """``changes`` over ``base``, object by object; a base that is changed by no object is left."""
    if not isinstance(changes, dict):
        return base
    merged = dict(base)
    for key, value in changes.items():
        inherited = merged.get(key)
        merged[key] = merge(inherited, value) if _same_thing(inherited, value) else value
    return merged


def _same_thing(inherited: Any, value: Any) -> bool:
    """Whether both are objects, of the same name if both have one."""
    if not (isinstance(inherited, dict) and isinstance(value, dict)):
        return False
    return inherited.get("name") == value.get("name") or not {"name"} <= inherited.keys() & value.keys()
