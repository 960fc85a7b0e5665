"""Scores of one item under protocols by name (`ldp_core.protocols`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ldp_core.errors import MetricError
from ldp_core.metrics import multiscale
from ldp_core.metrics.fidelity import (
    PSNR_CEILING_DB,
    SSIM_WINDOW,
    Picture,
    UnitPicture,
    mae,
    psnr_db,
    require_finite,
    ssim,
    to_unit,
)
from ldp_core.protocols import LPIPS, NO_REFERENCE, PROTOCOLS, NamedProtocol, ScoringOptions
from ldp_core.types import Mask, Pair, Pixels, Region, Score, ScoringProtocol

BT601: Final = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Weights of R, G and B in Y, and its offset: black is 16 and white 235 of 255."""
BT601_BLACK: Final = 16 / 255
_MASKED: Final = {"psnr_db", "ssim", "mae"}
"""Metrics that are means over pixels or windows; the others see a picture as a whole."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A picture and its target as a protocol compares them, and where."""

    picture: Picture
    target: Picture
    mask: Mask | None


def score_named(pair: Pair, pictures: Mapping[str, Pixels], options: ScoringOptions) -> Iterator[Score]:
    """The scores of pictures by subject, for every protocol that is asked for and that the item can have.

    Raises:
        MetricError: a picture does not fit the target, or a metric gives no finite value.
        SettingsError, WeightsError: what a metric needs is not installed, or absent.
    """
    for name in options.protocols:
        protocol = PROTOCOLS[name]
        if protocol.bit_depth is not None and protocol.bit_depth > pair.bit_depth:
            continue
        conditions = _conditions(pair, name, protocol)
        for subject, picture in pictures.items():
            for metric, value in _measure(pair, picture, protocol, options):
                what = f"{metric} of {subject}, protocol {name}"
                found = require_finite(value, where=pair.id, what=what)
                yield Score(pair.id, metric, subject, conditions, found)


def apply_gain(picture: UnitPicture, target: UnitPicture, *, mask: Mask | None = None) -> UnitPicture:
    """The picture times the one gain that brings it nearest to its target, clipped to 0..1.

    By least squares over all pixels, or over those in a ``mask`` (h, w).
    """
    image, truth = (picture, target) if mask is None else (picture[mask], target[mask])
    energy = np.square(image).sum()
    gain = (image * truth).sum() / energy if energy > 0 else 1.0
    scaled: UnitPicture = (picture * gain).clip(0, 1)
    return scaled


def to_luma(picture: UnitPicture) -> UnitPicture:
    """Y of BT.601 (h, w, 1), 16/255..235/255, of RGB or grey (h, w, c) in 0..1."""
    weights = np.array(BT601 if picture.shape[2] == 3 else [sum(BT601)])
    luma: UnitPicture = (picture @ weights + BT601_BLACK)[..., None]
    return luma


def reduce_depth(pixels: Pixels, protocol: NamedProtocol) -> Pixels:
    """Pixels in the depth that a protocol compares."""
    if pixels.dtype == np.uint8 or protocol.bit_depth != 8:
        return pixels
    if protocol.reduction == "high byte":
        return (pixels >> 8).astype(np.uint8)
    return np.rint(pixels / 257).astype(np.uint8)


def _conditions(pair: Pair, name: str, protocol: NamedProtocol) -> ScoringProtocol:
    height, width, channels = pair.left.shape
    usual = "rgb" if channels == 3 else "grey"
    return ScoringProtocol(
        bit_depth=protocol.bit_depth or pair.bit_depth,
        size=f"{width}x{height}",
        region=pair.scored,
        colour=("Y of BT.601" if protocol.luma else usual) + (f" in {pair.colour}" if pair.colour else ""),
        variant=name,
    )


def _measure(
    pair: Pair, picture: Pixels, protocol: NamedProtocol, options: ScoringOptions
) -> Iterator[tuple[str, float]]:
    if not protocol.needs_target:
        if pair.mask is None:
            cut = reduce_depth(picture[pair.score_region.slices], protocol)
            yield from ((metric, float(NO_REFERENCE[metric](cut))) for metric in protocol.all_metrics)
        return
    if pair.target is None:
        return
    prepared = _prepare(picture, pair.target, pair, protocol)
    for metric in protocol.metrics:
        if _has(metric, prepared, protocol, options):
            yield metric, _compare(metric, prepared, protocol, options)


def _prepare(picture: Pixels, target: Pixels, pair: Pair, protocol: NamedProtocol) -> _Prepared:
    if picture.shape != target.shape:
        raise MetricError(
            "the picture does not match its reference",
            where=pair.id,
            expected=str(target.shape),
            got=str(picture.shape),
        )
    region = _cut(pair.score_region, target.shape, protocol)
    inside = None if pair.mask is None else pair.mask[region.slices]
    image, reference = (reduce_depth(pixels[region.slices], protocol) for pixels in (picture, target))
    if protocol.luma:
        return _Prepared(to_luma(to_unit(image)), to_luma(to_unit(reference)), inside)
    if protocol.one_gain:
        return _Prepared(apply_gain(to_unit(image), to_unit(reference), mask=inside), reference, inside)
    return _Prepared(image, reference, inside)


def _cut(region: Region, shape: tuple[int, ...], protocol: NamedProtocol) -> Region:
    """What of a picture is compared: the item's region without the border, to whole multiples."""
    spans = []
    for span, side in zip(region.slices, shape[:2], strict=True):
        start, stop, _ = span.indices(side)
        start, stop = start + protocol.border_px, stop - protocol.border_px
        stop -= max(stop - start, 0) % protocol.multiple_of
        spans.append((start, max(stop, start)))
    (top, bottom), (left, right) = spans
    return Region(top, left, bottom, right)


def _has(metric: str, prepared: _Prepared, protocol: NamedProtocol, options: ScoringOptions) -> bool:
    """Whether the pictures can have a metric: large enough, weights given, no mask that it cannot regard."""
    if metric == LPIPS and not options.lpips_weights:
        return False
    if prepared.mask is not None and (metric not in _MASKED or not prepared.mask.any()):
        return False
    return bool(min(prepared.target.shape[:2]) >= _least_px(metric, protocol))


def _least_px(metric: str, protocol: NamedProtocol) -> int:
    if metric == LPIPS:
        from ldp_core.metrics import lpips

        return lpips.LEAST_PX
    window = multiscale.GAUSSIAN_WINDOW if protocol.ssim_window == "gaussian" else SSIM_WINDOW
    least: int = {"ms_ssim": multiscale.LEAST_PX, "ssim": window}.get(metric, 1)
    return least


def _compare(metric: str, prepared: _Prepared, protocol: NamedProtocol, options: ScoringOptions) -> float:
    image, target, mask = prepared.picture, prepared.target, prepared.mask
    if metric == "psnr_db":
        return min(psnr_db(image, target, mask=mask), PSNR_CEILING_DB)
    if metric == "mae":
        return mae(image, target, mask=mask)
    if metric == "ssim":
        return (multiscale.ssim_gaussian if protocol.ssim_window == "gaussian" else ssim)(
            image, target, mask=mask
        )
    if metric == "ms_ssim":
        return multiscale.ms_ssim(image, target)
    from ldp_core.metrics.lpips import lpips  # it reads weights, which most runs do not have

    return lpips(image, target, weights=options.lpips_url, sha256=options.lpips_sha256)
