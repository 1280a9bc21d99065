"""Marks of a report, obeyed by a conversion."""

from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import plan_conversion
from autoseg.interop.review_marks import COLUMNS, Mark, read_marks
from tests.cli.commands import write_site

HEADER = ",".join(COLUMNS) + "\n"


def write(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(row + "\n" for row in rows), encoding="utf-8")
    return path


def converted(root: Path, marks: Path) -> tuple[list[str], tuple[str, ...]]:
    plan = plan_conversion([root], marks=marks)
    return [case.name for case in plan.cases], plan.notes


def test_marks_are_read_whatever_a_spreadsheet_made_of_them(tmp_path):
    path = write(tmp_path / "marks.csv", 'a,site,site/sub-a,,PASS ,"good, ""very"""', "b,,,, needs-edit,", "c,,,,,note")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_marks(path) == [Mark("a", "site", "pass"), Mark("b", "", "needs-edit"), Mark("c", "", "")]


def test_failed_cases_are_left_out_and_edits_are_named(tmp_path):
    root = write_site(tmp_path / "site", subjects=4)
    names = [case.name for case in plan_conversion([root]).cases]
    marks = write(
        tmp_path / "marks.csv", f"{names[0]},,,,pass,", f"{names[1]},site,,,fail,", f"{names[2]},,,,needs-edit,"
    )
    kept, notes = converted(root, marks)
    assert kept == [names[0], names[2], names[3]]
    label = plan_conversion([root]).cases[2].labels.parts[0].path
    assert notes[:2] == (
        f"left out, marked fail in {marks}: {names[1]}",
        f"marked needs-edit in {marks} and used as they are now: {label}",
    )


def test_a_case_may_be_named_by_its_image(tmp_path):
    root = write_site(tmp_path / "site")
    image = plan_conversion([root]).cases[0].images[0]
    kept, _ = converted(root, write(tmp_path / "marks.csv", f"{image.name.removesuffix('.nii.gz')},,,,fail,"))
    assert len(kept) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER + "sub-99,,,,fail,\n", "there is no case sub-99 in these datasets"),
        (HEADER + "sub-99,,,,bad,\n", "line 2 has the mark 'bad'; use pass, fail, needs-edit."),
        ("name\nsub-99\n", "line 2 has no case and mark; the columns are case, domain, subject"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(tmp_path, text, sentence):
    root = write_site(tmp_path / "site")
    path = tmp_path / "marks.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=sentence):
        converted(root, path)


def test_not_everything_can_fail(tmp_path):
    root = write_site(tmp_path / "site", subjects=2)
    rows = [f"{case.name},,,,fail," for case in plan_conversion([root]).cases]
    with pytest.raises(BadInput, match="every case is marked fail; there is nothing to convert"):
        converted(root, write(tmp_path / "marks.csv", *rows))
