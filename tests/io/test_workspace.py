"""Paths, atomic files and datasets by name."""

import json
import pickle
import tracemalloc

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.io.files import write_json, write_text
from autoseg.io.workspace import Workspace, checked_name, nearest_name, usual_workspace


def dataset(root, name="Cord", **changes):
    folder = root / "datasets" / name
    folder.mkdir(parents=True)
    channels, labels = {"0": "T2w", "1": "T1w"}, {"background": 0, "cord": 1}
    document = {"channel_names": channels, "labels": labels, "numTraining": 1, "file_ending": ".nii"}
    write_json(folder / "dataset.json", {**document, **changes})
    write_text(folder / "cases.tsv", "case\tdomain\tsource\tsubject\na\tsite-1\t/data/site-1\tsite-1/sub-1\n")
    return Workspace(root)


def test_a_dataset_is_read_with_the_files_of_each_case(tmp_path):
    read = dataset(tmp_path).read_dataset("Cord")
    assert (read.channels, read.labels) == (("T2w", "T1w"), Labels(values={"cord": 1}))
    (case,) = read.cases
    assert [path.name for path in case.channels] == ["a_0000.nii", "a_0001.nii"]
    assert (case.labels.name, case.domain, case.subject) == ("a.nii", "site-1", "site-1/sub-1")


def test_an_unknown_dataset_is_answered_with_the_nearest_name(tmp_path):
    with pytest.raises(BadInput, match="did you mean Cord"):
        dataset(tmp_path).read_dataset("Crod")
    with pytest.raises(BadInput, match="there is none yet"):
        Workspace(tmp_path / "empty").read_dataset("Cord")


def test_a_damaged_dataset_file_is_named(tmp_path):
    workspace = dataset(tmp_path)
    (tmp_path / "datasets/Cord/dataset.json").write_text(json.dumps({"labels": {}}))
    with pytest.raises(BadInput, match=r"dataset\.json: cannot be read"):
        workspace.read_dataset("Cord")


@pytest.mark.parametrize("row", ["", "a\tsite-1\n", "a\ts\t/data\ts/1\nb\ts\t/data\ts/2\n"])
def test_a_damaged_table_of_cases_is_named(tmp_path, row):
    workspace = dataset(tmp_path)
    (tmp_path / "datasets/Cord/cases.tsv").write_text(f"case\tdomain\tsource\tsubject\n{row}")
    with pytest.raises(BadInput, match=r"cases\.tsv: does not hold the 1 cases"):
        workspace.read_dataset("Cord")


def test_trained_configurations_are_those_with_final_weights(tmp_path):
    workspace = Workspace(tmp_path)
    for path in ("2d/fold0/final", "2d/fold3/final", "3d_fullres/fold0/best"):
        write_text(tmp_path / "models" / "Cord" / f"{path}.safetensors", "")
    assert workspace.trained_configurations("Cord") == {"2d": ["fold0", "fold3"]}


def test_nearest_name_lists_what_there_is():
    assert nearest_name("fold9", ["fold0", "cv"]).startswith("did you mean fold0?")
    assert nearest_name("xyz", ["2d", "3d"]) == "there is: 2d, 3d"


def test_one_file_may_hold_all_channels(tmp_path):
    """nnU-Net's colour pictures: three channel names, one file."""
    workspace = dataset(tmp_path, channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=".png")
    write_text(tmp_path / "datasets/Cord/imagesTr/a_0000.png", "")
    (case,) = workspace.read_dataset("Cord").cases
    assert [path.name for path in case.channels] == ["a_0000.png"]
    (tmp_path / "datasets/Cord/imagesTr/a_0002.png").symlink_to("nowhere")
    (case,) = workspace.read_dataset("Cord").cases
    assert [path.name for path in case.channels] == ["a_0000.png", "a_0002.png"]


def test_the_usual_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSEG_WORKSPACE", raising=False)
    assert usual_workspace().root == tmp_path / "autoseg-workspace"
    monkeypatch.setenv("AUTOSEG_WORKSPACE", "there")
    assert usual_workspace().root == tmp_path / "there"
    assert usual_workspace("here").root == tmp_path / "here"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b"])
def test_a_dataset_is_called_as_one_folder_can_be(name):
    assert checked_name("Cord-2_a.b") == "Cord-2_a.b"
    with pytest.raises(BadInput, match="use letters, digits"):
        checked_name(name)


def test_a_table_of_many_cases_takes_little_memory(tmp_path):
    """Measured: 17 bytes a case, and 200 while it is read. A path for each file would take more than 1000."""
    rows = [f"site_sub-{n:04d}_T1w\tsite\t/data/site\tsite/sub-{n:04d}\n" for n in range(2000)]
    workspace = dataset(tmp_path, numTraining=2000, channel_names={"0": "T1w"}, file_ending=".nii.gz")
    write_text(tmp_path / "datasets/Cord/cases.tsv", "case\tdomain\tsource\tsubject\n" + "".join(rows))
    workspace.read_dataset("Cord")
    tracemalloc.start()
    try:
        cases = workspace.read_dataset("Cord").cases
        held, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / len(cases) < 40
    assert highest / len(cases) < 400  # the table is read row by row
    assert cases[1999].labels == tmp_path / "datasets/Cord/labelsTr/site_sub-1999_T1w.nii.gz"
    assert cases[1999].channels == (tmp_path / "datasets/Cord/imagesTr/site_sub-1999_T1w_0000.nii.gz",)


def test_cases_are_equal_by_what_they_hold_also_in_another_process(tmp_path):
    workspace = dataset(tmp_path)
    (first,), (again,) = (workspace.read_dataset("Cord").cases for _ in range(2))
    assert {first: 1}[again] == 1
    assert pickle.loads(pickle.dumps(first)) == first


def test_a_table_that_is_no_text_is_named_with_the_byte(tmp_path):
    workspace = dataset(tmp_path)
    (tmp_path / "datasets/Cord/cases.tsv").write_bytes(b"case\tdomain\tsource\tsubject\n\xff")
    with pytest.raises(BadInput, match=r"cases\.tsv: is no text in UTF-8 \(.* at byte 27\)"):
        workspace.read_dataset("Cord")
