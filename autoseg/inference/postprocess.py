"""Which connected components are kept: the largest, as cross-validation decided, or those that are lesions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import bounding_box, box_slices
from autoseg.core.plan import CandidateSpec
from autoseg.core.selection import Postprocessing

Value = TypeVar("Value", bound=np.integer)


def postprocess(labels: npt.NDArray[Value], postprocessing: Postprocessing) -> npt.NDArray[Value]:
    """``(X, Y, Z)`` label values after every step, in order; the input is not changed."""
    for values in postprocessing.keep_largest:
        labels = keep_largest(labels, values)
    return labels


def keep_largest(labels: npt.NDArray[Value], values: Sequence[int]) -> npt.NDArray[Value]:
    """Set to background (0) what has one of ``values`` and is not in the largest component of their union.

    Voxels of ``(X, Y, Z)`` that share a face, an edge or a corner are connected. Of components that are equally
    large all are kept (nnU-Net v2, ``remove_connected_components.py``).
    """
    import cc3d

    wanted = np.isin(labels, list(values))
    box = bounding_box(wanted)
    if box is None:
        return labels
    inside = box_slices(box)
    components, number = cc3d.connected_components(wanted[inside], connectivity=26, return_N=True)
    if number == 1:
        return labels
    sizes = np.bincount(components.ravel(order="K"), minlength=number + 1)
    sizes[0] = 0
    smaller = sizes < sizes.max()
    smaller[0] = False
    result = labels.copy()
    result[inside][smaller[components]] = 0
    return result


def lesions(probability: npt.NDArray[np.float32], spec: CandidateSpec, voxel_ml: float) -> npt.NDArray[np.bool_]:
    """Where ``probability`` ``(X, Y, Z)`` is at least ``decision``, without what is too small to be a lesion.

    Components over faces are kept with more than ``smallest_lesion_voxels``, and nothing if these have less than
    ``smallest_total_ml`` in all (Valverde et al., NeuroImage 2017; nicMSlesions).
    """
    import cc3d

    found = probability >= spec.decision
    components, number = cc3d.connected_components(found, connectivity=6, return_N=True)
    sizes = np.bincount(components.ravel(order="K"), minlength=number + 1)
    large = sizes > spec.smallest_lesion_voxels
    large[0] = False
    if sizes[large].sum() * voxel_ml < spec.smallest_total_ml:
        large[:] = False
    kept: npt.NDArray[np.bool_] = large[components]
    return kept
