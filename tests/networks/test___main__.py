"""The catalogue as text."""

import runpy

import pytest

from autoseg.networks.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def lines():
    """What ``python -m autoseg.networks`` prints."""
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", printed.append)
        runpy.run_module("autoseg.networks", run_name="__main__")
    return printed[0].splitlines()


def test_every_network_is_listed_with_its_weights_and_source(lines):
    rows = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert list(rows) == ["network", *CATALOGUE]
    assert rows["double_unet"].split()[1:3] == ["29,288,900", "-"]
    assert rows["plain_unet"].split()[1:3] == ["46,324,558", "31,195,594"]
    words = " ".join("\n".join(lines).split())
    assert all(entry.source in words for entry in CATALOGUE.values())


def test_parameters_are_listed_with_their_defaults(lines):
    below = lines[[line.split()[0] for line in lines].index("voxhrnet") + 1]
    assert below.strip() == "size='base', branches=None"
    assert max(map(len, lines)) <= 100
