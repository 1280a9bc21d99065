"""The catalogue of planners."""

from __future__ import annotations

import pytest

from autoseg.core.errors import BadInput
from autoseg.planning.planners import PLANNERS, planner_named


def test_every_planner_is_found_by_its_name() -> None:
    assert [planner_named(name) for name in PLANNERS] == list(PLANNERS.values())
    assert [planner.memory_gb for planner in PLANNERS.values()] == [8, 8, 24, 40]


def test_an_unknown_planner_names_those_that_there_are() -> None:
    with pytest.raises(BadInput, match=r"--planner resenc: .* choose one of default, resenc-m, resenc-l, resenc-xl"):
        planner_named("resenc")
