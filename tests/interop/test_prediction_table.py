"""The table beside predictions."""

import tracemalloc

import pytest

from autoseg.interop import prediction_table
from autoseg.interop.prediction_table import COLUMNS, UNKNOWN, certainties, read_table, recording

ROW = ("core", "0.9100", "0.8500", "0.8000", "0.9000", "40", "n/a")


def test_rows_come_back_and_those_of_others_stay(tmp_path):
    path = tmp_path / "out/predictions.tsv"
    with recording(path) as table:
        assert not table.existed
        table.put(tmp_path / "out/b.nii.gz", [ROW, ("shell", *UNKNOWN[1:])])
        table.put(tmp_path / "out/sub/a.nii.gz", [(*ROW[:-1], "one\ttwo\nthree")])
        assert not path.exists()  # not after each
    first = path.read_text()
    assert first.splitlines()[0].split("\t") == list(COLUMNS)
    assert [line.split("\t")[0] for line in first.splitlines()[1:]] == ["b.nii.gz", "b.nii.gz", "sub/a.nii.gz"]
    assert first.splitlines()[3].endswith("\tone two three")
    with recording(path) as table:
        assert table.existed
        assert table.has(tmp_path / "out/b.nii.gz")
        table.keep([tmp_path / "out/b.nii.gz"])
    assert path.read_text() == first
    with recording(path) as table:
        table.keep([tmp_path / "out/c.nii.gz"])
        table.put(tmp_path / "out/b.nii.gz", [ROW])
    assert path.read_text().splitlines()[1:] == [
        "b.nii.gz\t" + "\t".join(ROW),
        "c.nii.gz\t" + "\t".join(UNKNOWN),
        first.splitlines()[3],
    ]
    assert certainties(path) == {"b.nii.gz": {"core": 0.91}, "c.nii.gz": {}, "sub/a.nii.gz": {"core": 0.91}}


def test_what_was_put_is_written_when_the_block_fails(tmp_path):
    def interrupted():
        with recording(tmp_path / "t.tsv") as table:
            table.put(tmp_path / "a.nii.gz", [ROW])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_table(tmp_path / "t.tsv").rows == {"a.nii.gz": [ROW]}


@pytest.mark.parametrize(
    "name", ["two  spaces", "tab\there", "line\nbreak", "line\u2028separator", "\\t", "bytes\udcff", "søvn"]
)
def test_any_name_is_known_again(tmp_path, name):
    with recording(tmp_path / "predictions.tsv") as table:
        table.put(tmp_path / f"{name}.nii.gz", [UNKNOWN])
        table.put(tmp_path / "other.nii.gz", [UNKNOWN])
    assert len((tmp_path / "predictions.tsv").read_text(encoding="utf-8").split("\n")) == 4
    assert read_table(tmp_path / "predictions.tsv").has(tmp_path / f"{name}.nii.gz")
    assert not read_table(tmp_path / "predictions.tsv").has(tmp_path / "two spaces.nii.gz")


def test_it_is_written_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_table, "SECONDS_BETWEEN_WRITES", -1)
    table = read_table(tmp_path / "t.tsv")
    table.put(tmp_path / "a.nii.gz", [ROW])
    assert read_table(tmp_path / "t.tsv").rows == {"a.nii.gz": [ROW]}


def test_lines_of_another_kind_are_passed_over(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\nonly\ttwo\n" + "\t".join(("x.nii.gz", *ROW)) + "\n")
    assert read_table(tmp_path / "t.tsv").rows == {"x.nii.gz": [ROW]}


def test_a_table_that_was_begun_has_no_rows_yet(tmp_path):
    """So that what a killed run left without a row is segmented again."""
    with recording(tmp_path / "t.tsv") as table:
        table.begin()
        assert (tmp_path / "t.tsv").read_text() == "\t".join(COLUMNS) + "\n"
    again = read_table(tmp_path / "t.tsv")
    assert again.existed
    assert not again.has(tmp_path / "a.nii.gz")
    with recording(tmp_path / "t.tsv") as table:
        table.put(tmp_path / "a.nii.gz", [ROW])
        table.begin()
    assert read_table(tmp_path / "t.tsv").has(tmp_path / "a.nii.gz")


def test_little_is_held_of_a_segmentation(tmp_path):
    """Two labels of a case are 0.3 kB; as tuples of text they took more than 1 kB."""
    number = 1000
    tracemalloc.start()
    table = read_table(tmp_path / "t.tsv")
    for place in range(number):
        name = f"sub-{place:05d}_T1w.nii.gz"
        numbers = [f"{place / number:.4f}" for _ in ROW[1:-1]]
        table.put(tmp_path / name, [("core", *numbers, "n/a"), ("shell", *numbers, "n/a")])
        table.changed = False
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(table.rows) == number
    assert held < 500 * number
