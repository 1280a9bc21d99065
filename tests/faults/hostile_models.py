"""Every hostile model through the command line: status 2, one sentence, nothing run, nothing written, little memory."""

import contextlib
import resource
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from tests.faults import hostile_archives, hostile_nnunet
from tests.faults.command import Outcome, call
from tests.faults.hostile_archives import ARCHIVES, good_members
from tests.faults.hostile_nnunet import MODELS
from tests.faults.row import Row
from tests.faults.small_model import small_workspace
from tests.interop import peer_models

Entry = TypeVar("Entry")
LARGEST_GROWTH_BYTES = 2**27  # of the peak: what a bomb would take at least


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` of each catalogue, in an order of the seed; all where there are not more."""
    archives, models = chosen(ARCHIVES, size, seed), chosen(MODELS, size, seed)
    yield Row("model files refused", *outcome(archives, refused_archives(archives, folder / "archives")))
    yield Row("nnU-Net models refused", *outcome(models, refused_models(models, folder / "nnunet")))


def chosen(catalogue: Mapping[str, Entry], size: int, seed: int) -> dict[str, Entry]:
    """A part of a catalogue."""
    order = np.random.default_rng(seed).permutation(len(catalogue))[:size]
    return {name: catalogue[name] for name in (list(catalogue)[number] for number in order)}


def outcome(catalogue: Mapping[str, object], failures: Iterator[str]) -> tuple[int, int, str, tuple[str, ...]]:
    """What a row says of a catalogue."""
    found = tuple(failures)
    return len(catalogue), len(catalogue) - len(found), "status 2, the sentence, nothing run or written", found


def refused_archives(catalogue: Mapping[str, tuple[hostile_archives.Maker, str, str]], folder: Path) -> Iterator[str]:
    """A sentence for each model file that was not refused as it should be."""
    workspace, site = small_workspace(folder, num_subjects=1)
    image, good, out = next(site.rglob("*_T1w.nii.gz")), good_members(), folder / "out"
    for what, (make, begin, end) in catalogue.items():
        path = folder / "Tiny.autoseg.zip"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of zipfile about a name that comes twice
            make(dict(good), path)
        before = peak_bytes()
        run = call(workspace.root, "predict", str(image), "-o", str(out), "--model", str(path), "--device", "cpu")
        written = sorted(out.rglob("*.nii.gz"))
        problem = judged(run, begin.format(file=path), end, before, written)
        shutil.rmtree(out, ignore_errors=True)
        if problem:
            yield f"{what}: {problem}"


def refused_models(catalogue: Mapping[str, tuple[hostile_nnunet.Maker, str, str]], folder: Path) -> Iterator[str]:
    """A sentence for each model of nnU-Net that was not refused as it should be."""
    workspace = folder / "workspace"
    for what, (make, begin, end) in catalogue.items():
        shutil.rmtree(folder, ignore_errors=True)
        model, canary = peer_models.write(folder / "model"), folder / "canary"
        source = make(model, canary)
        before = peak_bytes()
        run = call(workspace, "import-nnunet", str(source), "--dataset", "Tiny")
        written = [path for path in workspace.rglob("*") if path.is_file()] + [canary] * canary.exists()
        problem = judged(run, begin.format(source=source), end, before, written)
        if problem:
            yield f"{what}: {problem}"
    shutil.rmtree(folder, ignore_errors=True)


def judged(run: Outcome, begin: str, end: str, peak_before: int, written: list[Path]) -> str:
    """What is wrong with an outcome; empty if nothing is."""
    grown = peak_bytes() - peak_before
    if run.raised or run.status != 2:
        return f"status {run.status} {run.raised} {run.error[-300:]}"
    left_out = [line.removeprefix("left out: ") for line in run.error.splitlines() if line.startswith("left out: ")]
    said = run.sentence or " ".join(left_out)
    if not (said.startswith(begin) and said.endswith(end)):
        return f"said {run.error[-400:]!r} and not {begin!r} ... {end!r}"
    if written:
        return f"left {', '.join(map(str, written))}"
    return f"took {grown / 1e9:.1f} GB" if grown > LARGEST_GROWTH_BYTES else ""


def peak_bytes() -> int:
    """Of this process so far, where the system tells."""
    with contextlib.suppress(OSError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return 0
