"""A picture of a camera's kernels over its frame."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ldp_core.cameras.profile import Camera
from ldp_core.optics.kernels import kernel_pair

__all__ = ["draw_kernels"]

_COLUMNS: Final = 9
_ROWS: Final = 7
_COC_PX: Final = 44.0
_CELL_PX: Final = 84
_GAMMA: Final = 1 / 2.2


def draw_kernels(camera: Camera) -> NDArray[np.uint8]:
    """Kernels of one circle of confusion, behind the focal plane, at places all over the frame.

    Returns:
        (h, w, 3) uint8: the left view's kernel red, the right view's cyan, so that what both see is grey.
        Brightness is that of the light, each kernel over its own peak.
    """
    frame = camera.profile.frame
    aspect = 2 / 3 if frame is None else frame.height / frame.width
    rows = [
        np.concatenate(
            [_draw_cell(camera, x, y * aspect) for x in np.linspace(-1, 1, _COLUMNS)],
            axis=1,
        )
        for y in np.linspace(-1, 1, _ROWS)
    ]
    return np.concatenate(rows)


def _draw_cell(camera: Camera, x: float, y: float) -> NDArray[np.uint8]:
    left, right = kernel_pair(camera.kernel_at(float(x), float(y)), _COC_PX)
    light = torch.stack([left, right, right], -1)
    light = (light / light.amax()) ** _GAMMA
    cell = np.zeros((_CELL_PX, _CELL_PX, 3), np.uint8)
    side = min(light.shape[0], _CELL_PX - 1)
    cut, place = (light.shape[0] - side) // 2, (_CELL_PX - side) // 2
    inner = light[cut : cut + side, cut : cut + side]
    cell[place : place + side, place : place + side] = (255 * inner).round().to(torch.uint8).numpy()
    return cell
