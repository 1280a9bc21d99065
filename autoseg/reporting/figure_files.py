"""Figures as files for a paper, and inside an HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from autoseg.io.files import atomic
from autoseg.reporting.palette import rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".svg", ".png")
DOTS_PER_INCH = 150
FONT_POINTS = 10
LARGEST_SCALE = 1.4  # of a figure in a page: its text is then 14 pixels high
_SETTINGS: dict[Any, Any] = {"font.size": FONT_POINTS, "hatch.linewidth": 0.6, "axes.axisbelow": True}
_COLOURED = ("fill", "stroke")
_NO_SOFTWARE: dict[str, Any] = {"Software": None}  # without the version, the same picture is the same file
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONT = re.compile(r"(?P<looks>.*?)(?P<size>[\d.]+px)")


@contextmanager
def style() -> Iterator[None]:
    """Inside the block figures are made and saved alike on every machine: the same one gives the same SVG."""
    import matplotlib as mpl

    # Without salt the same figure has other ids every time.
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": "autoseg"}):
        yield


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` with each of ``ENDINGS``, atomically; returns the files. The same figure gives the same files."""
    written = []
    with style():
        _settle(figure)
        for ending, metadata in zip(ENDINGS, ({"Date": None}, _NO_SOFTWARE), strict=True):
            target = path.with_name(path.name + ending)
            with atomic(target) as temporary:
                figure.savefig(temporary, dpi=DOTS_PER_INCH, metadata=metadata)
            written.append(target)
    return written


def png_bytes(picture: npt.NDArray[np.uint8]) -> bytes:
    """An RGB picture ``(height, width, 3)`` as a PNG file."""
    from matplotlib.image import imsave

    content = BytesIO()
    imsave(content, picture, format="png", metadata=_NO_SOFTWARE, pil_kwargs={"optimize": True})
    return content.getvalue()


def svg_text(figure: Figure, prefix: str, description: str) -> str:
    """The figure as an ``<svg>`` element for an HTML page, ``description`` being what a screen reader says.

    It is as wide as what it stands in (up to ``LARGEST_SCALE``) and transparent, its text is text in the font of the
    page, and every grey is ``currentColor`` with an opacity: black is the colour of the page's text, white is nothing.
    So it follows the page between light and dark. ``prefix`` begins all ids: give every figure of a page another.
    """
    import matplotlib as mpl

    text = BytesIO()
    with style(), mpl.rc_context({"svg.fonttype": "none"}):
        _settle(figure)
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(text.getvalue())
    _drop(root, ("metadata", "style"))
    for element in root.iter():
        element.tag = _local(element.tag)
        for name in list(element.attrib):
            _set(element, _local(name), element.attrib.pop(name), prefix)
    for element in root.iter("g"):
        _share_style(element)
    width = float(root.attrib["viewBox"].split()[2])
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib.update(
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "role": "img",
            "aria-label": description,
            "fill": "currentColor",  # of text, to which matplotlib gives no colour where it is black
            "stroke-linejoin": "round",
            "stroke-linecap": "butt",
            "style": f"width: 100%; max-width: {LARGEST_SCALE * width:.0f}px; height: auto; background: none",
        }
    )
    return ElementTree.tostring(root, encoding="unicode")


def _settle(figure: Figure) -> None:
    """Lay the figure out once and for all: constrained layout moves a little with every drawing."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _drop(parent: ElementTree.Element, names: tuple[str, ...]) -> None:
    """Remove the children of these names, at any depth: a style sheet would hold for the whole page."""
    for child in list(parent):
        if _local(child.tag) in names:
            parent.remove(child)
        else:
            _drop(child, names)


def _set(element: ElementTree.Element, name: str, value: str, prefix: str) -> None:
    """Set one attribute as a page needs it."""
    if name == "style":
        _set_style(element, value, prefix)
    elif name == "id":
        element.set("id", f"{prefix}-{value}")
    elif name == "href" and value.startswith("#"):
        element.set("href", f"#{prefix}-{value[1:]}")
    elif name in ("d", "x", "y"):
        element.set(name, _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", value))
    else:
        element.set(name, value.replace("url(#", f"url(#{prefix}-"))


def _set_style(element: ElementTree.Element, value: str, prefix: str) -> None:
    """Set the style of an element with greys as opacities and the font of the page."""
    given = dict(part.strip().split(": ", 1) for part in value.split(";") if ": " in part)
    given.pop("font-family", None)
    if font := _FONT.match(given.pop("font", "")):
        given["font-size"] = font["size"]
        for word in font["looks"].split():
            given["font-weight" if word.isdigit() else "font-style"] = word
    for name in _COLOURED:
        colour = given.get(name, "")
        if colour.startswith("url(#"):
            given[name] = colour.replace("url(#", f"url(#{prefix}-")
        elif (opacity := _grey_opacity(colour)) is not None:
            shown = opacity * float(given.get(f"{name}-opacity", 1)) * float(given.get("opacity", 1))
            given[name] = "currentColor" if shown else "none"
            if 0 < opacity < 1:
                given[f"{name}-opacity"] = f"{opacity * float(given.get(f'{name}-opacity', 1)):.3g}"
    element.set("style", "; ".join(f"{key}: {part}" for key, part in given.items()))


def _share_style(group: ElementTree.Element) -> None:
    """Say once what all points of a group look like, which is half of a file; opacity as a whole cannot be shared."""
    styles = {child.get("style", "") for child in group if child.tag == "use"}
    if len(group) > 1 and len(styles) == 1 and all(child.tag == "use" for child in group):
        style = styles.pop()
        if style and "style" not in group.attrib and not re.search(r"(^|; )opacity", style):
            group.set("style", style)
            for child in group:
                child.attrib.pop("style")


def _grey_opacity(colour: str) -> float | None:
    """How opaque black must be on white to look like this grey; None for what is no grey."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        return None
    red, green, blue = rgb(colour)
    return 1 - red / 255 if red == green == blue else None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
