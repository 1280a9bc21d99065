"""What a header may claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.io import bounds
from autoseg.io.bounds import require_memory, require_stated_bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.nii").write_bytes(bytes(352 + 480))
    return tmp_path / "a.nii"


@pytest.mark.parametrize(
    ("shape", "voxel_bytes", "offset", "packed", "problem"),
    [
        ((4, 5, 6), 4, 352, False, ""),
        ((4, 5, 6), 4, 0, False, ""),  # 352 bytes of padding
        ((4, 5, 6), 4, 353, False, "states 833 bytes and the file has 832; restore"),
        ((4, 5, 7), 4, 352, False, "is truncated or its header is wrong: that states 912 bytes"),
        ((0, 0, 0), 4, 0, False, ""),
        ((10**6, 10**6, 10**6), 8, 352, True, "states 8000000000000000352 bytes and the file has 832 packed"),
        ((858272, 1, 1), 1, 352, True, ""),  # 1032 times 832
        ((858273, 1, 1), 1, 352, True, "bytes and the file has 832 packed"),
    ],
)
def test_a_file_holds_what_its_header_states(
    path: Path, shape: tuple[int, ...], voxel_bytes: int, offset: int, packed: bool, problem: str
) -> None:
    if not problem:
        require_stated_bytes(path, shape, voxel_bytes, offset, packed)
        return
    with pytest.raises(BadInput) as refused:
        require_stated_bytes(path, shape, voxel_bytes, offset, packed)
    assert problem in str(refused.value)


def test_more_than_padding_is_no_part_of_the_image(path: Path) -> None:
    path.write_bytes(bytes(352 + 480 + 1024))
    require_stated_bytes(path, (4, 5, 6), 4, 352, packed=False)
    path.write_bytes(bytes(352 + 480 + 1025))
    with pytest.raises(BadInput, match="states 832 bytes and the file holds more"):
        require_stated_bytes(path, (4, 5, 6), 4, 352, packed=False)
    require_stated_bytes(path, (4, 5, 6), 4, 352, packed=True)


def test_memory_is_asked_for_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "machine_memory_bytes", lambda: 10**9)
    require_memory(Path("a.nii"), (500, 500, 500), 4)  # as stored and as float32: 1 GB
    with pytest.raises(BadInput, match=r"^a.nii: its 500 x 500 x 501 voxels take 1 GB of memory, more than this"):
        require_memory(Path("a.nii"), (500, 500, 501), 4)


def test_this_machine_has_memory() -> None:
    assert 2**28 < bounds.machine_memory_bytes() < 2**50
