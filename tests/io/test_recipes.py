"""Where recipes are found."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.io.recipes import recipe_names, recipe_text


def test_those_that_come_with_autoseg_are_found_by_name():
    assert {"paugam", "bouchard_specific", "bouchard_general", "epfl", "valverde2017", "voxhrnet"} <= set(
        recipe_names()
    )
    name, text = recipe_text("paugam")
    assert name == "paugam"
    assert "paugam_small_unet" in json.loads(text)["configurations"]


def test_a_file_is_read(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text("{}")
    assert recipe_text(str(path)) == ("mine", "{}")


@pytest.mark.parametrize("name", ["pogam", "../paugam", "nowhere/mine.json"])
def test_what_is_not_there_is_said(name):
    with pytest.raises(BadInput, match=r"choose one of .*paugam|there is no such file"):
        recipe_text(name)
