"""What a cluster asks of jobs: the document ``site.json`` in the workspace."""

from __future__ import annotations

from pydantic import Field, ValidationError

from autoseg.core.document import Count, Frozen, wrong_entries
from autoseg.core.errors import BadInput

SITE_FILE = "site.json"


class Site(Frozen):
    """One job: a worker with ``cores``, ``memory`` (such as 32GB) and, if any, ``gpus``, for ``walltime``.

    The walltime is hours, minutes and seconds (8:00:00), perhaps after days (2-12:00:00), for every batch system.

    ``jobs`` are submitted unless a command says otherwise. ``directives`` are further lines for the batch system, such
    as ``--gres=gpu:1``; ``prologue`` are shell commands before the worker starts, such as those that activate an
    environment; ``python`` is the interpreter there, by default the one that runs. ``interface`` is the network
    interface that jobs are reached by, where it is not the usual one.
    """

    jobs: Count
    cores: Count
    memory: str = Field(pattern=r"^\d+(\.\d+)? ?[kMGT]i?B$")
    walltime: str = Field(pattern=r"^(\d+-)?\d+:\d\d:\d\d$")
    gpus: int = Field(0, ge=0)
    queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    python: str | None = None
    interface: str | None = None

    @property
    def walltime_s(self) -> int:
        """The walltime in seconds."""
        days, _, rest = self.walltime.rpartition("-")
        hours, minutes, seconds = map(int, rest.split(":"))
        return ((24 * int(days or 0) + hours) * 60 + minutes) * 60 + seconds


def read_site(text: str, source: str) -> Site:
    """Parse the document; every error is listed with its path in one BadInput sentence."""
    try:
        return Site.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(f"{source}: is no valid description of a site ({wrong_entries(error)}); correct it.") from None
