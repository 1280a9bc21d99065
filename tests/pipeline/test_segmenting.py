"""Case after case through the networks and onto the disk."""

import threading
import time
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.inference.predictor import load_predictor
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.interop.prediction_outputs import Outputs, image_layout
from autoseg.interop.prediction_table import UNKNOWN, read_table
from autoseg.io import images
from autoseg.pipeline import segmenting
from autoseg.pipeline.safety import Safety
from autoseg.pipeline.segmenting import is_finished, predict_cases


@pytest.mark.parametrize("with_safety", [False, True])
def test_the_next_case_is_prepared_and_the_last_written_while_the_networks_run(
    validated, tiny_bids, tmp_path, monkeypatch, with_safety
):
    """A thread for each; results are in the order of the inputs, and few cases are held at a time."""
    predictor = load_predictor([validated.model_folder("Tiny", "3d_fullres", "fold0")], "3d_fullres", "cpu")
    cases, _ = find_inputs([tiny_bids], predictor.plan.channels)
    begun, ended, threads = [], [], {}

    def watched(stage, function, record):
        def call(*arguments, **options):
            threads.setdefault(stage, set()).add(threading.get_ident())
            result = function(*arguments, **options)
            record.append(stage)
            assert len(begun) - len(ended) <= 4
            return result

        return call

    monkeypatch.setattr(images, "read_channels", watched("read", images.read_channels, begun))
    monkeypatch.setattr(images, "write_labels", watched("write", images.write_labels, ended))
    safety = Safety(predictor.plan.labels) if with_safety else None
    result = predict_cases(predictor, cases, image_layout(tmp_path, predictor.plan.labels), True, safety=safety)
    assert [path.name for path in result.written] == [case.channels[0].name for case in cases]
    assert len(threads["read"]) == len(threads["write"]) == 1
    assert len(threads["read"] | threads["write"] | {threading.get_ident()}) == 3
    assert (tmp_path / "predictions.tsv").is_file() == with_safety


@pytest.mark.parametrize("large", [True, False])
def test_of_large_cases_only_one_is_read_or_segmented_at_a_time(validated, tiny_bids, tmp_path, monkeypatch, large):
    predictor = load_predictor([validated.model_folder("Tiny", "3d_fullres", "fold0")], "3d_fullres", "cpu")
    cases, _ = find_inputs([tiny_bids], predictor.plan.channels)
    steps, read_channels, segment = [], images.read_channels, segmenting.segment

    def read(paths):
        steps.append("read")
        if "sub-02" in paths[0].name:
            raise BadInput(f"{paths[0]}: is damaged.")
        return read_channels(paths)

    def slowly(*arguments):
        time.sleep(0.2)
        steps.append("segmented")
        return segment(*arguments)

    monkeypatch.setattr(images, "read_channels", read)
    monkeypatch.setattr(segmenting, "segment", slowly)
    monkeypatch.setattr(segmenting, "LARGE_CASE_VALUES", 0 if large else 2**40)
    result = predict_cases(predictor, cases, image_layout(tmp_path, predictor.plan.labels), True)
    assert (len(result.written), len(result.problems)) == (5, 1)
    in_turn = ["read", "segmented"] * 2 + ["read"] + ["read", "segmented"] * 3
    assert (steps == in_turn) == large


def test_the_rows_of_what_was_done_are_kept_when_a_case_fails(validated, tiny_bids, tmp_path, monkeypatch):
    """One that cannot be written is reported and has no row; after an interruption the rows before it are there."""
    predictor = load_predictor([validated.model_folder("Tiny", "3d_fullres", "fold0")], "3d_fullres", "cpu")
    cases, _ = find_inputs([tiny_bids], predictor.plan.channels)
    layout, safety = image_layout(tmp_path, predictor.plan.labels), Safety(predictor.plan.labels)
    write_labels = images.write_labels

    def fails(path, labels, like):
        if "sub-01" in path.name:
            raise BadInput(f"{path}: cannot be written.")
        if "sub-03" in path.name:
            raise KeyboardInterrupt
        write_labels(path, labels, like)

    monkeypatch.setattr(images, "write_labels", fails)
    with pytest.raises(KeyboardInterrupt):
        predict_cases(predictor, cases, layout, False, safety=safety)
    assert sorted(read_table(tmp_path / "predictions.tsv").rows) == ["sub-00_T1w.nii.gz", "sub-02_T1w.nii.gz"]
    monkeypatch.setattr(images, "write_labels", write_labels)
    again = predict_cases(predictor, cases, layout, False, safety=safety)
    assert (len(again.written), len(again.skipped)) == (4, 2)
    assert len(read_table(tmp_path / "predictions.tsv").rows) == 6


def test_finished_is_what_has_its_files_and_its_row(tmp_path):
    outputs = Outputs(tmp_path / "a.nii.gz")
    table = read_table(tmp_path / "predictions.tsv")
    assert not is_finished(outputs, table)
    Path(tmp_path / "a.nii.gz").touch()
    assert is_finished(outputs, None)
    assert is_finished(outputs, table)  # there is no table yet
    table.put(tmp_path / "b.nii.gz", [UNKNOWN])
    table.flush()
    assert not is_finished(outputs, read_table(tmp_path / "predictions.tsv"))
