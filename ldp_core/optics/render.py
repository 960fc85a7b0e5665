"""Defocus of a whole scene as both views of a dual-pixel sensor see it, occlusion included.

The scene is cut into slices by circle of confusion; each slice is blurred with its own kernels in
linear light and the slices are laid over each other from the back to the front. A slice's blurred
coverage is divided by the blurred coverage of all that lies at its depth or behind, so that surfaces
crossing several slices show no seam and background continues beneath a blurred foreground (the
composition of Ikoma et al., "Depth from Defocus with Learned Optics", ICCP 2021). Our own addition:
where no kernel reaches beneath the foreground, the nearest surroundings at that depth fill in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ldp_core.errors import PairMismatchError, SettingsError
from ldp_core.optics.kernels import DEFAULT_KERNEL, Kernel, KernelFamily, KernelSpec, kernel_bank, kernel_size
from ldp_core.optics.sensor import Transfer, decode_light, encode_light
from ldp_core.signals import fast_size, irfft2, rfft2

NODES = (3, 4)
"""Rows and columns of the grid over a frame at which its kernels are exact.

At a circle of 14 px through the fitted Pixel 4 lens a frame is 47 dB from one of 9 x 13 nodes, with 2 x 3
nodes 42 dB.
"""
# Levels closer than this look alike: rendering at .25 px differs by 67 dB, at 2 px by 54 dB.
_FINEST_STEP_PX = 0.5
# Weight of the surroundings where a slice has no coverage. Tenfold changes less than 1 % of full scale
# anywhere; at .1 surroundings bleed into what is covered.
_FILL = 1e-4
# Keeps 0 / 0 at 0.
_TINY = 1e-12
# Surroundings are averaged in blocks of this side, for speed; half or twice it changes 1 % at most.
_COARSE_PX = 8


def render_views(
    sharp: Tensor,
    coc_px: Tensor,
    kernel: Kernel = DEFAULT_KERNEL,
    *,
    slices: int = 12,
    transfer: Transfer = Transfer.GAMMA_22,
) -> tuple[Tensor, Tensor]:
    """Left and right view of an all-in-focus image with known circles of confusion.

    Args:
        sharp: (b, c, h, w) float, encoded values 0..1.
        coc_px: (b, h, w) float, signed diameters in pixels, positive behind the focal plane.
        slices: how many levels of the circle of confusion are rendered, 3 or more; 12 are 58 dB from 64
            levels, 8 are 49 dB.
        transfer: how `sharp` encodes light; the views are encoded alike.

    Returns:
        Two (b, c, h, w) float32 tensors, encoded values 0..1, aligned with `sharp`.

    Raises:
        PairMismatchError: the shapes do not belong together.
        SettingsError: fewer than 3 slices, or a circle of confusion that is not finite.
    """
    _require_match(sharp, coc_px)
    if slices < 3:
        raise SettingsError("too few slices", where="slices", expected="3 or more", got=str(slices))
    light = decode_light(sharp.to(torch.float32), transfer)
    views = _composite(light, cut_slices(coc_px.to(torch.float32), count=slices), kernel)
    left, right = encode_light(views, transfer).unbind(1)
    return left, right


def render_frame(
    sharp: Tensor,
    coc_px: Tensor,
    kernel: KernelSpec,
    *,
    slices: int = 12,
    transfer: Transfer = Transfer.GAMMA_22,
) -> tuple[Tensor, Tensor]:
    """Left and right view of a frame, the lens's axis in its centre.

    Takes and returns what `render_views` does. An off-axis lens is used with the kernels of each place in
    the frame, whatever `field_x` and `field_y` say: around every node of a grid a window is rendered with
    that node's kernels, and windows fade linearly into their neighbours, in linear light (our own choice).
    Kernels of other families are the same everywhere.
    """
    if kernel.family is not KernelFamily.OFF_AXIS:
        return render_views(sharp, coc_px, kernel, slices=slices, transfer=transfer)
    height, width = sharp.shape[-2:]
    light = sharp.new_zeros(2, *sharp.shape)
    for node in _spread_nodes(height, width):
        local = kernel.model_copy(update={"field_x": node.field_x, "field_y": node.field_y})
        margin = kernel_size(local, float(coc_px.abs().max()))
        rows, columns = widen(node.rows, margin, height), widen(node.columns, margin, width)
        window = sharp[..., rows, columns], coc_px[..., rows, columns]
        views = torch.stack(render_views(*window, local, slices=slices, transfer=transfer))
        inner = within(node.rows, rows), within(node.columns, columns)
        light[..., node.rows, node.columns] += decode_light(views[..., *inner], transfer) * node.weight
    left, right = encode_light(light, transfer)
    return left, right


@dataclass(frozen=True, slots=True)
class Slices:
    """Levels of the circle of confusion, from the back to the front.

    `levels_px` (b, n) descending; `step_px` (b,) their distance. Zero is a level wherever the scene
    reaches across the focal plane, so that what is in focus stays sharp.
    """

    coc_px: Tensor
    levels_px: Tensor
    step_px: Tensor

    def __len__(self) -> int:
        return self.levels_px.shape[1]

    def share(self, index: int) -> Tensor:
        """Share (b, 1, h, w) of each pixel in one slice; over all slices the shares add up to 1."""
        level = self.levels_px[:, index, None, None, None]
        distance = (self.coc_px[:, None] - level).abs() / self.step_px[:, None, None, None]
        return (1 - distance).clamp_min(0)

    def occupied(self) -> list[int]:
        """Indices of the slices that hold anything in any scene of the batch."""
        position = (self.levels_px[:, :1] - self.coc_px.flatten(1)) / self.step_px[:, None]
        nearest = torch.cat([position.floor(), position.ceil()]).long().clamp(0, len(self) - 1)
        held = torch.bincount(nearest.flatten(), minlength=len(self))
        return [index for index, count in enumerate(held.tolist()) if count]


def cut_slices(coc_px: Tensor, *, count: int) -> Slices:
    """Cut maps (b, h, w) of signed circles of confusion into `count` (3 or more) levels."""
    low, high = coc_px.amin((1, 2)), coc_px.amax((1, 2))
    step = ((high - low) / (count - 2)).clamp_min(_FINEST_STEP_PX)
    origin = torch.zeros_like(low).clamp(low, high)
    top = ((high - origin) / step).ceil()
    index = torch.arange(count, device=coc_px.device, dtype=coc_px.dtype)
    levels = origin[:, None] + step[:, None] * (top[:, None] - index)
    return Slices(coc_px=coc_px, levels_px=levels, step_px=step)


def _composite(light: Tensor, scene: Slices, kernel: Kernel) -> Tensor:
    """Views (b, 2, c, h, w) in linear light."""
    largest_px = float(scene.levels_px.abs().max())
    blur = _Blur(light, margin=kernel_size(kernel, largest_px) - 1)
    surroundings = _Surroundings(light, reach_px=largest_px / 2)
    seen = [light.new_zeros(())] * 2
    for index in scene.occupied():
        share = scene.share(index)
        premultiplied = torch.cat([light * share, share], 1)
        around = surroundings.at_or_behind(premultiplied)
        blur.put(premultiplied)
        bank = kernel_bank(kernel, scene.levels_px[:, index])
        seen = [_cover(seen[side], _complete(blur.through(bank[:, side]), around)) for side in (0, 1)]
    return torch.stack([view[:, :-1] / view[:, -1:].clamp_min(_TINY) for view in seen], 1)


def _cover(behind: Tensor, layer: Tensor) -> Tensor:
    """A layer over what lies behind it; premultiplied colour, coverage last: (b, c + 1, h, w)."""
    return layer + behind * (1 - layer[:, -1:])


def _complete(blurred: Tensor, surroundings: Tensor) -> Tensor:
    """Divide by the coverage at this depth or behind, filled in from the surroundings in its holes."""
    layer, coverage = blurred[:, :-1], blurred[:, -1:].clamp(0, 1)
    fill = _FILL * (1 - coverage)
    return (layer.clamp_min(0) + fill * surroundings) / (coverage + fill + _TINY)


class _Blur:
    """Blurs slices one by one, each together with the coverage of all slices so far.

    Zero-padded convolution in the frequency domain, for kernels up to `margin` + 1 pixels.
    """

    def __init__(self, light: Tensor, *, margin: int) -> None:
        self.shape = light.shape[-2:]
        self.padded = fast_size(*self.shape, margin=margin)
        self.planes = self.coverage = light.new_zeros(())
        self.spectrum = self.coverage_spectrum = light.new_zeros((), dtype=torch.complex64)

    def put(self, premultiplied: Tensor) -> None:
        """Take the next slice (b, c + 1, h, w), coverage last."""
        spectrum = rfft2(premultiplied, self.padded)
        self.coverage = self.coverage + premultiplied[:, -1:]
        self.coverage_spectrum = self.coverage_spectrum + spectrum[:, -1:]
        self.planes = torch.cat([premultiplied, self.coverage], 1)
        self.spectrum = torch.cat([spectrum, self.coverage_spectrum], 1)

    def through(self, kernels: Tensor) -> Tensor:
        """The slice and the coverage (b, c + 2, h, w) through one view's kernels (b, k, k)."""
        if kernels.shape[-1] == 1:
            return self.planes
        product = self.spectrum * rfft2(kernels, self.padded)[:, None]
        planes = irfft2(product, self.padded)
        start, (height, width) = kernels.shape[-1] // 2, self.shape
        return planes[..., start : start + height, start : start + width]


class _Surroundings:
    """What lies around at the same depth, seen coarsely: the fill for holes behind a foreground."""

    def __init__(self, light: Tensor, *, reach_px: float) -> None:
        self.shape = light.shape[-2:]
        sigma = max(reach_px / _COARSE_PX / 2, 0.5)
        half = int(3 * sigma) + 1
        offsets = torch.arange(-half, half + 1, device=light.device, dtype=light.dtype)
        self.kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
        self.coverage = light.new_zeros(())

    def at_or_behind(self, premultiplied: Tensor) -> Tensor:
        """Add a slice (b, c + 1, h, w) and return its mean colour and share around each pixel."""
        coarse = self._spread(F.avg_pool2d(premultiplied, _COARSE_PX, ceil_mode=True))
        self.coverage = self.coverage + coarse[:, -1:]
        return F.interpolate(coarse / (self.coverage + _TINY), self.shape, mode="bilinear")

    def _spread(self, coarse: Tensor) -> Tensor:
        channels, half = coarse.shape[1], len(self.kernel) // 2
        column = self.kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
        spread = torch.conv2d(coarse, column, padding=(half, 0), groups=channels)
        row = column.transpose(2, 3)
        return torch.conv2d(spread, row, padding=(0, half), groups=channels)


@dataclass(frozen=True, slots=True)
class _Node:
    """Rows and columns that a node reaches, with its weights there, and its place in half widths."""

    rows: slice
    columns: slice
    weight: Tensor
    field_x: float
    field_y: float


def _spread_nodes(height: int, width: int) -> Iterator[_Node]:
    for rows, row_weight, y in spread_nodes_along(height, NODES[0]):
        for columns, column_weight, x in spread_nodes_along(width, NODES[1]):
            place = 2 * x / width - 1, (2 * y - height) / width
            yield _Node(rows, columns, row_weight[:, None] * column_weight, *place)


def spread_nodes_along(length: int, count: int) -> Iterator[tuple[slice, Tensor, float]]:
    """Nodes from edge to edge: the pixels each reaches, hat-shaped weights, its coordinate."""
    step = length / (count - 1)
    centres = torch.arange(length) + 0.5
    for index in range(count):
        weights = (1 - (centres - index * step).abs() / step).clamp_min(0)
        reached = weights.nonzero()[:, 0]
        span = slice(int(reached[0]), int(reached[-1]) + 1)
        yield span, weights[span], index * step


def widen(span: slice, margin: int, length: int) -> slice:
    return slice(max(span.start - margin, 0), min(span.stop + margin, length))


def within(span: slice, wide: slice) -> slice:
    return slice(span.start - wide.start, span.stop - wide.start)


def _require_match(sharp: Tensor, coc_px: Tensor) -> None:
    if sharp.ndim != 4 or coc_px.shape != (sharp.shape[0], *sharp.shape[2:]):
        raise PairMismatchError(
            "image and circle of confusion do not belong together",
            where="render_views",
            expected="sharp (b, c, h, w) and coc_px (b, h, w)",
            got=f"{tuple(sharp.shape)} and {tuple(coc_px.shape)}",
        )
    if not bool(torch.isfinite(coc_px).all()):
        raise SettingsError(
            "a circle of confusion is not a finite number",
            where="render_views",
            expected="finite signed diameters in pixels",
            got=f"{int((~torch.isfinite(coc_px)).sum())} pixels that are NaN or infinite",
            remedy="fill the holes of the blur map first",
        )
