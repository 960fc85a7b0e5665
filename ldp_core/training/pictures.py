"""Contact sheets of a run: what the network makes of pictures it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from torch import Tensor

from ldp_core.deblur.ldp_network import LdpNetwork
from ldp_core.storage import write_bytes
from ldp_core.training.validate import Trial, restore_trial

ROWS = 6
WIDTH_PX = 480


def draw_sheet(path: Path, network: LdpNetwork, trials: Sequence[Trial]) -> None:
    """Write a PNG, a row per trial: mean of the views, wiener, the network's image, the truth."""
    images = [((t.left + t.right) / 2, t.wiener, restore_trial(network, t), t.sharp) for t in trials[:ROWS]]
    write_sheet(path, [[image[0] for image in row] for row in images])


def write_sheet(path: Path, images: Sequence[Sequence[Tensor]]) -> None:
    """Write a PNG of rows of images (3, h, w) in 0..1, reduced to a width that can be looked at."""
    rows = [np.concatenate([_shrink(image) for image in row], axis=1) for row in images]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    write_bytes(str(path), encode_png(np.concatenate(padded)))


def _shrink(image: Tensor) -> NDArray[np.uint8]:
    """(3, h, w) in 0..1 to (h', w', 3) of a width that fits the sheet."""
    pixels = (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    height, width = pixels.shape[:2]
    target = min(width, WIDTH_PX)
    size = (target, round(height * target / width))
    return np.asarray(PilImage.fromarray(pixels).resize(size, PilImage.Resampling.LANCZOS))


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of (h, w, 3) uint8."""
    buffer = BytesIO()
    PilImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
