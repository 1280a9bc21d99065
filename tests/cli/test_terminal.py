"""Durations, sizes, errors and start-up."""

import errno
import json
import subprocess
import sys

import pytest

from autoseg.cli import VERBS
from autoseg.cli.terminal import comma_separated, gigabytes, print_table, run_guarded, seconds
from autoseg.core.errors import BadInput


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), ("1h30m", 5400)]
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0m", "ten", "-5m", "5d", "1.2.3h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadInput, match="write for example 10m"):
        seconds(text)


@pytest.mark.parametrize(("text", "expected"), [("8GB", 8), ("8", 8), ("12 G", 12), ("500MB", 0.5)])
def test_amounts_of_memory(text, expected):
    assert gigabytes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "8TB", "lots", "-1GB"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(BadInput, match="for example 8GB"):
        gigabytes(text)


def test_lists():
    assert comma_separated("FLAIR, T1w,") == ["FLAIR", "T1w"]
    assert comma_separated(None) is None


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (BadInput("plan.json: is wrong; mend it."), 2, "autoseg: plan.json: is wrong; mend it.\n"),
        (KeyboardInterrupt(), 130, "the same command continues"),
        (OSError(errno.ENOSPC, "No space left", "a.nii.gz"), 1, "a.nii.gz: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 1, "out: cannot be written"),
        (FloatingPointError("the loss became nan"), 1, "the loss became nan"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(capsys, error, status, sentence):
    def fail():
        raise error

    assert run_guarded(fail) == status
    output = capsys.readouterr().err
    assert sentence in output
    assert output.count("\n") == 1


def test_our_own_mistakes_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_guarded(lambda: 1 // 0)


def test_cells_of_a_table_are_text(capsys):
    print_table("What matched", ("file", "why"), [("a[1].nii", "[red] label")])
    shown = capsys.readouterr().out
    assert "a[1].nii" in shown
    assert "[red] label" in shown


def test_help_loads_no_heavy_package_and_names_every_verb():
    code = (
        "import sys, json; sys.argv = ['autoseg', '--help']\n"
        "from autoseg.cli import main\n"
        "status = main()\n"
        "heavy = ['torch', 'numpy', 'nibabel', 'SimpleITK', 'scipy', 'pandas', 'sklearn', 'pydantic']\n"
        "print('\\n' + json.dumps([status, [name for name in heavy if name in sys.modules]]))\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(output.splitlines()[-1]) == [0, []]
    assert all(f"  {verb} " in output for verb in VERBS)
    assert not any(line.startswith("  ") and line.endswith("...") for line in output.splitlines())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(autoseg, capsys, verb):
    assert autoseg(verb, "--help") == 0
    shown = capsys.readouterr().out
    assert "Example: autoseg" in shown
    assert "--json" in shown
