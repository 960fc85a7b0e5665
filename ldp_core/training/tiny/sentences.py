"""What can be said of a cell, in several words each, and how true it is of a cell.

How true is a log-odds: above 0 a sentence rather holds, below 0 it rather does not. The formulas are
our own; they grow linearly, so that what is twice as wrong is called twice as unlikely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Patches reach 8.5 px of disparity.
SHIFTS_PX: tuple[int, ...] = tuple(range(-8, 9))
# Log-odds of 6 are 400 to 1; beyond that nothing is gained by being surer.
_CERTAIN = 6.0
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")

LogOdds = Callable[[Tensor, Tensor], Tensor]
"""From disparity and circle of confusion, signed, in pixels, to the log-odds of a meaning."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Wordings of one statement, and its log-odds."""

    wordings: tuple[str, ...]
    formula: LogOdds

    def log_odds(self, disparity_px: Tensor, coc_px: Tensor) -> Tensor:
        """Log-odds (n,) for n cells, within -6..6."""
        return self.formula(disparity_px, coc_px).clamp(-_CERTAIN, _CERTAIN)


_SHIFT_WORDINGS = (
    "the right view is shifted {n} {pixels} to the {side}",
    "right view shifted {n} {pixels} to the {side}",
    "the right view is moved {n} {pixels} to the {side}",
    "the right view lies {n} {pixels} further to the {side}",
    "shifted by {n} {pixels} to the {side}",
    "{n} {pixels} to the {side}",
    "a shift of {n} {pixels} to the {side}",
    "the right half is {n} {pixels} off to the {side}",
)
_UNSHIFTED_WORDINGS = (
    "the right view is not shifted",
    "right view not shifted",
    "the right view is not moved",
    "the right view lies in the same place",
    "not shifted",
    "0 pixels",
    "no shift",
    "the right half is not off",
)
SHIPPED_WORDING = 0

_SYMMETRIC = (
    "a symmetric image at pixel level",
    "a symmetric image",
    "a perfectly symmetric image",
    "a symmetrical picture",
    "an image with left right symmetry",
    "the image is symmetric",
    "both halves are mirror images",
    "the left half mirrors the right half",
    "the two views are identical",
    "the left view and the right view are the same",
)
_ASYMMETRIC = (
    "an asymmetric image at pixel level",
    "an asymmetric image",
    "not a symmetric image",
    "an asymmetrical picture",
    "an image without left right symmetry",
    "the image is not symmetric",
    "both halves are no mirror images",
    "the left half does not mirror the right half",
    "the two views are different",
    "the left view and the right view are not the same",
)
_IN_FOCUS = (
    "in focus",
    "a sharp image",
    "a sharp image in focus",
    "no defocus blur",
    "a crisp detailed photo",
)
_OUT_OF_FOCUS = (
    "out of focus",
    "a blurry image",
    "a blurred image out of focus",
    "defocus blur",
    "a blurry photo",
)
_SLIGHTLY = ("slightly blurred", "a slightly blurry image", "slightly out of focus", "a little defocus blur")
_STRONGLY = ("strongly blurred", "a very blurry image", "strongly out of focus", "strong defocus blur")
_BEHIND = (
    "behind the focal plane",
    "out of focus behind the focal plane",
    "farther than the focal plane",
    "background blur",
    "the right view is shifted to the right",
    "shifted to the right",
)
_BEFORE = (
    "in front of the focal plane",
    "out of focus before the focal plane",
    "nearer than the focal plane",
    "foreground blur",
    "the right view is shifted to the left",
    "shifted to the left",
)

STATEMENTS: tuple[Meaning, ...] = (
    Meaning(_SYMMETRIC, lambda d, c: 3 - 1.2 * d.abs()),
    Meaning(_ASYMMETRIC, lambda d, c: 1.2 * d.abs() - 3),
    Meaning(_IN_FOCUS, lambda d, c: 3 - 0.5 * c.abs()),
    Meaning(_OUT_OF_FOCUS, lambda d, c: 0.5 * c.abs() - 3),
    Meaning(_SLIGHTLY, lambda d, c: 2.5 - 0.8 * (c.abs() - 6).abs()),
    Meaning(_STRONGLY, lambda d, c: 0.5 * (c.abs() - 14)),
    Meaning(_BEHIND, lambda d, c: 3 * (d - 0.4)),
    Meaning(_BEFORE, lambda d, c: 3 * (-d - 0.4)),
)
"""All that is said besides a number of pixels."""


def shift_sentence(shift_px: int, *, wording: int = SHIPPED_WORDING, spelled: bool = False) -> str:
    """How far the right view is shifted, and to which side; positive is to the right."""
    if shift_px == 0:
        return _UNSHIFTED_WORDINGS[wording]
    amount = abs(shift_px)
    return _SHIFT_WORDINGS[wording].format(
        n=_NUMBERS[amount] if spelled else amount,
        pixels="pixel" if amount == 1 else "pixels",
        side="right" if shift_px > 0 else "left",
    )


def shift_sentences(*, wording: int = SHIPPED_WORDING, spelled: bool = False) -> list[str]:
    """One sentence for each of `SHIFTS_PX`."""
    return [shift_sentence(shift, wording=wording, spelled=spelled) for shift in SHIFTS_PX]


def shift_weights(disparity_px: Tensor) -> Tensor:
    """How much (n, 17) of each cell belongs to each shift: shared by the two nearest.

    The mean shift under these weights is the disparity itself, within -8..8 px.
    """
    shifts = torch.tensor(SHIFTS_PX, dtype=disparity_px.dtype, device=disparity_px.device)
    inside = disparity_px.clamp(shifts[0], shifts[-1])
    return (1 - (inside[:, None] - shifts).abs()).clamp_min(0)


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences of one step: all shifts in one wording, then wordings of `STATEMENTS`."""

    shifts: list[str]
    statements: list[str]
    statement_numbers: list[int]

    @property
    def meaning_numbers(self) -> list[int]:
        """Which meaning each sentence has: the shifts come first, then `STATEMENTS`."""
        return [*range(len(self.shifts)), *(len(SHIFTS_PX) + n for n in self.statement_numbers)]

    def log_odds(self, disparity_px: Tensor, coc_px: Tensor) -> Tensor:
        """Log-odds (n, len(statements)) for n cells."""
        each = torch.stack([meaning.log_odds(disparity_px, coc_px) for meaning in STATEMENTS], 1)
        return each[:, self.statement_numbers]


def draw_sentences(rng: np.random.Generator) -> Sentences:
    """All shifts in one wording, and two wordings of every statement."""
    wording = int(rng.integers(len(_SHIFT_WORDINGS)))
    shifts = shift_sentences(wording=wording, spelled=bool(rng.random() < 0.4))
    chosen = [
        (meaning.wordings[int(index)], number)
        for number, meaning in enumerate(STATEMENTS)
        for index in rng.permutation(len(meaning.wordings))[:2]
    ]
    return Sentences(shifts, [text for text, _ in chosen], [number for _, number in chosen])
