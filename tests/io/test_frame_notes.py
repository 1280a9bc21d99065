"""The notes of prepared cases, held against blosc2's own reading."""

import blosc2
import numpy as np
import psutil
import pytest

from autoseg.core.errors import BadInput
from autoseg.io.frame_notes import NOTES, read_notes


def written(path, notes, name=NOTES):
    array = blosc2.asarray(np.zeros((4, 4), np.int16), urlpath=str(path), mode="w")
    array.schunk.vlmeta["other"] = {"b": 2}
    array.schunk.vlmeta[name] = notes
    return path


@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_notes_are_those_that_blosc2_reads(tmp_path, size):
    notes = {"indices": np.random.default_rng(size).bytes(size), "labels": [1, -1], "key": "schlüssel"}
    path = written(tmp_path / "a.b2nd", notes)
    stored = blosc2.open(str(path), mode="r")
    assert read_notes(path) == stored.schunk.vlmeta[NOTES] == notes


def test_a_file_without_notes_or_cut_short_is_named(tmp_path):
    path = written(tmp_path / "a.b2nd", {"a": 1}, "foreign")
    with pytest.raises(KeyError):
        read_notes(path)
    content = written(path, {"a": 1}).read_bytes()
    for cut in (content[:10], content[:-1], content[:-30] + content[-23:]):
        path.write_bytes(cut)
        with pytest.raises(BadInput, match=r"a\.b2nd: the prepared case is damaged; .*\.$"):
            read_notes(path)
    with pytest.raises(BadInput, match="missing"):
        read_notes(tmp_path / "b.b2nd")


def test_reading_notes_again_and_again_holds_none(tmp_path):
    path = written(tmp_path / "a.b2nd", {"indices": np.random.default_rng(0).bytes(400_000)})
    process = psutil.Process()
    for _ in range(20):
        read_notes(path)
    before = process.memory_info().rss
    for _ in range(200):  # 80 MB in all, which is what schunk.vlmeta would keep
        read_notes(path)
    assert process.memory_info().rss - before < 20e6
