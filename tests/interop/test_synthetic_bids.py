"""The demo datasets: what they hold, and that the phantom looks like a cord to a ruler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.geometry import orientation_code
from autoseg.interop.bids_conversion import plan_conversion, summary_rows
from autoseg.interop.references import find_references, read_reference
from autoseg.interop.spinal_cord_phantom import GREY_MATTER, WHITE_MATTER
from autoseg.interop.synthetic_bids import write_demo
from autoseg.io.images import read_image, read_labels

VALUES = {"background": 0, "white_matter": WHITE_MATTER, "grey_matter": GREY_MATTER}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_demo(tmp_path_factory.mktemp("demo"), num_subjects_per_site=1, seed=3)


def test_conversion_finds_everything(sites: list[Path]) -> None:
    conversion = plan_conversion(sites)
    assert conversion.labels == VALUES
    assert (conversion.problems, conversion.notes) == ((), ())
    rows = [(row[0], row[1], row[2], row[3]) for row in summary_rows(conversion)]
    assert rows == [
        ("site-a_T2star", "1", "1", "1"),
        ("site-a_T2w", "1", "1", "1"),
        ("site-b_T2star", "1", "2", "1"),
        ("site-b_T2w", "1", "2", "1"),
    ]


def test_sites_differ_and_contrasts_show_the_cord(sites: list[Path]) -> None:
    means = []
    for site in sites:
        references = find_references(site)
        assert sorted(references) == ["sub-01_T2star", "sub-01_T2w"]
        for stem, source in references.items():
            image = read_image(site / "sub-01" / "anat" / f"{stem}.nii.gz")
            labels = read_reference(source, VALUES)
            white, grey = (float(image.voxels[0][labels == value].mean()) for value in (1, 2))
            assert 1.1 < grey / white < 1.6
            assert 0.1 < np.mean(labels[labels > 0] == GREY_MATTER) < 0.35
            means.append(white)
        assert orientation_code(image.affine) == {"site-a": "RAS", "site-b": "LPS"}[site.name]
    assert min(means[:2]) > 4 * max(means[2:])


def test_same_seed_same_voxels(tmp_path: Path, sites: list[Path]) -> None:
    again = write_demo(tmp_path, num_subjects_per_site=1, seed=3)
    for site, other in zip(sites, again, strict=True):
        for path in sorted(site.rglob("*.nii.gz")):
            np.testing.assert_array_equal(
                read_image(path).voxels, read_image(other / path.relative_to(site)).voxels, err_msg=path.name
            )
    with pytest.raises(BadInput, match="exists already"):
        write_demo(tmp_path)


def test_labels_lie_on_their_images(sites: list[Path]) -> None:
    for path in sorted(sites[1].rglob("*mask.nii.gz")):
        assert set(np.unique(read_labels(path))) == {0, 1}
