"""Luminance and two colour differences: an orthonormal basis in which noise stays white."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["from_opponent", "to_opponent"]

_OPPONENT = torch.tensor(
    [
        [3**-0.5, 3**-0.5, 3**-0.5],
        [2**-0.5, 0.0, -(2**-0.5)],
        [6**-0.5, -2 * 6**-0.5, 6**-0.5],
    ]
)


def to_opponent(picture: Tensor) -> Tensor:
    """(..., 3, h, w) RGB to luminance, red-blue, magenta-green; (..., 1, h, w) as it is."""
    if picture.shape[-3] == 1:
        return picture
    return torch.einsum("ij,...jhw->...ihw", _OPPONENT, picture)


def from_opponent(picture: Tensor) -> Tensor:
    """The inverse of `to_opponent`."""
    if picture.shape[-3] == 1:
        return picture
    return torch.einsum("ji,...jhw->...ihw", _OPPONENT, picture)
