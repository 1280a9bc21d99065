"""From a raw dataset to prepared cases: measure, plan, folds, prepare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import CaseMeasurement, Fingerprint
from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration, Plan, SplitSpec, read_plan
from autoseg.io import images, store
from autoseg.io.files import read_text, remove_partial, write_text
from autoseg.io.fingerprints import write_fingerprint
from autoseg.io.locks import held
from autoseg.io.recipes import recipe_text
from autoseg.io.workspace import RawDataset, Workspace, nearest_name
from autoseg.planning import checks, folds, measure, planner
from autoseg.planning.recipe import Fidelity, Recipe, apply_recipe, read_recipe
from autoseg.preprocessing import prepare
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.profiling import phase
from autoseg.runtime.progress import counted, progress, say
from autoseg.runtime.workers import LostWork, Workers

Case = TypeVar("Case", bound="Named")
Result = TypeVar("Result")


class Named(Protocol):
    """A case, with or without what else belongs to it."""

    @property
    def name(self) -> str:
        """Of the case."""


def measure_dataset(dataset: RawDataset, workers: Workers | None = None) -> Fingerprint:
    """One pass over the images and labels; writes ``fingerprint.json``."""
    if workers is not None:
        workers.require_seen([dataset.folder, *(case.channels[0] for case in islice(dataset.cases, 1))])
    measure_one = partial(measure_case, dataset.channels, dataset.labels)
    with progress(f"measure {counted(len(dataset.cases), 'case')}") as shown:

        def measured() -> Iterator[tuple[CaseMeasurement, measure.Samples]]:
            for done, result in enumerate(over_cases(measure_one, dataset.cases, workers), start=1):
                yield result
                shown.update(done / len(dataset.cases))

        fingerprint = measure.combine(dataset.name, dataset.channels, dataset.labels, measured())
    write_fingerprint(dataset.folder / "fingerprint.json", fingerprint)
    return fingerprint


def measure_case(channels: Sequence[str], labels: Labels, case: CaseFiles) -> tuple[CaseMeasurement, measure.Samples]:
    """Read and measure one case."""
    image, label_map = read_image(case, channels), images.read_labels(require_labels(case))
    return measure.measure_case(case.name, case.domain, case.subject, image, label_map, labels)


def over_cases(function: Callable[[Case], Result], cases: Iterable[Case], workers: Workers | None) -> Generator[Result]:
    """``map`` over cases, by ``workers`` or in threads of this process; ChildProcessError where they were lost."""
    if workers is None:
        yield from map_threads(function, cases)
        return
    for case, result in workers.results(function, cases):
        if isinstance(result, LostWork):
            raise ChildProcessError(f"{case.name}: {result.reason}; run the command again with fewer threads a worker.")
        yield result


def plan_dataset(
    workspace: Workspace,
    name: str,
    memory_gb: float | None = None,
    planner_name: str = "default",
    recipe: str | None = None,
    fidelity: Fidelity = "paper",
    workers: Workers | None = None,
) -> Plan:
    """Measure the dataset (by ``workers``, if any) and decide; writes ``fingerprint.json`` and ``plan.json``.

    ``recipe`` is the name or the file of a recipe, followed to the paper or the code.
    """
    chosen = None if recipe is None else named_recipe(recipe, fidelity)
    dataset = workspace.read_dataset(name)
    fingerprint = measure_dataset(dataset, workers)
    for warning in checks.check_fingerprint(fingerprint):
        say(f"note: {warning}", style="yellow")
    plan = planner.make_plan(fingerprint, planner_name, memory_gb, dataset.file_ending)
    if chosen is not None:
        followed = apply_recipe(plan, fingerprint, chosen[1], chosen[0])
        plan = followed.model_copy(update={"recipe_sha256": content_hash(chosen[1])})
    write_text(dataset.folder / "plan.json", plan.model_dump_json(indent=1) + "\n")
    return plan


def plan_by_recipe(workspace: Workspace, name: str, recipe: str, fidelity: Fidelity) -> Plan:
    """The plan of the dataset if it was made with this recipe as it is now, else a new one."""
    path = workspace.require_dataset(name) / "plan.json"
    if path.is_file():
        plan = read_plan(read_text(path), str(path))
        called, content = named_recipe(recipe, fidelity)
        if (plan.recipe, plan.recipe_sha256) == (called, content_hash(content)):
            return plan
    return plan_dataset(workspace, name, recipe=recipe, fidelity=fidelity)


def named_recipe(recipe: str, fidelity: Fidelity) -> tuple[str, Recipe]:
    """A recipe and what a plan calls it: its name, and the fidelity if that is not the paper's."""
    name, text = recipe_text(recipe)
    read = read_recipe(text, f"the recipe {recipe}", fidelity)
    return (name if fidelity == "paper" else f"{name} (fidelity {fidelity})"), read


def content_hash(recipe: Recipe) -> str:
    """Tells whether a recipe has changed since a plan was made with it."""
    return sha256(recipe.model_dump_json().encode()).hexdigest()


def read_or_make_plan(workspace: Workspace, name: str) -> Plan:
    """The plan of the dataset; planned with the defaults if there is none yet."""
    path = workspace.require_dataset(name) / "plan.json"
    if not path.is_file():
        say(f"{name} has no plan yet: planning with the defaults")
        return plan_dataset(workspace, name)
    return read_plan(read_text(path), str(path))


def require_own_plan(dataset: RawDataset, plan: Plan) -> None:
    """BadInput where a plan is about other channels or labels, or channels in another order, than the dataset has."""
    for what, planned, own in (
        ("channels", list(plan.channels), list(dataset.channels)),
        ("labels", plan.labels.document()["labels"], dataset.labels.document()["labels"]),
    ):
        if planned != own:
            raise BadInput(
                f"{dataset.folder / 'plan.json'}: its {what} are {planned} and those of dataset.json {own}; "
                f"correct the one that is wrong, or run `autoseg plan {dataset.name}` again."
            )


def require_configuration(plan: Plan, name: str) -> Configuration:
    """A configuration of the plan, else a sentence with the nearest name."""
    if name not in plan.configurations:
        raise BadInput(
            f"configuration {name!r} is not in the plan of {plan.dataset} ({nearest_name(name, plan.configurations)})."
        )
    return plan.configurations[name]


def read_image(case: CaseFiles, channels: Sequence[str]) -> Image:
    """All channels of the files of a case; BadInput unless they are as many as ``channels``."""
    image = images.read_channels(case.channels)
    if len(image.voxels) != len(channels):
        raise BadInput(
            f"{case.channels[0]}: the files of {case.name} hold {len(image.voxels)} channels and the dataset has "
            f"{len(channels)} ({', '.join(channels)}); restore the files or convert the dataset again."
        )
    return image


def require_labels(case: CaseFiles) -> Path:
    """The label file of a training case."""
    if case.labels is None or not case.labels.is_file():
        raise BadInput(f"{case.labels or case.name}: the labels are missing; convert the dataset again.")
    return case.labels


@dataclass(frozen=True)
class Preparation:
    """What holds for all cases: ``folders`` of the configurations, and ``known`` ones that may have equal cases."""

    plan: Plan
    configurations: tuple[Configuration, ...]
    folders: Mapping[str, Path]
    known: tuple[Path, ...]


@dataclass(frozen=True)
class StagedCase:
    """A case, and the label map of the previous stage of each configuration that has one."""

    case: CaseFiles
    stages: Mapping[str, Path]

    @property
    def name(self) -> str:
        """Of the case."""
        return self.case.name


@phase("prepare")
def prepare_cases(
    workspace: Workspace,
    plan: Plan,
    configurations: Sequence[Configuration],
    cases: Collection[CaseFiles],
    previous: Mapping[str, Mapping[str, Path]] | None = None,
    workers: Workers | None = None,
) -> None:
    """Crop, normalise, resample and store every case that is not yet stored with the same settings.

    A case is read once for all configurations, and what is equal in several of them is made once. ``previous``
    maps configurations with a previous stage to its label map of each case. ``workers`` share the cases out.
    """
    previous = {name: files for name, files in (previous or {}).items() if files}
    folders = {one.name: workspace.preprocessed_folder(plan.dataset, one.name) for one in configurations}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    known = sorted({folder for one in folders.values() for folder in one.parent.iterdir() if folder.is_dir()})
    if workers is not None:
        workers.require_seen([*folders.values(), *(case.channels[0] for case in islice(cases, 1))])
    prepare_one = partial(prepare_case, Preparation(plan, tuple(configurations), folders, tuple(known)))
    staged = (StagedCase(case, {name: files[case.name] for name, files in previous.items()}) for case in cases)

    corrected = ", bias field corrected" if any(one.bias_field_correction for one in configurations) else ""
    names = " and ".join(folders) + corrected
    with ExitStack() as locks:
        for folder in sorted(folders.values()):  # in one order, or two processes could wait for each other
            locks.enter_context(held(folder, "prepared", waiting=say))
        remove_partial(folders.values())
        shown = locks.enter_context(progress(f"prepare {counted(len(cases), 'case')} for {names}"))
        prepared = locks.enter_context(closing(over_cases(prepare_one, staged, workers)))  # ends before the locks do
        for done, (case, _) in enumerate(zip(cases, prepared, strict=True), start=1):
            shown.update(done / len(cases), case.name)


def prepare_case(preparation: Preparation, staged: StagedCase) -> None:
    """Prepare one case as each configuration needs it, unless it is stored so already."""
    case, stages = staged.case, staged.stages
    plan, folders = preparation.plan, preparation.folders
    labels = require_labels(case)
    sources = [source_state(path) for file in (*case.channels, labels) for path in images.files_of(file)]
    keys = {}
    for one in preparation.configurations:
        stage = [source_state(stages[one.name])] if one.name in stages else []
        keys[one.name] = prepare.settings_key(plan, one, [*sources, *stage])
    image_and_labels = cache(lambda: (read_image(case, plan.channels), images.read_labels(labels)))
    for one in preparation.configurations:
        if store.stored_key(folders[one.name], case.name) == keys[one.name]:
            continue
        made = (folder for folder in preparation.known if store.stored_key(folder, case.name) == keys[one.name])
        equal = next((folder for folder in made if folder != folders[one.name]), None)
        if equal is not None:
            store.link_case(equal, folders[one.name], case.name)
            continue
        image, label_map = image_and_labels()
        before = images.read_labels(stages[one.name]) if one.name in stages else None
        prepared = prepare.apply(case.name, image, label_map, plan, one, before)
        slices, ignored = one.network.dimensions == 2, plan.labels.ignore_index
        store.save_case(folders[one.name], prepared, keys[one.name], slices, ignored)


def source_state(path: Path) -> str:
    """What tells whether a source file has changed: the file itself, its size and time of change."""
    real = path.resolve()
    if not real.is_file():
        raise BadInput(f"{path}: the image {real} is not there; restore it or convert the dataset again.")
    status = real.stat()
    return f"{real}:{status.st_size}:{status.st_mtime_ns}"


def dataset_folds(
    dataset: RawDataset, splits: Path | None = None, split: SplitSpec = folds.DEFAULT_SPLIT
) -> list[folds.Fold]:
    """The folds of ``--splits``, else of ``splits.json``, which is made as the plan's ``split`` says if it is missing.

    The folds of a plan without a split of its own give way to those of one that has.
    """
    path = splits or dataset.folder / "splits.json"
    if splits is None:
        found = read_text(path) if path.is_file() else None
        own = split != folds.DEFAULT_SPLIT
        if found is None or (own and found == folds.splits_json(folds.split_cases(dataset.cases))):
            write_text(path, folds.splits_json(folds.split_cases(dataset.cases, split)))
        elif own and found != folds.splits_json(folds.split_cases(dataset.cases, split)):
            say(f"note: {path} stands, and is not as the plan splits the cases; delete it for that", style="yellow")
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file; --splits names a JSON list of train and val case names.")
    return folds.parse_splits(read_text(path), str(path), {case.name for case in dataset.cases})
