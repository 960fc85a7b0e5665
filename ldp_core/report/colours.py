"""Colour scales of blur maps: diverging for signed values, sequential for values of 0..1.

A scale has 255 steps, so that zero falls on one of them; the 256th colour stands for "unknown".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.types import BlurMap, BlurMapKind, FloatMap

STEPS: Final = 255
UNKNOWN: Final = 255
UNKNOWN_COLOUR: Final = "#6b6f76"

# Blue (in front of the focal plane) - pale grey (sharp) - orange (behind); safe for colour-blind eyes.
DIVERGING: Final = (
    "#0b2545", "#134a8e", "#2a7bc4", "#7db5e0", "#f2f2ef", "#f3b573", "#dd7a22", "#a8470b", "#5c2204",
)  # fmt: skip
SEQUENTIAL: Final = ("#10131f", "#2b2f63", "#5b3a8c", "#a2458f", "#dd6468", "#f5a35c", "#fbe7a3")


def stops_of(kind: BlurMapKind) -> tuple[str, ...]:
    """The anchor colours of the scale for a kind of map, evenly spaced from low to high."""
    return DIVERGING if kind is BlurMapKind.SIGNED_COC_PX else SEQUENTIAL


@lru_cache
def palette_of(kind: BlurMapKind) -> NDArray[np.uint8]:
    """The scale as a palette ``(256, 3)`` uint8 sRGB; the last entry is the unknown colour."""
    anchors = np.array([_rgb(stop) for stop in stops_of(kind)], np.float64)
    at = np.linspace(0, len(anchors) - 1, STEPS)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    scale = np.rint(np.stack(channels, axis=1))
    return np.concatenate([scale, [_rgb(UNKNOWN_COLOUR)]]).astype(np.uint8)


def colour_at(share: float, kind: BlurMapKind) -> str:
    """The colour of the scale at 0 (low end) .. 1 (high end), as ``#rrggbb``."""
    step = round(min(max(share, 0.0), 1.0) * (STEPS - 1))
    return "#" + bytes(palette_of(kind)[step].tolist()).hex()


def index_map(blur_map: BlurMap, *, limit: float) -> NDArray[np.uint8]:
    """Palette indices ``(h, w)`` of a blur map; values beyond ``limit`` take the end colours."""
    signed = blur_map.kind is BlurMapKind.SIGNED_COC_PX
    return index_values(blur_map.values, low=-limit if signed else 0.0, high=limit)


def index_values(values: FloatMap, *, low: float, high: float) -> NDArray[np.uint8]:
    """Palette indices ``(h, w)`` of values spread from ``low`` to ``high``; not finite = unknown."""
    known = np.isfinite(values)
    scaled = (np.where(known, values, low) - low) / (high - low) * (STEPS - 1)
    steps = np.clip(np.rint(scaled), 0, STEPS - 1)
    return np.where(known, steps, UNKNOWN).astype(np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
