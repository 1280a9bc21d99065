"""The image that a label file of a BIDS dataset belongs to, found from their names.

Strict BIDS names of labels do not hold the contrast, so entities, space and folder have to tell. Phase, real and
imaginary images (``part-``) are no choice where there is a magnitude: nobody draws on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autoseg.io.bids import NOT_MAGNITUDE, BidsFile, has_contrast

NATIVE_SPACES = frozenset({"", "orig", "native", "individual", "anat", "scanner"})
_TRANSFORM = "xfm"  # a suffix of NIfTI files that are no images


def image_of_label(label: BidsFile, images: Sequence[BidsFile], preferred: Sequence[str] = ()) -> BidsFile | str:
    """The image (among those of its subject) that a label belongs to, or a sentence saying why there is none.

    The image with the longest stem that starts the label's stem. Failing that, of the images with the label's
    entities (and contrast, if its name has one) and in its space (``space-`` may name a contrast), the only one that
    these leave in turn, each where it leaves any: the folder of the label (``anat``), the first of the ``preferred``
    contrasts (as ``has_contrast`` takes them), no phase, exactly the label's entities.
    """
    starts = [image for image in images if label.stem.startswith(f"{image.stem}_")]
    if starts and _native(label, starts):
        return max(starts, key=lambda image: len(image.stem))
    fitting = [
        image
        for image in images
        if label.entities <= image.entities
        and label.contrast in ("", image.contrast)
        and label.subject == image.subject
        and image.contrast != _TRANSFORM
    ]
    if not fitting:
        return "no image has its subject, session, entities and contrast; rename the label or restore the image."
    placed = _in_space(label, fitting)
    if not placed:
        return f"it lies in the space {label.space}, in which there is no image; name it in a recipe if it does not."
    first = next((one for one in preferred if any(has_contrast(image, one) for image in placed)), "")
    rules: tuple[Callable[[BidsFile], bool], ...] = (
        lambda image: image.folder == label.folder,
        lambda image: has_contrast(image, first),
        lambda image: not image.entities & NOT_MAGNITUDE,
        lambda image: image.entities == label.entities,
    )
    for rule in rules:
        placed = [image for image in placed if rule(image)] or placed
    return placed[0] if len(placed) == 1 else _several(placed)


def _native(label: BidsFile, images: Sequence[BidsFile]) -> bool:
    """Whether a label that is called as its image, with a space, was left in the space of the image."""
    return label.space in NATIVE_SPACES or any(label.space in (image.contrast, image.space) for image in images)


def _in_space(label: BidsFile, images: Sequence[BidsFile]) -> list[BidsFile]:
    """The images in the label's space: of this name, else of this contrast, else the subject's own."""
    same = [image for image in images if image.space == label.space]
    if same:
        return same
    named = [image for image in images if image.contrast == label.space]
    if named:
        return [image for image in named if image.space in NATIVE_SPACES] or named
    if label.space not in NATIVE_SPACES:
        return []
    return [image for image in images if image.space in NATIVE_SPACES] or ([] if label.space else list(images))


def _several(images: Sequence[BidsFile]) -> str:
    listed = ", ".join(image.stem for image in images[:4])
    example = images[0].contrast
    if len({image.contrast for image in images}) < len(images):  # other entities tell the first from the others
        shared = set.intersection(*(set(image.image_stem.split("_")) for image in images))
        tokens = images[0].image_stem.split("_")[:-1]
        example = "_".join([*(token for token in tokens if token not in shared), example])
    return (
        f"it may belong to several images ({listed}); "
        f"say which with --contrasts (such as {example}) or in its name (space-)."
    )
