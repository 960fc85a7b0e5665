"""Between stored pixel values and light: blur happens in light, not in gamma-encoded values."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor


class Transfer(StrEnum):
    """How pixel values 0..1 encode linear light 0..1."""

    GAMMA_22 = "gamma_22"
    """The power 1/2.2."""
    SRGB = "srgb"
    """IEC 61966-2-1."""
    LINEAR = "linear"


def decode_light(encoded: Tensor, transfer: Transfer) -> Tensor:
    """Linear light 0..1 of encoded values; values outside 0..1 are clipped."""
    encoded = encoded.clamp(0, 1)
    match transfer:
        case Transfer.GAMMA_22:
            return encoded**2.2
        case Transfer.SRGB:
            return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return encoded


def encode_light(light: Tensor, transfer: Transfer) -> Tensor:
    """Encoded values 0..1 of linear light; light outside 0..1 is clipped."""
    light = light.clamp(0, 1)
    match transfer:
        case Transfer.GAMMA_22:
            return light ** (1 / 2.2)
        case Transfer.SRGB:
            return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return light
