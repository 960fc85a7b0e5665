"""A quality figure without a reference: blur the restored picture again and look at the views.

If a restoration and a signed blur map are both right, blurring the one with the other gives back what
the camera saw. The figure says how well they explain the views together, under the kernel they are
blurred with. It is no proof of sharpness: where the map says "in focus" nothing is asked of the
restoration. The unrestored input, blurred again, is the trivial reference to stay above.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ldp_core.cameras import Camera
from ldp_core.cameras.tiles import render_by_place
from ldp_core.errors import MetricError
from ldp_core.metrics.fidelity import psnr_db, to_unit
from ldp_core.optics.kernels import DEFAULT_KERNEL, KernelSpec, kernel_size
from ldp_core.optics.render import render_views
from ldp_core.types import BlurMap, FloatMap, Pair, Pixels, Region

BAND_PIXELS = 2_000_000
"""Pixels blurred at once: it bounds memory on large pictures."""


def reblur_psnr_db(
    restored: Pixels,
    pair: Pair,
    *,
    blur_map: BlurMap,
    kernel: KernelSpec = DEFAULT_KERNEL,
    camera: Camera | None = None,
) -> float:
    """PSNR in dB, peak 1, of both reblurred views against the views of the pair, in its score region.

    Args:
        restored: ``(h, w, c)``, all in focus, as large as the views.
        blur_map: a signed circle of confusion in px, ``(h, w)``.
        camera: its kernels, by place in the frame, stand in for ``kernel``.

    Raises:
        BlurMapError: the map holds no signed circle of confusion.
        SecondViewMissingError: the pair has one view only.
        MetricError: shapes differ, or the map is not finite.
        SettingsError: the picture does not fit into the frame of the camera.
    """
    coc_px = blur_map.signed_coc_px()
    if coc_px.shape != restored.shape[:2] or not np.isfinite(coc_px).all():
        raise MetricError(
            "the picture cannot be blurred with this map",
            where=pair.id,
            expected=f"finite values, shape {restored.shape[:2]}",
            got=f"shape {coc_px.shape}",
            remedy="estimate the map at the size of the views",
        )
    views = np.concatenate(pair.both_views, axis=2)
    if camera is None or camera.uniform_kernel is not None:
        kernel = kernel if camera is None else camera.uniform_kernel or kernel
        return psnr_db(_blur(restored, coc_px, kernel), views, region=pair.score_region)
    return psnr_db(_blur_by_place(restored, coc_px, camera), views, region=pair.score_region)


def _blur(sharp: Pixels, coc_px: FloatMap, kernel: KernelSpec) -> FloatMap:
    """Left and right view of a picture, ``(h, w, 2c)`` float32 in 0..1."""
    halo = kernel_size(kernel, float(np.abs(coc_px).max()))
    height, width = coc_px.shape
    views = [
        _blur_band(sharp[band.top : band.bottom], coc_px[band.top : band.bottom], kernel)[inner]
        for band, inner in _bands(height, rows=max(1, BAND_PIXELS // width), halo=halo)
    ]
    return np.concatenate(views)


def _bands(height: int, *, rows: int, halo: int) -> Iterator[tuple[Region, slice]]:
    """Bands of rows that overlap by ``halo`` on either side, and which of their rows to keep."""
    for top in range(0, height, rows):
        first = max(top - halo, 0)
        band = Region(top=first, bottom=min(top + rows + halo, height))
        yield band, slice(top - first, min(top + rows, height) - first)


def _blur_by_place(sharp: Pixels, coc_px: FloatMap, camera: Camera) -> FloatMap:
    coc = torch.from_numpy(np.ascontiguousarray(coc_px))
    with torch.inference_mode():
        views = render_by_place(_to_planes(sharp), coc, camera)
    return torch.cat(views).permute(1, 2, 0).clamp(0, 1).numpy()


def _to_planes(sharp: Pixels) -> torch.Tensor:
    return torch.from_numpy(to_unit(sharp).astype(np.float32)).permute(2, 0, 1)


def _blur_band(sharp: Pixels, coc_px: FloatMap, kernel: KernelSpec) -> NDArray[np.float32]:
    light = _to_planes(sharp)
    with torch.inference_mode():
        views = render_views(light[None], torch.from_numpy(np.ascontiguousarray(coc_px))[None], kernel)
    return torch.cat(views, 1)[0].permute(1, 2, 0).clamp(0, 1).numpy()
