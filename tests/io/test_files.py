"""Atomic files, and documents that are none."""

import errno
import os

import pytest

from autoseg.core.errors import BadInput
from autoseg.io.files import atomic, naming_full_disk, read_json, write_csv, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path):
    path = tmp_path / "plan.json"
    write_text(path, "old")

    def write_half():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("number", "named"), [(errno.ENOSPC, "new"), (errno.EDQUOT, "new"), (errno.EACCES, "old")])
def test_the_error_of_a_full_disk_names_the_file(tmp_path, number, named):
    with pytest.raises(OSError, match="reason") as raised, naming_full_disk(tmp_path / "new"):
        raise OSError(number, "reason", "old")
    assert (raised.value.errno, raised.value.filename) == (number, str(tmp_path / "new") if named == "new" else "old")


def test_what_is_no_document_is_refused(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    (tmp_path / "deep.json").write_text("[" * 10**5)
    os.mkfifo(tmp_path / "pipe.json")
    for name, problem in (
        ("gone.json", "there is no such file"),
        ("", "is a folder or a pipe"),
        ("pipe.json", "is a folder or a pipe"),
        ("latin.json", r"is no text in UTF-8 \(invalid continuation byte at byte 1\)"),
        ("deep.json", "is no JSON document"),
    ):
        with pytest.raises(BadInput, match=problem):
            read_json(tmp_path / name)


@pytest.mark.parametrize("length", [200, 247, 248])
def test_the_longest_names_can_be_written(tmp_path, length):
    path = tmp_path / ("é" * (length // 2) + "x" * (length % 2) + ".nii.gz")
    with atomic(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("whole")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with pytest.raises(BadInput, match="the name is longer than 255 bytes"):
        write_text(tmp_path / f"{'é' * 125}.nii.gz", "")


def test_a_json_document_with_nan_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "scores.json", {"dice": float("nan")})
    assert not (tmp_path / "scores.json").exists()


def test_an_iterator_is_written_as_the_list_of_its_items(tmp_path):
    items = [{"name": 'two\nlines "', "values": [1, 0.1, None, {}], "none": []}, [], "text", 3]
    for cases in (items, items[:1], []):
        document = {"mean": {"dice": 0.5, "sd": {}}, "cases": cases, "problems": ["a\nb"], "facts": True}
        write_json(tmp_path / "list.json", document)
        write_json(tmp_path / "iterator.json", document | {"cases": iter(cases)})
        assert (tmp_path / "iterator.json").read_bytes() == (tmp_path / "list.json").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"cases": iter([{"dice": float("nan")}])})
    assert not (tmp_path / "nan.json").exists()


def test_a_table_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "scores.csv"
    write_csv(path, [("case", "dice"), ("a,b", 0.1), ("c", None)])
    assert path.read_bytes() == b'case,dice\n"a,b",0.1\nc,\n'

    def fails():
        yield ("case", "dice")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_csv(path, fails())
    assert path.read_bytes() == b'case,dice\n"a,b",0.1\nc,\n'
    assert list(tmp_path.iterdir()) == [path]
