"""Pairs of configurations, segmented by workers and by this process."""

from autoseg.interop.prediction_table import TABLE
from autoseg.pipeline.selection import select

PAIR = ("2d", "3d_fullres")


def test_workers_make_the_same_selection_and_the_same_files(validated, workers):
    chosen = select(validated, "Tiny", device="cpu")
    folder = validated.ensemble_folder("Tiny", "+".join(PAIR))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {TABLE, "made_from.json"} < files.keys()
    for path in folder.iterdir():
        path.unlink()
    assert select(validated, "Tiny", device="cpu", workers=workers) == chosen
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_a_case_without_its_row_is_segmented_again(validated):
    select(validated, "Tiny", device="cpu")
    folder = validated.ensemble_folder("Tiny", "+".join(PAIR))
    table = (folder / TABLE).read_text()
    (folder / TABLE).write_text("\n".join(table.split("\n")[:-3]) + "\n")
    select(validated, "Tiny", device="cpu")
    assert (folder / TABLE).read_text() == table
