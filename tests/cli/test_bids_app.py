"""The command line of a BIDS App."""

import hashlib
import json
import socket
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg import __version__
from autoseg.cli.bids_app import main


@pytest.fixture
def app(monkeypatch, tmp_path):
    """``app(*arguments)`` -> exit status, where whoever opens a connection fails."""

    def connect(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("AUTOSEG_WORKSPACE", str(tmp_path / "workspace"))

    def run(*arguments) -> int:
        monkeypatch.setattr(sys, "argv", ["autoseg-bids", *map(str, arguments)])
        return main()

    return run


def state(folder):
    return {
        path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None)
        for path in (folder, *folder.rglob("*"))
    }


def volumes_by_label(table):
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    return {(row[0], row[3]): float(row[5]) for row in lines[1:]}


def test_participants_then_the_group(app, workspace, autoseg, tiny_bids, tmp_path, capsys):
    out, file = tmp_path / "out", tmp_path / "Tiny.autoseg.zip"
    before = state(tiny_bids)
    assert autoseg("export", "Tiny", "-o", file) == 0
    some = ("--device", "cpu", "--participant-label", "sub-01", "03")
    assert app(tiny_bids, out, "participant", "--model", file, *some) == 0
    segmentations = sorted(path.name for path in out.rglob("*_dseg.nii.gz"))
    assert segmentations == [f"sub-0{i}_space-T1w_desc-autoseg_dseg.nii.gz" for i in (1, 3)]
    others = ("--device", "cpu", "--participant_label", "03", "04")
    assert app(tiny_bids, out, "participant", "--model", "Tiny", *others) == 0
    assert "1 segmentation in" in capsys.readouterr().out
    assert app(tiny_bids, out, "group") == 0
    volumes = volumes_by_label(out / "group_volumes.tsv")
    assert {participant for participant, _ in volumes} == {"sub-01", "sub-03", "sub-04"}
    core = np.asarray(nibabel.load(out / "sub-01/anat" / segmentations[0]).dataobj) == 2
    assert volumes["sub-01", "core"] == pytest.approx(1.2 * np.count_nonzero(core), rel=1e-5)
    assert state(tiny_bids) == before
    generators = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"]
    assert [one["Name"] for one in generators] == ["autoseg"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("SITE", "OUT", "participant"), "--model: is missing"),
        (("SITE", "OUT", "participant", "--model", "Timy"), "did you mean Tiny?"),
        (("SITE", "OUT", "participant", "--model", "none.autoseg.zip"), "there is no such file"),
        (("OUT", "OUT", "participant", "--model", "Tiny"), "out: is no BIDS dataset"),
        (("SITE", "SITE", "participant", "--model", "Tiny"), "lies in the dataset that is read"),
        (
            ("SITE", "OUT", "participant", "--model", "Tiny", "--participant-label", "09", "sub-00", "sub-7"),
            "has no sub-09, sub-7 (there is: sub-00, sub-01,",
        ),
        (("SITE", "OUT", "participant", "--model", "Tiny", "--session-label", "a"), "has no ses-a (there is: none)"),
        (("SITE", "OUT", "group"), "run the participant level first"),
        (("SITE", "OUT", "session"), "invalid choice: 'session'"),
        (("SITE",), "the following arguments are required"),
    ],
)
def test_a_mistake_is_one_sentence(app, workspace, tiny_bids, tmp_path, capsys, arguments, sentence):
    places = {"SITE": tiny_bids, "OUT": tmp_path / "out"}
    assert app(*(places.get(argument, argument) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert sentence in " ".join(said.split())
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_is_left_out_and_the_others_go_on(app, workspace, site, tmp_path, capsys):
    image = site / "sub-01/anat/sub-01_T1w.nii.gz"
    image.write_bytes(image.read_bytes()[:300])
    assert app(site, tmp_path / "out", "participant", "--model", "Tiny", "--device", "cpu") == 2
    assert len(list((tmp_path / "out").rglob("*_dseg.nii.gz"))) == 2
    assert "sub-01_T1w.nii.gz: the file is damaged" in " ".join(capsys.readouterr().err.split())


def test_the_program_is_installed_under_its_name(app, capsys):
    assert app("--version") == 0
    assert capsys.readouterr().out.strip() == f"autoseg {__version__}"
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'autoseg-bids = "autoseg.cli.bids_app:main"' in project
