"""What the sensor does to the light of both views: unequal gain, noise, encoding, quantisation.

Blur happens in light, not in encoded pixel values: `decode_light` before it, `encode_light` after it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ldp_core.settings import Settings
from ldp_core.types import Pixels


class Transfer(StrEnum):
    """How pixel values 0..1 encode linear light 0..1."""

    GAMMA_22 = "gamma_22"
    """The power 1/2.2."""
    SRGB = "srgb"
    """IEC 61966-2-1."""
    LINEAR = "linear"


class Sensor(Settings):
    """A sensor with Poisson-Gaussian noise; light is counted in fractions of full scale."""

    full_well_electrons: float = Field(default=8000.0, ge=0.0)
    """Electrons at full scale, which set the shot noise; 0 = no shot noise."""
    read_noise: float = Field(default=0.001, ge=0.0, le=0.5)
    """Standard deviation of the signal-independent noise."""
    gain_difference: float = Field(default=0.0, ge=-0.5, le=0.5)
    """How much brighter the right view is than the left one, as a fraction, all over."""
    shading_difference: float = Field(default=0.0, ge=-0.5, le=0.5)
    """The same at the right edge of the frame; falls linearly to its negative at the left edge."""
    transfer: Transfer = Transfer.GAMMA_22


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


def expose_views(
    left: Tensor, right: Tensor, *, sensor: Sensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Both views as the sensor records them, before quantisation.

    Args:
        left, right: (c, h, w) encoded values 0..1.
        generator: source of the noise, on the device of the views.

    Returns:
        Two (c, h, w) tensors, encoded values 0..1.
    """
    light = decode_light(torch.stack([left, right]), sensor.transfer)
    noisy = _add_noise(light * _gains(sensor, light), sensor=sensor, generator=generator)
    first, second = encode_light(noisy, sensor.transfer)
    return first, second


def quantise(view: Tensor, *, bit_depth: Literal[8, 16]) -> Pixels:
    """Full-range integer pixels (h, w, c) of a view (c, h, w) in 0..1."""
    peak = 2**bit_depth - 1
    levels = (view.clamp(0, 1).double() * peak).round().permute(1, 2, 0).contiguous().cpu().numpy()
    pixels: Pixels = levels.astype(np.uint8) if bit_depth == 8 else levels.astype(np.uint16)
    return pixels


def _gains(sensor: Sensor, light: Tensor) -> Tensor:
    """Gain (2, 1, 1, w) of the left and the right view."""
    across = torch.linspace(-1, 1, light.shape[-1], device=light.device)
    half = (sensor.gain_difference + sensor.shading_difference * across) / 2
    return torch.stack([1 - half, 1 + half])[:, None, None]


def _add_noise(light: Tensor, *, sensor: Sensor, generator: torch.Generator) -> Tensor:
    if sensor.full_well_electrons > 0:
        electrons = light * sensor.full_well_electrons
        light = torch.poisson(electrons, generator=generator) / sensor.full_well_electrons
    if sensor.read_noise > 0:
        normal = torch.randn(light.shape, generator=generator, device=light.device)
        light = light + sensor.read_noise * normal
    return light
