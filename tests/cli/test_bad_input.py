"""Every kind of bad input, as a user meets it on the command line."""

import gzip
import json
import shutil
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.cli.commands import LABELS, TRAIN, write_site

SHEARED = np.array([[-1, 0.2, 0, 5], [0, 1, 0.1, -3], [0, 0, 1.2, 2], [0, 0, 0, 1]])


def image(root, number=1):
    return root / f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz"


def labels(root, number=1):
    return root / LABELS / f"sub-{number:02d}/anat/sub-{number:02d}_desc-manual_dseg.nii.gz"


def change(path, function=lambda voxels: voxels, affine=None):
    old = nibabel.load(path)
    voxels = function(np.asarray(old.dataobj))
    nibabel.save(nibabel.Nifti1Image(voxels, old.affine if affine is None else affine), path)


def patch_header(path, offset, *values):
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(f"<{len(values)}f", content, offset, *values)
    path.write_bytes(gzip.compress(content))


def contradict_pixdim(path):
    patch_header(path, 80, 2, 2, 2)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_voxel(value):
    def function(voxels):
        voxels = voxels.astype(np.float32)
        voxels[3, 4, 5] = value
        return voxels

    return function


def shifted():
    affine = np.diag([-1.0, 1.0, 1.2, 1.0])
    affine[0, 3] = 3
    return affine


def shear(path):
    """An affine that no rotation and no voxel size can express: SimpleITK refuses it."""
    sheared = nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), None)
    sheared.header.set_sform(SHEARED, 1)
    sheared.header["pixdim"][1:4] = np.linalg.norm(SHEARED[:3, :3], axis=0)
    nibabel.save(sheared, path)


@pytest.fixture
def refused(autoseg, capsys):
    """Run a command that must end with status 2 and one sentence, which is returned."""

    def run(*arguments):
        capsys.readouterr()
        assert autoseg(*arguments) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        run.shown.append(error)
        (sentence,) = [line for line in error.splitlines() if line.startswith("autoseg: ")]
        return sentence

    run.shown = []  # all that each command said
    return run


LEFT_OUT = {
    "image without label": (labels, Path.unlink, image, "no label file belongs to it; add its labels"),
    "label without image": (image, Path.unlink, labels, "no image has its subject"),
    "other size": (
        labels,
        lambda p: change(p, lambda v: v[:-2]),
        labels,
        "size 18x24x16 is not the 20x24x16 of sub-01",
    ),
    "other place": (labels, lambda p: change(p, affine=shifted()), labels, "up to 3 mm away from that of sub-01_T1w"),
    "fractions": (labels, lambda p: change(p, lambda v: v * 0.5), labels, "labels are not whole numbers (such as 0.5)"),
    "no name": (labels, lambda p: change(p, lambda v: v * 3), labels, "the values 3, 6 have no name; add them"),
    "scaled to zero": (labels, lambda p: patch_header(p, 112, 1e-9), labels, "scaled to almost zero (largest 2e-09)"),
    "NaN label": (labels, lambda p: change(p, with_voxel(np.nan)), labels, "some labels are NaN or infinite"),
    "NaN": (image, lambda p: change(p, with_voxel(np.nan)), image, "1 voxels are NaN or infinite; replace them"),
    "infinity": (image, lambda p: change(p, with_voxel(np.inf)), image, "1 voxels are NaN or infinite; replace them"),
    "truncated image": (image, truncate, image, "the file is damaged, truncated or no image"),
    "truncated labels": (labels, truncate, labels, "the file is damaged, truncated or no image"),
    "4D": (image, lambda p: change(p, lambda v: np.stack([v, v], -1)), image, "the image is 4D with 2 volumes; store"),
    "pixdim": (image, contradict_pixdim, image, "voxels of 2 x 2 x 2 mm and the affine says 1 x 1 x 1.2 mm; repair"),
    "dangling link": (
        image,
        lambda p: (p.unlink(), p.symlink_to("gone")),
        image,
        "which is not there; fetch or restore",
    ),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_case_that_cannot_be_used_is_listed_and_the_rest_is_converted(autoseg, capsys, site, tmp_path, kind):
    spoiled, spoil, named, sentence = LEFT_OUT[kind]
    spoil(spoiled(site))
    assert autoseg("convert-bids", site, "--dataset", "Tiny", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    (problem,) = report["problems"]
    assert problem["file"] == str(named(site))
    assert sentence in problem["problem"]
    written = sorted(path.name for path in (tmp_path / "workspace/datasets/Tiny/imagesTr").iterdir())
    assert written == ["tiny_sub-00_T1w_0000.nii.gz", "tiny_sub-02_T1w_0000.nii.gz"]
    assert report["num_cases"] == 2


def test_run_says_what_was_left_out(refused, site):
    change(image(site), with_voxel(np.nan))
    labels(site, 2).unlink()
    sentence = refused("run", site, "--dataset", "Tiny", "--configuration", "3dfullres")
    assert "did you mean 3d_fullres?" in sentence
    left_out = [line for line in refused.shown[-1].splitlines() if line.startswith("left out: ")]
    assert [line.split(": ")[1] for line in left_out] == [str(image(site, 2)), str(image(site))]


def test_a_long_list_of_what_was_left_out_says_that_it_is_cut(autoseg, capsys, tmp_path):
    site = write_site(tmp_path / "many", subjects=23)
    for number in range(21):
        labels(site, number).unlink()
    assert autoseg("convert-bids", site, "--dataset", "Tiny") == 0
    assert "the first 20 of 21 are listed; --json lists all" in capsys.readouterr().err


def spoil_all(where, spoil=Path.unlink):
    return lambda root: [spoil(where(root, number)) for number in range(3)]


def empty_the_folder(root):
    shutil.rmtree(root)
    root.mkdir()


@pytest.mark.parametrize(
    ("spoil", "options", "sentence"),
    [
        (empty_the_folder, (), "tiny: a BIDS dataset has folders called sub-*, and here is nothing; give the folder"),
        (spoil_all(image), (), "has images none and labels desc-manual_dseg (3) (sub-00_desc-manual_dseg.nii.gz: no"),
        (spoil_all(labels), (), "has images T1w (3) and no labels"),
        (id, ("--contrasts", "T2w"), "of images of T2w with labels (*_dseg, *_seg-manual, "),
        (id, ("--contrasts", "T2w"), "tiny has images T1w (3) and labels desc-manual_dseg (3)"),
        (spoil_all(labels, lambda p: change(p, lambda v: v * 0.5)), (), "none of 3 cases can be used"),
        (id, ("--dataset", "Tiny", "--recipe", "absent.json"), "absent.json"),
    ],
)
def test_nothing_to_convert_says_what_was_looked_for_and_what_is_there(
    refused, site, tmp_path, spoil, options, sentence
):
    spoil(site)
    assert sentence in refused("convert-bids", site, "--dataset", "Tiny", *options)
    assert not [path for path in tmp_path.rglob("workspace/**/*") if path.name != "datasets"]


def test_the_folder_of_several_datasets_names_them(refused, site):
    assert f"holds some; give them by name: {site.name}" in refused("convert-bids", site.parent, "--dataset", "Tiny")


def test_one_subject_name_in_two_datasets_is_two_cases(autoseg, capsys, site, tmp_path):
    other = write_site(tmp_path / "other")
    assert autoseg("convert-bids", site, other, "--dataset", "Tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["domains"] == {"tiny": 3, "other": 3}
    assert len(list((tmp_path / "workspace/datasets/Tiny/labelsTr").glob("*_sub-00_T1w.nii.gz"))) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "Tny", "2d", "fold0"), "did you mean Tiny?"),
        (("predict", "x.nii.gz", "-o", "out", "--dataset", "tiny"), "did you mean Tiny?"),
        (("train", "Tiny", "3dfullres", "fold0"), "'3dfullres' is not in the plan of Tiny (did you mean 3d_fullres?"),
        (("preprocess", "Tiny", "3d-fullres"), "did you mean 3d_fullres?"),
        (("train", "Tiny", "3d_fullres", "flod1"), "fold 'flod1' is unknown (did you mean fold1?"),
        (("predict", "x", "-o", "o", "--dataset", "Tiny", "--configuration", "3d_full"), "did you mean 3d_fullres?"),
        (("predict", "x", "-o", "o", "--dataset", "Tiny", "--folds", "fold7"), "not trained (did you mean fold0?"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(refused, workspace, arguments, sentence):
    assert sentence in refused(*arguments)


def test_a_model_to_begin_with_that_is_not_there_is_named(refused, workspace):
    train = ("train", "Tiny", "3d_fullres", "fold1", "--device", "cpu")
    assert "gone: there is no such file or folder" in refused(*train, "--init-from", "gone")


def test_a_sheared_image_is_segmented_on_its_own_grid(autoseg, site, workspace, tmp_path):
    for number in range(3):
        shear(image(site, number))
        shear(labels(site, number))
    assert autoseg("convert-bids", site, "--dataset", "Sheared") == 0
    assert autoseg("plan", "Sheared") == 0
    assert autoseg("predict", image(site), "-o", tmp_path / "out", "--dataset", "Tiny", "--device", "cpu") == 0
    given, written = nibabel.load(image(site)), nibabel.load(tmp_path / "out" / image(site).name)
    assert np.array_equal(written.affine, given.affine)
    assert np.array_equal(written.header["srow_y"], np.float32(SHEARED[1]))
    assert written.shape == given.shape


def test_bad_images_are_left_out_of_a_prediction(autoseg, capsys, site, workspace, tmp_path):
    given, output = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    spoiled = {
        "four": lambda p: change(p, lambda v: np.stack([v, v], -1)),
        "nan": lambda p: change(p, with_voxel(np.nan)),
        "pixdim": contradict_pixdim,
        "truncated": truncate,
        "good": lambda p: None,
        ".1.partial.left": lambda p: None,  # by a writer that was killed
    }
    for name, spoil in spoiled.items():
        spoil(shutil.copy(image(site), given / f"{name}.nii.gz") and given / f"{name}.nii.gz")
    assert autoseg("predict", given, "-o", output, "--dataset", "Tiny", "--device", "cpu", "--json") == 2
    shown = capsys.readouterr()
    problems = json.loads(shown.out)["problems"]
    assert [Path(problem.split(":")[0]).name.split(".")[0] for problem in problems] == list(spoiled)[:4]
    assert sorted(path.name for path in output.iterdir()) == ["dseg.tsv", "good.nii.gz", "predictions.tsv"]
    assert "Traceback" not in shown.err


def test_documents_and_sources_that_went_bad(refused, workspace, site, tmp_path):
    fold = workspace / "models/Tiny/3d_fullres/fold0"
    (tmp_path / "file").write_text("")
    predict = ("predict", image(site), "--dataset", "Tiny", "--device", "cpu", "-o")
    assert "file: a file stands where a folder is needed" in refused(*predict, tmp_path / "file")
    truncate(fold / "split.json")
    assert "split.json: does not list" in refused(*TRAIN, "1s")
    truncate(fold / "final.safetensors")
    assert "final.safetensors: is damaged" in refused(*predict, tmp_path / "out")
    source = next((workspace / "datasets/Tiny/imagesTr").iterdir())
    source.unlink()
    source.symlink_to("gone")
    assert "it or convert the dataset again" in refused("preprocess", "Tiny", "3d_fullres")
    assert "which is not there; fetch or restore it" in refused("plan", "Tiny")
    (workspace / "datasets/Tiny/cases.tsv").write_text("")
    assert "does not hold the 6 cases of dataset.json; convert the dataset again" in refused("plan", "Tiny")


def test_segmentations_on_another_grid_are_not_compared(refused, site, tmp_path):
    folder = tmp_path / "segmentations"
    folder.mkdir()
    shutil.copy(labels(site), folder / image(site).name)
    (folder / "dseg.tsv").write_text("index\tlabel\n1\tshell\n")
    assert "dseg.tsv: a label table needs the columns index" in refused("evaluate", folder, site)
    shutil.copy(site / LABELS / "desc-manual_dseg.tsv", folder / "dseg.tsv")
    change(folder / image(site).name, affine=shifted())
    assert "up to 3 mm away from that of sub-01_desc-manual_dseg.nii.gz" in refused("evaluate", folder, site)
