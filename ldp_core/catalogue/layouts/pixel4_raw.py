"""Pixel 4 scenes as published (Xin et al., ICCV 2021): 14-bit linear sensor values in 16-bit grey PNG.

    NNN_left.png  NNN_right.png           2016 x 1512, black level 1024
    gt_all_in_focus_im/NNN_gt.png         1344 x 1008, linear over 16 bits, the centre of the views
    gt_defocus_map/NNN_gt.png             the same, unsigned, 0 = unknown
    calibration/white_sheet_{left,right}.png   and blur kernels, which are not read

Views are developed as the authors' own loader does, then gamma-encoded as everything here is: black level
off, 14 bit to 0..1, the right view times the ratio of the white sheets (mean over 101 px), the centre cut
out, exponent 1/2.2, 16 bit. The truth is brought to the exposure of the views by one factor, the least
squares of linear values. What the ratio lifts above white stays white.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, RIGHT, TARGET, ItemSpecs, pair_files
from ldp_core.errors import PairMismatchError
from ldp_core.storage import absolute_url, join
from ldp_core.types import Pixels

PIXEL4_RAW: Final = "pixel4-raw"

_VIEW = re.compile(r"([^/]+)_(left|right)\.png")
_TRUTH = re.compile(r"(gt_all_in_focus_im|gt_defocus_map)/([^/]+)_gt\.png")
_ROLES = {"left": LEFT, "right": RIGHT, "gt_all_in_focus_im": TARGET, "gt_defocus_map": BLUR_TRUTH}
_WHITE = {f"white_{side}": f"calibration/white_sheet_{side}.png" for side in ("left", "right")}
_KERNELS = tuple(f"calibration/blur_kernels_{side}.npy" for side in ("left", "right"))

# As in the authors' loader: the sensor's range, the window that evens the white sheets, the centre that the
# truths cover. The exponent is what every view here is encoded with.
_BLACK_LEVEL: Final = 1024
_WHITE_LEVEL: Final = 2**14 - 1
_RATIO_WINDOW_PX: Final = 101
_CENTRE: Final = (1008, 1344)
_GAMMA: Final = 2.2

Linear = NDArray[np.float64]


def read_pixel4_raw(source: str) -> ItemSpecs:
    """Pair the files of a folder; without both white sheets every item is refused by their names."""
    root = absolute_url(source)
    found = pair_files(root, _classify, sidecars=(*_WHITE.values(), *_KERNELS), aligned=False, views="both")
    white = {role: join(root, path) for role, path in _WHITE.items()}
    items = (replace(spec, development=PIXEL4_RAW, auxiliary=white) for spec in found.items)
    return replace(found, items=tuple(items))


def _classify(path: str) -> tuple[str, str] | None:
    if view := _VIEW.fullmatch(path):
        return view[1], _ROLES[view[2]]
    if truth := _TRUTH.fullmatch(path):
        return truth[2], _ROLES[truth[1]]
    return None


def develop_pixel4_raw(stored: Mapping[str, Pixels]) -> dict[str, Pixels]:
    """Sensor values and white sheets ``(1512, 2016, 1)`` uint16 to views ``(1008, 1344, 1)`` uint16.

    Raises:
        PairMismatchError: the sensor values are no larger than the centre to be cut out, or 8 bit.
    """
    for role, picture in stored.items():
        _require_raw(role, picture)
    ratio = _linear(stored["white_left"]) / np.maximum(_linear(stored["white_right"]), 1 / _WHITE_LEVEL)
    evened = uniform_filter(ratio, _RATIO_WINDOW_PX, mode="nearest")
    left, right = _cut(_linear(stored[LEFT])), _cut(_linear(stored[RIGHT]) * evened)
    views: dict[str, Pixels] = {LEFT: _encode(left), RIGHT: _encode(right)}
    if TARGET in stored:
        views[TARGET] = _encode(_match_exposure(stored[TARGET][..., 0] / 65535, (left + right) / 2))
    return views


def _linear(raw: Pixels) -> Linear:
    return np.maximum(raw[..., 0].astype(np.float64) - _BLACK_LEVEL, 0) / _WHITE_LEVEL


def _cut(plane: Linear) -> Linear:
    top, left = ((side - kept) // 2 for side, kept in zip(plane.shape, _CENTRE, strict=True))
    return plane[top : top + _CENTRE[0], left : left + _CENTRE[1]]


def _match_exposure(truth: Linear, views: Linear) -> Linear:
    energy = float((views * views).sum())
    if truth.shape != views.shape or not energy:
        return truth
    factor = float((truth * views).sum()) / energy
    return truth / factor if factor > 0 else truth


def _encode(linear: Linear) -> NDArray[np.uint16]:
    return np.rint(np.clip(linear, 0, 1) ** (1 / _GAMMA) * 65535).astype(np.uint16)[..., None]


def _require_raw(role: str, picture: Pixels) -> None:
    large = all(side >= kept for side, kept in zip(picture.shape, _CENTRE, strict=False))
    if picture.dtype != np.uint16 or picture.shape[2] != 1 or not large:
        raise PairMismatchError(
            f"the {role} picture holds no sensor values of a Pixel 4",
            expected=f"16-bit grey of at least {_CENTRE[1]} x {_CENTRE[0]}",
            got=f"{picture.shape} {picture.dtype}",
            remedy="take the files as published, or the layout 'pixel4' for developed ones",
        )
