"""The code blocks of a Markdown page, and how they are run: in order, in one folder, in this process.

Blocks marked ``sh`` and ``python`` run; so do lines of unmarked, indented blocks that begin with ``autoseg``. A comment
``<!-- not run: REASON -->`` before a block leaves it out. A ``text`` block right after one that ran is compared with
its output (numbers and frames of tables apart), unless a comment stands before it. Times are made short.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from autoseg.cli import bids_app, main

SECONDS = 1
COMMENT = re.compile(r"\s*<!-- (.*) -->\s*")
FENCE = re.compile(r"( *)```(\w*)\s*")
SHORTER = (
    (re.compile(r"--time-budget[ =]\S+"), "--time-budget {}s"),
    (re.compile(r"time_budget_s=\d+"), "time_budget_s={}"),
)


@dataclass(frozen=True)
class Block:
    """A code block: its language (empty: indented), its text, and the comment before it."""

    line: int
    language: str
    text: str
    comment: str = ""

    @property
    def reason(self) -> str | None:
        """Why it is not run, if it is not."""
        match = re.fullmatch(r"not run: (.+)", self.comment)
        return match[1] if match else None


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    lines = page.splitlines()
    comment, number = "", 0
    while number < len(lines):
        line, start = lines[number], number
        if match := COMMENT.fullmatch(line):
            comment = match[1]
            number += 1
            continue
        if match := FENCE.fullmatch(line):
            number += 1
            while not re.fullmatch(r" *```", lines[number]):
                number += 1
            text = "\n".join(one.removeprefix(match[1]) for one in lines[start + 1 : number])
            yield Block(start + 1, match[2], text, comment)
            comment = ""
        elif line.startswith("    ") and (number == 0 or not lines[number - 1].strip()):
            while number + 1 < len(lines) and (lines[number + 1].startswith("    ") or not lines[number + 1].strip()):
                number += 1
            yield Block(start + 1, "", "\n".join(one[4:] for one in lines[start : number + 1]).rstrip(), comment)
            comment = ""
        elif line.strip():
            comment = ""
        number += 1


def commands(block: Block) -> list[str]:
    """The command lines of a block of the shell, continued lines joined and comments left out."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    return lines if block.language == "sh" else [line for line in lines if re.match(r"autoseg(-bids)? ", line)]


def shorter(text: str, seconds: int = SECONDS) -> str:
    """With budgets of ``seconds``."""
    for pattern, replacement in SHORTER:
        text = pattern.sub(replacement.format(seconds), text)
    return text


def run_page(page: Path, folder: Path, stand_ins: Mapping[str, Any], seconds: int = SECONDS) -> int:
    """Run every block of ``page`` in ``folder``; how many there were.

    ``stand_ins`` are modules that a page imports and nobody needs to have.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    output: str | None = None  # of the block before
    num_run = 0
    before, environment = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ["PWD"] = str(folder)  # a page may name it, and Python leaves it as it was
    sys.modules.update(stand_ins)  # not for a while by mock.patch.dict, which would take torch out again
    try:
        for block in blocks(page.read_text(encoding="utf-8")):
            where, last, output = f"{page.name}:{block.line}", output, None
            if block.reason:
                continue
            if block.language in ("sh", "") and (lines := commands(block)):
                output = "".join(run_command(shorter(line, seconds), where) for line in lines)
            elif block.language == "python":
                output = run_python(shorter(block.text, seconds), where, names)
            elif block.language == "text" and last is not None and not block.comment:
                compare(block.text, last, where)
            num_run += output is not None
    finally:
        for name in stand_ins:
            del sys.modules[name]
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
    return num_run


def run_command(line: str, where: str) -> str:
    """One line of a shell; its output. A verb runs in this process, anything else in a shell."""
    if match := re.fullmatch(r"export (\w+)=(.*)", line):
        os.environ[match[1]] = os.path.expandvars(match[2])
        return ""
    words = shlex.split(line, comments=True)
    if words[0] not in ("autoseg", "autoseg-bids"):
        done = subprocess.run(["bash", "-ec", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"{where}: {line}\n{done.stdout}"
        return done.stdout
    program = main if words[0] == "autoseg" else bids_app.main
    written = io.StringIO()
    with mock.patch.object(sys, "argv", words), redirect_stdout(written), redirect_stderr(written):
        status = program()
    assert status == 0, f"{where}: {line}\n{written.getvalue()}"
    return written.getvalue()


def run_python(text: str, where: str, names: dict[str, Any]) -> str:
    """A piece of a program that continues the pieces before it; what it prints."""
    written = io.StringIO()
    with redirect_stdout(written), redirect_stderr(io.StringIO()):
        exec(compile(text, where, "exec"), names)
    return written.getvalue()


def compare(expected: str, output: str, where: str) -> None:
    """Every line of ``expected`` but ``...`` is in the output, but for numbers, blanks and lines of tables."""
    found = {loosely(line) for line in output.splitlines()}
    for line in expected.splitlines():
        if line.strip() not in ("", "..."):
            assert loosely(line) in found, f"{where}: {line}\nis not in\n{output}"


def loosely(line: str) -> str:
    """A line without what differs from run to run."""
    return " ".join(re.sub(r"[\d.]+", "#", re.sub(r"[│┃]", "|", line)).split())
