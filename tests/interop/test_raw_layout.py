"""The folder of a raw dataset: whole or not there, links or packed bytes, documents that nnU-Net reads."""

import gzip
import hashlib
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed
from autoseg.interop.raw_layout import (
    CASES_COLUMNS,
    CaseResult,
    Problem,
    WrittenCases,
    absent_labels,
    checksums,
    dataset_document,
    new_folder,
    place,
    problem_of,
    write_cases,
)
from autoseg.io.grids import FLAT
from autoseg.io.images import IMAGE_ENDINGS
from tests.interop import raw_datasets

LABELS = Labels(values={"background": 0, "a": 1, "whole": (1, 2), "ignore": 3}, region_order=(1, 2))


@dataclass(frozen=True)
class Named:
    name: str


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    destination = tmp_path / "datasets/new"

    def fail(folder):
        (folder / "imagesTr/half").touch()
        raise BadInput("stop")

    with pytest.raises(BadInput), new_folder(destination, "imagesTr") as folder:
        fail(folder)
    assert list(destination.parent.iterdir()) == []
    for content in ("first", "second"):
        with new_folder(destination, "imagesTr") as folder:
            (folder / "imagesTr" / content).touch()
            assert not (destination / "imagesTr" / content).exists()
        assert [path.name for path in (destination / "imagesTr").iterdir()] == [content]
    assert [path.name for path in destination.parent.iterdir()] == ["new"]


def test_files_are_linked_or_packed(tmp_path):
    plain = tmp_path / "scan.nii"
    plain.write_bytes(b"voxels" * 100)
    place(plain, tmp_path / "out_0000.nii", "out")
    assert (tmp_path / "out_0000.nii").readlink() == plain
    place(plain, tmp_path / "out_0000.nii.gz", "out")
    assert gzip.decompress((tmp_path / "out_0000.nii.gz").read_bytes()) == plain.read_bytes()
    assert checksums([plain, plain]) == ";".join([hashlib.sha256(plain.read_bytes()).hexdigest()] * 2)


@pytest.mark.parametrize("sidecar", ["scan_0001.json", "scan.json"])
def test_the_voxel_size_of_a_stack_comes_along(tmp_path, sidecar):
    (tmp_path / sidecar).write_text("{}")
    (tmp_path / "out").mkdir()
    stack = tmp_path / "scan_0001.tif"
    stack.touch()
    for channel in range(2):
        place(stack, tmp_path / f"out/case_{channel:04d}.tif", "case")
    assert (tmp_path / "out/case.json").readlink() == tmp_path / sidecar
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_cases_in_order_and_none(tmp_path):
    problem = Problem(tmp_path / "b.nii", "is damaged; restore it.")
    seen = []

    def write(case):
        return CaseResult((case.name,), frozenset({1, 2}), problem if case.name == "b" else None)

    written = write_cases([Named("a"), Named("b")], write, tmp_path, tmp_path / "new", lambda *step: seen.append(step))
    assert written == WrittenCases(2, {1: problem}, {1: 1, 2: 1}, num_empty=0)
    assert (tmp_path / "cases.tsv").read_text() == "\t".join(CASES_COLUMNS) + "\na\n"
    assert seen == [(1, 2, "a"), (2, 2, "b")]
    with pytest.raises(BadInput, match=r"new: none of 1 cases can be used \(.*b\.nii: is damaged; restore it\)"):
        write_cases([Named("b")], write, tmp_path, tmp_path / "new", lambda *step: None)


def test_little_is_held_of_a_case_that_was_written(tmp_path):
    def write(case):
        return CaseResult((case.name, "x" * 500), frozenset({1}), None)

    cases = Packed(Named, (Named(f"case{number:05d}") for number in range(2000)))
    held = []
    tracemalloc.start()
    write_cases(cases, write, tmp_path, tmp_path, lambda *_: held.append(tracemalloc.get_traced_memory()[0]))
    tracemalloc.stop()
    assert max(held) - held[100] < 2000 * 100


def test_a_problem_belongs_to_the_file_that_it_begins_with():
    files = [Path("a.nii"), Path("b.nii")]
    assert problem_of(BadInput("b.nii: is damaged."), files, files[0]) == Problem(files[1], "is damaged.")
    assert problem_of(BadInput("the rest."), files, files[0]) == Problem(files[0], "the rest.")


def test_absent_labels_and_empty_cases():
    written = WrittenCases(3, {2: Problem(Path("c.nii"), "is damaged.")}, {2: 1}, num_empty=1)
    notes = ["The label a has no voxel in any case.", "1 of 2 cases have no labelled voxel."]
    assert absent_labels(LABELS, written) == notes


@pytest.mark.parametrize("ending", [ending for ending in IMAGE_ENDINGS if ending != ".mhd"])
def test_the_document_asks_for_a_reader_that_turns_volumes(ending):
    volume = raw_datasets.SHAPE, raw_datasets.AFFINE
    document = dataset_document("D", ["T1w", "T2w"], LABELS, 2, ending, volume)
    wanted = {".nii": "Nibabel", ".nii.gz": "Nibabel", ".mha": "SimpleITK", ".nrrd": "SimpleITK", ".gipl": "SimpleITK"}
    expected = f"{wanted[ending]}IOWithReorient" if ending in wanted else None
    assert document.pop("overwrite_image_reader_writer", None) == expected
    assert document == {
        "name": "D",
        "channel_names": {"0": "T1w", "1": "T2w"},
        "labels": {"background": 0, "a": 1, "whole": (1, 2), "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 2,
        "file_ending": ending,
    }
    flat = (8, 7, 1), np.diag([0.5, 0.7, 0.7 * FLAT, 1])
    assert "overwrite_image_reader_writer" not in dataset_document("D", ["T1w"], LABELS, 2, ending, flat)
