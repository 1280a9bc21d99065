"""Networks by name: nnU-Net's and those of the published systems; ``python -m autoseg.networks`` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autoseg.core.network_spec import NetworkSpec, PublishedNetwork

if TYPE_CHECKING:
    from torch import nn


def build(name: str, *, in_channels: int, out_channels: int, dimensions: int, **parameters: Any) -> nn.Module:
    """The network ``name`` of the catalogue, freshly initialised from torch's random state.

    A forward pass maps ``(B, in_channels, *spatial)`` to logits ``(B, out_channels, *spatial)``; a voxel classifier
    to those of the centre voxel, ``(B, out_channels, 1, 1, 1)``. Where the attribute ``deep_supervision``
    exists and is set, and with the parameter ``both_outputs``, it returns a list of logits, that of the whole network
    first. Parameters not given are those of the source. BadInput: there is no such network or parameter, or
    not with these dimensions or values.
    """
    from autoseg.networks import catalogue

    return catalogue.build(name, in_channels, out_channels, dimensions, parameters)


def build_planned(spec: NetworkSpec | PublishedNetwork, in_channels: int, out_channels: int) -> nn.Module:
    """The network of a plan."""
    topology = spec.model_dump(exclude={"name", "dimensions"})
    parameters = spec.params if isinstance(spec, PublishedNetwork) else topology
    channels = {"in_channels": in_channels, "out_channels": out_channels}
    network = build(spec.name, dimensions=spec.dimensions, **channels, **parameters)
    if isinstance(spec, PublishedNetwork) and spec.batch_statistics:
        from autoseg.networks.blocks import forget_running_statistics

        forget_running_statistics(network)
    return network
