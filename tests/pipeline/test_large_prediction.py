"""The bound that docs/scaling.md states for a whole body, on one: minutes, and 1.5 GB of disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scaling


@pytest.mark.slow
def test_a_whole_body_is_segmented_within_4_gb_above_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(scaling.__file__).parents[1])
    found = scaling.whole_body(tmp_path, 0)["ran"]
    assert {kind: one["above_the_image_bytes"] < 4e9 for kind, one in found.items()} == {
        "own grid": True,
        "resampled": True,
    }
