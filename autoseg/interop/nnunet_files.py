"""The files of an nnU-Net model, in a folder or in a zip that is read where it lies."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from autoseg.core.errors import BadInput

LARGEST_DOCUMENT = 64 * 2**20
LARGEST_CHECKPOINT = 16 * 2**30
_BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError, struct.error, OverflowError)
MOST_MEMBERS = 20_000
# Weights hardly shrink; what shrinks more and is large when unpacked is there to fill the memory.
LARGEST_SHRINKAGE, UNPACKED_UNASKED = 20, 64 * 2**20
_DEEPEST = 4  # DATASET/TRAINER__PLANS__CONFIGURATION/fold_K/FILE


@dataclass(frozen=True)
class ModelFiles:
    """``source`` is a folder, or a zip if ``archive`` is set; names are relative, with forward slashes."""

    source: Path
    archive: zipfile.ZipFile | None

    def names(self) -> list[str]:
        """Every file, sorted, at most as deep as nnU-Net's results are."""
        if self.archive is not None:
            names = [entry.filename for entry in self.archive.infolist() if not entry.is_dir()]
        else:
            patterns = ["*", *("/".join("*" * depth) for depth in range(2, _DEEPEST + 1))]
            found = {path for pattern in patterns for path in self.source.glob(pattern) if path.is_file()}
            names = [path.relative_to(self.source).as_posix() for path in found]
        return sorted(names)

    def describe(self, name: str) -> str:
        """For sentences: where ``name`` lies."""
        return f"{self.source}/{name}" if name else str(self.source)

    def folder_name(self, folder: str) -> str:
        """The last part of the path of ``folder`` (empty: the source itself)."""
        return PurePosixPath(folder).name if folder else self.source.resolve().name

    def read(self, name: str) -> bytes:
        """A document; BadInput if it is missing, damaged or far too large."""
        with self.open(name, LARGEST_DOCUMENT) as file:
            return file.read()

    @contextmanager
    def open(self, name: str, largest: int = LARGEST_CHECKPOINT) -> Iterator[IO[bytes]]:
        """A file that can be read from any place. What lies in a zip is unpacked into memory."""
        if self.archive is None:
            path = self.source / name
            if not path.is_file():
                raise BadInput(f"{path}: the file is missing; copy the whole model folder.")
            if path.stat().st_size > largest:
                raise BadInput(f"{path}: is far larger than such a file of nnU-Net; give the file that it wrote.")
            with path.open("rb") as file:
                yield file
            return
        try:
            entry = self.archive.getinfo(name)
            shrunk = entry.file_size > max(UNPACKED_UNASKED, LARGEST_SHRINKAGE * entry.compress_size)
            if entry.file_size > largest or shrunk:
                raise BadInput(f"{self.describe(name)}: is far larger than such a file of nnU-Net; export it again.")
            content = self.archive.read(entry)
        except KeyError:
            raise BadInput(f"{self.describe(name)}: is not in the zip; export the model again.") from None
        except _BROKEN as error:
            raise BadInput(f"{self.source}: {name} in the zip is damaged ({error}); copy the zip again.") from None
        yield BytesIO(content)


@contextmanager
def open_model(source: Path) -> Iterator[ModelFiles]:
    """The files of a folder or zip; BadInput for anything else, and for a zip with paths that leave it."""
    if source.is_dir():
        yield ModelFiles(source, None)
        return
    if not source.is_file():
        raise BadInput(f"{source}: there is no such folder or file; check the path.")
    try:
        archive = zipfile.ZipFile(source)
    except _BROKEN as error:
        raise BadInput(f"{source}: is no zip or is cut off ({error}); copy it again.") from None
    with archive:
        names = [entry.filename for entry in archive.infolist()]
        if len(names) > MOST_MEMBERS or len({name.lower() for name in names}) < len(names):
            raise BadInput(f"{source}: has two files of one name, or far too many; export the model again.")
        for name in names:
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in name:
                raise BadInput(f"{source}: has the path {name[:100]!r}, which leaves the zip; it is not used.")
        yield ModelFiles(source, archive)
