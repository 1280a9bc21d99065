"""Plan from a fingerprint that is there: ``python -m benchmarks.ours.planning FINGERPRINT``."""

from __future__ import annotations

import sys
from pathlib import Path

from autoseg.io.fingerprints import read_fingerprint
from autoseg.planning import checks, planner


def main() -> None:
    """What ``autoseg plan`` does when everything is measured."""
    fingerprint = read_fingerprint(Path(sys.argv[1]))
    checks.check_fingerprint(fingerprint)
    planner.make_plan(fingerprint).model_dump_json(indent=1)


if __name__ == "__main__":
    main()
