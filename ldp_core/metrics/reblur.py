"""A quality figure without a reference: blur the restored picture again and look at the views.

If a restoration and a signed blur map are both right, blurring the one with the other gives back what
the camera saw. The figure says how well they explain the views together, under the kernel they are
blurred with. It is no proof of sharpness: where the map says "in focus" nothing is asked of the
restoration. The unrestored input, blurred again, is the trivial reference to stay above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ldp_core.cameras import Camera
from ldp_core.cameras.tiles import render_by_place
from ldp_core.errors import MetricError
from ldp_core.metrics.fidelity import psnr_db, to_unit
from ldp_core.optics.kernels import DEFAULT_KERNEL, KernelSpec
from ldp_core.optics.render import render_views
from ldp_core.types import BlurMap, FloatMap, Pair, Pixels

# The fastest of 128 to 384 at a circle of confusion of 12 px; 256 is within 10 % from 5 to 40 px.
TILE_PX: Final = 256


def reblur_psnr_db(
    pictures: Mapping[str, Pixels],
    pair: Pair,
    *,
    blur_map: BlurMap,
    kernel: KernelSpec = DEFAULT_KERNEL,
    camera: Camera | None = None,
) -> dict[str, float]:
    """PSNR in dB, peak 1, of both reblurred views against the views of the pair, in its score region.

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
    views = np.concatenate(pair.both_views, axis=2)
    blurred = _blur(list(pictures.values()), coc_px, kernel, camera)
    return {
        name: psnr_db(picture, views, region=pair.score_region)
        for name, picture in zip(pictures, blurred, strict=True)
    }


def _blur(
    pictures: list[Pixels], coc_px: FloatMap, kernel: KernelSpec, camera: Camera | None = None
) -> list[FloatMap]:
    """Left and right view of each picture, ``(h, w, 2c)`` float32 in 0..1.

    As channels of one picture they share the coverage of the slices and the kernels.
    """
    light = np.concatenate([to_unit(picture).astype(np.float32) for picture in pictures], axis=2)
    sharp = torch.from_numpy(light).permute(2, 0, 1)
    with torch.inference_mode():
        left, right = _render(sharp, torch.from_numpy(np.ascontiguousarray(coc_px)), kernel, camera)
    channels = pictures[0].shape[2]
    spans = [slice(first, first + channels) for first in range(0, len(left), channels)]
    return [torch.cat([left[span], right[span]]).clamp(0, 1).permute(1, 2, 0).numpy() for span in spans]


def _render(
    sharp: Tensor, coc_px: Tensor, kernel: KernelSpec, camera: Camera | None
) -> tuple[Tensor, Tensor]:
    if camera is not None and camera.uniform_kernel is None:
        return render_by_place(sharp, coc_px, camera)
    uniform = kernel if camera is None else camera.uniform_kernel or kernel
    left, right = render_views(sharp[None], coc_px[None], uniform, tile_px=TILE_PX)
    return left[0], right[0]
