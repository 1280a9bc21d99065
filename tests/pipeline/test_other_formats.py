"""The whole path on formats other than NIfTI."""

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile

from autoseg.core.errors import BadInput
from autoseg.io.files import write_json, write_text
from autoseg.io.images import read_geometry
from autoseg.io.workspace import Workspace
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict
from autoseg.pipeline.preparation import plan_dataset, prepare_cases
from autoseg.pipeline.training import TrainingOptions, train
from tests.io.other_formats import as_dicom

COLOURS = {"0": "R", "1": "G", "2": "B"}

ON_CPU = PredictionOptions(device="cpu")


def raw_dataset(root, channels, ending, cases=6):
    workspace = Workspace(root)
    folder = workspace.dataset_folder("Other")
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    document = {"channel_names": channels, "labels": {"background": 0, "spot": 1}, "file_ending": ending}
    write_json(folder / "dataset.json", {**document, "numTraining": cases})
    rows = [f"case{i}\tsite\t/nowhere\tsite/case{i}\n" for i in range(cases)]
    write_text(folder / "cases.tsv", "case\tdomain\tsource\tsubject\n" + "".join(rows))
    return workspace, folder


def write_picture(path, seed):
    """40 columns and 32 rows; returns the label map, rows first."""
    random = np.random.default_rng(seed)
    labels = np.zeros((32, 40), np.uint8)
    row, column = random.integers(8, 20, 2)
    labels[row : row + 8, column : column + 8] = 1
    iio.imwrite(path, (60 + 40 * random.random((32, 40, 3)) + 90 * labels[..., None]).astype(np.uint8))
    return labels


def with_few_steps(workspace, plan):
    """Save the plan with a narrow network and a training of seconds."""
    few = {"epochs": 1, "steps_per_epoch": 2, "validation_steps": 1}
    for name, one in plan.configurations.items():
        narrow = {"features_per_stage": (4,) * len(one.network.features_per_stage)}
        network, training = one.network.model_copy(update=narrow), one.training.model_copy(update=few)
        quick = one.model_copy(update={"network": network, "training": training, "batch_size": 2})
        plan = plan.model_copy(update={"configurations": {**plan.configurations, name: quick}})
    write_text(workspace.dataset_folder(plan.dataset) / "plan.json", plan.model_dump_json())


def test_colour_pictures_from_plan_to_prediction(tmp_path):
    workspace, folder = raw_dataset(tmp_path / "workspace", COLOURS, ".png")
    for i in range(6):
        labels = write_picture(folder / f"imagesTr/case{i}_0000.png", i)
        iio.imwrite(folder / f"labelsTr/case{i}.png", labels)
    plan = plan_dataset(workspace, "Other")
    assert (plan.recommended, plan.channels, plan.file_ending) == ("2d", ("R", "G", "B"), ".png")
    assert "3d_fullres" not in plan.configurations
    assert plan.configurations["2d"].spacing_mm == (1, 1)
    with_few_steps(workspace, plan)
    train(workspace, "Other", "2d", "fold0", TrainingOptions(device="cpu"))
    validation = workspace.model_folder("Other", "2d", "fold0") / "validation"
    assert all(iio.imread(path).shape == (32, 40) for path in validation.glob("*.png"))
    assert len(list(validation.glob("*.png"))) == 2
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "in/new.png", 7)
    iio.imwrite(tmp_path / "in/grey_0000.png", np.zeros((32, 40), np.uint8))
    result = predict(
        workspace_models(workspace, "Other"),
        [tmp_path / "in"],
        tmp_path / "out",
        options=ON_CPU,
    )
    assert result.written == (tmp_path / "out/new.png",)
    assert "the channel G, B is missing" in result.problems[0]
    segmented = iio.imread(tmp_path / "out/new.png")
    assert (segmented.shape, segmented.dtype) == ((32, 40), np.uint8)


def test_too_few_channels_and_colours_for_labels_end_in_a_sentence(tmp_path):
    workspace, folder = raw_dataset(tmp_path, COLOURS, ".png", cases=1)
    iio.imwrite(folder / "imagesTr/case0_0000.png", np.ones((32, 40), np.uint8))
    with pytest.raises(BadInput, match=r"case0_0000\.png: the files of case0 hold 1 channels and the dataset has 3"):
        plan_dataset(workspace, "Other")
    iio.imwrite(folder / "imagesTr/case0_0000.png", np.ones((32, 40, 3), np.uint8))
    iio.imwrite(folder / "labelsTr/case0.png", np.ones((32, 40, 3), np.uint8))
    with pytest.raises(BadInput, match=r"case0\.png: each voxel has 3 values, as a colour has"):
        plan_dataset(workspace, "Other")


def test_a_new_voxel_size_in_the_sidecar_prepares_a_stack_again(tmp_path):
    workspace, folder = raw_dataset(tmp_path, {"0": "microscope"}, ".tif", cases=1)
    for path in (folder / "imagesTr/case0_0000.tif", folder / "labelsTr/case0.tif"):
        stack = np.random.default_rng(0).integers(0, 2, (16, 20, 24)).astype(np.uint8)
        tifffile.imwrite(path, stack, photometric="minisblack")
        write_json(path.with_name("case0.json"), {"spacing": [2, 1, 1]})
    plan = plan_dataset(workspace, "Other")
    assert sorted(plan.configurations["3d_fullres"].spacing_mm) == [1, 1, 2]
    cases = workspace.read_dataset("Other").cases
    configurations = [plan.configurations["3d_fullres"]]
    folder = workspace.preprocessed_folder("Other", "3d_fullres")
    contents = []
    for spacing in (2, 4):
        write_json(cases[0].channels[0].with_name("case0.json"), {"spacing": [spacing, 1, 1]})
        prepare_cases(workspace, plan, configurations, cases)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] != contents[1]


def test_a_dicom_series_gives_nifti_on_its_grid(tmp_path):
    workspace, folder = raw_dataset(tmp_path / "workspace", {"0": "T1w"}, ".mha")
    for i in range(6):
        labels = np.zeros((8, 32, 40), np.uint8)
        labels[2:6, 10:20, 10 + i : 20 + i] = 1
        noise = np.random.default_rng(i).integers(0, 50, labels.shape)
        for path, voxels in (("imagesTr/case{}_0000.mha", noise + 200 * labels), ("labelsTr/case{}.mha", labels)):
            image = SimpleITK.GetImageFromArray(voxels.astype(np.int16))
            image.SetSpacing((1, 1, 4))
            SimpleITK.WriteImage(image, str(folder / path.format(i)))
    with_few_steps(workspace, plan_dataset(workspace, "Other"))
    train(workspace, "Other", "2d", "all", TrainingOptions(device="cpu"))
    image.SetOrigin((1, 2, 3))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))
    series = tmp_path / "in/patient-1"
    as_dicom(image, series)
    before = sorted(path.name for path in series.iterdir())
    result = predict(
        workspace_models(workspace, "Other"),
        [tmp_path / "in"],
        tmp_path / "out",
        options=ON_CPU,
    )
    assert result.written == (tmp_path / "out/patient-1.nii.gz",)
    written = nibabel.load(result.written[0])
    assert (written.shape, written.get_data_dtype()) == ((40, 32, 8), np.uint8)
    np.testing.assert_allclose(written.affine, read_geometry(series)[1], atol=1e-6)
    with pytest.raises(BadInput, match="holds the input"):
        predict(workspace_models(workspace, "Other"), [series], series, options=ON_CPU)
    assert sorted(path.name for path in series.iterdir()) == before
