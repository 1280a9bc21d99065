"""The bytes of a file, held against those that blosc2 makes of the array itself."""

import blosc2
import numpy as np
import psutil
import pytest

from autoseg.io.frame_notes import NOTES
from autoseg.io.frames import array_frame

SHAPES = [
    ((1, 12, 12, 8), (1, 12, 12, 8), (1, 12, 12, 8)),
    ((2, 70, 41, 66), (1, 35, 41, 33), (1, 18, 21, 17)),  # edges in chunks and in blocks
    ((1, 64, 64, 128), (1, 64, 64, 64), (1, 32, 32, 32)),
    ((70, 90, 33), (64, 90, 33), (1, 45, 33)),
    ((5,), (3,), (2,)),
]


def of_blosc2(array, chunks, blocks, notes):
    params = {"codec": blosc2.Codec.ZSTD, "clevel": 1, "filters": [blosc2.Filter.SHUFFLE], "filters_meta": [0]}
    stored = blosc2.asarray(
        array,
        contiguous=True,
        chunks=chunks,
        blocks=blocks,
        cparams=blosc2.CParams(nthreads=1, **params),
        dparams=blosc2.DParams(nthreads=1),
    )
    stored.schunk.vlmeta[NOTES] = notes
    return stored.to_cframe()


@pytest.mark.parametrize(("shape", "chunks", "blocks"), SHAPES)
@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint8])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 1.0])  # the share of the last axis; Blosc2 does not store chunks of zeros
def test_a_file_is_byte_for_byte_that_of_blosc2(shape, chunks, blocks, kind, zeros):
    array = (100 * np.random.default_rng(0).random(shape)).astype(kind)
    array[..., : round(zeros * shape[-1])] = 0
    notes = {"key": "schlüssel", "indices": b"\0\1" * 500}
    frame = array_frame(array, chunks, blocks, notes)
    assert frame == of_blosc2(array, chunks, blocks, notes)
    stored = blosc2.ndarray_from_cframe(frame)
    assert np.array_equal(stored[...], array)
    assert (stored.chunks, stored.blocks, stored.schunk.vlmeta[NOTES]) == (chunks, blocks, notes)


def test_an_array_in_another_order_of_memory():
    array = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    turned = np.asfortranarray(array)
    assert array_frame(turned, (2, 3, 4), (1, 2, 2), {}) == array_frame(array, (2, 3, 4), (1, 2, 2), {})


def test_making_files_again_and_again_holds_nothing():
    """Arrays made by blosc2 4.14.1 take 256 bytes each for good: 0.8 MB of these."""
    array, process = np.zeros((4, 4), np.int16), psutil.Process()
    for _ in range(1000):
        array_frame(array, (4, 4), (4, 4), {})
    before = process.memory_info().rss
    for _ in range(3000):
        array_frame(array, (4, 4), (4, 4), {})
    assert process.memory_info().rss - before < 0.4e6
