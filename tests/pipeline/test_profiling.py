"""Every configuration is run by every library that there is, and what they needed is written."""

import csv
import json
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.io.files import write_text
from autoseg.pipeline import profiling
from autoseg.pipeline.profiling import ProfileOptions, profile
from autoseg.reporting.profile_table import LibraryRun
from autoseg.runtime.profiling import COLUMNS

OPTIONS = ProfileOptions(seconds=1.0, device="cpu")


@pytest.fixture
def asked(monkeypatch):
    """Runs that take no time and leave a sample; what was asked for."""
    requests = []

    def run(request):
        requests.append(request)
        Path(request.samples).parent.mkdir(exist_ok=True)
        with open(request.samples, "a", newline="") as rows:
            if not rows.tell():
                csv.writer(rows).writerow(COLUMNS)
            row = [len(requests), 1, f"{request.configuration} {request.library}", "predict", 100, 0.5]
            csv.writer(rows).writerow(row + [""] * (len(COLUMNS) - len(row)))
        sizes = (16, 16), 2, 250, 50
        return LibraryRun(request.configuration, "plain_unet", request.library, 10, 0, *sizes, {}, {})

    monkeypatch.setattr(profiling, "run_library", run)
    return requests


@pytest.fixture
def pair(workspace, tiny_pair_plan):
    write_text(workspace.dataset_folder("Tiny") / "plan.json", tiny_pair_plan.model_dump_json())
    return workspace


def test_configurations_times_libraries(pair, asked, monkeypatch, tmp_path):
    monkeypatch.setattr(profiling, "libraries", lambda device: ["torch", "openvino"])
    output = tmp_path / "profile"
    output.mkdir()
    (output / "samples.csv").write_text("of an earlier profile")
    runs = profile(pair, "Tiny", [], output, OPTIONS)
    expected = [(name, library) for name in ("2d", "3d_fullres") for library in ("torch", "openvino")]
    assert [(run.configuration, run.library) for run in runs] == expected
    assert len(asked[0].cases) == profiling.MOST_CASES
    assert all((pair.preprocessed_folder("Tiny", "2d") / f"{name}.b2nd").is_file() for name in asked[0].cases)
    document = json.loads((output / "profile.json").read_text())
    assert len(document["runs"]) == 4
    assert document["machine"]["cores"] >= 1
    assert "| training step (s) | - | - | - | - |" in (output / "profile.md").read_text()
    assert len((output / "samples.csv").read_text().splitlines()) == 5
    assert {path.name for path in output.iterdir()} >= {"profile.png", "profile.svg"}


def test_only_what_was_named_and_nothing_unknown(pair, asked, tmp_path):
    runs = profile(pair, "Tiny", ["2d"], tmp_path / "profile", OPTIONS)
    assert {run.configuration for run in runs} == {"2d"}
    with pytest.raises(BadInput, match="3d_fulres"):
        profile(pair, "Tiny", ["3d_fulres"], tmp_path / "profile", OPTIONS)


def test_a_library_that_cannot_run_a_network_is_left_out(pair, asked, monkeypatch, tmp_path):
    works = profiling.run_library

    def run(request):
        if request.library == failing:
            raise RuntimeError("no such operation")
        return works(request)

    monkeypatch.setattr(profiling, "libraries", lambda device: ["torch", "openvino"])
    monkeypatch.setattr(profiling, "run_library", run)
    failing = "openvino"
    assert [run.library for run in profile(pair, "Tiny", ["2d"], tmp_path, OPTIONS)] == ["torch"]
    failing = "torch"
    with pytest.raises(RuntimeError, match="no such operation"):
        profile(pair, "Tiny", ["2d"], tmp_path, OPTIONS)


def test_openvino_runs_on_a_cpu_only(monkeypatch):
    monkeypatch.setattr(profiling.importlib.util, "find_spec", lambda name: object())
    assert profiling.libraries("cpu") == ["torch", "openvino"]
    assert profiling.libraries("cuda:0") == ["torch"]
    monkeypatch.setattr(profiling.importlib.util, "find_spec", lambda name: None)
    assert profiling.libraries("cpu") == ["torch"]


def test_sweeps_take_the_named_configurations_and_the_native_formats(pair, monkeypatch):
    from autoseg.runtime import devices

    monkeypatch.setattr(devices, "native_precisions", lambda device: ["bf16", "fp32"])
    found = []
    monkeypatch.setattr(profiling.memory_sweeps, "memory_by_classes", lambda *arguments: found.append(arguments))
    monkeypatch.setattr(profiling.memory_sweeps, "largest_volume", lambda *arguments: found.append(arguments))
    profiling.sweep_classes(pair, "Tiny", ["2d"], [2, 8], OPTIONS)
    _, configuration, classes, execution, limit_gb = found.pop()
    assert (configuration.name, classes, execution.precision, limit_gb) == ("2d", [2, 8], "bf16", 8.0)
    profiling.search_largest_volume(pair, "Tiny", [], ProfileOptions(device="cpu", memory_gb=3.0))
    tried = [(configuration.name, execution.precision, limit_gb) for _, configuration, execution, limit_gb in found]
    assert tried == [(name, format, 3.0) for name in ("2d", "3d_fullres") for format in ("bf16", "fp32")]
