"""Where predictions go."""

import pytest

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.prediction_outputs import Outputs, image_layout, label_words, mask_files, refuse_to_write_over

LABELS = Labels(values={"background": 0, "shell": 1, "core": 2})


def case(path):
    return CaseFiles(path.name, (path,), None, "", path.name)


def test_segmentations_bear_the_names_of_their_images(tmp_path):
    layout = image_layout(tmp_path / "out", LABELS, save_probabilities=True, save_masks=True)
    outputs = layout.outputs(case(tmp_path / "scan.mha"))
    assert [path.relative_to(tmp_path / "out").as_posix() for path in outputs.files] == [
        "scan.mha",
        "masks/scan_label-shell_mask.mha",
        "masks/scan_label-core_mask.mha",
        "probabilities/scan.nii.gz",
        "confidence/scan.nii.gz",
    ]
    assert layout.texts == {tmp_path / "out/dseg.tsv": "index\tname\n0\tbackground\n1\tshell\n2\tcore\n"}


def test_regions_are_described_beside_the_table(tmp_path):
    regions = Labels(values={"background": 0, "whole": (1, 2), "core": 2}, region_order=(1, 2))
    assert set(image_layout(tmp_path, regions).texts) == {tmp_path / "dseg.tsv", tmp_path / "labels.json"}


def test_a_case_is_finished_when_all_its_files_are_there(tmp_path):
    outputs = Outputs(tmp_path / "a.nii.gz", {tmp_path / "b.nii.gz": 1}, None, {tmp_path / "c.json": {}})
    for path in outputs.files:
        assert not outputs.finished
        path.touch()
    assert outputs.finished


def test_masks_of_labels_with_the_same_letters_do_not_share_a_file(tmp_path):
    labels = Labels(values={"background": 0, "a+b": 1, "ab": 2, "左": 3, "-": 4})
    assert {path.name: value for path, value in mask_files(tmp_path, "sub-1_T1w.nii.gz", labels).items()} == {
        "sub-1_T1w_label-ab1_mask.nii.gz": 1,
        "sub-1_T1w_label-ab2_mask.nii.gz": 2,
        "sub-1_T1w_label-左_mask.nii.gz": 3,
        "sub-1_T1w_label-4_mask.nii.gz": 4,
    }
    assert label_words(labels, r"[^0-9A-Za-z]") == {1: "ab1", 2: "ab2", 3: "3", 4: "4"}


def test_two_images_for_one_file_and_inputs_as_outputs_are_refused(tmp_path):
    cases = [case(tmp_path / "a/x.nii"), case(tmp_path / "b/x.nii")]
    with pytest.raises(BadInput, match=r"b/x\.nii: would be written to the same file as .*a/x\.nii"):
        refuse_to_write_over(cases, image_layout(tmp_path / "out", LABELS))
    with pytest.raises(BadInput, match=r"a: holds the input x\.nii; give another folder"):
        refuse_to_write_over(cases[:1], image_layout(tmp_path / "a", LABELS))
    refuse_to_write_over(cases[:1], image_layout(tmp_path / "b", LABELS))
