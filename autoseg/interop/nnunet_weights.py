"""nnU-Net's names of weights and ours.

nnU-Net keeps a weight under several names, its aliases: a convolution and its norm also as ``all_modules``, and
the encoder a second time within the decoder. All have to be written, and one is read. Facts:
dynamic_network_architectures, ``simple_conv_blocks.py``, ``residual.py``, ``unet_decoder.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec
from autoseg.networks import build_planned

if TYPE_CHECKING:
    import torch

_MAX_NAMED = 3
_DECODER = {"upsamplers": "transpconvs", "heads": "seg_layers", "stages": "stages"}
_UNITS = {"conv": "all_modules.0", "norm": "all_modules.1"}


def their_names(name: str, network: NetworkSpec) -> list[str]:
    """Every name that nnU-Net has for our weight ``name``, the plainest first."""
    room, *rest = name.split(".")
    if room == "decoder":
        plain = ".".join(("decoder", _DECODER[rest[0]], *rest[1:]))
    elif network.name == "plain_unet":
        plain = ".".join(("encoder", "stages", rest[0], "0", *rest[1:]))
    else:
        plain = _residual_name(int(rest[0]), int(rest[1]), rest[2:], network)
    owner, _, kind = plain.rpartition(".")
    unit, _, last = owner.rpartition(".")
    names = [plain, f"{unit}.{_UNITS[last]}.{kind}"] if last in _UNITS else [plain]
    return names + [f"decoder.{one}" for one in names] if room == "encoder" else names


def _residual_name(stage: int, place: int, rest: list[str], network: NetworkSpec) -> str:
    """Our first stage begins with the stem; their skip is a list of what there is of pooling and projection."""
    if stage == 0 and place == 0:
        return ".".join(("encoder", "stem", *rest))
    block = place - 1 if stage == 0 else place
    pooled = block == 0 and max(network.strides[stage]) > 1
    rest = ["skip", "1" if pooled else "0", *rest[1:]] if rest[0] == "projection" else rest
    return ".".join(("encoder", "stages", str(stage), "blocks", str(block), *rest))


def our_weights(
    theirs: Mapping[str, Any], network: NetworkSpec, in_channels: int, out_channels: int, source: str
) -> dict[str, torch.Tensor]:
    """float32 weights by our names from nnU-Net's state dict.

    BadInput names the weights that are missing, not of this network, of another shape, or unlike their aliases.
    """
    _require_enough(theirs, network, source)
    left, found, missing = dict(theirs), {}, []
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in build_planned(network, in_channels, out_channels).state_dict().items()
    }
    for name, shape in shapes.items():
        aliases = their_names(name, network)
        present = {alias: left.pop(alias) for alias in aliases if alias in left}
        if not present:
            missing.append(aliases[0])
            continue
        found[name] = _checked(present, shape, source)
    if missing or left:
        problems = [f"lacks {_some(missing)}"] if missing else []
        problems += [f"has {_some(list(left))} too much"] if left else []
        raise BadInput(
            f"{source}: the weights are not those of the network in plans.json (the file {' and '.join(problems)}); "
            "a trainer that changes the network cannot be imported."
        )
    return found


def their_weights(ours: Mapping[str, torch.Tensor], network: NetworkSpec) -> dict[str, torch.Tensor]:
    """nnU-Net's state dict: every alias, sharing memory with its weight."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in ours.items()}
    return {alias: tensor for name, tensor in plain.items() for alias in their_names(name, network)}


def _require_enough(theirs: Mapping[str, Any], network: NetworkSpec, source: str) -> None:
    """Refuse a network far larger than its weights before it is built: plans.json may claim anything."""
    import torch

    least, before = 0, 1
    for width, kernel, blocks in zip(
        network.features_per_stage, network.kernel_sizes, network.blocks_per_stage, strict=True
    ):
        least += (before + (blocks - 1) * width) * width * math.prod(kernel)
        before = width
    for depth, convs in enumerate(network.blocks_per_decoder_stage):
        stage = len(network.features_per_stage) - 2 - depth
        width, below = network.features_per_stage[stage : stage + 2]
        least += (convs + 1) * width * width * math.prod(network.kernel_sizes[stage])
        least += below * width * math.prod(network.strides[stage + 1])
    tensors = [one for one in theirs.values() if isinstance(one, torch.Tensor) and one.layout == torch.strided]
    stored = sum(tensor.untyped_storage().nbytes() // tensor.element_size() for tensor in tensors)
    if least > 2 * stored:  # where only a few are missing, they are named
        raise BadInput(
            f"{source}: holds {stored} numbers, and the network of plans.json has at least {least} weights; "
            "give the plans that it was trained with."
        )


def _checked(present: Mapping[str, Any], shape: tuple[int, ...], source: str) -> torch.Tensor:
    """The weight behind the aliases in ``present``."""
    import torch

    first, *others = present
    for name, tensor in present.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or not tensor.is_floating_point():
            raise BadInput(f"{source}: the weight {name} is no array of floating-point numbers; restore the file.")
        if tuple(tensor.shape) != shape:
            raise BadInput(
                f"{source}: the weight {name} has the shape {tuple(tensor.shape)} and the network of plans.json "
                f"needs {shape}; give the plans that it was trained with."
            )
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():  # repeated by its strides
            raise BadInput(f"{source}: the weight {name} holds fewer numbers than it claims; restore the file.")
    weight: torch.Tensor = present[first].to(device="cpu", dtype=torch.float32)
    if not bool(torch.isfinite(weight).all()):
        raise BadInput(f"{source}: the weight {first} is not finite; the training failed.")
    for name in others:
        # Most are the same memory; nothing has to be compared then.
        if present[name].data_ptr() != present[first].data_ptr() and not torch.equal(present[name], present[first]):
            raise BadInput(f"{source}: the weights {first} and {name} must be equal and are not; restore the file.")
    return weight.contiguous()


def _some(names: list[str]) -> str:
    listed = ", ".join(name[:80] for name in names[:_MAX_NAMED])
    return f"{listed} and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else listed
