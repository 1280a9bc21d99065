"""A report as one HTML file that works offline: what it says, and how it becomes a page.

A page is sections of parts, and a gallery of cases to look at and to mark. Style, script and viewer are inside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from autoseg.evaluation.error_maps import ERRORS
from autoseg.reporting.palette import ERROR_COLOURS

SCRIPTS = ("niivue.umd.js", "marks.js", "page.js")  # the first is BSD-2-Clause; its licence lies beside it


@dataclass(frozen=True)
class Text:
    """A paragraph; ``warning`` where the reader has to know."""

    text: str
    warning: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Sentences:
    """A list."""

    items: Sequence[str]
    kind: str = "sentences"


@dataclass(frozen=True)
class Table:
    """Rows of texts; columns of numbers are set to the right. A long one is folded under its ``caption``."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    folded: bool = False
    kind: str = "table"

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers."""
        return [
            bool(self.rows) and all(row[place][:1] in "-+.0123456789" for row in self.rows if row[place])
            for place in range(len(self.header))
        ]


@dataclass(frozen=True)
class Figure:
    """An ``<svg>`` of ours, and what it shows."""

    svg: str
    caption: str
    kind: str = "figure"


@dataclass(frozen=True)
class Commands:
    """What to type."""

    lines: Sequence[str]
    kind: str = "commands"


Part = Text | Sentences | Table | Figure | Commands


@dataclass(frozen=True)
class Section:
    """``title`` is also its place in the page's list of contents."""

    title: str
    parts: Sequence[Part]

    @property
    def anchor(self) -> str:
        """Where a link leads to."""
        return "-".join(("about", *self.title.lower().split()))


@dataclass(frozen=True)
class ShownCase:
    """A case to look at. ``volumes`` maps a name to a NIfTI file in base64 (``viewer_volumes``).

    ``channels`` names the volumes that are images; ``reference``, ``segmentation`` and ``errors`` may be among the
    others. ``picture`` is a PNG in base64, for those who cannot or need not look closer.
    """

    case: str
    domain: str
    subject: str
    session: str
    rank: str
    scores: Mapping[str, str]
    channels: Sequence[str]
    volumes: Mapping[str, str]
    picture: str
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Cases, and the name and colour (``#rrggbb``) of each value of their label maps."""

    cases: Sequence[ShownCase]
    labels: Mapping[int, tuple[str, str]]
    text: str = ""


@dataclass(frozen=True)
class Page:
    """``facts`` are a few figures with their names; ``identity`` tells the marks of this page from those of others."""

    title: str
    summary: Sequence[str]
    facts: Mapping[str, str]
    sections: Sequence[Section]
    identity: str
    footer: str
    gallery: Gallery | None = None
    name: str = field(default="autoseg")  # of the file of marks


def render(page: Page) -> str:
    """The HTML of the page; nothing in it asks the network for anything."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("autoseg.reporting", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    resources = files("autoseg.reporting")

    def text(name: str) -> str:
        return resources.joinpath(name).read_text(encoding="utf-8")

    return environment.get_template("page.html").render(
        page=page,
        style=text("page.css"),
        scripts=[text(name) for name in SCRIPTS] if page.gallery else [],
        data=script_json(gallery_document(page)) if page.gallery else "",
    )


def gallery_document(page: Page) -> dict[str, Any]:
    """What the script of the page reads."""
    gallery = page.gallery
    if gallery is None:
        return {}
    return {
        "key": hashlib.sha256(page.identity.encode()).hexdigest()[:16],
        "file": f"{page.name}_marks.csv",
        "labels": [
            {"value": value, "name": name, "colour": colour} for value, (name, colour) in gallery.labels.items()
        ],
        "errors": [
            {"value": value, "name": name, "colour": ERROR_COLOURS[value]} for value, name in ERRORS.items() if value
        ],
        "cases": [
            {
                "case": one.case,
                "domain": one.domain,
                "subject": one.subject,
                "session": one.session,
                "rank": one.rank,
                "scores": dict(one.scores),
                "channels": list(one.channels),
                "volumes": dict(one.volumes),
                "note": one.note,
            }
            for one in gallery.cases
        ],
    }


def script_json(document: Any) -> str:
    """JSON that no browser takes for the end of the script that it stands in."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
