"""Thin lens: how large a point at some depth appears when the lens is focused elsewhere."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.settings import Settings


class Lens(Settings):
    """A thin lens in front of a sensor; lengths in metres."""

    focal_length_m: float = Field(default=0.05, gt=0)
    f_number: float = Field(default=4.0, gt=0)
    focus_distance_m: float = Field(default=1.0, gt=0)
    pixel_pitch_m: float = Field(default=6e-6, gt=0)

    def coc_px(self, depth_m: Tensor) -> Tensor:
        """Signed diameter of the circle of confusion in pixels: positive behind the focal plane.

        Args:
            depth_m: depths in metres, any shape, greater than zero.

        Raises:
            SettingsError: the focus distance lies within the focal length.
        """
        return defocus_px(
            depth_m, focus_distance_m=self.focus_distance_m, coc_at_infinity_px=self.coc_at_infinity_px
        )

    @property
    def coc_at_infinity_px(self) -> float:
        """The largest diameter there can be behind the focal plane."""
        beyond = self.focus_distance_m - self.focal_length_m
        if beyond <= 0:
            raise SettingsError(
                "the lens cannot focus within its focal length",
                where="Lens.focus_distance_m",
                expected=f"more than {self.focal_length_m} m",
                got=f"{self.focus_distance_m} m",
            )
        return self.focal_length_m**2 / (self.f_number * beyond) / self.pixel_pitch_m


def defocus_px(
    depth_m: Tensor, *, focus_distance_m: Tensor | float, coc_at_infinity_px: Tensor | float
) -> Tensor:
    """Signed diameter in pixels of a point at `depth_m`, from what a lens does to a point at infinity."""
    return torch.as_tensor(coc_at_infinity_px * (1 - focus_distance_m / depth_m))
