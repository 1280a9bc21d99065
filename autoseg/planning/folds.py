"""Cross-validation folds: no subject on both sides, every domain in every fold where it can be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput


@dataclass(frozen=True)
class Fold:
    """The names of the cases that train and that validate, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]

    @property
    def validates_on_training_cases(self) -> bool:
        """True only for the single fold of a dataset with one subject: its scores prove nothing."""
        return bool(set(self.train) & set(self.validation))


def make_folds(cases: Sequence[CaseFiles], num_folds: int = 5, seed: int = 12345) -> list[Fold]:
    """Split by subject, stratified by domain; the order of ``cases`` does not matter.

    ``subject`` names a person across all domains: two contrasts of a person are two domains but one subject.
    Fewer subjects than ``num_folds``: leave one subject out. One subject: one fold that trains and
    validates on the same cases. Raises BadInput for no cases, names that occur twice or fewer than two folds.
    """
    cases = sorted(cases, key=lambda case: case.name)
    names = [case.name for case in cases]
    if not names:
        raise BadInput("splits: there are no cases to split; add images with labels.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"splits: the case {twice} occurs twice; give every case its own name.")
    if num_folds < 2:
        raise BadInput(f"splits: {num_folds} fold(s) leave nothing to validate on; use at least 2.")
    subjects = [case.subject for case in cases]
    distinct = sorted(set(subjects))
    if len(distinct) == 1:
        return [Fold(tuple(names), tuple(names))]
    if len(distinct) <= num_folds:
        held_out = [[name for name, owner in zip(names, subjects, strict=True) if owner == one] for one in distinct]
    else:
        numbers = {subject: i for i, subject in enumerate(distinct)}
        groups = [numbers[subject] for subject in subjects]
        held_out = _stratified(names, [case.domain for case in cases], groups, num_folds, seed)
    return [Fold(tuple(n for n in names if n not in set(part)), tuple(part)) for part in held_out]


def _stratified(names: list[str], domains: list[str], groups: list[int], num_folds: int, seed: int) -> list[list[str]]:
    """The validation cases of every fold."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    sizes = Counter(domains).values()
    # a domain with fewer cases than folds is spread as far as it goes, and scikit-learn refuses if all are so small
    stratum = domains if max(sizes) >= num_folds else ["all"] * len(names)
    with warnings.catch_warnings():
        if min(sizes) < num_folds:
            warnings.filterwarnings("ignore", message="The least populated class")
        parts = [validation for _, validation in splitter.split(names, stratum, groups)]
    return [sorted(names[i] for i in part) for part in parts]


def splits_json(folds: Sequence[Fold]) -> str:
    """The folds as nnU-Net's ``splits_final.json``: a list of ``{"train": [...], "val": [...]}``."""
    return json.dumps([{"train": list(fold.train), "val": list(fold.validation)} for fold in folds], indent=2) + "\n"


def parse_splits(text: str, source: str, known_cases: Collection[str]) -> list[Fold]:
    """Read folds in nnU-Net's format; ``source`` names the file in errors.

    Raises BadInput for another format, unknown or repeated cases, an empty side, and a case that both trains
    and validates (but for a single fold whose two sides are equal, which one subject makes necessary).
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{source}: not JSON ({error}); give a list of train and val lists.") from None
    if not isinstance(document, list) or not document:
        raise BadInput(f"{source}: the splits must be a list with one entry a fold; see nnU-Net's splits_final.json.")
    known = set(known_cases)
    return [_parse_fold(entry, f"{source}: fold {i}", known, len(document) == 1) for i, entry in enumerate(document)]


def _parse_fold(entry: object, where: str, known: set[str], only: bool) -> Fold:
    sides = []
    for side in ("train", "val"):
        names = entry.get(side) if isinstance(entry, dict) else None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise BadInput(f'{where} has no list of case names under "{side}"; name at least one case.')
        unknown = sorted(set(names) - known)
        if unknown:
            raise BadInput(f"{where} names the unknown case {unknown[0]} under {side}; use names of the dataset.")
        if len(set(names)) < len(names):
            raise BadInput(f"{where} names a case twice under {side}; name each case once.")
        sides.append(tuple(sorted(names)))
    train, validation = sides
    both = sorted(set(train) & set(validation))
    if both and not (only and train == validation):
        raise BadInput(f"{where} both trains and validates on {both[0]}; remove it from one of the two.")
    return Fold(train, validation)
