"""Cells as CLIP is shown them: composed of both views, scaled, cropped; whole batches at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.clip_card import CellFormat


def compose(left: Tensor, right: Tensor, layout: CellFormat) -> Tensor:
    """Cells (n, c, h, w) of both views -> the strip [left | mirrored right], or their mean."""
    if layout is CellFormat.SINGLE:
        return (left + right) / 2
    return torch.cat([left, right.flip(-1)], dim=-1)


def fit(strips: Tensor, layout: CellFormat, *, size: tuple[int, int], peak: int) -> Tensor:
    """Strips (n, c, h, w) in 0..1 -> (n, c, *input_size) in 0..1, as Pillow resizes integer pictures.

    Bicubic along x, then along y; after each, overshoot is clipped and values are rounded to `peak` levels.
    """
    height, width = input_size(layout, size=size)
    inner = (height, width) if layout is CellFormat.SQUASH else _cover(strips.shape[-2:], height, width)
    top, left = (round((n - wanted) / 2) for n, wanted in zip(inner, (height, width), strict=True))
    wide = _resize(strips, (strips.shape[-2], inner[1]), peak=peak)[..., left : left + width]
    return _resize(wide, (inner[0], width), peak=peak)[..., top : top + height, :]


def input_size(layout: CellFormat, *, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width given to a network trained at `size`."""
    return (size[0], 2 * size[0]) if layout is CellFormat.WIDE else size


def drop_repeats(formats: Sequence[CellFormat], *, size: tuple[int, int]) -> tuple[CellFormat, ...]:
    """Each format once; a network trained on whole strips sees `squash` and `wide` as it sees `mirror`."""
    whole = {CellFormat.SQUASH: CellFormat.MIRROR, CellFormat.WIDE: CellFormat.MIRROR}
    alike = whole if size[1] == 2 * size[0] else {}
    return tuple(dict.fromkeys(alike.get(layout, layout) for layout in formats))


def _resize(images: Tensor, size: tuple[int, int], *, peak: int) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images
    scaled = F.interpolate(images, size=size, mode="bicubic", antialias=True)
    return (scaled.clamp(0, 1) * peak).round() / peak


def _cover(strip: torch.Size, height: int, width: int) -> tuple[int, int]:
    """The smallest size of the strip's proportions that covers (height, width)."""
    if height * strip[1] >= width * strip[0]:
        return height, int(height * strip[1] / strip[0])
    return int(width * strip[0] / strip[1]), width
