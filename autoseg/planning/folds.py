"""Who trains, validates and tests: no subject (or group) on two sides, every domain on all where it can be."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import SplitSpec

DEFAULT_SPLIT = SplitSpec()


@dataclass(frozen=True)
class Fold:
    """The names of the cases that train, that validate and that do neither but test, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()

    @property
    def scored(self) -> tuple[str, ...]:
        """The cases that the finished network is scored on: those to test on, if there are any."""
        return self.test or self.validation

    @property
    def validates_on_training_cases(self) -> bool:
        """True only for the single fold of a dataset with one subject: its scores prove nothing."""
        return bool(set(self.train) & set(self.scored))


def split_cases(cases: Collection[CaseFiles], split: SplitSpec = DEFAULT_SPLIT) -> list[Fold]:
    """The folds of a plan; the order of ``cases`` does not matter.

    Raises BadInput as ``make_folds``, and for shares that are none or that the subjects are too few for.
    """
    cases = [replace(case, subject=_owner(case, split.by)) for case in cases]
    if split.shares is not None:
        return [_shared(cases, split.shares, split.seed)]
    folds = make_folds(cases, split.folds, split.seed)
    if not split.validation_share:
        return folds
    return [_with_own_validation(fold, cases, split, number) for number, fold in enumerate(folds)]


def _owner(case: CaseFiles, by: str) -> str:
    """What is never on two sides; it stands for the subject from here on."""
    owners = {"file": case.name, "subject": case.subject, "group": case.group or case.subject}
    return owners[by]


def _shared(cases: Collection[CaseFiles], shares: Sequence[float], seed: int) -> Fold:
    """One split of the subjects; a share above 0 has at least one of them."""
    if abs(sum(shares) - 1) > 1e-6 or shares[0] == 0 or shares[1] + shares[2] == 0:
        listed = ", ".join(f"{share:g}" for share in shares)
        raise BadInput(
            f"splits: the shares {listed} are none of training and validation or test that sum to 1; "
            "correct split.shares in the plan."
        )
    subjects = _spread(cases, seed)
    sizes = _sizes(shares, len(subjects))
    ends = [sum(sizes[: number + 1]) for number in range(3)]
    train, validation, test = (subjects[end - size : end] for end, size in zip(ends, sizes, strict=True))
    return Fold(_names(cases, train), _names(cases, validation), _names(cases, test))


def _with_own_validation(fold: Fold, cases: Collection[CaseFiles], split: SplitSpec, number: int) -> Fold:
    """The fold's held-out cases only test; a share of its training subjects validates."""
    names = set(fold.train)
    training = [case for case in cases if case.name in names]
    subjects = _spread(training, split.seed + number)
    kept, _ = _sizes((1 - split.validation_share, split.validation_share), len(subjects))
    return Fold(_names(training, subjects[:kept]), _names(training, subjects[kept:]), fold.validation)


def _spread(cases: Collection[CaseFiles], seed: int) -> list[str]:
    """The subjects at random, but so that the domains come in turn, as often as there are subjects of them."""
    domains: dict[str, set[str]] = {}
    for case in cases:
        domains.setdefault(case.subject, set()).add(case.domain)
    groups: dict[tuple[str, ...], list[str]] = {}
    for subject in sorted(domains):
        groups.setdefault(tuple(sorted(domains[subject])), []).append(subject)
    order = random.Random(seed)
    placed = []
    for group in sorted(groups):
        members = order.sample(groups[group], len(groups[group]))
        placed += [((place + 0.5) / len(members), group, subject) for place, subject in enumerate(members)]
    return [subject for *_, subject in sorted(placed)]


def _sizes(shares: Sequence[float], number: int) -> list[int]:
    """Whole numbers that sum to ``number``, one at least for a share above 0; what is left goes to the largest rest."""
    needed = sum(share > 0 for share in shares)
    if number < needed:
        raise BadInput(f"splits: {needed} shares need {needed} subjects and there are {number}; use folds instead.")
    exact = [share * number for share in shares]
    sizes = [max(int(size + 1e-9), int(share > 0)) for size, share in zip(exact, shares, strict=True)]
    while sum(sizes) != number:
        step = 1 if sum(sizes) < number else -1
        open_to = [side for side, size in enumerate(sizes) if shares[side] > 0 and size + step >= 1]
        best = max(open_to, key=lambda side: step * (exact[side] - sizes[side]))
        sizes[best] += step
    return sizes


def _names(cases: Collection[CaseFiles], subjects: Collection[str]) -> tuple[str, ...]:
    chosen = set(subjects)
    return tuple(sorted(case.name for case in cases if case.subject in chosen))


def make_folds(cases: Collection[CaseFiles], num_folds: int = 5, seed: int = 12345) -> list[Fold]:
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
    return [Fold(tuple(sorted(set(names).difference(part))), tuple(part)) for part in held_out]


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


def split_document(fold: Fold) -> dict[str, list[str]]:
    """Such as ``{"train": [...], "val": [...]}``, and ``"test"`` where there are cases to test on."""
    test = {"test": list(fold.test)} if fold.test else {}
    return {"train": list(fold.train), "val": list(fold.validation), **test}


def splits_json(folds: Sequence[Fold]) -> str:
    """The folds as nnU-Net's ``splits_final.json``, which knows no ``"test"``: a list of ``split_document``."""
    return json.dumps([split_document(fold) for fold in folds], indent=2) + "\n"


def parse_splits(text: str, source: str, known_cases: Collection[str]) -> list[Fold]:
    """Read folds in nnU-Net's format, or with cases to test on; ``source`` names the file in errors.

    Raises BadInput for another format, unknown or repeated cases, an empty side, and a case on two sides
    (but for a single fold whose two sides are equal, which one subject makes necessary).
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{source}: not JSON ({error}); give a list of train and val lists.") from None
    if not isinstance(document, list) or not document:
        raise BadInput(f"{source}: the splits must be a list with one entry a fold; see nnU-Net's splits_final.json.")
    known = set(known_cases)
    return [_parse_fold(entry, f"{source}: fold {i}", known, len(document) == 1) for i, entry in enumerate(document)]


def _parse_fold(entry: object, where: str, known: set[str], only: bool) -> Fold:
    sides = {}
    for side in ("train", "val", "test"):
        tested = isinstance(entry, dict) and bool(entry.get("test"))
        names = entry.get(side, [] if side == "test" else None) if isinstance(entry, dict) else None
        may_be_empty = side == "test" or (side == "val" and tested)
        if not isinstance(names, list) or not (names or may_be_empty) or not all(isinstance(n, str) for n in names):
            raise BadInput(f'{where} has no list of case names under "{side}"; name at least one case.')
        unknown = sorted(set(names) - known)
        if unknown:
            raise BadInput(f"{where} names the unknown case {unknown[0]} under {side}; use names of the dataset.")
        if len(set(names)) < len(names):
            raise BadInput(f"{where} names a case twice under {side}; name each case once.")
        sides[side] = tuple(sorted(names))
    fold = Fold(sides["train"], sides["val"], sides["test"])
    both = sorted(set(fold.train) & set(fold.validation))
    if both and not (only and fold.train == fold.validation):
        raise BadInput(f"{where} both trains and validates on {both[0]}; remove it from one of the two.")
    seen = sorted((set(fold.train) | set(fold.validation)) & set(fold.test))
    if seen:
        raise BadInput(f"{where} tests on {seen[0]}, which trains or validates; remove it from one of the two.")
    return fold
