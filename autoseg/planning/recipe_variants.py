"""Variants of a configuration of a recipe: a grid over some of its settings, and their comparison.

``"variants": {"batch_size": [5, 50], "training.initial_learning_rate": [0.0001, 0.01]}`` in a configuration makes a
configuration of each combination, named by it: ``NAME_batch_size_5_initial_learning_rate_0.0001``. The one that has
the settings of NAME itself is NAME. The comparison ``NAME_variants`` tests the others against NAME.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from autoseg.core import plan_inheritance
from autoseg.core.document import Problem

KEY = "variants"
_OPEN = ("network", "params")  # what it may hold, the network knows
_ABSENT = object()


def expand(name: str, base: Mapping[str, Any], variants: Any) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The variants of the configuration ``name`` by name, and the problems as (path, sentence).

    ``base`` is the configuration written out, without ``variants``, which are its dotted keys with their values.
    """
    problems = list(_problems(base, variants))
    if problems:
        return {}, [(f"configurations.{name}.{KEY}{path}", sentence) for path, sentence in problems]
    made = {}
    for values in product(*variants.values()):
        chosen = dict(zip(variants, values, strict=True))
        if any(_setting(base, key) != value for key, value in chosen.items()):
            words = [f"{key.rpartition('.')[2]}_{_in_a_name(value)}" for key, value in chosen.items()]
            title = "_".join([name, *words])
            made[title] = {**_changed(base, chosen), "name": title}
    if made:
        return made, []
    return {}, [(f"configurations.{name}.{KEY}", "these are the settings of the configuration itself")]


def comparison(name: str, variants: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The comparison of a configuration and its variants, by name."""
    title = f"Variants of {name}: {', '.join(variants)}"
    return {f"{name}_{KEY}": {"title": title, "configurations": [name, *made], "baseline": name}}


def _problems(base: Mapping[str, Any], variants: Any) -> list[Problem]:
    if not isinstance(variants, dict) or not variants:
        return [("", "give an object of settings, each with a list of values")]
    if base.get("per_domain"):
        return [("", "a configuration with per_domain cannot have variants")]
    found = []
    for key, values in variants.items():
        known = _setting(base, key)
        if isinstance(known, dict) or (known is _ABSENT and tuple(key.split(".")[:-1]) != _OPEN):
            found.append((f".{key}", "there is no such setting"))
        elif not isinstance(values, list) or not values:
            found.append((f".{key}", "give a list of values"))
        elif not all(_is_plain(part) for value in values for part in _parts(value)):
            found.append((f".{key}", "a value is a number, a word, true, false, null or a list of those"))
        elif len(set(map(_in_a_name, values))) < len(values):
            found.append((f".{key}", "the values must differ"))
    return found


def _setting(document: Any, key: str) -> Any:
    """The value of a dotted key; ``_ABSENT`` if there is none."""
    for part in key.split("."):
        if not isinstance(document, Mapping) or part not in document:
            return _ABSENT
        document = document[part]
    return document


def _changed(base: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = dict(base)
    for key, value in chosen.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        changed = plan_inheritance.merge(changed, value)
    return changed


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_plain(part: Any) -> bool:
    if isinstance(part, str):
        return re.fullmatch(r"[\w.+-]+", part) is not None
    return not isinstance(part, dict | list)


def _in_a_name(value: Any) -> str:
    """As in JSON, the parts of a list joined by x: ``0.001``, ``adam``, ``32x32``."""
    return "x".join(part if isinstance(part, str) else json.dumps(part) for part in _parts(value))
