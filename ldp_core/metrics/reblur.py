"""A quality figure without a reference: blur the restored picture again and look at the views.

If a restoration and a signed blur map are both right, blurring the one with the other gives back what
the camera saw. The figure says how well they explain the views together, under the kernel they are
blurred with. It is no proof of sharpness: where the map says "in focus" nothing is asked of the
restoration. The unrestored input, blurred again, is the trivial reference to stay above.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldp_core.cameras import Camera
from ldp_core.cameras.tiles import render_by_place
from ldp_core.errors import MetricError
from ldp_core.metrics.fidelity import psnr_of_mse, to_unit
from ldp_core.optics.kernels import DEFAULT_KERNEL, Kernel, KernelSpec
from ldp_core.optics.render import composite_tiles, cut_slices
from ldp_core.optics.sensor import Transfer, decode_light, encode_light
from ldp_core.types import BlurMap, FloatMap, Pair, Pixels

# The fastest of 128 to 384 at a circle of confusion of 12 px; 256 is within 10 % from 5 to 40 px.
TILE_PX: Final = 256
# 58 dB from 64 slices.
SLICES: Final = 12
_ENCODING: Final = Transfer.GAMMA_22
_Part = tuple[slice, slice, Tensor]
"""Rows, columns and what is blurred there: (2, n * c, rows, columns) encoded 0..1 of n pictures."""


def reblur_psnr_db(
    pictures: Mapping[str, Pixels],
    pair: Pair,
    *,
    blur_map: BlurMap,
    kernel: KernelSpec = DEFAULT_KERNEL,
    camera: Camera | None = None,
) -> dict[str, float]:
    """PSNR in dB, peak 1, of both reblurred views against the views of the pair, where it is scored.

    Args:
        pictures: by name, each ``(h, w, c)``, all in focus, as large as the views.
        blur_map: a signed circle of confusion in px, ``(h, w)``.
        camera: its kernels, by place in the frame, stand in for ``kernel``.

    Raises:
        BlurMapError: the map holds no signed circle of confusion.
        SecondViewMissingError: the pair has one view only.
        MetricError: shapes differ, or the map is not finite.
        SettingsError: the picture does not fit into the frame of the camera.
    """
    coc_px, shape = blur_map.signed_coc_px(), pair.left.shape
    wrong = [picture.shape for picture in pictures.values() if picture.shape != shape]
    if wrong or coc_px.shape != shape[:2] or not np.isfinite(coc_px).all():
        raise MetricError(
            "the picture cannot be blurred with this map",
            where=pair.id,
            expected=f"pictures of shape {shape}, a map of finite values of shape {shape[:2]}",
            got=f"pictures of {wrong or [shape]}, a map of {coc_px.shape}",
            remedy="estimate the map at the size of the views",
        )
    if camera is not None and camera.uniform_kernel is None:
        parts = _blur_by_place(list(pictures.values()), coc_px, camera)
    else:
        uniform = kernel if camera is None else camera.uniform_kernel or kernel
        parts = _blur_in_tiles(list(pictures.values()), coc_px, uniform)
    means = _mean_errors(parts, pair)
    return {name: psnr_of_mse(mean) for name, mean in zip(pictures, means, strict=True)}


def _blur_in_tiles(pictures: list[Pixels], coc_px: FloatMap, kernel: Kernel) -> Iterator[_Part]:
    def read(rows: slice, columns: slice) -> Tensor:
        return decode_light(_stack([picture[rows, columns] for picture in pictures]), _ENCODING)[None]

    scene = cut_slices(_to_plane(coc_px)[None], count=SLICES)
    for rows, columns, views in composite_tiles(read, scene, kernel, tile_px=TILE_PX):
        yield rows, columns, encode_light(views[0], _ENCODING)


def _blur_by_place(pictures: list[Pixels], coc_px: FloatMap, camera: Camera) -> Iterator[_Part]:
    views = render_by_place(_stack(pictures), _to_plane(coc_px), camera, slices=SLICES, transfer=_ENCODING)
    yield slice(0, coc_px.shape[0]), slice(0, coc_px.shape[1]), torch.stack(views).clamp(0, 1)


def _mean_errors(parts: Iterator[_Part], pair: Pair) -> NDArray[np.float64]:
    """Mean squared error of each picture's views where the pair is scored.

    Parts come one by one and go, so that no more than one of them is in memory.
    """
    region = np.zeros(pair.left.shape[:2], np.bool_)
    region[pair.score_region.slices] = True
    if pair.mask is not None:
        region &= pair.mask
    total: NDArray[np.float64] | float = 0.0
    with torch.inference_mode():
        for rows, columns, blurred in parts:
            inside = region[rows, columns]
            for side, view in enumerate(pair.both_views):
                seen = torch.from_numpy(to_unit(view[rows, columns])).permute(2, 0, 1)
                # Channels of all pictures, one picture after the other.
                errors = (blurred[side].reshape(-1, *seen.shape) - seen).square_()
                total = total + errors.sum(1)[:, torch.from_numpy(inside)].sum(1).numpy()
    return np.asarray(total / (2 * region.sum() * pair.left.shape[2]))


def _stack(pictures: list[Pixels]) -> Tensor:
    """Pictures as channels of one, (n * c, h, w) float32 in 0..1: they share coverages and kernels."""
    light = np.concatenate([to_unit(picture).astype(np.float32) for picture in pictures], axis=2)
    return torch.from_numpy(light).permute(2, 0, 1)


def _to_plane(coc_px: FloatMap) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(coc_px))
