"""What a label file holds, from its name and its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.label_conventions import (
    LabelPart,
    convention_of,
    describe_label,
    one_per_structure,
    read_label_table,
    structure_key,
    table_finder,
)
from autoseg.io.bids import BidsFile, index_labels, parse_name

TABLE = "index\tname\n0\tBackground\n1\tAnterior\n2\tPosterior\n"


def parsed(path: Path | str) -> BidsFile:
    file = parse_name(Path(path))
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("sub-1_T2w_seg-manual", "seg"),
        ("sub-1_T2w_gmseg-manual", "gmseg"),
        ("sub-1_T2w_lesion-manual", "lesion"),
        ("sub-1_T2w_rootlets-manual2", "rootlets"),
        ("sub-1_T2w_seg", "seg"),
        ("sub-1_T2w_label-SC_seg", "SC"),
        ("sub-1_T2w_label-SC_dseg", "SC"),
        ("sub-1_T2w_label-anterior_mask", "anterior"),
        ("sub-1_T2w_label-lesion_desc-manual_mask", "lesion"),
        ("sub-1_desc-brain_mask", "brain"),
        ("sub-1_desc-manual_mask", "mask"),
        ("sub-1_desc-manual_dseg", "dseg"),
        ("sub-1_T2w_label-discs_dlabel", None),
        ("sub-1_T2w_labels-disc-manual", None),
        ("sub-1_SEM_seg-axon-manual", "axon"),
        ("sub-1_T2w_old", None),
        ("sub-1_T2w_rater-1", None),
    ],
)
def test_names_without_a_table(name: str, structure: str | None) -> None:
    label = parsed(f"{name}.nii.gz")
    part = describe_label(label, None)
    assert part == (None if structure is None else LabelPart(label.file, ((1, structure),), binary=True))


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("sub-1_T2w_label-SC_probseg", "SC"),
        ("sub-1_T2w_desc-lesion_probseg", "lesion"),
        ("sub-1_T2w_label-SC_desc-manual_softseg", "SC"),
        ("sub-1_T2w_softseg", "seg"),
        ("sub-1_probseg", "seg"),
    ],
)
def test_soft_labels(name: str, structure: str) -> None:
    label = parsed(f"{name}.nii.gz")
    expected = LabelPart(label.file, ((1, structure),), binary=True, threshold=0.3)
    assert describe_label(label, Path("unread.tsv"), 0.3) == expected
    assert convention_of([expected]).endswith("seg (threshold 0.3)")


def test_table(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(TABLE)
    part = describe_label(parsed("sub-1_dseg.nii.gz"), tmp_path / "t.tsv")
    assert part is not None
    assert part.names == ((1, "Anterior"), (2, "Posterior"))
    assert not part.binary


@pytest.mark.parametrize(
    "content",
    [
        "value\tname\n1\tA\n",
        "index\tname\nx\tA\n",
        "index\tname\n1\tA\n1\tB\n",
        "index\tname\n1\tA\n2\ta_\n",
        'index\tname\n1\t"A\n2\tB\n',
    ],
)
def test_wrong_tables(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(BadInput, match=r"t\.tsv: .*correct it"):
        read_label_table(tmp_path / "t.tsv")


def test_the_nearest_and_most_exact_table_applies(tmp_path: Path) -> None:
    root = tmp_path / "derivatives/labels"
    folder = root / "sub-1/anat"
    folder.mkdir(parents=True)
    label = parsed(folder / "sub-1_desc-manual_dseg.nii.gz")
    expected = []
    for table in (
        tmp_path / "dseg.tsv",
        root / "dseg.tsv",
        root / "desc-manual_dseg.tsv",
        folder / f"{label.stem}.tsv",
    ):
        table.write_text(TABLE)
        expected.append(table)
        assert table_finder(tmp_path, index_labels(tmp_path))(label) == expected[-1]
    for other in ("desc-auto_dseg", "mask"):
        assert table_finder(tmp_path, index_labels(tmp_path))(parsed(folder / f"sub-2_{other}.nii.gz")) in (
            root / "dseg.tsv",
            None,
        )
    assert table_finder(tmp_path, index_labels(tmp_path))(parsed(folder / "sub-2_label-a_mask.nii.gz")) is None


def test_structure_key() -> None:
    assert len({structure_key(name) for name in ("White_Matter", "white-matter", "WHITE matter")}) == 1
    assert structure_key("lesion1") != structure_key("lesion2")


def test_manual_goes_first_and_doubles_are_refused() -> None:
    manual, automatic, other = (
        LabelPart(name, ((1, "seg"),), binary=True)
        for name in ("sub-1_T2w_seg-manual.nii.gz", "sub-1_T2w_seg.nii.gz", "sub-1_T2w_label-seg_mask.nii.gz")
    )
    assert one_per_structure([automatic, manual]) == ((manual,), "")
    assert one_per_structure([manual, automatic]) == ((manual,), "")
    parts, sentence = one_per_structure([automatic, other])
    assert parts == ()
    assert "both give seg" in sentence
    twice = [LabelPart(f"d/{rater}/sub-1_seg.nii.gz", ((1, "seg"),), binary=True) for rater in "ab"]
    assert "a/sub-1_seg.nii.gz and b/sub-1_seg.nii.gz both give seg" in one_per_structure(twice)[1]
    both = LabelPart("sub-1_dseg.nii.gz", ((1, "seg"), (2, "lesion")), binary=False)
    assert one_per_structure([manual, both])[0] == ()


@pytest.mark.parametrize(
    ("name", "structure", "rater"),
    [
        ("sub-1_T2star_gmseg-rater1", "gmseg", "1"),
        ("sub-1_T2star_gmseg-r12", "gmseg", "12"),
        ("sub-1_T2star_label-GM_desc-raterAB_mask", "GM", "AB"),
        ("sub-1_T2star_rater-2_label-GM_mask", "GM", "2"),
        ("sub-1_T2star_desc-rater1_mask", "mask", "1"),
        ("sub-1_T2star_mask-r1", "mask", "1"),
        ("sub-1_T2star_label-GM_mask", "GM", ""),
        ("sub-1_T2star_label-raterless_mask", "raterless", ""),
    ],
)
def test_raters_are_told_apart(name: str, structure: str, rater: str) -> None:
    label = parsed(f"{name}.nii.gz")
    assert describe_label(label, None) == LabelPart(label.file, ((1, structure),), binary=True, rater=rater)


def test_raters_may_draw_the_same_and_must_draw_the_same_structures() -> None:
    def part(name: str, rater: str = "") -> LabelPart:
        return LabelPart(f"sub-1_{name}{rater}.nii.gz", ((1, name),), binary=True, rater=rater)

    raters = (part("GM", "1"), part("GM", "2"))
    assert one_per_structure(raters) == (raters, "")
    assert one_per_structure((*raters, part("GM")))[0] == (part("GM"),)
    refused, sentence = one_per_structure((*raters, part("WM", "1")))
    assert refused == ()
    assert "its raters drew different structures (1: gm, wm; 2: gm)" in sentence
