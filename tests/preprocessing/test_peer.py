"""Prepared arrays against those of nnU-Net 2.8.1, without it.

``golden/anisotropic.npz`` holds random images with thick slices (a CT and a masked z-score channel, zeros around and
holes inside, several orientations), a plan and nnU-Net's arrays. It was made by ``python -m benchmarks.preprocessing
FOLDER PEER_PYTHON --golden tests/preprocessing/golden/anisotropic.npz``, which compares many more and the real cases.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.core.case import Image
from autoseg.core.plan import read_plan
from autoseg.preprocessing import prepare

FILE = Path(__file__).parent / "golden" / "anisotropic.npz"
GOLDEN = np.load(FILE)
PLAN = read_plan(str(GOLDEN["plan"]), str(FILE))
CASES = sorted({name.split("/")[0] for name in GOLDEN.files} - {"plan"})


@pytest.mark.parametrize("configuration", list(PLAN.configurations))
@pytest.mark.parametrize("case", CASES)
def test_arrays_are_those_of_nnunet(case, configuration):
    image = Image(*(GOLDEN[f"{case}/{field}"] for field in ("voxels", "affine")), tuple(GOLDEN[f"{case}/spacing_mm"]))
    labels = GOLDEN.get(f"{case}/labels")
    ours = prepare.apply(case, image, labels, PLAN, PLAN.configurations[configuration])
    np.testing.assert_array_equal(ours.trace.box, GOLDEN[f"{case}/{configuration}/box"])
    np.testing.assert_allclose(ours.image, GOLDEN[f"{case}/{configuration}/data"], rtol=0, atol=1e-5)
    if labels is not None:
        np.testing.assert_array_equal(ours.labels, GOLDEN[f"{case}/{configuration}/seg"])
        # A cascade's prediction: nnU-Net hands the map of the first stage on where labels would be.
        second = prepare.apply(case, image, None, PLAN, PLAN.configurations[configuration], previous=labels)
        np.testing.assert_array_equal(second.previous, ours.labels)
        np.testing.assert_array_equal(second.image, ours.image)


def test_the_golden_cases_need_what_they_are_there_for():
    arrays = {name: GOLDEN[name] for name in GOLDEN.files if name != "plan"}
    assert sum("labels" not in "".join(name for name in arrays if name.startswith(case)) for case in CASES) == 1
    assert any((array == -1).any() for name, array in arrays.items() if name.endswith("/seg"))
    cropped = [case for case in CASES if np.diff(arrays[f"{case}/2d/box"]).prod() < arrays[f"{case}/voxels"][0].size]
    assert cropped
    for name in PLAN.configurations:
        boxes = [tuple(np.diff(arrays[f"{case}/{name}/box"]).ravel()) for case in CASES]
        shapes = [arrays[f"{case}/{name}/data"].shape[1:] for case in CASES]
        assert any(box != shape for box, shape in zip(boxes, shapes, strict=True))
