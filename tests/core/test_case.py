"""Images know their grid."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.case import NAME, CaseFiles, Image
from autoseg.core.packed import BLOCK, Packed


def test_shape_and_spacing_leave_the_channels_out():
    image = Image(np.zeros((2, 3, 4, 5)), np.diag([-0.5, 1.0, 2.0, 1.0]))
    assert image.shape == (3, 4, 5)
    assert image.spacing_mm == (0.5, 1.0, 2.0)


def test_what_crosses_a_border_cannot_be_changed():
    image = Image(np.zeros((1, 1, 1, 1)), np.eye(4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        image.affine = np.eye(4)


def test_cases_share_equal_text():
    cases = [
        CaseFiles(f"case{place}", (Path("/a") / NAME,), Path("/b") / NAME, "".join("site"), "s") for place in (1, 2)
    ]
    again = list(Packed(CaseFiles, cases * BLOCK))
    assert again == cases * BLOCK
    for shared in ("files", "label_file", "domain"):
        texts = [getattr(case, shared) for case in (*cases, again[0], again[-1])]
        assert len({id(text[0] if shared == "files" else text) for text in texts}) == 1
    assert cases[1].channels == (Path("/a/case2"),)
    assert cases[1].labels == Path("/b/case2")
