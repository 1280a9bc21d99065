"""Which structures a dataset made from several BIDS datasets has, and which cases lack one of them.

Names are unified by ``structure_key``. A structure belongs to a domain when at least half of its cases
have it, and to the dataset when every domain has it (or when a recipe says so). A case that lacks a
structure of the dataset is left out: its voxels would count as background that is not background.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import PlannedCase, without
from autoseg.interop.label_conventions import structure_key
from autoseg.interop.raw_layout import Problem


@dataclass(frozen=True)
class LabelSet:
    """``labels`` is name -> value with background 0 and consecutive values; ``cases`` have all of them."""

    labels: dict[str, int]
    cases: Packed[PlannedCase]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def choose_labels(cases: Packed[PlannedCase], final: Sequence[str] = ()) -> LabelSet:
    """The common structures of all domains, or ``final`` where a recipe gives it.

    BadInput: no structure is common, or one of ``final`` is nowhere.
    """
    having: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for case in cases:
        having[case.domain].update({structure_key(name) for name in case.labels.structures})
        totals[case.domain] += 1
    display = _display_names(cases)
    notes: tuple[str, ...] = ()
    if final:
        unknown = [name for name in final if structure_key(name) not in display]
        if unknown:
            raise BadInput(f"recipe: no case has {', '.join(unknown)}; there is {', '.join(display.values())}.")
        chosen = [structure_key(name) for name in final]
        display |= {structure_key(name): name for name in final}
    else:
        frequent = {d: {key for key, n in having[d].items() if 2 * n >= totals[d]} for d in totals}
        common = set.intersection(*frequent.values())
        if not common:
            raise BadInput(_nothing_common(frequent, display))
        chosen = [key for key in display if key in common]
        notes = tuple(_dropped(key, display[key], having, totals) for key in display if key not in common)
    problems: dict[int, Problem] = {}
    for place, case in enumerate(cases):
        known = {structure_key(name) for name in case.labels.structures}
        lacking = [key for key in chosen if key not in known]
        if lacking:
            names = ", ".join(display[key] for key in lacking)
            sentence = f"its labels lack {names}; add a label file for it or exclude it."
            problems[place] = Problem(case.images[0], sentence)
    labels = {"background": 0} | {display[key]: value for value, key in enumerate(chosen, start=1)}
    return LabelSet(labels, without(cases, problems), tuple(problems.values()), notes)


def _display_names(cases: Iterable[PlannedCase]) -> dict[str, str]:
    """Key -> name as written, that of a table first; in order of the value in a table, then by name."""
    ranked: dict[str, tuple[bool, int, str]] = {}
    for case in cases:
        for part in case.labels.parts:
            for value, name in part.names:
                key = structure_key(name)
                if key not in ranked or (ranked[key][0] and part.has_table):
                    ranked[key] = (not part.has_table, value, name)
    return {key: name for key, (_, _, name) in sorted(ranked.items(), key=lambda item: (item[1][1], item[0]))}


def _dropped(key: str, name: str, having: dict[str, Counter[str]], totals: Counter[str]) -> str:
    lacking = [
        f"{domain} ({having[domain][key]} of {n} cases)" for domain, n in totals.items() if 2 * having[domain][key] < n
    ]
    return (
        f"The label {name} is dropped because too few cases have it in {', '.join(lacking)}; "
        'to keep it, leave those out or give the final set in a recipe ("labels": [...]).'
    )


def _nothing_common(frequent: dict[str, set[str]], display: dict[str, str]) -> str:
    listed = "; ".join(
        f"{domain} has {', '.join(display[key] for key in display if key in keys) or 'none in half of its cases'}"
        for domain, keys in frequent.items()
    )
    return f"BIDS datasets: no label is common to all ({listed}); give the labels one name in a recipe (--recipe)."
