"""The newcomer's path: a fresh environment, installed as the first page says, and its commands as they stand."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.snippets import blocks, commands, shorter

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("HOME", "PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "HTTPS_PROXY")  # and how pip reaches its index


@pytest.mark.slow
def test_the_first_page_in_a_fresh_environment(place):
    """With what the shell of a newcomer has; only the budgets are shorter."""
    subprocess.run(["git", "clone", "-q", str(ROOT), "checkout"], cwd=place, check=True)
    for name in ("my-bids-dataset", "new-images", "references"):
        shutil.move(place / name, place / "checkout")
    lines = ["set -e"]
    for block in blocks((ROOT / "docs/get-started.md").read_text(encoding="utf-8")):
        if block.language == "sh":
            lines += [shorter(line) for line in commands(block)]
        elif block.language == "python":
            lines += ["python - <<'END'", block.text, "END"]
    assert "python3 -m venv autoseg-env" in lines  # nothing is left out, the installation neither
    environment = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=place / "checkout",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for made in ("segmentations/sub-01_T2w.nii.gz", "elsewhere/sub-01_T2w.nii.gz", "segmentations/evaluation.csv"):
        assert (place / "checkout" / made).is_file()
    assert "'white_matter':" in done.stdout  # the volumes that the program prints
