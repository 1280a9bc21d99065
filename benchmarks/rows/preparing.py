"""Fingerprint, plan and preprocess a dataset."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from statistics import median

from benchmarks import material
from benchmarks.measure import Ran, alternate, run
from benchmarks.report import Result, compared
from benchmarks.setting import DATASET, Setting, peer_environment

PEER_PROCESSES = ("-npfp", "2", "-np", "2", "2")
MOST_TIME, MOST_MEMORY = 4.4, 1.1  # for four times the cases; a constant start makes it less than four
GIB = 2**30


def prepare(setting: Setting) -> Result:
    """Fingerprint, plan and preprocess 140 cases for 2d and 3d_fullres, from files to files."""
    source, raw = material.workspace(setting), material.peer_raw(setting)

    def ours() -> float:
        plan, preprocess = prepare_fresh(setting, copy_dataset(source, setting.folder / "prepare-ours", 1))
        return plan.seconds + preprocess.seconds

    def peer(*processes: str) -> float:
        home = setting.folder / "prepare-peer"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        (home / "raw").symlink_to(raw / "raw")
        return run([*command, *processes], peer_environment(home)).seconds

    command = setting.peer_program("nnUNetv2_plan_and_preprocess", "-d", "1", "-c", *material.CONFIGURATIONS)
    sides = {"peer": peer, "ours": ours, "peer, 2 processes": lambda: peer(*PEER_PROCESSES)}
    runs = alternate(setting.pairs, sides)
    commands = [
        "peer: nnUNetv2_plan_and_preprocess -d 1 -c 2d 3d_fullres",
        f"peer, 2 processes: the same with {' '.join(PEER_PROCESSES)}; the faster of the two counts",
        "ours: autoseg plan, then autoseg preprocess 2d 3d_fullres",
    ]
    work = f"fingerprint, plan and preprocess {len(material.dataset(setting).cases)} cases, 2d and 3d_fullres"
    return compared(work, "s", runs, 10, commands)


def scaling(setting: Setting) -> Result:
    """The same, ours only, with four times the cases: time grows with them and memory does not."""
    source = material.workspace(setting)
    peaks: dict[str, list[int]] = {"1x": [], "4x": []}

    def side(times: int) -> float:
        root = copy_dataset(source, setting.folder / f"prepare-{times}x", times)
        plan, preprocess = prepare_fresh(setting, root, sample=True)
        peaks[f"{times}x"].append(max(one.peak_bytes or one.largest_bytes for one in (plan, preprocess)))
        return plan.seconds + preprocess.seconds

    runs = alternate(setting.pairs, {"1x": lambda: side(1), "4x": lambda: side(4)})
    time_ratio = median(runs["4x"]) / median(runs["1x"])
    memory_ratio = median(peaks["4x"]) / median(peaks["1x"])
    checks = {
        f"time <= {MOST_TIME}x": time_ratio <= MOST_TIME,
        f"memory <= {MOST_MEMORY}x": memory_ratio <= MOST_MEMORY,
    }
    facts = {"peak_bytes": peaks, "time_ratio": time_ratio, "memory_ratio": memory_ratio}
    held = ", ".join(f"{name} {median(values) / GIB:.2f} GiB" for name, values in peaks.items())
    work = f"ours: four times the cases (left: once; peak memory {held})"
    commands = ["autoseg plan, then autoseg preprocess 2d 3d_fullres; memory of all processes sampled every 50 ms"]
    return Result(work, "s", median(runs["1x"]), median(runs["4x"]), time_ratio, checks, runs, commands, facts)


def prepare_fresh(setting: Setting, root: Path, sample: bool = False) -> tuple[Ran, Ran]:
    """Our two commands."""
    plan = run(setting.autoseg(root, "plan", DATASET), sample=sample)
    return plan, run(setting.autoseg(root, "preprocess", DATASET, *material.CONFIGURATIONS), sample=sample)


def copy_dataset(source: Path, root: Path, times: int) -> Path:
    """A workspace with the raw dataset only, every case ``times`` times under other names and subjects."""
    shutil.rmtree(root, ignore_errors=True)
    old, new = source / "datasets" / DATASET, root / "datasets" / DATASET
    new.mkdir(parents=True)
    with (old / "cases.tsv").open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines, delimiter="\t")
        header, rows = list(table.fieldnames or ()), list(table)
    copies = [(f"copy{i}-" if i else "", row) for i in range(times) for row in rows]
    with (new / "cases.tsv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, header, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for prefix, row in copies:
            writer.writerow({**row, "case": prefix + row["case"], "subject": prefix + row["subject"]})
    for folder in ("imagesTr", "labelsTr"):
        (new / folder).mkdir()
        for path in (old / folder).iterdir():
            for number in range(times):
                (new / folder / ((f"copy{number}-" if number else "") + path.name)).symlink_to(path.resolve())
    document = (old / "dataset.json").read_text(encoding="utf-8")
    counted = document.replace(f'"numTraining": {len(rows)}', f'"numTraining": {len(copies)}')
    (new / "dataset.json").write_text(counted, encoding="utf-8")
    return root
