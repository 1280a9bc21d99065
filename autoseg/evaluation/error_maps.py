"""Where a label map and its reference differ, and how."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autoseg.core.labels import Labels

ERRORS = {0: "right", 1: "missed", 2: "invented", 3: "wrong label"}


def error_map(
    prediction: npt.NDArray[np.integer], reference: npt.NDArray[np.integer], labels: Labels
) -> npt.NDArray[np.uint8]:
    """The keys of ``ERRORS``, for two label maps of the same shape ``(X, Y, Z)``.

    Missed: only the reference has a label there; invented: only the prediction; wrong label: both, another one.
    Values that ``labels`` does not name count as background; what is to be ignored in the reference is right.
    """
    known = labels.stored_values[1:]
    found, wanted = np.isin(prediction, known), np.isin(reference, known)
    errors = np.zeros(reference.shape, np.uint8)
    errors[wanted & ~found] = 1
    errors[found & ~wanted] = 2
    errors[found & wanted & (prediction != reference)] = 3
    if labels.ignore is not None:
        errors[reference == labels.ignore] = 0
    return errors
