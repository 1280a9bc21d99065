"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images: ``$AUTOSEG_REAL_DATA``, else ``../shared/data`` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUTOSEG_REAL_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}: set AUTOSEG_REAL_DATA")
    return folder
