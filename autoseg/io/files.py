"""How a file is written so that none is ever half there, and how a document is read."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
LONGEST_NAME_BYTES = 255  # of a file, on all usual file systems

_PARTIAL = re.compile(r"\.\d+\.partial\..+")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it when the block ends, and vanishes if it fails."""
    require_short_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path.name))
    try:
        with naming_full_disk(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_partial(folders: Iterable[Path]) -> None:
    """Remove what killed processes left half written directly in ``folders``; nobody else may be writing there."""
    for folder in folders:
        for file in folder.iterdir() if folder.is_dir() else ():
            if _PARTIAL.fullmatch(file.name):
                file.unlink(missing_ok=True)


def require_short_name(path: Path) -> None:
    """BadInput where no file system can hold a file of this name."""
    if len(os.fsencode(path.name)) > LONGEST_NAME_BYTES:
        raise BadInput(f"{path}: the name is longer than {LONGEST_NAME_BYTES} bytes; shorten that of the image.")


def _temporary_name(name: str) -> str:
    """Hidden, no longer than a name may be, with the same ending: image writers choose the format by it."""
    temporary = f".{os.getpid()}.partial.{name}"
    if len(os.fsencode(temporary)) <= LONGEST_NAME_BYTES:
        return temporary
    ending = ".".join(name.split(".")[-2:])[-20:]
    return f".{os.getpid()}.partial.{hashlib.sha256(os.fsencode(name)).hexdigest()}.{ending}"


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Inside the block the error of a disk that is full or cannot be written names ``path``.

    A failed write does not know its file, and one that cannot be begun knows the temporary one.
    """
    try:
        yield
    except OSError as error:
        own = error.filename is None or ".partial." in str(error.filename)
        if error.errno not in _FULL and not (own and error.errno in _UNWRITABLE):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def read_text(path: Traversable) -> str:
    """The text of a document; BadInput where there is no file, but a pipe, say, or it is no text."""
    if not path.is_file():
        there = isinstance(path, Path) and path.exists()
        what = "is a folder or a pipe, and a file is needed" if there else "there is no such file"
        raise BadInput(f"{path}: {what}; check the path, or restore the file.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text in UTF-8 ({error.reason} at byte {error.start}); correct it.") from None


def read_lines(path: Traversable) -> Iterator[str]:
    """The lines of ``read_text``, of which no more are held than the one that is asked for."""
    if not path.is_file():
        read_text(path)
    try:
        with path.open(encoding="utf-8") as lines:
            yield from lines
    except UnicodeDecodeError:
        read_text(path)  # tells which byte of the whole file
        raise


def read_json(path: Traversable) -> Any:
    """The JSON document in a file; BadInput where it is none."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is no JSON document ({error}); correct or restore it.") from None


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a table atomically, row by row; None is an empty field."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document atomically; NaN is refused.

    Piece by piece: the pieces of a document of ten thousand cases take several times its size. Of a mapping a value may
    be an iterator; its items become a list of which no more than one is held.
    """
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_json_pieces(document))
        file.write("\n")


def _json_pieces(document: Any) -> Iterator[str]:
    """As the encoder makes them; iterators in a mapping become lists as it would write them."""
    encoder = json.JSONEncoder(indent=1, allow_nan=False)
    if not isinstance(document, dict) or not any(isinstance(value, Iterator) for value in document.values()):
        yield from encoder.iterencode(document)
        return
    before = "{"
    for key, value in document.items():
        yield f"{before}\n {encoder.encode(key)}: "
        before = ","
        if isinstance(value, Iterator):
            yield from _json_list(encoder, value)
        else:
            yield from (piece.replace("\n", "\n ") for piece in encoder.iterencode(value))
    yield "\n}"


def _json_list(encoder: json.JSONEncoder, items: Iterator[Any]) -> Iterator[str]:
    """A list in a mapping, an item at a time; text holds no line ends as JSON writes it."""
    before = "["
    for item in items:
        yield before + encoder.encode([item])[1:-2].replace("\n", "\n ")
        before = ","
    yield "[]" if before == "[" else "\n ]"
