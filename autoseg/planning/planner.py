"""Fingerprint in, plan out: nnU-Net's configurations and ``full_volume``.

Axes: the fingerprint is canonical (X, Y, Z). nnU-Net works in (z, y, x) and ties are resolved by
that order, so the planner reverses the axes, applies nnU-Net's rules, and brings the coarsest axis to
the front (``transpose_forward``). Hence ``axis_order[i] = 2 - transpose_forward[i]`` is the canonical
axis of working axis ``i``, and every entry of the plan is in working axes.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import Plan
from autoseg.planning.configurations import fit_configurations
from autoseg.planning.explain import explain, recommend
from autoseg.planning.full_volume import full_volume
from autoseg.planning.input_ranges import explain_ranges, profiles_by_domain, ranges_by_domain
from autoseg.planning.mirroring import without_opposites
from autoseg.planning.planners import planner_named
from autoseg.planning.targets import summarize


def make_plan(
    fingerprint: Fingerprint, planner: str = "default", memory_gb: float | None = None, file_ending: str = ".nii.gz"
) -> Plan:
    """Decide everything about a dataset from its fingerprint.

    ``memory_gb`` is the memory for training (the planner's own reference if None); ``file_ending`` that
    of the dataset's files. Raises BadInput for an unknown planner, an empty fingerprint or too little memory.
    """
    chosen = planner_named(planner)
    if not fingerprint.cases:
        raise BadInput(f"{fingerprint.dataset}: the dataset has no training cases; add images with labels.")
    memory_gb = chosen.memory_gb if memory_gb is None else memory_gb
    if not memory_gb > 0:
        raise BadInput(f"--memory {memory_gb:g}GB: the memory must be positive; give a size such as 8GB.")
    profiles = profiles_by_domain(fingerprint)
    ranges, compared = ranges_by_domain(profiles), explain_ranges(profiles)
    del profiles  # of many cases a megabyte
    summary = summarize(fingerprint)
    fitted = fit_configurations(summary, chosen, memory_gb)
    axis_order = axis_order_of(fitted.transpose)
    configurations, decisions = dict(fitted.configurations), []
    if "3d_fullres" in configurations:
        whole, decision = full_volume(
            configurations["3d_fullres"],
            fitted.largest_shape,
            fitted.dataset_voxels,
            summary.num_labels,
            memory_gb,
            chosen.architecture,
        )
        decisions.append(decision)
        if whole is not None:
            configurations["full_volume"] = whole
    configurations, mirroring = without_opposites(configurations, list(fingerprint.labels.foreground), axis_order)
    decisions += mirroring
    recommended, recommendation = recommend(configurations, fitted.target_spacing_mm)
    return Plan(
        dataset=fingerprint.dataset,
        planner=planner,
        channels=fingerprint.channels,
        labels=fingerprint.labels,
        file_ending=file_ending,
        axis_order=axis_order,
        intensities=fingerprint.intensities,
        configurations=configurations,
        recommended=recommended,
        trained_ranges=ranges,
        decisions=(
            *explain(summary, fitted, axis_order, chosen, memory_gb),
            *decisions,
            *([compared] if compared else []),
            recommendation,
        ),
    )


def axis_order_of(transpose: Sequence[int]) -> tuple[int, int, int]:
    """The canonical axis of each working axis, from nnU-Net's ``transpose_forward`` of (z, y, x)."""
    first, second, third = (2 - axis for axis in transpose)
    return first, second, third
