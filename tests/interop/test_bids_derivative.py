"""Names and documents of a derivative dataset."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.bids_derivative import (
    Segmentation,
    bids_layout,
    find_segmentations,
    segmentation_stem,
    spine_layout,
    without_predictions,
)
from autoseg.interop.references import find_references
from autoseg.io.bids import index_dataset

LABELS = Labels(values={"background": 0, "white matter": 1, "左": 2})
CORD = Labels(values={"background": 0, "SC": 1})


def case(root, *images):
    return CaseFiles("case", tuple(root / image for image in images), None, "site", "sub-1")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("sub-1/anat/sub-1_T2w.nii.gz", "sub-1/anat/sub-1_space-T2w"),
        (
            "sub-1/ses-a/anat/sub-1_ses-a_acq-ax_run-02_T2w.nii",
            "sub-1/ses-a/anat/sub-1_ses-a_acq-ax_run-02_space-T2w",
        ),
        ("sub-1/anat/sub-1_echo-1_part-mag_T2star.nii.gz", "sub-1/anat/sub-1_echo-1_part-mag_space-T2star"),
        ("sub-1/anat/sub-1_flip-1_mt-on_MTS.nii.gz", "sub-1/anat/sub-1_space-flip1mtonMTS"),
        ("sub-1/anat/sub-1_run-1_chunk-2_T2w.nii.gz", "sub-1/anat/sub-1_run-1_space-T2w_chunk-2"),
        ("sub-1/anat/sub-1_space-MNI_res-2_desc-preproc_T1w.nii.gz", "sub-1/anat/sub-1_space-MNI_res-2"),
        ("sub-1/dwi/sub-1_dir-AP_run-1_sbref.nii.gz", "sub-1/dwi/sub-1_dir-AP_run-1_space-sbref"),
        ("sub-1/func/sub-1_task-rest_echo-1_sbref.nii.gz", "sub-1/func/sub-1_task-rest_echo-1_space-sbref"),
        ("sub-1/func/sub-1_sbref.nii.gz", "sub-1/anat/sub-1_space-sbref"),
        ("sub-1/fmap/sub-1_dir-AP_epi.nii.gz", "sub-1/anat/sub-1_space-dirAPepi"),
        ("sub-1/ses-a/sub-1_ses-a_T2w.nii.gz", "sub-1/ses-a/anat/sub-1_ses-a_space-T2w"),
    ],
)
def test_entities_are_kept_in_the_order_of_bids(tmp_path, image, expected):
    assert segmentation_stem(tmp_path / image, tmp_path) == Path(expected)


def test_a_sidecar_says_where_a_segmentation_comes_from(tmp_path):
    root, out = tmp_path / "site", tmp_path / "out"
    two = case(root, "sub-1/anat/sub-1_FLAIR.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz")
    outputs = bids_layout(root, out, LABELS, "the model M", save_probabilities=True, save_masks=True).outputs(two)
    assert outputs.label_map == out / "sub-1/anat/sub-1_space-FLAIR_desc-autoseg_dseg.nii.gz"
    assert {path.name: value for path, value in outputs.masks.items()} == {
        "sub-1_space-FLAIR_label-whitematter_desc-autoseg_mask.nii.gz": 1,
        "sub-1_space-FLAIR_label-2_desc-autoseg_mask.nii.gz": 2,
    }
    assert outputs.probabilities.name == "sub-1_space-FLAIR_desc-autoseg_probseg.nii.gz"
    sources = ["bids:raw:sub-1/anat/sub-1_FLAIR.nii.gz", "bids:raw:sub-1/anat/sub-1_T1w.nii.gz"]
    sidecars = {path.name: document for path, document in outputs.sidecars.items()}
    assert outputs.confidence.name == "sub-1_space-FLAIR_desc-autosegconfidence_probseg.nii.gz"
    assert len(sidecars) == 5
    for document in sidecars.values():
        assert (document["Sources"], document["SpatialReference"]) == (sources, sources[0])
        assert document["Manual"] is False
        assert document["GeneratedBy"][0]["Description"] == "Predicted with the model M."
    probabilities = sidecars["sub-1_space-FLAIR_desc-autoseg_probseg.json"]
    assert probabilities["LabelMap"] == ["background", "white matter", "左"]


def test_spine_names_are_those_of_the_image_and_the_structure(tmp_path):
    root, out = tmp_path / "site", tmp_path / "out"
    one = case(root, "sub-1/ses-a/anat/sub-1_ses-a_acq-ax_T2w.nii")
    single = spine_layout(root, out, CORD, "the model M").outputs(one)
    folder = out / "sub-1/ses-a/anat"
    assert single.files[0] == folder / "sub-1_ses-a_acq-ax_T2w_seg.nii.gz"
    assert list(single.sidecars) == [folder / "sub-1_ses-a_acq-ax_T2w_seg.json"]
    several = spine_layout(root, out, LABELS, "the model M").outputs(one)
    assert {path.name: value for path, value in several.masks.items()} == {
        "sub-1_ses-a_acq-ax_T2w_label-whitematter_seg.nii.gz": 1,
        "sub-1_ses-a_acq-ax_T2w_label-2_seg.nii.gz": 2,
    }
    assert several.label_map is None


def test_the_dataset_names_every_model_that_predicted_into_it(tmp_path):
    root, out = tmp_path / "site", tmp_path / "out"
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "Site", "DatasetDOI": "doi:10.1/x"}')
    for model in ("the model A", "the model B", "the model B"):
        layout = bids_layout(root, out, LABELS, model)
        for path, text in layout.texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    document = json.loads((out / "dataset_description.json").read_text())
    assert [one["Description"] for one in document["GeneratedBy"]] == [
        "Predicted with the model B.",
        "Predicted with the model A.",
    ]
    assert (document["Name"], document["DatasetType"]) == ("autoseg segmentations of Site", "derivative")
    assert document["DatasetLinks"] == {"raw": "../site"}
    assert document["SourceDatasets"] == [{"URL": "../site", "DOI": "doi:10.1/x"}]
    assert (out / "desc-autoseg_dseg.tsv").read_text().splitlines()[1:] == ["0\tbackground", "1\twhite matter", "2\t左"]


def test_what_a_reader_added_to_the_ignored_files_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.bidsignore").write_text("mine.txt\n")
    layout = bids_layout(tmp_path / "site", tmp_path / "out", LABELS, "m")
    assert tmp_path / "out/.bidsignore" not in layout.texts
    assert tmp_path / "out/README.md" in layout.texts


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("site", "lies in the dataset that is read"),
        ("site/sub-1/anat", "lies in the dataset that is read"),
        ("site/derivatives/labels", r"holds sub-\* folders that autoseg did not make"),
        ("other", "holds a dataset that autoseg did not make"),
        ("damaged", "holds a dataset that autoseg did not make"),
    ],
)
@pytest.mark.parametrize("layout", [bids_layout, spine_layout])
def test_nobody_elses_dataset_is_written_into(tmp_path, folder, message, layout):
    (tmp_path / "site/sub-1/anat").mkdir(parents=True)
    (tmp_path / "site/derivatives/labels/sub-1").mkdir(parents=True)
    for name, text in (("other", '{"GeneratedBy": [{"Name": "fMRIPrep"}]}'), ("damaged", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset_description.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        layout(tmp_path / "site", tmp_path / folder, LABELS, "m")
    layout(tmp_path / "site", tmp_path / "site/derivatives/autoseg", LABELS, "m")


def test_segmentations_are_found_with_the_images_they_belong_to(tmp_path):
    layout = bids_layout(tmp_path / "site", tmp_path / "out", LABELS, "m")
    outputs = layout.outputs(case(tmp_path / "site", "sub-1/anat/sub-1_flip-1_mt-on_MTS.nii.gz"))
    outputs.label_map.parent.mkdir(parents=True)
    outputs.label_map.touch()
    with pytest.raises(BadInput, match="does not say from which image"):
        find_segmentations(tmp_path / "out")
    ((path, document),) = outputs.sidecars.items()
    path.write_text(json.dumps(document))
    assert list(find_segmentations(tmp_path / "out")) == [
        Segmentation(str(outputs.label_map), "sub-1_flip-1_mt-on_MTS")
    ]
    assert replace(outputs).finished
    (tmp_path / "out/sub-1").rename(tmp_path / "out/sub-01")
    with pytest.raises(BadInput, match=r"its name says sub-1 and it lies in sub-01; move or rename it"):
        find_segmentations(tmp_path / "out")


@pytest.mark.parametrize("layout", [bids_layout, spine_layout])
def test_predictions_are_not_taken_for_references(tmp_path, layout):
    root = tmp_path / "site"
    folder = root / "derivatives/autoseg"
    made = layout(root, folder, LABELS, "m")
    image = root / "sub-1/anat/sub-1_T2w.nii.gz"
    manual = root / "derivatives/manual/sub-1/anat/sub-1_T2w_seg-manual.nii.gz"
    for path in (image, manual, made.outputs(case(root, "sub-1/anat/sub-1_T2w.nii.gz")).files[0]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert len(index_dataset(root).labels) == 2
    for path, text in made.texts.items():
        path.write_text(text)
    index = without_predictions(index_dataset(root))
    assert [label.path for label in index.labels] == [manual]
    assert [path for path, _ in index.problems] == [folder]
    assert [source.parts[0].path for _, source in find_references(root).items()] == [manual]
