"""What ``--json`` prints, held against the committed schemas."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import jsonschema

SCHEMAS = Path(__file__).parents[2] / "docs/reference/json"
ENDING = ".schema.json"


@cache
def validator(verb: str) -> jsonschema.Draft202012Validator:
    """The validator of a verb; its schema must be there."""
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{verb}{ENDING}").read_text(encoding="utf-8")))


def require_valid(verb: str, text: str) -> None:
    """AssertionError that names the place unless ``text`` is one document of the schema."""
    problems = [f"{error.json_path}: {error.message[:300]}" for error in validator(verb).iter_errors(json.loads(text))]
    assert not problems, f"autoseg {verb} --json: {problems[:3]}"


@contextmanager
def checked_output(arguments: tuple[str, ...]) -> Iterator[list[int]]:
    """Hold what the block prints against the schema if ``--json`` is asked for; the block appends its exit status.

    Nothing is printed where there is no result, which only a failure may have.
    """
    status: list[int] = []
    if "--json" not in arguments:
        yield status
        return
    shown, printed = sys.stdout, io.StringIO()
    sys.stdout = printed
    try:
        yield status
    finally:
        sys.stdout = shown
        shown.write(printed.getvalue())
    if printed.getvalue():
        require_valid(arguments[0], printed.getvalue())
    else:
        assert status != [0], f"autoseg {arguments[0]} --json prints nothing"
