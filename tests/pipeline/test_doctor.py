"""What is said of the machine."""

import psutil
import pytest
import torch

from autoseg.pipeline import doctor


def findings(tmp_path):
    return {one.what: one for one in doctor.examine(tmp_path / "not" / "there")}


def test_everything_is_looked_at_and_nothing_is_written(tmp_path):
    found = findings(tmp_path)
    assert list(found)[:6] == ["program", "packages", "processor", "memory", "disk", "number format"]
    assert f"torch {torch.__version__}" in found["packages"].found
    assert {f"extra {name}" for name in doctor.EXTRAS} <= set(found)
    assert all(one.found and one.meaning for one in found.values())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("left", "fine", "meaning"), [(3_500_000_000, False, "--memory 3GB"), (2**36, True, "enough")])
def test_little_memory_means_a_plan_for_less(monkeypatch, tmp_path, left, fine, meaning):
    monkeypatch.setattr(doctor, "left_bytes", lambda: left)
    found = findings(tmp_path)["memory"]
    assert (found.fine, meaning in found.meaning) == (fine, True)
    assert f"{left / 1e9:.1f} of {psutil.virtual_memory().total / 1e9:.1f} GB" in found.found


def test_what_is_missing_comes_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "installed", lambda name: None if name in ("blosc2", "openvino") else "1.0")
    found = findings(tmp_path)
    assert (found["packages"].fine, found["packages"].meaning) == (False, "install what is missing: pip install blosc2")
    assert found["extra openvino"].meaning.endswith("pip install autoseg[openvino]")


@pytest.mark.parametrize(("formats", "found"), [(["bf16", "fp32"], "computes in bf16"), (["fp32"], "computes in fp32")])
def test_the_number_format_is_that_of_the_processor(monkeypatch, tmp_path, formats, found):
    monkeypatch.setattr("autoseg.runtime.devices.native_precisions", lambda _: formats)
    assert found in findings(tmp_path)["number format"].found


def test_a_gpu_is_named_with_its_memory_and_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10e9, 24e9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Card")
    monkeypatch.setattr(doctor, "driver", lambda: "550.1")
    monkeypatch.setattr("autoseg.runtime.devices.native_precisions", lambda _: ["fp16", "fp32"])
    found = findings(tmp_path)["GPU 0"]
    assert found.found.startswith("Card: 10.0 of 24.0 GB free, driver 550.1, CUDA ")
    assert found.meaning == "computes in fp16; chosen with --device cuda:0"
