"""``python -m benchmarks [ROW...]``: run rows of the benchmark and write benchmarks/results."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from benchmarks import report
from benchmarks.measure import ROOT, Failed
from benchmarks.setting import Setting, default_data

ENVIRONMENT = """environment variables:
  AUTOSEG_REAL_DATA          folder of the real images (else ../shared/data beside the checkout)
  AUTOSEG_BENCH_PYTHON       interpreter with autoseg (else .venv is made and used)
  AUTOSEG_BENCH_PEER_PYTHON  interpreter with nnU-Net (else .venv-peer is made and used)
"""


def main() -> int:
    """Run the rows that were asked for; 1 if one failed (a missed target is no failure)."""
    from benchmarks.rows import ROWS

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # unwinds, so that the command in progress is ended too
    asked = arguments()
    if asked.list:
        for name, row in ROWS.items():
            print(f"{name:22} {(row.__doc__ or '').splitlines()[0]}")
        return 0
    unknown = sorted(set(asked.rows) - set(ROWS))
    if unknown:
        print(f"bench: there is no row {unknown[0]}; --list shows all.", file=sys.stderr)
        return 2
    setting = make_setting(asked)
    if not setting.data.is_dir():
        print(f"bench: no images at {setting.data}; set AUTOSEG_REAL_DATA.", file=sys.stderr)
        return 2
    failed = [name for name in asked.rows or ROWS if not attempt(name, setting)]
    shown = report.table(report.results_folder(setting), list(ROWS))
    (report.results_folder(setting) / "table.md").write_text(shown, encoding="utf-8")
    print(shown)
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/bench",
        description="Measure autoseg against nnU-Net on this machine. Nothing else should run meanwhile.",
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to measure (default: everything, hours)")
    parser.add_argument("--list", action="store_true", help="show the rows")
    parser.add_argument("--minutes", type=float, default=10, help="of the trainings whose Dice is compared (10)")
    parser.add_argument("--pairs", type=int, default=2, help="how often both sides of a short row run (2)")
    parser.add_argument("--folder", type=Path, help="working files, reused if they are there (default: .bench)")
    parser.add_argument("--quick", action="store_true", help="few cases and steps, to see that it runs; no figures")
    return parser.parse_args()


def make_setting(asked: argparse.Namespace) -> Setting:
    """The folders and interpreters of this call."""
    folder = asked.folder or ROOT / ".bench" / ("quick" if asked.quick else "full")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if asked.folder is None:
        (ROOT / ".bench" / ".gitignore").write_text("*\n")
    python = os.environ.get("AUTOSEG_BENCH_PYTHON") or sys.executable
    peer = os.environ.get("AUTOSEG_BENCH_PEER_PYTHON") or str(ROOT / ".venv-peer" / "bin" / "python")
    pairs = 1 if asked.quick else asked.pairs
    return Setting(folder, default_data().resolve(), python, peer, asked.minutes, pairs, asked.quick)


def attempt(name: str, setting: Setting) -> bool:
    """Run one row and write its result; False, with the reason on stderr, if it cannot be run."""
    from benchmarks.rows import ROWS

    print(f"== {name}", flush=True)
    load, started = os.getloadavg()[0], time.monotonic()
    try:
        report.write(name, ROWS[name](setting), setting, load)
    except Failed as error:
        print(f"bench: {name}: {error}", file=sys.stderr)
        return False
    except Exception:
        print(f"bench: {name}:\n{traceback.format_exc()}", file=sys.stderr)
        return False
    print(f"   took {time.monotonic() - started:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
