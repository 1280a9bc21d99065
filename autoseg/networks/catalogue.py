"""The one table of networks: what builds each, for how many dimensions, and where it was published.

The parameters of a network, their types and defaults are those of the function that builds it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError, validate_call
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.networks.classic_unet import classic_unet
from autoseg.networks.double_unet import double_unet
from autoseg.networks.full_volume_unet import full_volume_unet
from autoseg.networks.nopool_aspp import nopool_aspp
from autoseg.networks.paugam import paugam_small_unet, paugam_unet
from autoseg.networks.residual_encoder_unet import residual_encoder_unet
from autoseg.networks.segnet import segnet
from autoseg.networks.unet import plain_unet
from autoseg.networks.unet_plus_plus import unet_plus_plus
from autoseg.networks.voxel_classifiers import nicmslesions, valverde2017
from autoseg.networks.voxhrnet import voxhrnet
from autoseg.networks.voxresnet import voxresnet

_GIVEN = ("in_channels", "out_channels", "dimensions")


class Entry(NamedTuple):
    """``builder(in_channels, out_channels, dimensions, **parameters)`` makes the network."""

    builder: Callable[..., nn.Module]
    dimensions: tuple[int, ...]
    source: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Name -> default."""
        given = inspect.signature(self.builder).parameters
        return {name: parameter.default for name, parameter in given.items() if name not in _GIVEN}


_LI = "Li et al., Computerized Medical Imaging and Graphics 2021"
_PAUGAM = "Paugam et al., Magnetic Resonance Imaging 2019"
CATALOGUE = {
    "plain_unet": Entry(plain_unet, (2, 3), "nnU-Net: Isensee et al., Nature Methods 2021"),
    "residual_encoder_unet": Entry(residual_encoder_unet, (2, 3), "nnU-Net: Isensee et al., MICCAI 2024"),
    "paugam_small_unet": Entry(paugam_small_unet, (2, 3), _PAUGAM),
    "paugam_unet": Entry(paugam_unet, (2, 3), _PAUGAM),
    "segnet": Entry(segnet, (2, 3), f"Badrinarayanan et al., TPAMI 2017; {_PAUGAM}"),
    "nopool_aspp": Entry(nopool_aspp, (2, 3), f"Perone et al., Scientific Reports 2018; {_PAUGAM}"),
    "classic_unet": Entry(classic_unet, (2, 3), "Ronneberger et al., MICCAI 2015; Blázquez Martínez, EPFL 2021"),
    "double_unet": Entry(double_unet, (2,), "Jha et al., CBMS 2020; Blázquez Martínez, EPFL 2021"),
    "valverde2017": Entry(valverde2017, (3,), "Valverde et al., NeuroImage 2017"),
    "nicmslesions": Entry(nicmslesions, (3,), "Valverde et al., NeuroImage: Clinical 2019 (nicMSlesions)"),
    "voxhrnet": Entry(voxhrnet, (3,), _LI),
    "full_volume_unet": Entry(full_volume_unet, (3,), _LI),
    "voxresnet": Entry(voxresnet, (3,), f"Chen et al., NeuroImage 2018; {_LI}"),
    "unet_plus_plus": Entry(unet_plus_plus, (3,), f"Zhou et al., TMI 2020; {_LI}"),
}


def build(name: str, in_channels: int, out_channels: int, dimensions: int, parameters: Mapping[str, Any]) -> nn.Module:
    """See ``autoseg.networks.build``."""
    if name not in CATALOGUE:
        raise BadInput(f"network {name!r} is not in the catalogue; choose one of {', '.join(CATALOGUE)}.")
    entry = CATALOGUE[name]
    known = entry.parameters
    unknown = [given for given in parameters if given not in known]
    if unknown:
        raise BadInput(f"network {name} has no parameter {unknown[0]!r}; it has {', '.join(known)}.")
    if dimensions not in entry.dimensions:
        possible = " or ".join(map(str, entry.dimensions))
        raise BadInput(f"network {name} has no form in {dimensions} dimensions; it needs {possible}.")
    try:
        return validate_call(entry.builder)(in_channels, out_channels, dimensions, **parameters)
    except ValidationError as error:
        problems = "; ".join(f"{_path(item['loc'])}: {item['msg']}" for item in error.errors())
        raise BadInput(f"network {name} cannot be built ({problems}); correct its parameters.") from None


def _path(location: tuple[int | str, ...]) -> str:
    """``(0,)`` -> ``"in_channels"``: pydantic counts the arguments given without a name."""
    if len(location) == 1 and isinstance(location[0], int):
        return _GIVEN[location[0]]
    return ".".join(map(str, location))
