"""A trained model in one file, ``NAME.autoseg.zip``: written the same for the same model, checked before it is read.

Members: ``manifest.json`` (SHA-256 of every other one), ``plan.json`` of the dataset, ``selection.json`` if there
is one, and ``CONFIGURATION/FOLD/plan.json``, ``final.safetensors`` or ``best.safetensors`` and, of a validated fold,
``calibration.json``. All are stored as they are: weights do not shrink, and a file of n bytes can then hold no more
than n.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from autoseg.core.document import Frozen
from autoseg.core.errors import BadInput
from autoseg.io.files import atomic

ENDING = ".autoseg.zip"
MANIFEST, PLAN, SELECTION, WEIGHTS = "manifest.json", "plan.json", "selection.json", "final.safetensors"
BEST_WEIGHTS = "best.safetensors"  # in place of the others, where those predict
MAX_MEMBERS = 1000
MAX_DOCUMENT_BYTES = 2**24
_MEMBER = re.compile(
    r"manifest\.json|plan\.json|selection\.json|[A-Za-z0-9_-]+/(fold[0-9]+|all)/((plan|calibration)\.json|(final|best)\.safetensors)"
)
_COPY_BYTES = 2**20


class Manifest(Frozen):
    """What the archive holds: member name -> SHA-256 (hex)."""

    format: Literal["autoseg model"] = "autoseg model"
    version: Literal[1] = 1
    dataset: str
    sha256: dict[str, str]


def write_archive(
    path: Path,
    dataset: str,
    members: Mapping[str, Path | str],
    progress: Callable[[float, str], None] = lambda done, name: None,
) -> None:
    """Write ``members`` (name -> a file, or text) and their manifest; atomic.

    ``progress(share, name)`` is called before each member, with the share of the bytes that is written.
    """
    hashes, done = {}, 0
    sizes = {name: len(one.encode()) if isinstance(one, str) else one.stat().st_size for name, one in members.items()}
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            progress(done / sum(sizes.values()), name)
            done += sizes[name]
            if isinstance(content, str):
                hashes[name] = hashlib.sha256(content.encode()).hexdigest()
                archive.writestr(zipfile.ZipInfo(name), content.encode())
                continue
            info = zipfile.ZipInfo(name)  # of 1980: the time of writing is no part of a model
            info.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)
            with content.open("rb") as source:
                hashes[name] = _sha256(source)
        manifest = Manifest(dataset=dataset, sha256=hashes)
        archive.writestr(zipfile.ZipInfo(MANIFEST), manifest.model_dump_json(indent=1) + "\n")


def open_archive(path: Path) -> tuple[zipfile.Path, Manifest]:
    """The root of a checked archive, to be used like a folder, and its manifest.

    BadInput: missing, truncated, altered, or holding anything that ``write_archive`` does not write.
    """
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file; give the file that `autoseg export` wrote.")
    try:
        archive = zipfile.ZipFile(path)
        problem = _problem(archive, path.stat().st_size)
        if problem is None:
            manifest = Manifest.model_validate_json(archive.read(MANIFEST))
            problem = _difference(archive, manifest)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error, OverflowError) as error:
        problem = "is truncated, or no model that `autoseg export` wrote"
        if isinstance(error, ValidationError):
            problem = "has a manifest of another kind or version"
    if problem is not None:
        raise BadInput(f"{path}: {problem}; fetch or export the model again.")
    return zipfile.Path(archive), manifest


def _problem(archive: zipfile.ZipFile, file_bytes: int) -> str | None:
    """What is wrong with the table of contents; nothing has been read then."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(names) > MAX_MEMBERS or sum(member.file_size for member in members) > file_bytes:
        return "claims to hold more than it can"
    if len({name.lower() for name in names}) < len(names):
        return "holds two members of one name"
    for member in members:
        link = stat.S_ISLNK(member.external_attr >> 16)
        if link or not _MEMBER.fullmatch(member.filename) or member.orig_filename != member.filename:
            return f"holds {member.filename[:80]!r}, which is no part of a model"
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            return f"holds {member.filename} compressed or encrypted, which no model does"
        if member.filename.endswith(".json") and member.file_size > MAX_DOCUMENT_BYTES:
            return f"holds {member.filename} of {member.file_size} bytes, which is too large for a document"
    if MANIFEST not in names or PLAN not in names:
        return f"lacks {MANIFEST if MANIFEST not in names else PLAN}"
    folds = {name.rpartition("/")[0] for name in names if "/" in name}
    needed = [(fold, parts) for fold in sorted(folds) for parts in ((PLAN,), (WEIGHTS, BEST_WEIGHTS))]
    missing = [f"{fold}/{parts[0]}" for fold, parts in needed if not any(f"{fold}/{part}" in names for part in parts)]
    if missing or not folds:
        return f"lacks {missing[0] if missing else 'the weights'}"
    return None


def _difference(archive: zipfile.ZipFile, manifest: Manifest) -> str | None:
    """What is not as the manifest says; reads every member once."""
    names = set(archive.namelist()) - {MANIFEST}
    if names != manifest.sha256.keys():
        return f"does not hold what its manifest lists ({', '.join(sorted(names ^ manifest.sha256.keys())[:3])})"
    for name, expected in manifest.sha256.items():
        with archive.open(name) as content:
            if _sha256(content) != expected:
                return f"{name} was altered"
    return None


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while part := content.read(_COPY_BYTES):
        digest.update(part)
    return digest.hexdigest()
