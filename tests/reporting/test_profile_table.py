"""Every figure stands in the column of its run, and what was not measured is a dash."""

import json

import pytest

from autoseg.reporting.profile_table import LibraryRun, profile_table


def usage(cpu: float, memory_gb: float, **times: float) -> dict:
    parts = {part: {"number": 3, "mean": mean, "shortest": mean, "longest": mean} for part, mean in times.items()}
    memory = {"mean": memory_gb / 2, "peak": memory_gb}
    return {"seconds": 5.0, "cpu_percent": {"mean": cpu, "peak": cpu + 9}, "memory_gb": memory, "times_s": parts}


def run(library: str, phases: dict) -> LibraryRun:
    sizes = {"patch_size": (40, 56), "batch_size": 9, "steps_per_epoch": 250, "validation_steps": 50}
    execution = {"predict": "cpu, fp32"}
    return LibraryRun("2d", "plain_unet", library, 31_031_685, 7_296, **sizes, execution=execution, phases=phases)


TORCH = run(
    "torch",
    {
        "rest": usage(0, 0.25),
        "train": usage(198.4, 1.5, step=0.4),
        "evaluate": usage(150, 1.25, forward=0.1),
        "predict": usage(120, 1.125, forward=0.05, case=2.0),
    },
)
OPENVINO = run("openvino", {"evaluate": usage(170, 0.75, forward=0.03)})


def test_times_of_an_epoch_are_those_of_its_steps_and_validation():
    assert TORCH.epoch_s == pytest.approx(250 * 0.4 + 50 * 0.1)
    assert (TORCH.step_s, TORCH.forward_s, TORCH.case_s) == (0.4, 0.1, 2.0)
    assert (OPENVINO.step_s, OPENVINO.epoch_s, OPENVINO.forward_s, OPENVINO.case_s) == (None, None, 0.03, None)
    assert json.loads(json.dumps(TORCH.document()))["epoch_s"] == TORCH.epoch_s


def test_a_column_for_each_library_and_a_row_for_each_figure():
    header, rows = profile_table([TORCH, OPENVINO])
    table = {name: cells for name, *cells in rows}
    assert header == ("", "2d torch", "2d openvino")
    assert table["parameters: trainable / fixed"] == ["31,031,685 / 7,296"] * 2
    assert table["epoch (s)"] == ["105.0", "-"]
    assert table["CPU (%), mean: train / evaluate / predict"] == ["198 / 150 / 120", "- / 170 / -"]
    peaks = table["memory (GB), peak: rest / train / evaluate / predict"]
    assert peaks == ["0.25 / 1.50 / 1.25 / 1.12", "- / - / 0.75 / -"]
    assert not any("GPU" in name for name in table)


def test_rows_of_a_gpu_are_there_if_one_was_sampled():
    gpu = {"gpu_percent": {"mean": 97.3, "peak": 100}, "gpu_temperature_c": {"mean": 60, "peak": 71}}
    phases = TORCH.phases | {"train": TORCH.phases["train"] | gpu}
    table = {name: cells for name, *cells in profile_table([run("torch", phases), OPENVINO])[1]}
    assert table["GPU (%), mean: train / evaluate / predict"] == ["97 / - / -", "- / - / -"]
    assert table["GPU temperature (°C), peak: rest / train / evaluate / predict"][0] == "- / 71 / - / -"
