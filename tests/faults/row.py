"""What the injection of one kind of fault comes to; ``bin/faults`` prints a table of these."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """``survived`` of ``injected`` faults had the outcome that they must have; ``compared`` says what was checked."""

    what: str
    injected: int
    survived: int
    compared: str
    failures: tuple[str, ...] = ()  # of those that did not, a sentence each
