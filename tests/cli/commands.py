"""What several tests of the command line use."""

from pathlib import Path

from tests.conftest import write_tiny_subject

LABELS = "derivatives/labels"
TRAIN = ("train", "Tiny", "3d_fullres", "fold0", "--device", "cpu", "--time-budget")


def write_site(root: Path, subjects: int = 3) -> Path:
    """A BIDS dataset of tiny subjects."""
    for number in range(subjects):
        write_tiny_subject(root, root / LABELS, f"sub-{number:02d}", seed=number)
    (root / LABELS / "desc-manual_dseg.tsv").write_text("index\tname\n1\tshell\n2\tcore\n")
    return root
