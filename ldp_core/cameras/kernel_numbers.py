"""A kernel in a few numbers, by place: what a network is told of the camera.

All are moments of both views' point spread functions, so that every form of kernel, measured ones too, is
told alike. They are 0 for the half disc of the generic profile. The choice of moments and their scales is
our own.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import torch
from torch import Tensor

from ldp_core.cameras.profile import Camera
from ldp_core.optics.kernels import DEFAULT_KERNEL, UnitPsf, unit_psf

__all__ = [
    "NUMBERS",
    "describe_kernel",
    "kernel_planes",
    "mirror_kernel_planes",
    "number_grid",
    "spread_numbers",
]

# How far lenses of the broad mix and of phones stray from the half disc: numbers then are about 1 at most.
_SCALES: Final = {
    "disparity": 0.1,
    "disparity_y": 0.05,
    "overlap": 0.15,
    "width_x": 0.1,
    "width_y": 0.1,
    "slant": 0.05,
    "difference_x": 0.1,
    "skew_x": 0.05,
    "skew_y": 0.05,
    "ring": 0.3,
}
NUMBERS: Final = ("known", *_SCALES)
"""Planes by name; `known` is 1 where a profile says what the kernel is, 0 where nothing is known."""
_ODD_ACROSS: Final = ("disparity_y", "slant", "difference_x", "skew_x")
_ODD_DOWN: Final = ("disparity_y", "slant", "skew_y")
# Places along each side at which kernels are described, as for the disparity per circle of confusion.
_NODES: Final = 9


def describe_kernel(psf: UnitPsf) -> Tensor:
    """Numbers (11,) float32 of a kernel, as `NUMBERS` names them; `known` is 1.

    `disparity` and `disparity_y` are the right centroid less the left one; `overlap` is the light that both
    views share; `width_x`, `width_y`, `slant` are root and mixed second moments of both together;
    `difference_x` is the right width less the left one; `skew_x`, `skew_y` are third moments; `ring` is
    the fourth moment over the squared second one, which is small where light lies at the rim. Lengths are in
    radii; each number is a difference from the half disc, over a scale of its own.
    """
    scales = torch.tensor([*_SCALES.values()], dtype=torch.float64)
    return torch.cat([torch.ones(1), ((_moments(psf) - _generic_moments()) / scales).float()])


def kernel_planes(camera: Camera | None, height: int, width: int) -> Tensor:
    """Numbers (11, h, w) float32 at every pixel of a picture; zeros where no camera is known.

    Raises:
        SettingsError: the picture is larger than the frame of the camera.
    """
    return spread_numbers(number_grid(camera, height, width), height, width)


def number_grid(camera: Camera | None, height: int, width: int, *, nodes: int = _NODES) -> Tensor:
    """Numbers (11, n, n) at places from edge to edge of a picture; (11, 1, 1) where the kernel is one.

    Raises:
        SettingsError: the picture is larger than the frame of the camera.
    """
    if camera is None:
        return torch.zeros(len(NUMBERS), 1, 1)
    frame = camera.profile.frame
    if frame is None or camera.uniform_kernel is not None:
        return describe_kernel(camera.kernel_at(0, 0))[:, None, None]
    x, y = (torch.linspace(float(a[0]), float(a[-1]), nodes).tolist() for a in frame.places(height, width))
    rows = [torch.stack([describe_kernel(camera.kernel_at(u, v)) for u in x], 1) for v in y]
    return torch.stack(rows, 1)


def spread_numbers(grid: Tensor, height: int, width: int) -> Tensor:
    """Numbers (11, h, w) at every pixel, linear between those of a grid (11, n, n)."""
    if grid.shape[-1] == 1:
        return grid.expand(-1, height, width)
    return torch.nn.functional.interpolate(grid[None], (height, width), mode="bilinear", align_corners=True)[
        0
    ]


def mirror_kernel_planes(planes: Tensor, *, across: bool, down: bool) -> Tensor:
    """Numbers (11, h, w) of a picture that was turned over; across, the views have changed places."""
    for turned, dim, odd in ((across, -1, _ODD_ACROSS), (down, -2, _ODD_DOWN)):
        if turned:
            signs = torch.tensor([-1.0 if name in odd else 1.0 for name in NUMBERS])
            planes = planes.flip(dim) * signs[:, None, None]
    return planes


@cache
def _generic_moments() -> Tensor:
    return _moments(unit_psf(DEFAULT_KERNEL))


def _moments(psf: UnitPsf) -> Tensor:
    """(10,) float64 in the order of `NUMBERS`, `known` left out."""
    left, right = psf.values
    both = psf.values.mean(0)
    x, y = psf.x - both.sum(0) @ psf.x, psf.y - both.sum(1) @ psf.y
    across, down = both.sum(0), both.sum(1)
    width_x, width_y = (light @ axis**2 for light, axis in ((across, x), (down, y)))
    views_x = [_deviation(view.sum(0), psf.x) for view in (left, right)]
    squared = x[None, :] ** 2 + y[:, None] ** 2
    return torch.stack(
        [
            (right - left).sum(0) @ psf.x / 2,
            (right - left).sum(1) @ psf.y / 2,
            torch.minimum(left, right).sum(),
            width_x.sqrt(),
            width_y.sqrt(),
            y @ both @ x,
            views_x[1] - views_x[0],
            across @ x**3,
            down @ y**3,
            (both * squared**2).sum() / (both * squared).sum() ** 2,
        ]
    )


def _deviation(light: Tensor, axis: Tensor) -> Tensor:
    return (light @ (axis - light @ axis) ** 2).sqrt()
