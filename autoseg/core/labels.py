"""What the values of a label map mean: single labels, overlapping regions, and voxels to be ignored.

Inside autoseg a label map holds consecutive *indices*: the place of a value among the ascending values of
the dataset, and one more for the ignore label. For labels as nnU-Net accepts them, index and value agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydantic import field_validator, model_validator

from autoseg.core.document import Frozen

IGNORE = "ignore"
LARGEST_VALUE = 65535


class Labels(Frozen):
    """The labels of a dataset, as in nnU-Net's ``dataset.json``.

    ``values`` maps a name to its value, a region to the values that it consists of; background is 0. Voxels
    of the label named ``ignore`` (the highest value) have no reference. With regions, which may overlap, a
    network has one output for each; ``region_order`` (``regions_class_order``) gives the value that each
    region writes, later regions over earlier ones. ``independent`` labels are treated as regions of one value.
    """

    values: dict[str, int | tuple[int, ...]]
    region_order: tuple[int, ...] = ()
    independent: bool = False

    @field_validator("values")
    @classmethod
    def _plain_where_possible(cls, values: Mapping[str, int | tuple[int, ...]]) -> dict[str, int | tuple[int, ...]]:
        """Background first where it is not named; no tuples of one value where none has several."""
        known = dict(values) if {0, (0,)} & set(values.values()) else {"background": 0, **values}
        if any(len(_tuple(members)) > 1 for members in known.values()):
            return known
        return {name: _tuple(members)[0] if _tuple(members) else members for name, members in known.items()}

    @model_validator(mode="after")
    def _are_consistent(self) -> Labels:
        listed = [value for values in self.values.values() for value in _tuple(values)]
        if not all(0 <= value <= LARGEST_VALUE for value in listed):
            raise ValueError(f"label values must lie in 0..{LARGEST_VALUE}")
        if any(
            not _tuple(values) or (0 in _tuple(values) and len(_tuple(values)) > 1) for values in self.values.values()
        ):
            raise ValueError("a region needs at least one value and cannot contain background 0")
        single = [value for value in self.values.values() if isinstance(value, int)]
        if len(set(single)) < len(single):
            raise ValueError("two labels have the same value")
        if not self.foreground:
            raise ValueError("there is no label besides background")
        if IGNORE in self.values and (not isinstance(self.values[IGNORE], int) or self.ignore != max(listed)):
            raise ValueError(f"the label {IGNORE!r} must have the highest value")
        order = self.region_order
        if self.has_regions and (
            len(order) != len(self.foreground)
            or len(set(order)) < len(order)
            or not set(order) <= set(self.stored_values[1:])
        ):
            raise ValueError(
                "with regions, region_order (regions_class_order) gives each of them another one of the label values"
            )
        if not self.has_regions and self.region_order:
            raise ValueError("region_order (regions_class_order) is for regions only, and there are none")
        return self

    @property
    def ignore(self) -> int | None:
        """The value whose voxels have no reference."""
        value = self.values.get(IGNORE)
        return value if isinstance(value, int) else None

    @cached_property
    def foreground(self) -> dict[str, tuple[int, ...]]:
        """The values of each label or region but background and ignore, in the order of the document."""
        return {
            name: _tuple(values) for name, values in self.values.items() if name != IGNORE and _tuple(values) != (0,)
        }

    @property
    def has_regions(self) -> bool:
        """Whether the outputs of a network may overlap: each a sigmoid, and none for background."""
        return self.independent or self.joins_values

    @property
    def joins_values(self) -> bool:
        """Whether a region consists of several values: only then can the references of outputs overlap."""
        return any(not isinstance(values, int) and len(values) > 1 for values in self.values.values())

    @cached_property
    def stored_values(self) -> tuple[int, ...]:
        """The values of a reference, ascending: background first, without ignore."""
        return tuple(sorted({0, *(value for values in self.foreground.values() for value in values)}))

    @property
    def num_outputs(self) -> int:
        """Channels that a network puts out: a class for each value, background included, or one a region."""
        return len(self.foreground) if self.has_regions else len(self.stored_values)

    @property
    def ignore_index(self) -> int | None:
        """What ``encode`` makes of the ignore label."""
        return None if self.ignore is None else len(self.stored_values)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """The name of each output of a network but background, in its order."""
        if self.has_regions:
            return tuple(self.foreground)
        return tuple(sorted(self.foreground, key=lambda name: self.foreground[name]))

    @cached_property
    def region_indices(self) -> tuple[tuple[int, ...], ...]:
        """The indices that each output is made of, in the order of ``output_names``."""
        place = {value: index for index, value in enumerate(self.stored_values)}
        return tuple(tuple(sorted(place[value] for value in self.foreground[name])) for name in self.output_names)

    @cached_property
    def written_indices(self) -> tuple[int, ...]:
        """The index that each region writes (``region_order``)."""
        place = {value: index for index, value in enumerate(self.stored_values)}
        return tuple(place[value] for value in self.region_order)

    @cached_property
    def written_names(self) -> dict[int, str]:
        """The name of each value that a prediction may hold, ascending; a region gives its name to what it writes."""
        background = next(name for name, values in self.values.items() if values in (0, (0,)))
        written = self.region_order or tuple(self.foreground[name][0] for name in self.output_names)
        return {0: background} | dict(sorted(zip(written, self.output_names, strict=True)))

    def document(self) -> dict[str, object]:
        """The entries of a ``dataset.json``, which says what the values mean, not how a network tells them apart."""
        order = {"regions_class_order": list(self.region_order)} if self.joins_values else {}
        return {"labels": dict(self.values), **order}

    def encode(self, label_map: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
        """Stored values -> indices, any shape; ValueError where a value is none of the dataset's."""
        known = [*self.stored_values, *(() if self.ignore is None else (self.ignore,))]
        table = np.full(known[-1] + 2, -1, np.int16)
        table[known] = np.arange(len(known))
        indices: npt.NDArray[np.int16] = table[np.minimum(label_map, known[-1] + 1)]
        if indices.size and indices.min() < 0:
            listed = ", ".join(str(value) for value in np.unique(label_map[indices < 0])[:6])
            raise ValueError(f"has voxels of the value {listed}, which is no label of the dataset")
        return indices

    def decode(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """Indices of predictions (never the ignored one) -> stored values, uint8 if they fit, else uint16."""
        kind = np.uint8 if self.stored_values[-1] <= np.iinfo(np.uint8).max else np.uint16
        if self.stored_values == tuple(range(len(self.stored_values))):
            return indices.astype(kind, copy=False)
        decoded: npt.NDArray[np.integer] = np.array(self.stored_values, kind)[indices]
        return decoded


def _tuple(values: int | tuple[int, ...]) -> tuple[int, ...]:
    return (values,) if isinstance(values, int) else values
