"""Configurations written as changes of others."""

from __future__ import annotations

import copy
import random

import pytest

from autoseg.core.plan_inheritance import resolve


def configurations_of(**configurations):
    resolved, problems = resolve({"dataset": "D", "configurations": configurations})
    assert resolved["dataset"] == "D"
    return resolved["configurations"], problems


def test_objects_are_merged_and_lists_replaced() -> None:
    parent = {"name": "a", "batch_size": 2, "network": {"widths": [1, 2, 3], "strides": [1]}}
    child = {"inherits_from": "a", "network": {"widths": [4]}, "previous_stage": None}
    before = copy.deepcopy((parent, child))
    resolved, problems = configurations_of(a=parent, b=child)
    assert not problems
    assert resolved["a"] == parent
    network = {"widths": [4], "strides": [1]}
    assert resolved["b"] == {"name": "b", "batch_size": 2, "network": network, "previous_stage": None}
    assert (parent, child) == before


def test_a_name_that_is_given_is_kept() -> None:
    resolved, _ = configurations_of(a={"name": "a"}, b={"name": "other", "inherits_from": "a"})
    assert resolved["b"]["name"] == "other"


@pytest.mark.parametrize("seed", range(5))
def test_chains_in_any_order_take_the_nearest_value(seed: int) -> None:
    draw, length = random.Random(seed), 12
    chain = {f"c{i}": {f"k{draw.randrange(6)}": i for _ in range(3)} for i in range(length)}
    expected: dict[str, int] = {}
    for i in range(length):
        expected |= chain[f"c{i}"]
        if i:
            chain[f"c{i}"]["inherits_from"] = f"c{i - 1}"
    names = list(chain)
    draw.shuffle(names)
    resolved, problems = configurations_of(**{name: chain[name] for name in names})
    assert not problems
    assert list(resolved) == names
    assert resolved["c11"] == {**expected, "name": "c11"}


@pytest.mark.parametrize("parent", ["nothing", None, 3, ["a"], {}])
def test_unknown_parents_are_listed(parent) -> None:
    _, problems = configurations_of(a={}, b={"inherits_from": parent}, c={"inherits_from": "b"})
    assert [path for path, _ in problems] == ["configurations.b.inherits_from", "configurations.c.inherits_from"]
    assert all(f"{parent!r} is no configuration of this plan" in sentence for _, sentence in problems)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_circles_are_listed(length: int) -> None:
    circle = {f"c{i}": {"inherits_from": f"c{(i + 1) % length}"} for i in range(length)}
    _, problems = configurations_of(**circle)
    assert len(problems) == length
    assert all("inherits from itself" in sentence for _, sentence in problems)


@pytest.mark.parametrize("document", [None, [], 3, {}, {"configurations": []}, {"configurations": {"a": 3}}])
def test_what_is_no_plan_is_left_as_it_is(document) -> None:
    assert resolve(document) == (document, [])


def test_a_parent_that_is_no_object_gives_nothing() -> None:
    resolved, problems = configurations_of(a=3, b={"inherits_from": "a", "x": 1})
    assert (resolved["b"], problems) == ({"name": "b", "x": 1}, [])
