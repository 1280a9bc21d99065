"""A disk that is full or cannot be written, under every command that writes; then there is room again."""

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.command import call
from tests.faults.row import Row
from tests.faults.small_model import small_workspace

DISK_BYTES = 2**23


@dataclass(frozen=True)
class Stage:
    """A command, and below the workspace what it writes."""

    command: tuple[str, ...]
    written: str


PREDICT = ("predict", "SITE", "--dataset", "Tiny", "--device", "cpu", "--naming", "image")
STAGES = (
    Stage(("convert-bids", "SITE", "--dataset", "New"), "datasets/New"),
    Stage(("preprocess", "Tiny", "3d_fullres"), "preprocessed/Tiny"),
    Stage((*PREDICT, "-o", "DISK/workspace/out"), "out"),
    Stage((*PREDICT, "-o", "DISK/workspace/out", "--save-probabilities"), "out"),
    Stage(("export", "Tiny", "-o", "DISK/workspace/out/Tiny.autoseg.zip"), "out"),
    Stage(("evaluate", "PREDICTED", "SITE", "-o", "DISK/workspace/out", "--metrics", "overlap"), "out"),
    Stage(("export-nnunet", "Tiny", "DISK/workspace/out"), "out"),
)


def disk_is_full(size: int, random: np.random.Generator, folder: Path) -> Row:
    """A random part of what a command writes fits; then there is room again."""

    def spoil(disk: Path, whole_bytes: int) -> None:
        left = int(random.uniform(0, 0.95) * whole_bytes)
        (disk / "filler").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - left)))

    def mend(disk: Path) -> None:
        (disk / "filler").unlink()

    end = ": the disk is full; make room and run the same command again to continue."
    return disk_faults("disk full", size, random, folder, spoil, mend, end)


def disk_is_read_only(size: int, random: np.random.Generator, folder: Path) -> Row:
    """Nothing can be written; then it can."""

    def remount(disk: Path, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

    end = ": cannot be written (Read-only file system); choose another --workspace or output folder."
    read_only, writable = partial(remount, how="ro"), partial(remount, how="rw")
    return disk_faults("read-only", size, random, folder, lambda disk, _: read_only(disk), writable, end)


def disk_faults(
    what: str,
    size: int,
    random: np.random.Generator,
    folder: Path,
    spoil: Callable[[Path, int], None],
    mend: Callable[[Path], None],
    end: str,
) -> Row:
    """Spoil the disk under a command, mend it, run the command again; its files must be those of a good disk."""
    failures, first = [], int(random.integers(len(STAGES)))
    with small_disk(folder / "disk") as disk:
        if disk is None:
            return Row(what, 0, 0, "not tried: mounting a file system needs root")
        workspace, site = small_workspace(folder / "made")
        shutil.copytree(workspace.root, disk / "workspace", symlinks=True)
        places = {"SITE": str(site), "PREDICTED": str(folder / "predicted")}
        call(workspace.root, *(places.get(word, word) for word in PREDICT), "-o", places["PREDICTED"])
        for number in range(size):
            stage = STAGES[(first + number) % len(STAGES)]
            command = [places.get(word, word.replace("DISK", str(disk))) for word in stage.command]
            target = disk / "workspace" / stage.written
            clean = call(disk / "workspace", *command)
            if clean.status != 0:
                failures.append(f"{number}: {' '.join(stage.command[:3])}: not even undisturbed: {clean.error[-300:]}")
                continue
            expected, whole_bytes = hashes(target), own_bytes(target)
            shutil.rmtree(target)
            spoil(disk, whole_bytes)
            run = call(disk / "workspace", *command)
            half_written = [path.name for path in disk.rglob("*") if ".partial." in path.name]
            mend(disk)
            again = call(disk / "workspace", *command)
            problem = "" if hashes(target) == expected else "other files when it was run again"
            if again.status != 0 or half_written:
                problem = f"status {again.status} when it was run again: {again.error[-300:]} {half_written}"
            if run.raised or run.status != 1 or not run.sentence.endswith(end):
                problem = f"status {run.status} {run.raised} {run.error[-300:]!r}"
            failures += [f"{number}: {' '.join(stage.command[:3])}: {problem}"] if problem else []
            shutil.rmtree(target, ignore_errors=True)
    compared = f"{len(STAGES)} commands in turn: status 1, the file named, the next run bit for bit"
    return Row(what, size, size - len(failures), compared, tuple(failures))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of its own; None where none can be mounted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def own_bytes(folder: Path) -> int:
    """What the files below ``folder`` hold, those that are only linked not counted."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def hashes(folder: Path) -> dict[str, str]:
    """File below ``folder`` -> hash of what it holds."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
