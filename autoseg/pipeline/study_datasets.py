"""The datasets of a study: BIDS folders converted alike, test cases held out, training sets joined."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.core.plan import SplitSpec
from autoseg.core.study import StudySpec
from autoseg.interop.bids_conversion import Conversion, dataset_names
from autoseg.interop.bids_matching import PlannedCase
from autoseg.interop.dataset_joining import Part, join, require_alike
from autoseg.io import images
from autoseg.io.files import write_json
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.conversion import match, write
from autoseg.pipeline.preparation import source_state
from autoseg.planning.folds import split_cases
from autoseg.runtime.progress import say

TEST_SHARE = 0.2  # of the subjects of a dataset
ORIGIN = "origin.json"  # in the folder of a dataset: what it was made from


@dataclass(frozen=True)
class StudyDataset:
    """A dataset of the study; of an unseen one every case tests and none trains."""

    name: str
    dataset: RawDataset
    unseen: bool
    training: tuple[CaseFiles, ...] = ()
    testing: tuple[CaseFiles, ...] = ()

    @property
    def part(self) -> Part:
        """Its training cases, to be joined with others."""
        return Part(self.name, self.dataset, self.training)


def study_datasets(workspace: Workspace, study: Workspace, spec: StudySpec, folder: Path) -> list[StudyDataset]:
    """The datasets that ``spec`` names, those that train first, each with its test cases.

    A name of the ``workspace`` is used as it is; other entries are BIDS folders (relative to ``folder``), which are
    converted together into the workspace of the ``study``, again only if their files have changed. BadInput: an entry
    that is neither, two of one name, or datasets whose labels or channels differ.
    """
    entries = [*spec.datasets, *spec.unseen]
    names = {entry for entry in entries if Path(entry).name == entry}
    known = {name for name in names if (workspace.dataset_folder(name) / "dataset.json").is_file()}
    roots = {entry: (folder / entry).resolve() for entry in entries if entry not in known}
    for entry, root in roots.items():
        if not root.is_dir():
            raise BadInput(f"{entry}: is neither a dataset of the workspace nor the folder {root}; correct the study.")
    converted = convert_together(study, list(roots.values()))
    sets = []
    for entry in entries:
        dataset = workspace.read_dataset(entry) if entry in known else converted[roots[entry]]
        sets.append(StudyDataset(dataset.name, dataset, entry in spec.unseen))
    for one in sets[1:]:
        require_alike(sets[0].name, sets[0].dataset, one.name, one.dataset)
        if sum(other.name == one.name for other in sets) > 1:
            raise BadInput(f"{one.name}: two datasets of the study have this name; rename one of the folders.")
    return hold_out(sets, spec.seed)


def convert_together(study: Workspace, roots: Sequence[Path]) -> dict[Path, RawDataset]:
    """Each BIDS folder as a dataset of the study, with the labels that all of them have."""
    if not roots:
        return {}
    conversion = match(roots)
    for problem in conversion.problems:
        say(f"left out: {problem.file}: {problem.sentence}", style="red")
    for note in conversion.notes:
        say(f"note: {note}", style="yellow")
    datasets = {}
    for name, root in dataset_names(roots).items():
        cases = Packed(PlannedCase, (case for case in conversion.cases if case.source == root))
        if not cases:
            raise BadInput(f"{root}: none of its images can be used; see what was left out, and correct it.")
        # The channel is called after its own contrasts: those of an unseen dataset must not change what is trained.
        channels = ("/".join(dict.fromkeys(case.contrast for case in cases)),)
        _convert_if_changed(study, name, replace(conversion, cases=cases, channels=channels))
        datasets[root] = study.read_dataset(name)
    return datasets


def _convert_if_changed(study: Workspace, name: str, conversion: Conversion) -> None:
    folder = study.dataset_folder(name)
    files = {case.name: [*case.images, *(part.path for part in case.labels.parts)] for case in conversion.cases}
    key = digest({"labels": conversion.labels, "channels": conversion.channels, "files": _states(files)})
    if origin(folder) == key:
        return
    report = write(conversion, folder, name, overwrite=True)
    for problem in report.problems[len(conversion.problems) :]:
        say(f"left out: {problem.file}: {problem.sentence}", style="red")
    write_json(folder / ORIGIN, {"sha256": key})


def hold_out(sets: Sequence[StudyDataset], seed: int) -> list[StudyDataset]:
    """``TEST_SHARE`` of the subjects (or groups) of each dataset that trains are to test; of an unseen one all are.

    A subject or group that tests in one dataset, or is in an unseen one, trains in none. BadInput where nothing is left
    to train on.
    """
    split = SplitSpec(shares=(1 - TEST_SHARE, 0.0, TEST_SHARE), seed=seed)
    tests: set[str] = set()
    for one in sets:
        chosen = {case.name for case in one.dataset.cases}
        if not one.unseen:
            if len({case.group or case.subject for case in one.dataset.cases}) < 2:
                raise BadInput(f"{one.name}: has one subject, which cannot train and test; name it under unseen.")
            chosen = set(split_cases(one.dataset.cases, split)[0].test)
        tests |= {owner for case in one.dataset.cases if case.name in chosen for owner in _owners(case)}
    result = []
    for one in sets:
        testing = tuple(case for case in one.dataset.cases if _owners(case) & tests)
        training = tuple(case for case in one.dataset.cases if not _owners(case) & tests)
        if not one.unseen and not training:
            raise BadInput(f"{one.name}: all its subjects test, here or in an unseen dataset; add others to it.")
        result.append(replace(one, training=training, testing=testing))
    return result


def _owners(case: CaseFiles) -> set[str]:
    """What is never on two sides."""
    return {case.subject, case.group} - {""}


def joined_dataset(study: Workspace, name: str, parts: Sequence[Part], made_with: Mapping[str, str]) -> RawDataset:
    """The training set ``name``, made anew if its cases or what else it is ``made_with`` have changed.

    BadInput if something was trained on the former one: it could not be compared.
    """
    folder = study.dataset_folder(name)
    files = {
        f"{part.name} {case.name}": [*case.channels, *([case.labels] if case.labels else [])]
        for part in parts
        for case in part.cases
    }
    labels = parts[0].dataset.labels.document()
    key = digest({"labels": labels, "files": _states(files), **made_with})
    if origin(folder) != key:
        models = study.root / "models" / name
        if any(models.glob("*/*/plan.json")):
            raise BadInput(
                f"{models}: was trained on other cases or by another recipe than the study has now; move it away to "
                "train anew, or give the study another name."
            )
        join(parts, folder, name)
        write_json(folder / ORIGIN, {"sha256": key})
    return study.read_dataset(name)


def origin(folder: Path) -> str | None:
    """The key of what a dataset of the study was made from; None if it is not whole."""
    path = folder / ORIGIN
    return str(json.loads(path.read_text(encoding="utf-8"))["sha256"]) if path.is_file() else None


def digest(document: object) -> str:
    """The SHA-256 of a document of plain values."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _states(files: Mapping[str, Iterable[Path]]) -> dict[str, list[str]]:
    return {
        name: [source_state(one) for path in paths for one in images.files_of(path)] for name, paths in files.items()
    }
