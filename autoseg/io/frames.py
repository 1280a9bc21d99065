"""The bytes of a Blosc2 file that holds an array, as ``blosc2.asarray`` and ``to_cframe`` make them.

blosc2 4.14.1 does not give back 0.2 kB of each array that it makes in memory (the parameters of its context), which
adds up over ten thousand cases; of a sequence of chunks it gives back everything. So the chunks are laid out here, and
with the description of the array (``b2nd``: https://github.com/Blosc/c-blosc2/blob/main/README_B2ND_METALAYER.rst) the
file is the same, byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.io.frame_notes import NOTES, library

_INT32, _INT64, _STRING, _BYTES = 0xD2, 0xD3, 0xDB, 0xC4  # marks of msgpack
_LIST = 0x90  # with up to 15 items


def array_frame(
    array: npt.NDArray[Any], chunks: Sequence[int], blocks: Sequence[int], notes: Mapping[str, object]
) -> bytes:
    """The file of ``array`` in chunks of shape ``chunks``, which are compressed in blocks of shape ``blocks``.

    One thread a file: the cases are what runs in parallel. Made in memory, because Blosc2 does not say why it could not
    write a file, nor whether a note was written.
    """
    blosc2 = library()
    description = _description(array, chunks, blocks)
    # A sequence takes Python objects as metadata, which it packs: of these bytes, their length goes first.
    stand_in = bytes([_BYTES, len(description) - 2]).ljust(len(description), b"?")
    sequence = blosc2.SChunk(
        chunksize=prod(_whole_blocks(chunks, blocks)) * array.itemsize,
        contiguous=True,
        cparams=blosc2.CParams(
            codec=blosc2.Codec.ZSTD,
            clevel=1,
            filters=[blosc2.Filter.SHUFFLE],
            filters_meta=[0],
            nthreads=1,
            typesize=array.itemsize,
            blocksize=prod(blocks) * array.itemsize,
        ),
        dparams=blosc2.DParams(nthreads=1),
        meta={"b2nd": stand_in[2:]},
    )
    for chunk in _chunks(array, chunks, blocks):
        sequence.append_data(chunk)
    sequence.vlmeta[NOTES] = dict(notes)
    frame: bytes = sequence.to_cframe()
    return frame.replace(stand_in, description, 1)  # at its head


def _description(array: npt.NDArray[Any], chunks: Sequence[int], blocks: Sequence[int]) -> bytes:
    """Version 0, the number of axes, the three shapes, and the type (format 0: as NumPy writes it), by msgpack."""
    kind = array.dtype.str.encode()
    shapes = ((">Bq", _INT64, array.shape), (">Bi", _INT32, chunks), (">Bi", _INT32, blocks))
    listed = (
        bytes([_LIST + array.ndim]) + b"".join(struct.pack(form, mark, size) for size in shape)
        for form, mark, shape in shapes
    )
    return bytes([_LIST + 7, 0, array.ndim]) + b"".join(listed) + struct.pack(">BBi", 0, _STRING, len(kind)) + kind


def _chunks(array: npt.NDArray[Any], chunks: Sequence[int], blocks: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    """Each chunk in C order, as it is stored."""
    corners = (range(0, extent, chunk) for extent, chunk in zip(array.shape, chunks, strict=True))
    for corner in product(*corners):
        inside = tuple(slice(start, start + chunk) for start, chunk in zip(corner, chunks, strict=True))
        yield _in_blocks(array[inside], _whole_blocks(chunks, blocks), blocks)


def _in_blocks(part: npt.NDArray[Any], shape: Sequence[int], blocks: Sequence[int]) -> npt.NDArray[Any]:
    """Filled up with zeros to ``shape``, which is whole blocks: block after block."""
    if part.shape != shape:
        part = np.pad(part, [(0, whole - size) for whole, size in zip(shape, part.shape, strict=True)])
    split = [size for whole, block in zip(shape, blocks, strict=True) for size in (whole // block, block)]
    order = (*range(0, len(split), 2), *range(1, len(split), 2))
    return np.ascontiguousarray(part.reshape(split).transpose(order))


def _whole_blocks(chunks: Sequence[int], blocks: Sequence[int]) -> tuple[int, ...]:
    """The shape of a chunk as it is stored."""
    return tuple(-(-chunk // block) * block for chunk, block in zip(chunks, blocks, strict=True))
