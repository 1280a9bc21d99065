"""What all reports have in common: drawings that also become files, tables of scores, and how to repeat the work."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import autoseg
from autoseg.evaluation.case_choice import CaseRow, choose_cases, score_of
from autoseg.evaluation.evaluate import defined
from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import bootstrap_mean
from autoseg.io.history import Command
from autoseg.reporting.figure_files import svg_text
from autoseg.reporting.page import Commands, Figure, Page, Part, Section, Table, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TABLE_SCORES = ("dice", "hd95_mm", "assd_mm", "nsd", "lesion_f1")
LIST_SCORES = ("dice", "hd95_mm")
PACKAGES = ("torch", "numpy", "SimpleITK", "nibabel", "scipy")


@dataclass(frozen=True)
class Made:
    """A page in the making: ``drawings`` by name, and sentences about what could not be shown.

    ``montage`` draws a few cases for a paper, if there are any.
    """

    page: Page
    drawings: Mapping[str, Drawing]
    problems: Sequence[str] = ()
    montage: Callable[[], Drawing] | None = None


@dataclass
class Drawings:
    """The figures of a page, each drawn once, for the page and as files."""

    by_name: dict[str, Drawing] = field(default_factory=dict)

    def part(self, name: str, drawing: Drawing, description: str, caption: str) -> Figure:
        """Keep a drawing under ``name`` and make a part of the page of it."""
        self.by_name[name] = drawing
        return Figure(svg_text(drawing, name, description), caption)


def footer() -> str:
    """What made the page, and when."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Made by autoseg {autoseg.__version__} on {now}. This file is complete in itself and works offline."


def number(value: float | None, score: str) -> str:
    """A score with its digits, or a dash."""
    return "-" if value is None else f"{value:.{SCORES[score].digits}f}"


def list_scores(row: CaseRow) -> dict[str, str]:
    """What stands beside a case in the list of the viewer."""
    return {
        SCORES[score].title: number(value, score)
        for score in LIST_SCORES
        if (value := score_of(row, score)) is not None
    }


def ranked(rows: Sequence[CaseRow], num_cases: int | None) -> dict[str, str]:
    """Case -> its rank (``worst`` ...), in the order in which they are shown; None: all cases, the worst first."""
    if num_cases is None:
        scored = [row for row in rows if score_of(row, "dice") is not None]
        unscored = [row for row in rows if score_of(row, "dice") is None]
        return {row["case"]: "" for row in [*sorted(scored, key=lambda row: score_of(row, "dice") or 0.0), *unscored]}
    num_worst = -(-num_cases // 3)
    num_best = -(-(num_cases - num_worst) // 2)
    numbers = {"worst": num_worst, "median": num_cases - num_worst - num_best, "best": num_best}
    choice = choose_cases(rows, num_worst)
    past = (len(choice.median) - numbers["median"] + 1) // 2  # both sides of the median lose as many
    found = {"worst": choice.worst, "median": choice.median[max(0, past) :], "best": choice.best}
    return {case.case: rank for rank, cases in found.items() for case in cases[: numbers[rank]]}


def score_rows(rows: Sequence[CaseRow], subjects: Mapping[str, str]) -> Table:
    """A row for each label, their mean and, of several domains, the mean of each: mean, interval, number of cases."""
    labels = list(dict.fromkeys(label for row in rows for label in row["labels"]))
    shown = [score for score in TABLE_SCORES if any(score in one for row in rows for one in row["labels"].values())]
    domains = sorted({row["domain"] for row in rows})
    groups = [(label, [(row, row["labels"].get(label, {})) for row in rows]) for label in labels]
    texts = [(name, *_cells(pairs, shown, subjects)) for name, pairs in groups]
    if len(labels) > 1 or len(domains) > 1:
        texts.append(("mean of labels", *_mean_cells(rows, shown, subjects)))
    if len(domains) > 1:
        for domain in domains:
            own = [row for row in rows if row["domain"] == domain]
            texts.append((f"mean in {domain}", *_mean_cells(own, shown, subjects)))
    header = ("", *(SCORES[score].title for score in shown), "cases")
    return Table(header, texts, "Mean over cases (95 % bootstrap interval of the mean, by subject).")


def _cells(
    pairs: Sequence[tuple[CaseRow, Mapping[str, Any]]], shown: Iterable[str], subjects: Mapping[str, str]
) -> list[str]:
    texts = [_interval_text([(row, scores.get(score)) for row, scores in pairs], score, subjects) for score in shown]
    return [*texts, str(len(pairs))]


def _mean_cells(rows: Sequence[CaseRow], shown: Iterable[str], subjects: Mapping[str, str]) -> list[str]:
    texts = [_interval_text([(row, score_of(row, score)) for row in rows], score, subjects) for score in shown]
    return [*texts, str(len(rows))]


def _interval_text(values: Sequence[tuple[CaseRow, float | None]], score: str, subjects: Mapping[str, str]) -> str:
    known = [(row["case"], value) for row, value in values if value is not None]
    if not known:
        return "-"
    names = {subject: place for place, subject in enumerate(dict.fromkeys(subjects.get(c, c) for c, _ in known))}
    numbers = defined(value for _, value in known)
    interval = bootstrap_mean(numbers, [names[subjects.get(case, case)] for case, _ in known])
    mean = number(sum(numbers) / len(numbers), score)
    return mean if interval is None else f"{mean} ({number(interval.low, score)} to {number(interval.high, score)})"


def all_cases(rows: Sequence[CaseRow], folds: Mapping[str, str]) -> Table:
    """Every scored case, the worst first."""
    shown = [score for score in TABLE_SCORES if any(score in one for row in rows for one in row["labels"].values())]
    ordered = sorted(rows, key=lambda row: (score_of(row, "dice") is None, score_of(row, "dice") or 0.0))
    texts = [
        (
            row["case"],
            row["domain"],
            folds.get(row["case"], ""),
            *(number(score_of(row, score), score) for score in shown),
        )
        for row in ordered
    ]
    header = ("case", "domain", "fold", *(f"{SCORES[score].title}" for score in shown))
    return Table(header, texts, f"All {len(rows)} cases, the worst first (means over labels)", folded=True)


def reproduction(commands: Sequence[Command], notes: Sequence[str] = ()) -> Section:
    """The section that says with what, and how, this was made."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    parts: list[Part] = [
        Text(
            f"autoseg {autoseg.__version__}, Python {platform.python_version()}, {packages}, on {platform.platform()}."
        )
    ]
    if commands:
        parts.append(Commands([line for command in commands for line in command_lines(command)]))
    else:
        parts.append(Text("No commands are recorded in this workspace (it was made with the Python interface)."))
    parts += [Text(note) for note in notes]
    return Section("Reproduce", parts)


def command_lines(command: Command) -> list[str]:
    """When and where a command was run, and the command."""
    return [f"# {command.ended} UTC, autoseg {command.version}, in {command.folder}", str(command)]
