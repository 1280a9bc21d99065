"""The report of a dataset: how its held-out cases were segmented, its images, its plan, its trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoseg.core.errors import BadInput
from autoseg.core.plan import Plan, read_plan
from autoseg.evaluation.case_choice import CaseRow, score_of
from autoseg.io.files import read_json, read_text
from autoseg.io.history import remembered
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.held_out import HeldOut, held_out
from autoseg.pipeline.models import Choice, TrainedModels, choose, workspace_models
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.pipeline.report_data import data_section, plan_section, resources_sections
from autoseg.pipeline.report_gallery import Item, make_gallery, montage_of
from autoseg.pipeline.report_parts import (
    Drawings,
    Made,
    all_cases,
    footer,
    list_scores,
    number,
    ranked,
    reproduction,
    score_rows,
)
from autoseg.pipeline.runs import EXECUTION_FILE
from autoseg.reporting.curves import draw_curves, read_progress
from autoseg.reporting.page import Page, Part, Section, Table, Text
from autoseg.reporting.score_plots import draw_by_domain, draw_by_label
from autoseg.runtime.progress import counted, duration

GALLERY_TEXT = (
    "Cases that trained no network of their fold: the worst, those around the median, and the best by Dice. "
    "Errors are what was missed, what was invented, and what has a wrong label."
)


def dataset_page(workspace: Workspace, name: str, configuration: str | None, num_cases: int | None) -> Made:
    """The page of a dataset: of ``configuration``, else of what is recommended or selected, if anything is trained."""
    dataset, plan = workspace.read_dataset(name), read_or_make_plan(workspace, name)
    drawings = Drawings()
    problems: list[str] = []
    trained = workspace.trained_configurations(name)
    found, models, chosen = None, None, None
    if trained or configuration is not None:
        models = workspace_models(workspace, name)
        chosen = one_configuration(choose(models, configuration))
        found = held_out(workspace, dataset, chosen.configurations[0], chosen.folds)
    sections: list[Section] = []
    gallery, montage = None, None
    if found is not None and models is not None and chosen is not None:
        sections += result_sections(workspace, dataset, models, chosen, found, drawings)
        if found.rows:
            items = items_of(dataset, found, ranked(found.rows, num_cases))
            gallery, problems = make_gallery(items, dataset.channels, dataset.labels, gallery_text(found))
            montage = montage_of(items, dataset.labels)
    sections += [data_section(dataset, drawings), plan_section(plan)]
    sections += resources_sections(workspace.profile_folder(name), drawings)
    sections.append(reproduction([one for one in remembered(workspace.root) if name in one.arguments]))
    page = Page(
        title=name,
        summary=summary(dataset, plan, chosen, found),
        facts=facts(dataset, plan, chosen, found),
        sections=sections,
        identity=f"{workspace.root.resolve()} {name} {chosen.title if chosen else ''}",
        footer=footer(),
        gallery=gallery,
        name=name,
    )
    return Made(page, drawings.by_name, problems, montage)


def one_configuration(chosen: Choice) -> Choice:
    """Of a selected pair the first: held-out cases are scored for single configurations."""
    return replace(chosen, configurations=chosen.configurations[:1])


def summary(dataset: RawDataset, plan: Plan, chosen: Choice | None, found: HeldOut | None) -> list[str]:
    """What a reader in a hurry has to know."""
    if found is None or chosen is None:
        return [
            f"{counted(len(dataset.cases), 'case')} are measured and planned; nothing is trained yet: "
            f"autoseg train {dataset.name} {plan.recommended} fold0"
        ]
    if not found.rows:
        return [f"{chosen.title} was trained on every case, so that none is left to say how good it is."]
    mean = dice(found.rows)
    worst = min(
        (row for row in found.rows if score_of(row, "dice") is not None),
        key=lambda row: score_of(row, "dice") or 0,
        default=None,
    )
    sentences = [
        f"{chosen.configurations[0]} segments {counted(len(found.rows), 'case')} that trained no network of "
        f"{'its fold' if len(chosen.folds) == 1 else 'their folds'} with a mean Dice of {number(mean, 'dice')}."
    ]
    if found.trained_on_its_cases:
        sentences = ["There is one subject, so the scores are of cases that it was trained on: they prove nothing."]
    if worst is not None:
        sentences.append(f"The worst is {worst['case']} with {number(score_of(worst, 'dice'), 'dice')}.")
    return sentences


def dice(rows: Sequence[CaseRow]) -> float | None:
    """The mean over cases of their means over labels."""
    values = [value for row in rows if (value := score_of(row, "dice")) is not None]
    return sum(values) / len(values) if values else None


def facts(dataset: RawDataset, plan: Plan, chosen: Choice | None, found: HeldOut | None) -> dict[str, str]:
    """The figures at the top."""
    shown = {
        "cases": str(len(dataset.cases)),
        "subjects": str(len({case.subject for case in dataset.cases})),
        "domains": str(len({case.domain for case in dataset.cases})),
        "labels": str(len(dataset.labels.foreground)),
        "configuration": chosen.configurations[0] if chosen else f"{plan.recommended} (recommended)",
    }
    if found is not None and found.rows and chosen is not None:
        shown |= {"folds": str(len(chosen.folds)), "mean Dice": number(dice(found.rows), "dice")}
    return shown


def gallery_text(found: HeldOut) -> str:
    """What the cases of the viewer are."""
    if found.trained_on_its_cases:
        return "Cases that the network was trained on, for want of other subjects."
    return GALLERY_TEXT


def items_of(dataset: RawDataset, found: HeldOut, ranks: Mapping[str, str]) -> list[Item]:
    """The cases to show, in the order of ``ranks``."""
    cases, rows = {case.name: case for case in dataset.cases}, {row["case"]: row for row in found.rows}
    known = [name for name in ranks if name in cases]
    return [
        Item(
            cases[name],
            found.segmentations[name],
            cases[name].labels,
            ranks[name],
            list_scores(rows[name]),
        )
        for name in known
    ]


def result_sections(
    workspace: Workspace,
    dataset: RawDataset,
    models: TrainedModels,
    chosen: Choice,
    found: HeldOut,
    drawings: Drawings,
) -> list[Section]:
    """Scores, the comparison with other configurations, and the trainings."""
    sections = []
    if found.rows:
        subjects = {case.name: case.subject for case in dataset.cases}
        parts: list[Part] = [score_rows(found.rows, subjects)]
        by_label = draw_by_label(found.rows, found.drawn_scores, subjects)
        parts.append(drawings.part("scores_by_label", by_label, "Box plots of the scores of each label", ""))
        if len({row["domain"] for row in found.rows}) > 1:
            by_domain = draw_by_domain(found.rows, found.drawn_scores, subjects)
            parts.append(drawings.part("scores_by_domain", by_domain, "Box plots of the scores of each domain", ""))
        parts.append(all_cases(found.rows, found.folds))
        sections.append(Section("Scores", parts))
    others = configurations_table(workspace, dataset, models)
    if len(others.rows) > 1 or models.selection is not None:
        told = [Text(models.selection.reason)] if models.selection else []
        sections.append(Section("Configurations", [*told, others]))
    sections.append(training_section(workspace, dataset.name, chosen, drawings))
    return sections


def configurations_table(workspace: Workspace, dataset: RawDataset, models: TrainedModels) -> Table:
    """What is trained, and the mean Dice of its held-out cases."""
    rows = []
    for name, folds in models.folds.items():
        found = held_out(workspace, dataset, name, tuple(folds))
        rows.append((name, ", ".join(folds), str(len(found.rows)), number(dice(found.rows), "dice")))
    return Table(("configuration", "folds", "held-out cases", "mean Dice"), rows)


def training_section(workspace: Workspace, name: str, chosen: Choice, drawings: Drawings) -> Section:
    """Curves of the folds, and what each took."""
    configuration = chosen.configurations[0]
    folders = {fold: workspace.model_folder(name, configuration, fold) for fold in chosen.folds}
    lines = {fold: folder / "progress.jsonl" for fold, folder in folders.items()}
    curves = {fold: read_progress(path) for fold, path in lines.items() if path.is_file() and path.stat().st_size}
    parts: list[Part] = []
    if curves:
        parts.append(
            drawings.part("learning_curves", draw_curves(curves), "Losses and Dice of validation patches by epoch", "")
        )
    rows = []
    for fold, folder in folders.items():
        own = read_plan(read_text(folder / "plan.json"), str(folder / "plan.json")).configurations[configuration]
        execution = read_json(folder / EXECUTION_FILE) if (folder / EXECUTION_FILE).is_file() else {}
        if not isinstance(execution, dict):
            raise BadInput(f"{folder / EXECUTION_FILE}: does not say how the training was executed; restore it.")
        last = curves.get(fold, [{}])[-1]
        took = last.get("elapsed_s")
        rows.append(
            (
                fold,
                str(last.get("step", "-")),
                "-" if not isinstance(took, int | float) else duration(took),
                str(own.batch_size),
                " x ".join(map(str, own.patch_size)),
                own.network.describe(),
                " ".join(str(execution.get(key, "")) for key in ("device", "precision")).strip() or "-",
            )
        )
    parts.append(Table(("fold", "steps", "time", "batch", "patch (voxels)", "network", "on"), rows))
    return Section("Training", parts)
