"""How well a blur map follows a known one, and whether a detector agrees with a measured one.

AI(1), AI(2) and 1 - |Spearman| are the affine-invariant measures of Garg et al., ICCV 2019,
doi:10.1109/ICCV.2019.00772: the map is fitted to the truth by ``a * map + b``. They forgive a map
that is upside down (``a`` may be negative); the AUC does not. Ours: the labels of the AUC, and the
unit of an unsigned truth.

A truth is one of two kinds (``BlurTruthKind``):

* ``signed_coc_px``: every finite value counts; errors are in px. A signed map is compared with it as
  it is, an unsigned one with its absolute value. Blurred means a circle of confusion above 2 px.
* ``unsigned``: 0 is unknown and left out; its scale is unknown, so errors are fractions of its
  largest value. A signed map enters by its absolute value. No value is known to mean "in focus", so
  blurred means above the middle between the 5th and the 95th percentile of the known values.

A detector sees one picture, a measured map both views; neither is the truth. In focus means a circle of
confusion of at most tau, blurred from twice tau on; between, and where the measurement is not trusted,
nothing is compared. The labels are those the detector is trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import BlurMapError, MetricError
from ldp_core.metrics.detection import check_detection, count, rank_pixels
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, FloatMap, Mask, Region

Samples = NDArray[np.float64]

# Our own choice: a circle of confusion of a pixel is sharp, from two on blur is seen (as with TAU_PX).
OUT_OF_FOCUS_PX = 2.0
MIDDLE_OF_PERCENTILES = (5, 95)
"""The extremes themselves are often pixels interpolated across an edge.

The Pixel 4 ``defocus`` maps are unsigned. Measured against the disparity of their views, the value grows
linearly with it, about 0.03 px per grey level; all content lies behind the focal plane, hardly any near it.
"""
FIT_ROUNDS = 5
"""As published for AI(1). Where a tenth of drawn samples are outliers, it lies 4 to 7 % above the least
absolute deviation (at most 16 % in 180 draws); after 20 rounds .1 to .3 % (at most 1.2 %)."""
# As published: it bounds the weight of pixels that fit exactly.
_LEAST_RESIDUAL = 1e-3

TAU_PX: Final = 1.0
FINEST_PX: Final = 1280
"""Shorter side of a picture at the finest scale that the depth-distilled detector sees, by default."""
LEAST_CONFIDENCE: Final = 0.5
"""Of a measured map where it is compared; our own choice."""
_FULL = Region()


@dataclass(frozen=True, slots=True)
class BlurSamples:
    """A map and its truth where the truth is known, ``(n,)`` each.

    ``amount`` is the estimate without its sign, growing with blur; ``blurred`` labels the truth.
    ``unit`` says what errors are in, ``label_rule`` what ``blurred`` means.
    """

    estimate: Samples
    truth: Samples
    amount: Samples
    blurred: NDArray[np.bool_]
    unit: str
    label_rule: str

    @property
    def informative(self) -> bool:
        """Whether the truth varies at all; a constant one can rank nothing."""
        return bool(self.truth.size) and bool(np.ptp(self.truth) > 0)


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


def sample_blur(
    blur_map: BlurMap,
    truth: FloatMap,
    *,
    kind: BlurTruthKind,
    region: Region = _FULL,
    mask: Mask | None = None,
) -> BlurSamples:
    """What can be compared, and how; where a ``mask`` (h, w) is given, in its True pixels.

    Raises:
        MetricError: shapes differ, the map is not finite, or an unsigned truth holds negative values.
    """
    if blur_map.values.shape != truth.shape:
        raise MetricError(
            "the blur map does not match its truth",
            expected=str(truth.shape),
            got=str(blur_map.values.shape),
            remedy="estimate at the size of the truth",
        )
    estimate, truth = blur_map.values[region.slices], truth[region.slices]
    if not np.isfinite(estimate).all():
        raise MetricError("the blur map holds values that are not finite", got="nan or inf")
    if mask is not None:
        estimate, truth = estimate[mask[region.slices]], truth[mask[region.slices]]
    sampled = _sample_signed if kind is BlurTruthKind.SIGNED_COC_PX else _sample_unsigned
    return sampled(estimate, truth, blur_map.kind)


def ai1(estimate: Samples, truth: Samples) -> float:
    """MAE after an affine fit by 5 rounds of least squares reweighted by 1 / max(|residual|, 1e-3)."""
    weights = np.ones_like(truth)
    for _ in range(FIT_ROUNDS):
        residual = _affine_residual(estimate, truth, weights)
        weights = 1 / np.maximum(residual, _LEAST_RESIDUAL)
    return float(residual.mean())


def ai2(estimate: Samples, truth: Samples) -> float:
    """RMSE after an affine least-squares fit."""
    return float(np.sqrt(np.square(_affine_residual(estimate, truth, np.ones_like(truth))).mean()))


def one_minus_rho(estimate: Samples, truth: Samples) -> float:
    """1 - |Spearman's rank correlation|, 0..1; 1 for a constant estimate, which ranks nothing."""
    rho = spearman(estimate, truth)
    return 1.0 if np.isnan(rho) else 1 - abs(rho)


def spearman(estimate: Samples, truth: Samples) -> float:
    """Spearman's rank correlation, -1..1; nan where either is constant."""
    x, y = (_ranks(samples) for samples in (estimate, truth))
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else float("nan")


def auc(estimate: Samples, blurred: NDArray[np.bool_]) -> float:
    """Chance that a blurred sample has the larger estimate than a sharp one, ties half: 0..1, .5 = blind.

    Raises:
        MetricError: one of the two classes is empty.
    """
    n_blurred = int(blurred.sum())
    n_sharp = blurred.size - n_blurred
    if not n_blurred or not n_sharp:
        raise MetricError("the AUC needs blurred and sharp samples", got=f"{n_blurred} and {n_sharp}")
    # Sorted samples are found in sorted ones in a third of the time that ranks of all take.
    of_blurred, of_sharp = np.sort(estimate[blurred]), np.sort(estimate[~blurred])
    places = (np.searchsorted(of_sharp, of_blurred, side=side) for side in ("left", "right"))
    return float(sum(int(place.sum()) for place in places) / (2 * n_blurred * n_sharp))


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
    mask: Mask | None = None,
) -> Agreement | None:
    """As `measure_agreement`, in the True pixels of a ``mask`` (h, w) if there is one, or None where nothing
    can be compared."""
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
    if mask is not None:
        known &= mask[region.slices]
    return _compare(probability[known], sharp[known], compared=float(known.mean())) if known.any() else None


def _sample_signed(estimate: FloatMap, truth: FloatMap, kind: BlurMapKind) -> BlurSamples:
    known = np.isfinite(truth)
    signed = kind is BlurMapKind.SIGNED_COC_PX
    truth_px = truth[known].astype(np.float64)
    amount = _amount(estimate[known], kind)
    return BlurSamples(
        estimate=estimate[known].astype(np.float64) if signed else amount,
        truth=truth_px if signed else np.abs(truth_px),
        amount=amount,
        blurred=np.abs(truth_px) > OUT_OF_FOCUS_PX,
        unit="signed, px" if signed else "unsigned, px",
        label_rule=f"blurred: |coc| > {OUT_OF_FOCUS_PX:g} px",
    )


def _sample_unsigned(estimate: FloatMap, truth: FloatMap, kind: BlurMapKind) -> BlurSamples:
    if (truth < 0).any():
        raise MetricError(
            "an unsigned blur truth holds negative values",
            expected="0 = unknown, above 0 = amount of blur",
            got=f"smallest value {truth.min():g}",
            remedy=f"declare blur_truth_kind '{BlurTruthKind.SIGNED_COC_PX}' if it is signed",
        )
    known = np.isfinite(truth) & (truth > 0)
    largest = truth.max(where=known, initial=0)
    fraction = truth[known].astype(np.float64) / largest
    middle = np.percentile(fraction, MIDDLE_OF_PERCENTILES).mean() if fraction.size else 0.0
    amount = _amount(estimate[known], kind)
    return BlurSamples(
        estimate=amount,
        truth=fraction,
        amount=amount,
        blurred=fraction > middle,
        unit="unsigned, of largest truth",
        label_rule="blurred: above middle of truth",
    )


def _amount(estimate: NDArray[np.float32], kind: BlurMapKind) -> Samples:
    """Amount of blur, growing with it, from a map of any kind."""
    values = estimate.astype(np.float64)
    if kind is BlurMapKind.SIGNED_COC_PX:
        return np.abs(values)
    return 1 - values if kind is BlurMapKind.IN_FOCUS_PROBABILITY else values


def _affine_residual(estimate: Samples, truth: Samples, weights: Samples) -> Samples:
    """|a * estimate + b - truth| of the weighted least-squares fit; a = 0 for a constant estimate."""
    total = weights.sum()
    x = estimate - weights @ estimate / total
    y = truth - weights @ truth / total
    spread = (weights * x) @ x
    slope = (weights * x) @ y / spread if spread > 0 and np.ptp(estimate) > 0 else 0.0
    residual: Samples = np.abs(slope * x - y)
    return residual


def _ranks(samples: Samples) -> Samples:
    """1-based ranks; equal samples share the mean of theirs."""
    order = _sort_order(samples)
    ordered = samples[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(starts, append=len(samples))
    ranks = np.empty(len(samples))
    ranks[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return ranks


def _sort_order(samples: Samples) -> NDArray[np.int64]:
    """Indices that sort samples; of those that float32 holds, as maps do, in a third of the time."""
    short = samples.astype(np.float32) + np.float32(0)  # -0 becomes 0
    if len(samples) >= 2**32 or not np.array_equal(short, samples):
        return np.argsort(samples)
    # As unsigned integers floats are in order once negative ones are inverted and the others lie above them.
    bits = short.view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(2**31)).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(samples), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(2**32 - 1)).astype(np.int64)


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
