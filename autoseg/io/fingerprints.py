"""``fingerprint.json``, written and read some cases at a time: the text and objects of all take many times its size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from autoseg.core.document import wrong_entries
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import CaseMeasurement, Fingerprint
from autoseg.core.packed import Packed
from autoseg.io.files import atomic, read_lines, read_text

CASES_AT_A_TIME = 64
_CASES = TypeAdapter(list[CaseMeasurement], config=ConfigDict(cache_strings="keys"))  # as in ``core.packed``
# Lines of the document: the first and the last of all cases, and the last of one that another follows.
_FIRST, _LAST, _NEXT = ' "cases": [\n', " ],\n", "  },\n"
_NO_CASES = ' "cases": []'


def write_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    """What ``model_dump_json(indent=1)`` makes of it, atomically."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_pieces(fingerprint))


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint; BadInput names the first entry that is wrong.

    One that is laid out otherwise than it was written, or is wrong, is read as a whole.
    """
    try:
        return _read_piecewise(read_lines(path))
    except ValueError:
        pass
    try:
        return Fingerprint.model_validate_json(read_text(path))
    except ValidationError as error:
        raise BadInput(
            f"{path}: is no valid fingerprint ({wrong_entries(error, 1)}); run `autoseg plan` again."
        ) from None


def _pieces(fingerprint: Fingerprint) -> Iterator[str]:
    without = fingerprint.model_copy(update={"cases": Packed(CaseMeasurement)}).model_dump_json(indent=1)
    before, _, after = without.partition(f"\n{_NO_CASES}")
    yield f"{before}\n{_NO_CASES[:-1]}"
    cases, separator = iter(fingerprint.cases), ""
    while some := list(islice(cases, CASES_AT_A_TIME)):
        yield separator + _CASES.dump_json(some, indent=1).decode()[1:-2].replace("\n", "\n ")
        separator = ","
    yield ("\n ]" if separator else "]") + after + "\n"


def _read_piecewise(lines: Iterator[str]) -> Fingerprint:
    """ValueError where they are not laid out as ``_pieces``, or something is wrong in them."""
    before = "".join(takewhile(_FIRST.__ne__, lines))
    cases, some, together = Packed(CaseMeasurement), list[str](), 0
    for line in takewhile(_LAST.__ne__, lines):
        some.append(line)
        together += line == _NEXT
        if together == CASES_AT_A_TIME:
            some[-1] = _NEXT[:-2]
            cases.extend(_CASES.validate_json(f"[{''.join(some)}]"))
            some, together = [], 0
    if not some:
        raise ValueError("no case follows the last one")
    cases.extend(_CASES.validate_json(f"[{''.join(some)}]"))
    fingerprint = Fingerprint.model_validate_json(f"{before}{_NO_CASES},\n{''.join(lines)}")
    return fingerprint.model_copy(update={"cases": cases})
