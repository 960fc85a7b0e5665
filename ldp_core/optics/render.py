"""Defocus of a whole scene as both views of a dual-pixel sensor see it, occlusion included.

The scene is cut into slices by circle of confusion; each slice is blurred with its own kernels in
linear light and the slices are laid over each other from the back to the front. A slice's blurred
coverage is divided by the blurred coverage of all that lies at its depth or behind, so that surfaces
crossing several slices show no seam and background continues beneath a blurred foreground (the
composition of Ikoma et al., "Depth from Defocus with Learned Optics", ICCP 2021). Our own addition:
where no kernel reaches beneath the foreground, the nearest surroundings at that depth fill in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from ldp_core.errors import PairMismatchError, SettingsError
from ldp_core.optics.kernels import DEFAULT_KERNEL, Kernel, KernelFamily, KernelSpec, kernel_bank, kernel_size
from ldp_core.optics.sensor import Transfer, decode_light, encode_light
from ldp_core.signals import fast_size, irfft2_part, rfft2

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
# Coverage from which on nothing is filled in: less than float32 tells apart.
_WHOLE = 0.999
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
    tile_px: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Left and right view of an all-in-focus image with known circles of confusion.

    Args:
        sharp: (b, c, h, w) float, encoded values 0..1.
        coc_px: (b, h, w) float, signed diameters in pixels, positive behind the focal plane.
        slices: how many levels of the circle of confusion are rendered, 3 or more; 12 are 58 dB from 64
            levels, 8 are 49 dB.
        transfer: how `sharp` encodes light; the views are encoded alike.
        tile_px: side of the tiles that are rendered one by one; None renders the picture at once. Tiles take
            a third of the time and less memory. They differ by less than 1e-4 of full scale, except where
            a foreground hides all of what is filled in (3 % at most).

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
    scene = cut_slices(coc_px.to(torch.float32), count=slices)
    if tile_px is None:
        views = _composite(light, scene, kernel)
    else:
        views = _composite_tiles(light, scene, kernel, tile_px=tile_px)
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
    kernels = _Kernels(kernel, scene.levels_px)
    height, width = light.shape[-2:]
    padded = fast_size(height, width, margin=kernels.largest_size - 1)
    return _composite_window(light, scene, kernels, padded=padded, kept=(slice(0, height), slice(0, width)))


def _composite_tiles(light: Tensor, scene: Slices, kernel: Kernel, *, tile_px: int) -> Tensor:
    """The same tile by tile."""
    batch, channels, *size = light.shape
    views = light.new_empty(batch, 2, channels, *size)
    for rows, columns, part in composite_tiles(
        lambda *window: light[..., *window], scene, kernel, tile_px=tile_px
    ):
        views[..., rows, columns] = part
    return views


def composite_tiles(
    read: Callable[[slice, slice], Tensor], scene: Slices, kernel: Kernel, *, tile_px: int
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Both views tile by tile: of the slices of a picture a tile meets few, and it fits into a cache.

    Args:
        read: gives rows and columns of the scene's linear light, (b, c, rows, columns).

    Yields:
        Rows, columns and views (b, 2, c, rows, columns) in linear light.
    """
    kernels = _Kernels(kernel, scene.levels_px)
    halo = kernels.largest_size // 2
    for tile in product(*(_cut_tiles(side, tile_px=tile_px, halo=halo) for side in scene.coc_px.shape[-2:])):
        rows, columns = (part.read for part in tile)
        window = Slices(scene.coc_px[:, rows, columns], scene.levels_px, scene.step_px)
        padded = fast_size(*(part.padded for part in tile))
        views = _composite_window(
            read(rows, columns), window, kernels, padded=padded, kept=(tile[0].kept, tile[1].kept)
        )
        yield tile[0].written, tile[1].written, views


@dataclass(frozen=True, slots=True)
class _Span:
    """One axis of a tile: what is read of the picture, which part of that is kept, where it is written.

    `padded` pixels hold a convolution of what is read: the light that leaves it on one side arrives on the
    other within the halo, which is not kept, but at the edges of the picture there is no halo.
    """

    read: slice
    kept: slice
    written: slice
    padded: int


def _cut_tiles(length: int, *, tile_px: int, halo: int) -> Iterator[_Span]:
    for start in range(0, length, tile_px):
        stop = min(start + tile_px, length)
        first, last = max(start - halo, 0), min(stop + halo, length)
        inside = start >= halo and stop + halo <= length
        yield _Span(
            read=slice(first, last),
            kept=slice(start - first, stop - first),
            written=slice(start, stop),
            padded=last - first + (0 if inside else halo),
        )


def _composite_window(
    light: Tensor, scene: Slices, kernels: _Kernels, *, padded: tuple[int, int], kept: tuple[slice, slice]
) -> Tensor:
    """Views (b, 2, c, rows, columns) of the part that is kept."""
    blur = _Blur(light, padded=padded, kept=kept)
    surroundings = _Surroundings(light, reach_px=kernels.largest_px / 2)
    whole = torch.cat([light, torch.ones_like(light[:, :1])], 1)
    seen: list[Tensor | None] = [None, None]
    for index in scene.occupied():
        premultiplied = whole * scene.share(index)
        blur.put(premultiplied)
        around = surroundings.at_or_behind(premultiplied, blur.coverage)
        around = None if around is None else around[..., *kept]
        transfers = kernels.transfers(index, padded)
        seen = [
            _cover(seen[side], _complete(*blur.through(transfers[:, side], kernels.size(index)), around))
            for side in (0, 1)
        ]
    return torch.stack([view[:, :-1] / view[:, -1:].clamp_min(_TINY) for view in seen if view is not None], 1)


def _cover(behind: Tensor | None, layer: Tensor) -> Tensor:
    """A layer over what lies behind it, if anything; premultiplied, coverage last: (b, c + 1, h, w)."""
    return layer if behind is None else torch.addcmul(layer, behind, 1 - layer[:, -1:])


def _complete(layer: Tensor, coverage: Tensor, surroundings: Tensor | None) -> Tensor:
    """Divide by the coverage at this depth or behind, filled in from the surroundings in its holes."""
    coverage = coverage.clamp(0, 1)
    fill = _FILL * (1 - coverage)
    light = layer.clamp_min(0)
    if surroundings is not None:
        light = torch.addcmul(light, fill, surroundings)
    return light / (coverage + fill + _TINY)


class _Kernels:
    """The kernels of all levels (b, n), and their spectra as far as they were asked for."""

    def __init__(self, kernel: Kernel, levels_px: Tensor) -> None:
        self.kernel, self.levels_px = kernel, levels_px
        self.largest_px = float(levels_px.abs().max())
        self.largest_size = kernel_size(kernel, self.largest_px)
        self._spectra: dict[tuple[int, tuple[int, int]], Tensor] = {}

    def size(self, index: int) -> int:
        """Side of the kernels of one level."""
        return kernel_size(self.kernel, float(self.levels_px[:, index].abs().max()))

    def transfers(self, index: int, padded: tuple[int, int]) -> Tensor:
        """Spectra (b, 2, rows, columns // 2 + 1) of both views' kernels of one level."""
        if (index, padded) not in self._spectra:
            bank = kernel_bank(self.kernel, self.levels_px[:, index])
            self._spectra[index, padded] = rfft2(bank, padded)
        return self._spectra[index, padded]


class _Blur:
    """Blurs slices one by one, each together with the coverage of all slices so far.

    Convolution in the frequency domain; `padded` keeps light that leaves on one side from what is `kept`.
    """

    def __init__(self, light: Tensor, *, padded: tuple[int, int], kept: tuple[slice, slice]) -> None:
        self.padded, self.kept = padded, kept
        self.slice = self.coverage = light.new_zeros(())
        self.spectrum = self.coverage_spectrum = light.new_zeros((), dtype=torch.complex64)

    def put(self, premultiplied: Tensor) -> None:
        """Take the next slice (b, c + 1, h, w), coverage last."""
        self.slice, self.spectrum = premultiplied, rfft2(premultiplied, self.padded)
        self.coverage = self.coverage + premultiplied[:, -1:]
        self.coverage_spectrum = self.coverage_spectrum + self.spectrum[:, -1:]

    def through(self, transfer: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """The slice (b, c + 1, ...) and the coverage (b, 1, ...), where kept, through one view's kernels."""
        if size == 1:
            return self.slice[..., *self.kept], self.coverage[..., *self.kept]
        rows, columns = (slice(part.start + size // 2, part.stop + size // 2) for part in self.kept)
        blurred, coverage = (
            irfft2_part(spectrum * transfer[:, None], self.padded, rows, columns)
            for spectrum in (self.spectrum, self.coverage_spectrum)
        )
        return blurred, coverage


class _Surroundings:
    """What lies around at the same depth, seen coarsely: the fill for holes behind a foreground."""

    def __init__(self, light: Tensor, *, reach_px: float) -> None:
        self.shape = light.shape[-2:]
        sigma = max(reach_px / _COARSE_PX / 2, 0.5)
        half = int(3 * sigma) + 1
        offsets = torch.arange(-half, half + 1, device=light.device, dtype=light.dtype)
        self.kernel = torch.exp(-(offsets**2) / (2 * sigma**2))

    def at_or_behind(self, premultiplied: Tensor, coverage: Tensor) -> Tensor | None:
        """Mean colour and share (b, c + 1, h, w) of a slice around each pixel, by the coverage so far.

        None where nothing is to be filled in.
        """
        if float(coverage.detach().min()) > _WHOLE:
            return None
        planes = torch.cat([premultiplied, coverage], 1)
        coarse = self._spread(F.avg_pool2d(planes, _COARSE_PX, ceil_mode=True))
        return F.interpolate(coarse[:, :-1] / (coarse[:, -1:] + _TINY), self.shape, mode="bilinear")

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
