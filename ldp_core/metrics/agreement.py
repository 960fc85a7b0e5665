"""Whether a detector and a measured circle of confusion call the same pixels in focus.

A detector sees one picture, the estimate both views; neither is the truth. In focus means a circle of
confusion of at most tau, blurred from twice tau on; between, and where the measurement is not trusted,
nothing is compared. The labels are those the detector is trained with, where tau is 1 px of its input
(`network_tau_px`); the least confidence is our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import BlurMapError, MetricError
from ldp_core.metrics.detection import check_detection, count
from ldp_core.metrics.ranking import rank_pixels
from ldp_core.types import BlurMap, BlurMapKind, Region

TAU_PX: Final = 1.0
FINEST_PX: Final = 1280
"""Shorter side of a picture at the finest scale that the depth-distilled detector sees, by default."""
LEAST_CONFIDENCE: Final = 0.5
_FULL = Region()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two maps agree over what was compared; values in 0..1.

    `auroc` is the chance that a pixel measured sharp has the higher probability than one measured
    blurred, .5 = blind; `iou` is of the in-focus areas; `balanced` the mean of both classes' shares
    called alike; `disagreeing` the share of pixels called differently. `auroc` and `balanced` are nan
    where one class is not there. `compared` is the share of the region that took part.
    """

    auroc: float
    iou: float
    balanced: float
    disagreeing: float
    compared: float


def network_tau_px(height: int, width: int) -> float:
    """1 px of the detector's finest input in pixels of a picture (height, width); at least 1."""
    return TAU_PX * max(1.0, min(height, width) / FINEST_PX)


def measure_agreement(
    in_focus: BlurMap,
    measured: BlurMap,
    *,
    tau_px: float,
    least_confidence: float = LEAST_CONFIDENCE,
    region: Region = _FULL,
) -> Agreement:
    """Compare an in-focus probability with a signed circle of confusion of the same picture, (h, w) each.

    Args:
        tau_px: largest diameter that is in focus, in pixels of the maps.
        least_confidence: of the measurement, 0..1; not asked of a map without confidence.

    Raises:
        BlurMapError: one of the maps is of another kind.
        MetricError: sizes differ, a value is not finite or no probability, or nothing can be compared.
    """
    found = agree_where_known(
        in_focus, measured, tau_px=tau_px, least_confidence=least_confidence, region=region
    )
    if found is None:
        raise MetricError(
            "there is nothing to compare the detection with",
            expected=f"a circle of confusion up to {tau_px:g} or from {2 * tau_px:g} px, known well enough",
            got="no such pixel",
            remedy="lower least_confidence",
        )
    return found


def agree_where_known(
    in_focus: BlurMap,
    measured: BlurMap,
    *,
    tau_px: float,
    least_confidence: float = LEAST_CONFIDENCE,
    region: Region = _FULL,
) -> Agreement | None:
    """As `measure_agreement`, or None where nothing can be compared."""
    _require_kind(in_focus, BlurMapKind.IN_FOCUS_PROBABILITY)
    probability = in_focus.values[region.slices]
    amount = np.abs(measured.signed_coc_px())[region.slices]
    sharp = amount <= tau_px
    check_detection(probability, sharp)
    if not np.isfinite(amount).all():
        raise MetricError("the measured map holds values that are not finite", got="nan or inf")
    known = sharp | (amount >= 2 * tau_px)
    if measured.confidence is not None:
        known &= measured.confidence[region.slices] >= least_confidence
    return _compare(probability[known], sharp[known], compared=float(known.mean())) if known.any() else None


def _compare(probability: NDArray[np.float32], sharp: NDArray[np.bool_], *, compared: float) -> Agreement:
    found = probability >= 0.5
    alike = found == sharp
    both = bool(sharp.any()) and not sharp.all()
    return Agreement(
        auroc=rank_pixels(probability, sharp).auroc,
        iou=count(found, sharp).iou,
        balanced=float((alike[sharp].mean() + alike[~sharp].mean()) / 2) if both else float("nan"),
        disagreeing=float(1 - alike.mean()),
        compared=compared,
    )


def _require_kind(blur_map: BlurMap, kind: BlurMapKind) -> None:
    if blur_map.kind is not kind:
        raise BlurMapError(
            "this blur map holds no probability of being in focus",
            expected=kind.value,
            got=blur_map.kind.value,
            remedy="use a detector, such as 'depth-distilled'",
        )
