"""``autoseg report``: one page about a dataset and its models, a study, or segmentations without references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.io.files import write_text
from autoseg.io.workspace import Workspace, nearest_name
from autoseg.pipeline.report_dataset import dataset_page
from autoseg.pipeline.report_predictions import predictions_page
from autoseg.pipeline.report_study import study_page
from autoseg.reporting.figure_files import save
from autoseg.reporting.page import render


@dataclass(frozen=True)
class Written:
    """What ``report`` made; ``problems`` are sentences about cases that could not be shown."""

    report: Path
    num_cases: int
    num_bytes: int
    figures: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def report(
    workspace: Workspace,
    target: str,
    images: Sequence[Path] = (),
    configuration: str | None = None,
    num_cases: int | None = 9,
    output: Path | None = None,
    figures: Path | None = None,
) -> Written:
    """Write the page of a dataset or study of the workspace, or of a folder of segmentations of ``images``.

    ``num_cases`` are in the viewer (None: all). The page goes to ``output``, else into the folder of reports; with
    ``figures`` each drawing also becomes a file there. BadInput: there is no such thing.
    """
    datasets, studies = known_names(workspace)
    default = workspace.root / "reports" / f"{target}.html"
    if Path(target).is_dir() and target not in datasets | studies:
        made, default = predictions_page(Path(target), images, num_cases), Path(target) / "report.html"
    elif images:
        raise BadInput("--images: is for the report of a folder of segmentations; leave it out.")
    elif target in datasets:
        made = dataset_page(workspace, target, configuration, num_cases)
    elif target in studies:
        made = study_page(Workspace(workspace.root / "studies" / target), target, num_cases)
    else:
        raise BadInput(
            f"{target}: is no dataset or study of the workspace {workspace.root} and no folder "
            f"({nearest_name(target, datasets | studies)})."
        )
    path = output or default
    if path.suffix != ".html":
        raise BadInput(f"{path}: a report is a page; give a name that ends in .html.")
    text = render(made.page)
    write_text(path, text)
    files = []
    if figures is not None:
        drawings = dict(made.drawings) | ({"montage": made.montage()} if made.montage else {})
        files = [file for name, drawing in drawings.items() for file in save(drawing, figures / name)]
    gallery = made.page.gallery
    shown = len(gallery.cases) if gallery else 0
    return Written(path, shown, len(text.encode()), tuple(files), tuple(made.problems))


def known_names(workspace: Workspace) -> tuple[set[str], set[str]]:
    """The datasets and the studies of a workspace."""
    datasets, studies = workspace.root / "datasets", workspace.root / "studies"
    return (
        {path.parent.name for path in datasets.glob("*/dataset.json")},
        {path.parent.name for path in studies.glob("*/study.json")},
    )
