"""autoseg: from BIDS datasets with manual segmentations to a validated model, and from a model to segmentations.

The names of ``__all__`` are loaded when they are first used, so that ``import autoseg`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoseg.core.case import Image
    from autoseg.core.errors import BadInput
    from autoseg.pipeline.api import convert_bids, evaluate, export, plan, predict, report, run, select, train
    from autoseg.pipeline.predictor import Predictor, Segmentation

__version__ = "0.1.0"
__all__ = [
    "BadInput",
    "Image",
    "Predictor",
    "Segmentation",
    "convert_bids",
    "evaluate",
    "export",
    "plan",
    "predict",
    "report",
    "run",
    "select",
    "train",
]

_HOMES = {
    "BadInput": "autoseg.core.errors",
    "Image": "autoseg.core.case",
    "Predictor": "autoseg.pipeline.predictor",
    "Segmentation": "autoseg.pipeline.predictor",
    **dict.fromkeys(
        ("convert_bids", "evaluate", "export", "plan", "predict", "report", "run", "select", "train"),
        "autoseg.pipeline.api",
    ),
}

if not TYPE_CHECKING:  # which would take any name for one of the package

    def __getattr__(name: str) -> Any:
        """A name of ``__all__``, from the module that defines it."""
        if name not in _HOMES:
            raise AttributeError(f"module 'autoseg' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
