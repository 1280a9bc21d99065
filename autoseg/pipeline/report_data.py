"""What a report says of a dataset whatever is trained: its images, its plan, and what it takes."""

from __future__ import annotations

from pathlib import Path

from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import Plan
from autoseg.evaluation.outliers import Outlier, find_outliers
from autoseg.io.fingerprints import read_fingerprint
from autoseg.io.workspace import RawDataset
from autoseg.pipeline.profiling import NOTE, SAMPLES, read_profile
from autoseg.pipeline.report_parts import Drawings
from autoseg.planning.explain import CONFIGURATION_HEADER, configuration_rows
from autoseg.reporting.data_overview import draw_images, draw_label_volumes
from autoseg.reporting.page import Part, Section, Sentences, Table, Text
from autoseg.reporting.profile_figure import draw_samples, read_samples
from autoseg.reporting.profile_table import profile_table

MOST_OUTLIERS = 12


def data_section(dataset: RawDataset, drawings: Drawings) -> Section:
    """Spacing, size, intensities and volumes, with what is unlike the rest."""
    path = dataset.folder / "fingerprint.json"
    if not path.is_file():
        return Section("Data", [Text(f"The images are not measured yet: autoseg plan {dataset.name}")])
    fingerprint = read_fingerprint(path)
    outliers = find_outliers(fingerprint)
    parts: list[Part] = [domains_table(fingerprint)]
    if outliers:
        more = len(outliers) - MOST_OUTLIERS
        told = [outlier_sentence(one) for one in outliers[:MOST_OUTLIERS]]
        parts += [Text("Look at these first:"), Sentences([*told, *([f"and {more} more"] if more > 0 else [])])]
    else:
        parts.append(Text("No case is unlike the others of its domain."))
    parts.append(drawings.part("images", draw_images(fingerprint), "Spacing, size and intensity of every case", ""))
    volumes = draw_label_volumes(fingerprint)
    parts.append(drawings.part("label_volumes", volumes, "The volume of each label in every case", ""))
    return Section("Data", parts)


def domains_table(fingerprint: Fingerprint) -> Table:
    """A row for each domain."""
    rows = []
    for domain in dict.fromkeys(case.domain for case in fingerprint.cases):
        cases = [case for case in fingerprint.cases if case.domain == domain]
        spacings = {" x ".join(f"{side:.3g}" for side in case.spacing_mm) for case in cases}
        orientations = sorted({case.orientation for case in cases})
        spacing = spacings.pop() if len(spacings) == 1 else f"{len(spacings)} different"
        rows.append((domain, str(len(cases)), str(len({c.subject for c in cases})), ", ".join(orientations), spacing))
    return Table(("domain", "cases", "subjects", "orientation of the files", "spacing (mm)"), rows)


def outlier_sentence(one: Outlier) -> str:
    """Such as ``sub-3: volume of cord 1.2 ml, median 5.1 ml``."""
    unit = {"spacing": " mm", "size": " mm", "volume": " ml"}.get(one.kind, "")
    usual = f"the median of {one.domain} is {one.median:.4g}{unit}"
    return f"{one.case}: {one.kind} of {one.which} {one.value:.4g}{unit}, {usual}"


def resources_sections(folder: Path, drawings: Drawings) -> list[Section]:
    """What ``profile`` measured, if it has."""
    if not (folder / "profile.json").is_file():
        return []
    parts: list[Part] = [Table(*profile_table(read_profile(folder / "profile.json")))]
    if (folder / SAMPLES).is_file():
        drawing = draw_samples(read_samples(folder / SAMPLES))
        parts.append(drawings.part("resources", drawing, "Processor, memory and GPU over time", NOTE))
    return [Section("Resources", parts)]


def plan_section(plan: Plan) -> Section:
    """Every decision with its reason, and the configurations."""
    decisions = Table(("decision", "choice", "reason"), [(one.what, one.choice, one.reason) for one in plan.decisions])
    return Section("Plan", [decisions, Table(CONFIGURATION_HEADER, configuration_rows(plan))])
