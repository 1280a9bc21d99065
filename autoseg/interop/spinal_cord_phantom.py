"""A synthetic neck: cord with white and grey matter, spinal fluid, vertebrae, discs, muscle and air.

Shapes are functions of position in millimetres, so that any grid can be filled: x to the right and y to
the front of the cord centre, z along the cord. Sizes follow the adult cervical cord (about 13 x 8 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WHITE_MATTER, GREY_MATTER = 1, 2

_Array = npt.NDArray[np.float64]
_SUPERSAMPLING = 3  # in the plane, for partial volume

# Grey matter as capsules (x0, y0, x1, y1, radius) in half widths of the cord, for x >= 0:
# ventral horn, dorsal horn, commissure.
_HORNS = ((0.20, 0.10, 0.34, 0.42, 0.17), (0.20, 0.05, 0.40, -0.66, 0.085), (0.0, 0.02, 0.24, 0.06, 0.085))


@dataclass(frozen=True)
class Anatomy:
    """One subject; lengths in millimetres. The centre line is a bow plus a wave along z."""

    half_width_mm: float
    half_depth_mm: float
    canal_mm: float
    bow_mm: float
    wave_mm: float
    shift_mm: tuple[float, float]
    turn_radians: float
    disc_phase: float


@dataclass(frozen=True)
class Contrast:
    """Mean intensity of each tissue, relative to muscle = 1."""

    air: float
    fat: float
    muscle: float
    bone: float
    disc: float
    fluid: float
    white: float
    grey: float


T2W = Contrast(air=0.05, fat=2.2, muscle=1.0, bone=0.55, disc=1.5, fluid=3.2, white=1.35, grey=1.85)
T2STAR = Contrast(air=0.05, fat=1.1, muscle=1.0, bone=0.35, disc=1.0, fluid=2.3, white=1.2, grey=1.75)


def draw_anatomy(generator: np.random.Generator) -> Anatomy:
    """A random subject."""
    return Anatomy(
        half_width_mm=generator.uniform(6.0, 7.2),
        half_depth_mm=generator.uniform(3.8, 4.7),
        canal_mm=generator.uniform(2.2, 3.4),
        bow_mm=generator.uniform(-4.0, 4.0),
        wave_mm=generator.uniform(0.5, 1.5),
        shift_mm=(generator.uniform(-4, 4), generator.uniform(-3, 5)),
        turn_radians=generator.uniform(-0.12, 0.12),
        disc_phase=generator.uniform(0, 1),
    )


def render(
    anatomy: Anatomy,
    contrast: Contrast,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    generator: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Noise-free image ``(X, Y, Z)`` (RAS) and labels (white matter 1, grey matter 2) on one grid.

    The grid is centred on the neck. A voxel gets the label of the tissue that fills more than half of it.
    """
    image = np.empty(shape, dtype=np.float32)
    labels = np.zeros(shape, dtype=np.uint8)
    texture = _texture(shape, spacing_mm, generator)
    for k in range(shape[2]):
        z_mm = (k - (shape[2] - 1) / 2) * spacing_mm[2]
        x_mm, y_mm = (_fine_positions(shape[axis], spacing_mm[axis]) for axis in (0, 1))
        tissue, cord, grey = _slice(anatomy, contrast, *np.meshgrid(x_mm, y_mm, indexing="ij"), z_mm)
        outside = _pooled(np.where(cord | grey, np.nan, tissue))
        image[..., k] = np.nan_to_num(_pooled(tissue))
        textured = np.isfinite(outside) & (outside > 2 * contrast.air)
        image[..., k] *= np.where(textured, 1 + 0.10 * texture[..., k], 1 + 0.03 * texture[..., k])
        cord_share, grey_share = _pooled(cord.astype(np.float64)), _pooled(grey.astype(np.float64))
        labels[..., k] = np.where(grey_share > 0.5, GREY_MATTER, np.where(cord_share > 0.5, WHITE_MATTER, 0))
    return image, labels


def degrade(
    image: npt.NDArray[np.float32], noise: float, bias: float, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Multiply by a smooth bias field (up to ``1 +- bias``) and make the noise Rician with sigma ``noise``."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in image.shape), indexing="ij", sparse=True)
    field = sum(generator.uniform(-1, 1) * axis + generator.uniform(-1, 1) * (axis**2 - 1 / 3) for axis in axes)
    field = 1 + bias * np.asarray(field) / max(float(np.abs(field).max()), 1e-6)
    real = image * field + generator.normal(0, noise, image.shape)
    imaginary = generator.normal(0, noise, image.shape)
    return np.hypot(real, imaginary).astype(np.float32)


def _slice(
    anatomy: Anatomy, contrast: Contrast, x_mm: _Array, y_mm: _Array, z_mm: float
) -> tuple[_Array, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Intensity, cord and grey matter at the fine positions of one axial slice."""
    along = z_mm / 30.0
    centre_x = anatomy.shift_mm[0] + anatomy.wave_mm * np.sin(2.1 * along + anatomy.disc_phase)
    centre_y = anatomy.shift_mm[1] + anatomy.bow_mm * along**2 + anatomy.wave_mm * np.cos(1.7 * along)
    cosine, sine = np.cos(anatomy.turn_radians), np.sin(anatomy.turn_radians)
    right = cosine * (x_mm - centre_x) + sine * (y_mm - centre_y)
    front = -sine * (x_mm - centre_x) + cosine * (y_mm - centre_y)
    bulge = 1 + 0.08 * np.cos(2.0 * along)  # the cervical enlargement
    a, b = anatomy.half_width_mm * bulge, anatomy.half_depth_mm
    u, v = right / a, front / b
    fissure = (np.abs(u) < 0.05) & (v > 0.55)
    cord = (np.abs(u) ** 2.2 + np.abs(v) ** 2.2 < 1) & ~fissure
    grey = np.zeros_like(cord)
    for x0, y0, x1, y1, radius in _HORNS:
        grey |= _capsule(np.abs(u), v, x0, y0, x1, y1) < radius
    grey &= cord
    canal = (right / (a + anatomy.canal_mm)) ** 2 + ((front + 0.5) / (b + anatomy.canal_mm)) ** 2 < 1
    tissue = _surroundings(
        contrast, right, front, x_mm, y_mm, (z_mm / 16 + anatomy.disc_phase) % 1, b + anatomy.canal_mm
    )
    tissue[canal] = contrast.fluid
    roots = (np.abs(np.abs(u) - 1.12) < 0.07) & (np.abs(np.abs(v) - 0.35) < 0.12) & canal
    tissue[roots] = contrast.white
    tissue[cord] = contrast.white
    tissue[grey] = contrast.grey
    return tissue, cord, grey


def _surroundings(
    contrast: Contrast, right: _Array, front: _Array, x_mm: _Array, y_mm: _Array, phase: float, canal_mm: float
) -> _Array:
    """Muscle within the skin, a vertebral body or disc in front of the canal, arch and spinous process behind."""
    tissue = np.full(right.shape, contrast.air)
    neck = (x_mm / 31) ** 2 + (y_mm / 29) ** 2
    tissue[neck < 1] = contrast.fat
    tissue[neck < 0.86] = contrast.muscle
    fascia = np.abs(np.abs(right) - 3.0 - 0.25 * np.abs(front)) < 0.6
    tissue[fascia & (front < -canal_mm - 2) & (neck < 0.86)] = contrast.fat
    airway = ((front - canal_mm - 19) / 4.5) ** 2 + (right / 6.5) ** 2 < 1
    body = (right / 11.5) ** 2 + ((front - canal_mm - 6.5) / 6.5) ** 2 < 1
    tissue[airway] = contrast.air
    tissue[body] = contrast.disc if phase < 0.25 else contrast.bone
    arch = (right / 13.5) ** 2 + ((front + 0.5) / (canal_mm + 3.5)) ** 2 < 1
    process = (np.abs(right) < 2.2) & (front < -canal_mm) & (front > -canal_mm - 13)
    if phase > 0.35:
        tissue[(arch | process) & (front < 2) & (neck < 0.86)] = contrast.bone
    return tissue


def _capsule(u: _Array, v: _Array, x0: float, y0: float, x1: float, y1: float) -> _Array:
    """Distance to the segment from (x0, y0) to (x1, y1)."""
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    share = np.clip(((u - x0) * (x1 - x0) + (v - y0) * (y1 - y0)) / length, 0, 1)
    distance: _Array = np.hypot(u - x0 - share * (x1 - x0), v - y0 - share * (y1 - y0))
    return distance


def _fine_positions(size: int, spacing_mm: float) -> _Array:
    fine = np.arange(size * _SUPERSAMPLING, dtype=np.float64)
    return ((fine + 0.5) / _SUPERSAMPLING - size / 2) * spacing_mm


def _pooled(fine: _Array) -> _Array:
    """Mean over each in-plane voxel."""
    n = _SUPERSAMPLING
    pooled: _Array = fine.reshape(fine.shape[0] // n, n, fine.shape[1] // n, n).mean(axis=(1, 3))
    return pooled


def _texture(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], generator: np.random.Generator
) -> _Array:
    """Smooth noise with unit variance and a grain of about 2 mm."""
    from scipy.ndimage import gaussian_filter

    smooth: _Array = gaussian_filter(generator.normal(size=shape), [2.0 / side for side in spacing_mm])
    return smooth / max(float(smooth.std()), 1e-6)
