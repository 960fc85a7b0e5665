"""Pictures of any size in bounded memory: overlapping tiles, blended without seams.

Every tile is computed with a margin around it. Where neighbours overlap they are mixed with smooth
weights that add up to one, so a function that reaches no farther than the margin gives the same
result in tiles as on the whole picture, and one that reaches a little farther shows no edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.tensors import autocast

__all__ = ["Tile", "apply_network", "apply_tiled", "plan_tiles"]

# On a CPU a stack of tiles leaves the cache: one at a time is fastest.
_TILES_AT_ONCE: Final = {"cpu": 1, "cuda": 16}


@dataclass(frozen=True, slots=True)
class Tile:
    """The rows and columns one call computes, overlaps included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def apply_tiled(
    function: Callable[..., Tensor],
    arrays: Sequence[Tensor],
    *,
    tile_px: int,
    overlap_px: int,
    at_once: int = 1,
) -> Tensor:
    """Apply a picture function tile by tile and blend what it returns.

    Args:
        function: takes as many stacks (n, ..., th, tw) of tiles as there are arrays, returns one of
            the same last two sides; it must not measure anything that belongs to the whole picture.
        arrays: tensors (..., h, w) of one height and width.
        tile_px: largest side of a tile, overlaps included.
        overlap_px: pixels shared by neighbours; at least twice the reach of the function.
        at_once: largest n.

    Returns:
        (..., h, w), of what `function` returns; with one tile exactly that.

    Raises:
        SettingsError: the overlap leaves no room in a tile.
    """
    height, width = arrays[0].shape[-2:]
    tiles = list(plan_tiles(height, width, tile_px=tile_px, overlap_px=overlap_px))
    if len(tiles) == 1:
        return function(*(array[None] for array in arrays))[0]
    weight = torch.zeros(height, width)
    total = torch.zeros(())
    for start in range(0, len(tiles), at_once):
        stack = tiles[start : start + at_once]
        parts = function(*(torch.stack([array[(..., *tile.slices)] for tile in stack]) for array in arrays))
        if not total.shape:
            total = parts.new_zeros((*parts.shape[1:-2], height, width))
        for tile, part in zip(stack, parts, strict=True):
            mask = _blend_mask(tile, height=height, width=width, overlap_px=overlap_px)
            total[(..., *tile.slices)] += part * mask
            weight[tile.slices] += mask
    return total.div_(weight)


def apply_network(
    network: Callable[..., Tensor],
    arrays: Mapping[str, Tensor],
    *,
    device: torch.device,
    tile_px: int,
    overlap_px: int,
) -> Tensor:
    """Apply a network tile by tile, without gradients, in the precision of its device.

    Args:
        network: takes stacks (n, c, th, tw) by the names of `arrays`, on `device` and with channels last.
        arrays: tensors (c, h, w) of one height and width.

    Returns:
        (..., h, w) float32 on the CPU, of what `network` returns.

    Raises:
        SettingsError: the overlap leaves no room in a tile.
    """

    @torch.inference_mode()
    def apply(*stacks: Tensor) -> Tensor:
        placed = (stack.to(device).contiguous(memory_format=torch.channels_last) for stack in stacks)
        with autocast(device):
            found = network(**dict(zip(arrays, placed, strict=True)))
        return found.float().cpu()

    return apply_tiled(
        apply,
        list(arrays.values()),
        tile_px=tile_px,
        overlap_px=overlap_px,
        at_once=_TILES_AT_ONCE.get(device.type, 1),
    )


def plan_tiles(height: int, width: int, *, tile_px: int, overlap_px: int) -> Iterator[Tile]:
    """Tiles of one size that cover a picture row by row, neighbours overlapping.

    Raises:
        SettingsError: the overlap leaves no room in a tile.
    """
    for top, bottom in _spans(height, tile_px=tile_px, overlap_px=overlap_px):
        for left, right in _spans(width, tile_px=tile_px, overlap_px=overlap_px):
            yield Tile(top, bottom, left, right)


def _spans(length: int, *, tile_px: int, overlap_px: int) -> list[tuple[int, int]]:
    """Equal spans of at most `tile_px` that cover 0..length and share `overlap_px` or more."""
    if not 0 <= overlap_px < tile_px:
        raise SettingsError(
            "tiles are too small for their overlap",
            where="tile_px",
            expected=f"more than the overlap of {overlap_px} px",
            got=f"{tile_px} px",
            remedy="use larger tiles",
        )
    if length <= tile_px:
        return [(0, length)]
    count = math.ceil((length - overlap_px) / (tile_px - overlap_px))
    side = math.ceil((length - overlap_px) / count) + overlap_px
    starts = [round(k * (length - side) / (count - 1)) for k in range(count)]
    return [(start, start + side) for start in starts]


def _blend_mask(tile: Tile, *, height: int, width: int, overlap_px: int) -> Tensor:
    rows = _ramp(tile.top, tile.bottom, length=height, overlap_px=overlap_px)
    columns = _ramp(tile.left, tile.right, length=width, overlap_px=overlap_px)
    return rows[:, None] * columns[None, :]


def _ramp(start: int, stop: int, *, length: int, overlap_px: int) -> Tensor:
    """Weights (stop - start,): zero in the outer quarters of an overlap, a raised cosine between."""
    place = torch.arange(stop - start, dtype=torch.float32) + 0.5
    rising = _rise(place, overlap_px) if start > 0 else torch.ones_like(place)
    falling = _rise(place.flip(0), overlap_px) if stop < length else torch.ones_like(place)
    return rising * falling


def _rise(place: Tensor, overlap_px: int) -> Tensor:
    fraction = ((place / max(overlap_px, 1) - 0.25) * 2).clamp(0, 1)
    return (1 - torch.cos(math.pi * fraction)) / 2
