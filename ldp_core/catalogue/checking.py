"""What decoded pixels tell against a pair. Sound pairs pass untouched.

A pair is refused only on evidence beyond doubt: no sound pair of those measured comes near
(infra/measurements.md, "Checks of content"). Less than that is a doubt, which a run lists and counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.axis_adapter import align_axis
from ldp_core.errors import SameViewsError, SceneMismatchError, SwappedViewsError
from ldp_core.types import BlurTruthKind, FloatMap, Pair, Pixels, Problem

# Views and truths of 35 real pairs correlate by .96 and more, of 2,016 simulated ones by .69 and more but for
# one of .594 (180x120 px, almost even and much out of focus: noise lowers the correlation of faint scenes);
# different scenes of one camera by less than .34, one place photographed again by up to .87: that passes.
SAME_SCENE: Final = 0.6
# Deviations (Fisher 1915) that a refused correlation lies below it: of 77 cells, below .33. That refuses 90 %
# of exchanged scenes of 180x120 px, where .6 itself refuses 99 %, and 99 % of those of 360x240 px.
_DEVIATIONS: Final = 3.0
# That a doubted one lies below it: of 77 cells, below .52. At .6 itself, one sound pair of 2,016 was doubted.
_DEVIATIONS_OF_DOUBT: Final = 1.0
_CELL_PX: Final = 16  # hides defocus and noise; 12 px of displacement cost .12 at most, .41 with 4 px
_MAX_CELLS: Final = 24  # a side; with 48 that displacement costs .22
_MIN_CELLS: Final = 16  # in all: fewer cells correlate by chance
_MIN_CONTRAST: Final = 0.01  # of full scale: below it is noise

# Blocks vote on their own: larger than the coarsest detail that is compared, 8 px. With 16 px, three of 280
# sound pairs had blocks of one side against them, with 24 px none.
_BLOCK_PX: Final = 24
_DISPARITY_PER_COC: Final = 0.22  # of the fitted half-disc; .15 and .3 decide alike
_MIN_COC_PX: Final = 2.0  # a shift of .44 px; less is not told from noise
# Of full scale, after the band-pass. From .005 to .01 up to 25 % of the blocks vote wrongly, above it 2 %.
_MIN_TEXTURE: Final = 0.01
_MIN_MARGIN: Final = 0.2  # of both differences together: below it a block has no vote
# On one side of the focal plane. Where 5 % of votes are wrong, so many on both sides are once in 10**8 pairs.
_MIN_VOTES: Final = 4
_CLEAR_SHARE: Final = 0.8  # of the votes of a side, or of all

_IN_FOCUS_PX: Final = 1.0

Thumbnail = NDArray[np.float64]


def check_pair(pair: Pair) -> tuple[Problem, ...]:
    """Refuse a pair whose pictures cannot belong together; what is doubtful only is returned.

    Raises:
        SameViewsError: left and right are equal in every pixel, and something is out of focus or may be.
        SceneMismatchError: a picture shows another scene than the left view.
        SwappedViewsError: before and behind the focal plane, the views shift against the signed blur truth.
    """
    return (*_check_same(pair), *_check_scene(pair), *_check_sign(align_axis(pair)))


def _check_same(pair: Pair) -> Iterator[Problem]:
    """Two photographs differ at least by their noise. One without noise is equal where all is in focus."""
    if pair.right is None or not np.array_equal(pair.left, pair.right):
        return
    remedy = "find the other view; one photograph was stored twice, or it is no dual-pixel one"
    if np.ptp(pair.left) == 0:
        yield _doubt("same_views", pair, "left and right are one even picture, without any texture", remedy)
    elif _is_in_focus(pair):
        yield _doubt("same_views", pair, "left and right are equal, as where all is in focus", remedy)
    else:
        raise SameViewsError("left and right are the same picture", where=pair.id, remedy=remedy)


def _is_in_focus(pair: Pair) -> bool:
    """Whether what came with the views says that nothing is out of focus."""
    if pair.blur_truth is not None and pair.blur_truth_kind is BlurTruthKind.SIGNED_COC_PX:
        return bool((np.abs(pair.blur_truth) < _IN_FOCUS_PX).all())
    return pair.target is not None and np.array_equal(pair.left, pair.target)


def _check_scene(pair: Pair) -> Iterator[Problem]:
    left = thumbnail(pair.left)
    for name, picture in {**pair.views, **pair.external}.items():
        found = thumbnail_correlation(left, thumbnail(picture))
        if found is None or found >= _below(SAME_SCENE, _DEVIATIONS_OF_DOUBT, cells=left.size):
            continue
        limit = _below(SAME_SCENE, _DEVIATIONS, cells=left.size)
        remedy = "find out which file was stored under a wrong name"
        if found >= limit:
            message = f"'{name}' may show another scene than 'left': thumbnails correlate by {found:.2f}"
            yield _doubt("scene_mismatch", pair, message, remedy)
            continue
        raise SceneMismatchError(
            f"'{name}' does not show the scene of 'left'",
            where=pair.id,
            expected=f"a correlation of thumbnails of at least {SAME_SCENE}; below {limit:.2f} is no chance",
            got=f"{found:.2f}",
            remedy=remedy,
        )


def _below(correlation: float, deviations: float, *, cells: int) -> float:
    """What lies below `correlation` by so many standard deviations, for a sample of so many cells."""
    return float(np.tanh(np.arctanh(correlation) - deviations / np.sqrt(cells - 3)))


def _doubt(kind: str, pair: Pair, message: str, remedy: str) -> Problem:
    return Problem(pair.id, kind, message, remedy, refuses_item=False)


def thumbnail(picture: Pixels) -> Thumbnail:
    """``(h, w, c)`` pixels to cell means ``(rows, columns)`` in 0..1, at most 24 x 24."""
    rows, columns = (_cell_edges(side) for side in picture.shape[:2])
    bands = np.add.reduceat(picture, rows[:-1], axis=0, dtype=np.uint32).sum(axis=2)
    sums = np.add.reduceat(bands, columns[:-1], axis=1, dtype=np.float64)
    full = float(np.iinfo(picture.dtype).max) * picture.shape[2]
    means: Thumbnail = sums / np.outer(np.diff(rows), np.diff(columns)) / full
    return means


def thumbnail_correlation(first: Thumbnail, second: Thumbnail) -> float | None:
    """Correlation, -1 .. 1; None where a picture is too small or too even to tell, or shapes differ.

    A gain between the pictures does not matter.
    """
    flat = min(first.std(), second.std()) < _MIN_CONTRAST
    if first.shape != second.shape or first.size < _MIN_CELLS or flat:
        return None
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _cell_edges(side: int) -> NDArray[np.intp]:
    cells = min(_MAX_CELLS, max(1, side // _CELL_PX))
    return np.linspace(0, side, cells + 1).astype(np.intp)


def _check_sign(pair: Pair) -> Iterator[Problem]:
    """Only a signed truth that came with the item contradicts exchanged views.

    Views alone cannot: exchanged views of a scene behind the focal plane are sound views of one in front of
    it. Nor can a dataset: shading between the views had no constant sign over 35 real pairs.
    """
    if pair.right is None or pair.blur_truth is None:
        return
    if pair.blur_truth_kind is not BlurTruthKind.SIGNED_COC_PX:
        return
    before, behind = count_sign_votes(pair.left, pair.right, coc_px=pair.blur_truth)
    remedy = "exchange the left and right pictures, or correct the sign of the truth"
    if before.contradict and behind.contradict:
        raise SwappedViewsError(
            "the views shift against the sign of the blur truth",
            where=pair.id,
            expected="in the right view, what is behind the focal plane (positive) lies to +x",
            got=f"{before.against} of {before.total} textured blocks before it and {behind.against} of "
            f"{behind.total} behind it shift the other way",
            remedy=remedy,
        )
    both = SignVotes(before.total + behind.total, before.against + behind.against)
    if both.contradict:
        message = f"{both.against} of {both.total} textured blocks shift against the sign of the blur truth"
        yield _doubt("swapped_views", pair, message, remedy)


@dataclass(frozen=True, slots=True)
class SignVotes:
    """Blocks of a pair that tell a sign, and how many of them tell the other one than the truth."""

    total: int
    against: int

    @property
    def contradict(self) -> bool:
        """Whether they are many, and nearly all against the truth."""
        return self.against >= _MIN_VOTES and self.against >= _CLEAR_SHARE * self.total


def count_sign_votes(left: Pixels, right: Pixels, *, coc_px: FloatMap) -> tuple[SignVotes, SignVotes]:
    """Votes of the blocks before the focal plane, and of those behind it.

    A block compares the views after both were moved by the shift that its truth asks for, and by the
    opposite one. It votes where it has texture, lies on one side of the focal plane, and one of both
    fits clearly better.

    Args:
        left, right: (h, w, c).
        coc_px: (h, w) signed diameters in pixels.
    """
    margins, coc = _compare_signs(left, right, coc_px)
    clear = np.abs(margins) >= _MIN_MARGIN
    sides = (clear & (coc < 0), clear & (coc > 0))
    before, behind = (SignVotes(int(side.sum()), int((margins[side] < 0).sum())) for side in sides)
    return before, behind


def _compare_signs(
    left: Pixels, right: Pixels, coc_px: FloatMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each block that can tell: how much better the sign of its truth fits, -1 .. 1, and its mean CoC."""
    full = np.float32(np.iinfo(left.dtype).max)
    views = [_band_pass(view.mean(axis=2, dtype=np.float32) / full) for view in (left, right)]
    found: list[tuple[float, float]] = []
    height, width = (side - side % _BLOCK_PX for side in coc_px.shape)
    for top in range(0, height, _BLOCK_PX):
        rows = slice(top, top + _BLOCK_PX)
        strip, coc = [view[rows] for view in views], coc_px[rows]
        half = coc * np.float32(_DISPARITY_PER_COC / 2)
        fits, opposes = (_square_difference(strip, half * sign)[:, :width] for sign in (1, -1))
        blocks = [
            plane[:, :width].reshape(_BLOCK_PX, -1, _BLOCK_PX).swapaxes(0, 1).reshape(-1, _BLOCK_PX**2)
            for plane in (fits, opposes, np.square(strip[0] + strip[1]) / 4, coc)
        ]
        right_sign, wrong_sign, energy, mean = (block.mean(1, dtype=np.float64) for block in blocks)
        one_side = blocks[3].min(1) * blocks[3].max(1) > 0
        tells = one_side & (np.abs(mean) >= _MIN_COC_PX) & (energy >= _MIN_TEXTURE**2)
        margin = (wrong_sign - right_sign) / np.maximum(wrong_sign + right_sign, 1e-12)
        found += zip(margin[tells].tolist(), mean[tells].tolist(), strict=True)
    margins, means = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return margins, means


def _square_difference(views: list[FloatMap], half_shift: FloatMap) -> FloatMap:
    """Of the left view moved by half a shift to +x, and the right one moved back by the other half."""
    difference = _move(views[0], -half_shift) - _move(views[1], half_shift)
    squared: FloatMap = np.square(difference)
    return squared


def _move(plane: FloatMap, shift: FloatMap) -> FloatMap:
    """Values at x + shift of each pixel, linear between neighbours; beyond the edge the edge goes on."""
    width = plane.shape[1]
    place = np.clip(np.arange(width, dtype=np.float32) + shift, 0, width - 1)
    lower = np.minimum(place.astype(np.intp), width - 2)
    share = place - lower
    values: FloatMap = (1 - share) * np.take_along_axis(plane, lower, 1)
    values += share * np.take_along_axis(plane, lower + 1, 1)
    return values.astype(np.float32)


def _band_pass(plane: FloatMap) -> FloatMap:
    """Without noise, finer than 1.5 px, and without shading, coarser than 8 px: both differ between views."""
    from scipy.ndimage import gaussian_filter  # scipy is half the import time of a catalogue that only reads

    band: FloatMap = gaussian_filter(plane, 1.5) - gaussian_filter(plane, 8)
    return band
