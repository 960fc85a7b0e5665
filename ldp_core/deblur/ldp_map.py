"""The blur map as the network reads it. The scale of 20 px is our choice."""

from __future__ import annotations

import torch
from torch import Tensor

from ldp_core.types import BlurMap, BlurMapKind

COC_SCALE_PX = 20.0
"""Circle of confusion, in pixels, that stands at 1; larger ones are clipped."""


def lay_planes(blur_map: BlurMap) -> Tensor:
    """The three planes of a map, (1, 3, h, w) float32: signed, unsigned, sign known (0 or 1).

    A signed circle of confusion gives value / 20 px clipped to -1..1; a similarity map is unsigned
    and leaves the first plane 0; a probability of focus is turned round first.
    """
    values = torch.from_numpy(blur_map.values)[None, None].float()
    if blur_map.kind is BlurMapKind.SIGNED_COC_PX:
        return coc_planes(values)
    unsigned = values if blur_map.kind is BlurMapKind.SIMILARITY else 1 - values
    return torch.cat([torch.zeros_like(values), unsigned.clamp(0, 1), torch.zeros_like(values)], dim=1)


def coc_planes(coc_px: Tensor) -> Tensor:
    """Planes (b, 3, h, w) of signed circles of confusion (b, 1, h, w) in pixels."""
    signed = (coc_px / COC_SCALE_PX).clamp(-1, 1)
    return torch.cat([signed, signed.abs(), torch.ones_like(signed)], dim=1)


def hide_sign(planes: Tensor) -> Tensor:
    """Planes (b, 3, h, w) of the same map if its sign were not known."""
    nothing = torch.zeros_like(planes[:, 1:2])
    return torch.cat([nothing, planes[:, 1:2], nothing], dim=1)


def arrange_for(bpa: str, planes: Tensor) -> Tensor | None:
    """What a network with this `bpa` takes of the planes: all, the unsigned one, or nothing."""
    match bpa:
        case "none":
            return None
        case "released":
            return planes[:, 1:2]
    return planes
