"""``autoseg report``: one page about a dataset and its models, a study, or segmentations without references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.io.workspace import Workspace, nearest_name, write_text
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
    known_study = (workspace.root / "studies" / target / "study.json").is_file()
    if Path(target).is_dir() and not (workspace.dataset_folder(target).is_dir() or known_study):
        made = predictions_page(Path(target), images, num_cases)
        default = Path(target) / "report.html"
    elif images:
        raise BadInput("--images: is for the report of a folder of segmentations; leave it out.")
    elif known_study and not workspace.dataset_folder(target).is_dir():
        made = study_page(Workspace(workspace.root / "studies" / target), target, num_cases)
        default = workspace.root / "reports" / f"{target}.html"
    else:
        require_target(workspace, target)
        made = dataset_page(workspace, target, configuration, num_cases)
        default = workspace.root / "reports" / f"{target}.html"
    path = output or default
    if path.suffix != ".html":
        raise BadInput(f"{path}: a report is a page; give a name that ends in .html.")
    text = render(made.page)
    write_text(path, text)
    files = (
        [file for name, drawing in made.drawings.items() for file in save(drawing, figures / name)] if figures else ()
    )
    gallery = made.page.gallery
    shown = len(gallery.cases) if gallery else 0
    return Written(path, shown, len(text.encode()), tuple(files), tuple(made.problems))


def require_target(workspace: Workspace, target: str) -> None:
    """BadInput with the nearest name where there is neither a dataset nor a study of this name."""
    datasets = {path.parent.name for path in (workspace.root / "datasets").glob("*/dataset.json")}
    studies = {path.parent.name for path in (workspace.root / "studies").glob("*/study.json")}
    if target not in datasets:
        raise BadInput(
            f"{target}: is no dataset or study of the workspace {workspace.root} and no folder "
            f"({nearest_name(target, datasets | studies)})."
        )
