"""The notes of a prepared case: metadata at the end of a Blosc2 file, read without ``blosc2.open``.

``schunk.vlmeta`` of python-blosc2 (4.14.1) never frees the copy that it is given: a training that reads foreground
again and again would lose up to 40 kB a label each time. Format: C-Blosc2, README_CFRAME_FORMAT, "Trailer":
an array of version, metadata (where it lies, by name; the contents, each a Blosc2 chunk), length and fingerprint.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput

NOTES = "autoseg"  # one entry of a file's metadata: each takes a millisecond
_END = struct.Struct(">BIBB16s")  # marks of msgpack, the length of the trailer, and the fingerprint
_UINT32, _FIXEXT16 = 0xCE, 0xD8


def read_notes(path: Path) -> dict[str, Any]:
    """What ``store`` noted in a file; BadInput if it is missing or damaged, KeyError if it has no notes."""
    import msgpack

    require_prepared(path)
    try:
        _, (_, places, contents), _, _ = msgpack.unpackb(_trailer(path))
        if NOTES not in places:
            raise KeyError(NOTES)
        found: dict[str, Any] = msgpack.unpackb(library().decompress2(contents[list(places).index(NOTES)]))
    except (TypeError, ValueError, IndexError, RuntimeError, OSError, msgpack.UnpackException):
        raise damaged(path) from None
    return found


def _trailer(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size))
        end = file.read()
        if len(end) < _END.size:
            raise ValueError("the file is too short")
        first, length, second, _, _ = _END.unpack(end)
        if (first, second) != (_UINT32, _FIXEXT16) or not _END.size < length <= size:
            raise ValueError("the file does not end with a trailer")
        file.seek(size - length)
        return file.read()


def require_prepared(path: Path) -> None:
    """BadInput unless the file is there."""
    if not path.is_file():
        raise BadInput(f"{path}: the prepared case is missing; run `autoseg preprocess` again.")


def damaged(path: Path) -> BadInput:
    """What is raised of a file that cannot be read."""
    return BadInput(f"{path}: the prepared case is damaged; delete it and run `autoseg preprocess` again.")


@cache
def library() -> Any:
    """Blosc2; metadata too is compressed by one thread (three times as fast as by several)."""
    import blosc2

    blosc2.set_nthreads(1)
    return blosc2
