"""Masked photographs in miniature, and probabilities beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldp_core.images import encode_image
from ldp_core.types import FloatMap


def random_map(*shape: int, seed: int = 0, levels: int = 0) -> FloatMap:
    """Values in 0..1, of so many levels where asked."""
    values = np.random.default_rng(seed).random(shape)
    return (np.rint(values * (levels - 1)) / (levels - 1) if levels else values).astype(np.float32)


def random_mask(*shape: int, seed: int = 0, share: float = 0.5) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < share


def write_photographs(
    folder: Path, count: int, *, masks: str = "in_focus", white: str = "focus", side: int = 24
) -> None:
    """Photographs `a00`, `a01` ...: bright on their left side, where they are in focus."""
    for name in ("image", masks):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        in_focus = np.zeros((side + number, side + 8), np.bool_)
        in_focus[:, : 4 + number] = True
        image = np.repeat(np.where(in_focus, 220, 40)[..., None], 3, axis=2).astype(np.uint8)
        mask = np.where(in_focus == (white == "focus"), 255, 0).astype(np.uint8)[..., None]
        (folder / "image" / f"a{number:02d}.png").write_bytes(encode_image(image, "png"))
        (folder / masks / f"a{number:02d}.png").write_bytes(encode_image(mask, "png"))
