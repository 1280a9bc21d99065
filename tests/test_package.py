"""``import autoseg`` costs nothing, and offers every name with its types."""

import subprocess
import sys
from pathlib import Path

import pytest

import autoseg
from tests.test_architecture import HEAVY

ROOT = Path(__file__).resolve().parents[1]


def test_importing_loads_nothing():
    loaded = f"[name for name in ('numpy', 'pydantic', *{HEAVY}) if name in sys.modules]"
    command = f"import sys, autoseg; print({loaded}, 'train' in dir(autoseg), autoseg.__version__)"
    output = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.strip() == f"[] True {autoseg.__version__}"


def test_using_a_name_loads_no_torch():
    command = "import sys, autoseg; autoseg.train, autoseg.Predictor; print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.strip() == "False"


@pytest.mark.parametrize("name", autoseg.__all__)
def test_every_name_is_there_and_documented(name):
    assert len(getattr(autoseg, name).__doc__) > 40
    assert name in dir(autoseg)


def test_the_table_of_names_and_the_types_agree():
    assert sorted(autoseg._HOMES) == sorted(autoseg.__all__) == autoseg.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        autoseg.nothing  # noqa: B018


def test_a_program_of_a_user_is_checked(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import autoseg\n"
        "found = autoseg.Predictor.load('Cord').predict('image.nii.gz')\n"
        "reveal_type(found)\n"
        "reveal_type(found.volumes_ml())\n"
        "reveal_type(autoseg.plan('Cord').recommended)\n"
        "autoseg.train('Cord', time_budget='20m')\n"
        "autoseg.nothing\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    output = subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    assert 'Revealed type is "autoseg.pipeline.predictor.Segmentation"' in output
    assert 'Revealed type is "dict[str, float]"' in output
    assert 'Revealed type is "str"' in output
    assert 'Unexpected keyword argument "time_budget"' in output
    assert 'Module has no attribute "nothing"' in output
