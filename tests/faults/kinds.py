"""What a kind of bad or odd input is, and how it is tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.faults.command import Outcome, call
from tests.faults.good_input import Place

Told = Literal["refused", "left out", "unlike"]

PREDICT = ("predict", "$image", "-o", "$out", "--dataset", "Tiny", "--device", "cpu", "--json")
CONVERT = ("convert-bids", "$site", "--dataset", "Again", "--json")
OTHERS = 2  # of three cases, where one is left out
TRAIN = ("train", "Tiny", "3d_fullres", "fold1", "--device", "cpu", "--epochs", "1")


@dataclass(frozen=True)
class Meeting:
    """A command that meets the bad input, and the sentence that it must end with, to the letter.

    ``$image`` and the other paths of ``Place`` stand in for themselves. Refused: the sentence after ``autoseg: ``.
    Left out: the only entry of ``problems``, with the file in front; the rest was done, which of a conversion is a
    success. Unlike: the only entry of ``unlike``.
    """

    command: tuple[str, ...]
    sentence: str
    told: Told = "refused"
    status: int = 2


@dataclass(frozen=True)
class Kind:
    """A kind of bad input, made of good input by ``spoil``."""

    name: str
    spoil: Callable[[Place], object]
    meetings: tuple[Meeting, ...]


def image_kind(name: str, spoil: Callable[[Path], object], sentence: str, converted: str | None = None) -> Kind:
    """Of an image: left out of a prediction and of a conversion with one sentence (``converted``: with another)."""
    meetings = (
        Meeting(PREDICT, sentence, "left out"),
        Meeting(CONVERT, sentence if converted is None else converted, "left out", 0),
    )
    return Kind(name, lambda place: spoil(place.image()), meetings)


def label_kind(name: str, spoil: Callable[[Path], object], sentence: str) -> Kind:
    """Of a label file: its case is left out of a conversion."""
    return Kind(name, lambda place: spoil(place.labels()), (Meeting(CONVERT, sentence, "left out", 0),))


def request_kind(name: str, command: tuple[str, ...], sentence: str, spoil: Callable[[Place], object] = id) -> Kind:
    """Of a command line or a document: refused."""
    return Kind(name, spoil, (Meeting(command, sentence),))


def text_kind(name: str, file: str, text: str | bytes, command: tuple[str, ...], sentence: str) -> Kind:
    """Of a file with other content."""
    content = text.encode() if isinstance(text, str) else text
    return request_kind(name, command, sentence, lambda place: Path(place.fill(file)).write_bytes(content))


def failure(place: Place, kind: Kind) -> str:
    """Try a kind in a place of its own; what was not as it must be, empty if all was."""
    kind.spoil(place)
    for meeting in kind.meetings:
        before = state(place.site)
        outcome = call(place.workspace, *map(place.fill, meeting.command))
        wrong = _difference(place, meeting, outcome)
        if not wrong and state(place.site) != before:
            wrong = "something was written into the BIDS dataset"
        if not wrong and (left := sorted(path.name for path in place.folder.rglob(".*partial*"))):
            wrong = f"{left} was left behind"
        if wrong:
            return f"{kind.name}: {' '.join(meeting.command)}: {wrong}"
    return ""


def _difference(place: Place, meeting: Meeting, outcome: Outcome) -> str:
    if outcome.raised or "Traceback" in outcome.error:
        return f"{outcome.raised or outcome.error} came through"
    if outcome.status != meeting.status:
        return f"exit status {outcome.status} and not {meeting.status} ({outcome.error[-600:]})"
    if meeting.command == CONVERT and json.loads(outcome.output)["num_cases"] != OTHERS:
        return f"converted to {outcome.output}"
    said = sentences(outcome, meeting.told)
    expected = place.fill(meeting.sentence)
    return "" if said == [expected] else f"said {said} and not {expected!r}"


def sentences(outcome: Outcome, told: Told) -> list[str]:
    """What the outcome says in the place where it is to be told."""
    if told == "refused":
        return [outcome.sentence] if outcome.sentence else []
    try:
        document: dict[str, Any] = json.loads(outcome.output)
    except ValueError:
        return [f"no result: {outcome.error[-600:]}"]
    found = document.get("problems" if told == "left out" else "unlike", [])
    return [one if isinstance(one, str) else f"{one['file']}: {one['problem']}" for one in found]


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Of every file its size, mode and time of change, links as such."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_size, status.st_mode, status.st_mtime_ns)
    return found
