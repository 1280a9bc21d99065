"""Small BIDS datasets made on the fly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.bids_files import Writer, writer


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    return writer(tmp_path)
