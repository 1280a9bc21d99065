"""Prepared cases on disk: two Blosc2 files a case, of which any box can be read without the rest.

``NAME.b2nd`` holds the image ``(C, *shape)`` float32, the key of the settings that made it and the trace;
``NAME_labels.b2nd`` holds the labels ``(*shape)`` int16 (in a cascade ``(2, *shape)``: behind them the previous
stage's label map) and where the foreground is. The labels are put in
place first, so an image file implies a complete pair.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from autoseg.core.case import Case, SpatialTrace
from autoseg.core.errors import BadInput
from autoseg.core.geometry import Box, Shape, box_shape
from autoseg.io.files import atomic
from autoseg.io.frame_notes import damaged, library, read_notes, require_prepared
from autoseg.io.frames import array_frame

# A block is what is decompressed: small against a patch, so that little is in vain; larger ones compress no better.
CHUNK_3D, BLOCK_3D = (64, 64, 64), (32, 32, 32)
CHUNK_SLICES, BLOCK_SLICES = (64, 256, 256), (1, 64, 64)
MAX_LOCATIONS = 10_000
LOCATIONS_SEED = 1234
KNOWN = -1  # in place of a label: every voxel that has a reference
DECODED_BYTES = 2**27
FOREGROUND_BYTES = 2**26
_TRACE = TypeAdapter(SpatialTrace)
Foreground = Mapping[int, npt.NDArray[np.int32 | np.int64]]


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class StoredCase:
    """A prepared case on disk; ``shape`` is in working axes, without the channels.

    ``kept`` is its ``foreground`` where that is held in memory.
    """

    name: str
    shape: Shape
    num_channels: int
    folder: Path
    kept: Foreground | None = None

    @property
    def foreground(self) -> Foreground:
        """Each label above 0 that is present and at most 10 000 of its voxels, as flat indices into ``shape``.

        In C order, ascending. Where some voxels have no reference, ``KNOWN`` maps to those that have. Read from disk
        (0.2 ms) unless it is kept.
        """
        return _read_foreground(self.folder, self.name) if self.kept is None else self.kept

    @property
    def trace(self) -> SpatialTrace:
        """What was done to its grid; read from disk."""
        return _TRACE.validate_json(read_notes(_image_path(self.folder, self.name))["trace"])

    def read(self, box: Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
        """Image ``(C, *box)`` and labels ``(*box)``; beyond the case the image is 0 and the labels are -1.

        With a previous stage the labels are ``(2, *box)``, its label map behind those of the case.

        The files are opened anew (0.3 ms each): threads may read one case at once, as they share nothing,
        and memory does not grow with the number of cases.
        """
        image = _read_box(_open(_image_path(self.folder, self.name)), ((0, self.num_channels), *box), 0)
        labels = _open(_labels_path(self.folder, self.name))
        return image, _read_box(labels, _all_of_first(labels.shape, box), -1)


@dataclass(frozen=True, eq=False)
class DecodedCases:
    """Small cases, kept in memory from when each is first read until ``limit_bytes`` are taken.

    The rest is read from disk every time, and a case larger than a sixteenth of the limit always is. Nothing
    is dropped for something new: of cases drawn at random none is likelier to come again than another.
    """

    limit_bytes: int = DECODED_BYTES
    _taken_bytes: dict[StoredCase, int] = field(default_factory=dict)
    _decoded: dict[StoredCase, tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, case: StoredCase, box: Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
        """The same as ``case.read(box)``, in arrays of the caller's own; threads may ask at once."""
        decoded = self._decoded.get(case)
        if decoded is None:
            if not self._take(case):
                return case.read(box)
            decoded = self._decoded[case] = case.read(tuple((0, size) for size in case.shape))
        image, labels = decoded
        image = np.require(_read_box(image, ((0, case.num_channels), *box), 0), requirements=["C", "O"])
        labels = _read_box(labels, _all_of_first(labels.shape, box), -1)
        return image, np.require(labels, requirements=["C", "O"])

    def _take(self, case: StoredCase) -> bool:
        """Whether the caller is to decode the case and keep it; another thread may be at it already."""
        size = prod(case.shape) * (case.num_channels * np.dtype(np.float32).itemsize + np.dtype(np.int16).itemsize)
        with self._lock:
            free = self.limit_bytes - sum(self._taken_bytes.values())
            if case in self._taken_bytes or size > min(free, self.limit_bytes // 16):
                return False
            self._taken_bytes[case] = size
            return True


def save_case(folder: Path, case: Case, key: str, slices: bool = False, ignored: int | None = None) -> None:
    """Store a labelled case under ``key``; with ``slices`` laid out for reading slices across axis 0.

    ``ignored`` is the label index of voxels without a reference.
    """
    if case.labels is None:
        raise ValueError(f"{case.name}: a case without labels cannot be stored")
    image_path, labels_path = _image_path(folder, case.name), _labels_path(folder, case.name)
    foreground = _foreground_locations(case.labels, ignored)
    labels_notes = {
        "labels": list(foreground),
        "counts": [indices.size for indices in foreground.values()],
        "index_type": _index_type(case.labels.size),
        "indices": b"".join(indices.tobytes() for indices in foreground.values()),
    }
    trace = _TRACE.dump_json(case.trace).decode()
    # A stale image must not be taken for the partner of new labels.
    image_path.unlink(missing_ok=True)
    with atomic(labels_path) as temporary:
        stored = case.labels if case.previous is None else np.stack((case.labels, case.previous))
        temporary.write_bytes(_frame(stored.astype(np.int16, copy=False), labels_notes, slices))
    with atomic(image_path) as temporary:
        notes = {"key": key, "trace": trace}
        temporary.write_bytes(_frame(case.image.astype(np.float32, copy=False), notes, slices))


def link_case(source: Path, folder: Path, name: str) -> None:
    """The stored case of another folder in this one, under the same key; copied where files cannot be linked."""
    _image_path(folder, name).unlink(missing_ok=True)
    for path in (_labels_path(folder, name), _image_path(folder, name)):
        with atomic(path) as temporary:
            try:
                os.link(source / path.name, temporary)
            except OSError:
                shutil.copyfile(source / path.name, temporary)


def stored_key(folder: Path, name: str) -> str | None:
    """The key that a case was stored under; None if it is absent or cannot be read."""
    image_path = _image_path(folder, name)
    if not image_path.is_file() or not _labels_path(folder, name).is_file():
        return None
    try:
        return str(read_notes(image_path)["key"])
    except (BadInput, KeyError):
        return None


def open_case(folder: Path, name: str) -> StoredCase:
    """The description of a stored case; no voxel is read. BadInput if a file is missing or damaged."""
    image, foreground = _open(_image_path(folder, name)), _read_foreground(folder, name)
    return StoredCase(name, tuple(image.shape[1:]), int(image.shape[0]), folder, foreground)


def open_cases(folder: Path, names: Iterable[str]) -> dict[str, StoredCase]:
    """Name -> ``open_case``; of the first ``FOREGROUND_BYTES`` of foreground it is kept, and read anew of the others.

    A hundred thousand cases would else hold 40 kB a label of each.
    """
    found, held = {}, 0
    for name in names:
        case = open_case(folder, name)
        held += sum(indices.nbytes for indices in case.foreground.values())
        found[name] = case if held <= FOREGROUND_BYTES else replace(case, kept=None)
    return found


def _read_foreground(folder: Path, name: str) -> Foreground:
    notes = read_notes(_labels_path(folder, name))
    indices = np.frombuffer(notes["indices"], notes["index_type"])
    ends = np.cumsum(notes["counts"], dtype=np.int64)[:-1]
    return dict(zip(notes["labels"], np.split(indices, ends), strict=True)) if notes["labels"] else {}


def _image_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.b2nd"


def _labels_path(folder: Path, name: str) -> Path:
    return folder / f"{name}_labels.b2nd"


def _foreground_locations(
    labels: npt.NDArray[np.int16], ignored: int | None
) -> dict[int, npt.NDArray[np.int32 | np.int64]]:
    """Voxels of each label above 0: all, or 10 000 drawn without replacement (nnU-Net v2 keeps 1 % if that is more).

    With an ignored label, which is left out, those that have a reference too, background included.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    inside = flat > 0 if ignored is None else (flat > 0) & (flat != ignored)
    voxels = np.flatnonzero(inside).astype(_index_type(flat.size))
    values = flat[voxels]
    voxels = voxels[np.argsort(values, kind="stable")]
    found, counts = np.unique(values, return_counts=True)
    random = np.random.default_rng(LOCATIONS_SEED)
    locations = {}
    groups = dict(zip(found.tolist(), np.split(voxels, np.cumsum(counts)[:-1]), strict=False))
    if ignored is not None:
        groups[KNOWN] = np.flatnonzero(flat != ignored).astype(_index_type(flat.size))
    for label, indices in groups.items():
        if indices.size > MAX_LOCATIONS:
            indices = np.sort(random.choice(indices, MAX_LOCATIONS, replace=False))
        locations[label] = indices
    return locations


def _index_type(size: int) -> str:
    return "<i4" if size < 2**31 else "<i8"


def _frame(array: npt.NDArray[Any], notes: Mapping[str, object], slices: bool) -> bytes:
    chunks = _tile(array.shape, CHUNK_SLICES if slices else CHUNK_3D)
    return array_frame(array, chunks, _tile(array.shape, BLOCK_SLICES if slices else BLOCK_3D), notes)


def _tile(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """About ``size``, at most that, along the last three axes, 1 along those before.

    The axes are divided evenly: Blosc2 compresses whole blocks, whatever part of them lies in the array.
    """
    even = (-(-extent // -(-extent // wanted)) for wanted, extent in zip(size, shape[-3:], strict=True))
    return (*(1 for _ in shape[:-3]), *even)


def _open(path: Path) -> Any:
    blosc2 = library()
    require_prepared(path)
    try:
        return blosc2.open(os.fspath(path), mode="r", dparams=blosc2.DParams(nthreads=1))
    except (RuntimeError, ValueError, OSError):
        raise damaged(path) from None


def _all_of_first(shape: Sequence[int], box: Box) -> Box:
    """``box`` in an array that may have one axis more, in front."""
    return tuple((0, size) for size in shape[: len(shape) - len(box)]) + tuple(box)


def _read_box(stored: Any, box: Box, fill: int) -> npt.NDArray[Any]:
    """The part of ``box`` that lies in the array is decompressed; the rest is ``fill``."""
    inside = tuple((max(0, start), min(stop, size)) for (start, stop), size in zip(box, stored.shape, strict=True))
    if inside == tuple(box):
        whole: npt.NDArray[Any] = stored[tuple(slice(start, stop) for start, stop in box)]
        return whole
    result = np.full(box_shape(box), fill, stored.dtype)
    if all(start < stop for start, stop in inside):
        target = tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(inside, box, strict=True))
        result[target] = stored[tuple(slice(start, stop) for start, stop in inside)]
    return result
