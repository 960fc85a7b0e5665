"""What decoded pixels tell against a pair. Sound pairs pass untouched.

Whether the two views were exchanged cannot be told from the views alone: exchanged views of a scene
behind the focal plane are sound views of one in front of it. Nor can a dataset: shading between the views
was looked for as a mark of the sensor, and had no constant sign over 35 real pairs. Only a signed truth that
came with the item contradicts exchanged views: their correlation with it was +.29 and more on 48 simulated
pairs, and as much below zero when exchanged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from ldp_core.axis_adapter import align_axis
from ldp_core.catalogue.likeness import SAME_SCENE, likeness, thumbnail
from ldp_core.errors import SameViewsError, SceneMismatchError, SwappedViewsError
from ldp_core.types import BlurTruthKind, FloatMap, Pair, Pixels

_WINDOW_PX: Final = 31
_TEXTURED_SHARE: Final = 0.5
_FEWEST_SAMPLES: Final = 2000
_CONTRADICTION: Final = -0.25


def check_pair(pair: Pair) -> None:
    """Refuse a pair whose pictures cannot belong together.

    Raises:
        SameViewsError: left and right are equal in every pixel.
        SceneMismatchError: a picture shows another scene than the left view.
        SwappedViewsError: the shifts between the views run against the item's signed blur truth.
    """
    if pair.right is not None and np.array_equal(pair.left, pair.right):
        raise SameViewsError(
            "left and right are the same picture",
            where=pair.id,
            remedy="find the other view; one photograph was stored twice, or it is no dual-pixel one",
        )
    left = thumbnail(pair.left)
    for name, picture in {**pair.views, **pair.external}.items():
        found = likeness(left, thumbnail(picture))
        if found is not None and found < SAME_SCENE:
            raise SceneMismatchError(
                f"'{name}' does not show the scene of 'left'",
                where=pair.id,
                expected=f"a correlation of thumbnails of at least {SAME_SCENE}",
                got=f"{found:.2f}",
                remedy="find out which file was stored under a wrong name",
            )
    _check_sign(align_axis(pair))


def _check_sign(pair: Pair) -> None:
    if pair.right is None or pair.blur_truth is None:
        return
    if pair.blur_truth_kind is not BlurTruthKind.SIGNED_COC_PX:
        return
    agreement = correlate_with_sign(pair.left, pair.right, coc_px=pair.blur_truth)
    if agreement is not None and agreement < _CONTRADICTION:
        raise SwappedViewsError(
            "the views shift against the sign of the blur truth",
            where=pair.id,
            expected="behind the focal plane (positive) content of the right view lies to +x",
            got=f"a correlation of {agreement:.2f} between shift and truth",
            remedy="exchange the left and right pictures, or correct the sign of the truth",
        )


def correlate_with_sign(left: Pixels, right: Pixels, *, coc_px: FloatMap) -> float | None:
    """Correlation, through the origin, of measured shifts with the CoC where there is texture.

    None where too little can be measured. Shifts are first-order (Lucas and Kanade, 1981), right only
    in sign and order; that is all that is asked of them.
    """
    views = [_band_pass(view.mean(axis=2)) for view in (left, right)]
    slope = np.gradient((views[0] + views[1]) / 2, axis=1)
    against = uniform_filter((views[0] - views[1]) * slope, _WINDOW_PX)
    strength = uniform_filter(slope * slope, _WINDOW_PX)
    measured = (strength > np.quantile(strength, _TEXTURED_SHARE)) & (np.abs(coc_px) >= 1)
    if measured.sum() < _FEWEST_SAMPLES:
        return None
    shift = against[measured] / strength[measured]
    truth = coc_px[measured].astype(np.float64)
    norm = float(np.sqrt((shift * shift).sum() * (truth * truth).sum()))
    return float((shift * truth).sum()) / norm if norm else None


def _band_pass(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    band: NDArray[np.float64] = gaussian_filter(plane, 1.5) - gaussian_filter(plane, 8)
    return band
