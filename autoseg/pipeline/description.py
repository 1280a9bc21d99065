"""What is said about a file or a folder: a document for machines, tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BYTES_PER_MB, BYTES_PER_GB = 1e6, 1e9
MOST_LISTED = 12


@dataclass(frozen=True)
class Table:
    """A table beside the main one."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Description:
    """``rows`` are (what, found) pairs of the main table; ``document`` is one entry of ``info --json``."""

    document: dict[str, Any]
    title: str
    rows: Sequence[tuple[str, str]]
    tables: Sequence[Table] = ()


def times(values: Iterable[float]) -> str:
    """Such as ``256 x 256 x 176`` or ``0.5 x 0.5 x 7.5``."""
    return " x ".join(f"{value:.6g}" for value in values)


def number(value: float) -> str:
    """Four digits, or as many as a whole number has, with separators."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def file_size(size_bytes: int) -> str:
    """Such as ``1.7 MB``."""
    if size_bytes >= BYTES_PER_GB:
        return f"{size_bytes / BYTES_PER_GB:.1f} GB"
    return f"{size_bytes / BYTES_PER_MB:.1f} MB" if size_bytes >= BYTES_PER_MB / 10 else f"{size_bytes:,} bytes"


def enumerated(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """``a, b, c and 4 more``; a dash where there are none."""
    shown = ", ".join(names[:most]) or "-"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
