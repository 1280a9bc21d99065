"""The command line, run in this process, and a workspace with a trained fold for it."""

import shutil
import sys

import pytest

from autoseg.cli import main
from tests.cli.commands import TRAIN, write_site
from tests.cli.documents import checked_output


@pytest.fixture
def autoseg(monkeypatch, tmp_path):
    """``autoseg(*arguments)`` -> exit status, in a workspace of the test; ``--json`` is held against its schema."""

    def run(*arguments) -> int:
        given = tuple(map(str, arguments))
        monkeypatch.setattr(sys, "argv", ["autoseg", "--workspace", str(tmp_path / "workspace"), *given])
        with checked_output(given) as status:
            status.append(main())
        return status[0]

    return run


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path / "tiny")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny_bids, tiny_plan):
    """A workspace with one trained fold."""
    root = tmp_path_factory.mktemp("trained") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        for arguments in (("convert-bids", tiny_bids, "--dataset", "Tiny"), (*TRAIN, "1s")):
            patch.setattr(sys, "argv", ["autoseg", "--workspace", str(root), *map(str, arguments)])
            assert main() == 0
            (root / "datasets/Tiny/plan.json").write_text(tiny_plan.model_dump_json())
    return root


@pytest.fixture
def workspace(trained, tmp_path):
    """A copy that a test may change; it is the one that ``autoseg`` works in."""
    return shutil.copytree(trained, tmp_path / "workspace", symlinks=True)
