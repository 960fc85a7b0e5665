"""Scenes of surfaces one behind another, each with all that the nearer ones hide.

A picture with one circle of confusion per pixel does not say what lies behind its foreground, yet a
defocused background lets it be seen beside a sharp bar, and a defocused bar lets it shine through. Here
every surface has its own picture, coverage and circle of confusion. A surface is blurred in linear light
and laid over what lies behind it with its blurred coverage: exact where either of the two is in focus.
Where both are blurred the coverages are taken to be independent, as in Ikoma et al. (ICCP 2021). The
rearmost surface may itself have edges of depth; it is rendered as any picture is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ldp_core.errors import PairMismatchError
from ldp_core.optics.kernels import DEFAULT_KERNEL, Kernel, KernelSpec, UnitPsf, kernel_bank, kernel_size
from ldp_core.optics.render import cut_slices, render_views, spread_nodes_along, widen, within
from ldp_core.optics.sensor import Transfer, decode_light, encode_light
from ldp_core.signals import fast_size, irfft2, rfft2

__all__ = ["KernelField", "Surface", "flatten_surfaces", "render_surfaces"]

KernelField = Callable[[float, float], Kernel]
"""Kernel at a place of the picture: x and y in half widths from its centre, y down."""

NODES = (3, 4)
"""Rows and columns of places at which a kernel field is asked in a whole frame; between them views are
mixed linearly."""
_TINY = 1e-12
_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class Surface:
    """One surface: `colour` (3, h, w) encoded 0..1, `coverage` (h, w) 0..1, `coc_px` (h, w) signed diameters.

    Colour and circle of confusion are those of the surface also where `coverage` is 0.
    """

    colour: Tensor
    coverage: Tensor
    coc_px: Tensor


def flatten_surfaces(
    surfaces: Sequence[Surface], *, transfer: Transfer = Transfer.GAMMA_22
) -> tuple[Tensor, Tensor]:
    """What a lens in focus everywhere sees: sharp picture (3, h, w) encoded, and `coc_px` (h, w).

    Args:
        surfaces: from the back to the front; the first covers everything.
    """
    light, coc_px = decode_light(surfaces[0].colour, transfer), surfaces[0].coc_px
    for surface in surfaces[1:]:
        light = torch.lerp(light, decode_light(surface.colour, transfer), surface.coverage)
        coc_px = torch.where(surface.coverage >= _COVERED, surface.coc_px, coc_px)
    return encode_light(light, transfer), coc_px


def render_surfaces(
    surfaces: Sequence[Surface],
    kernel: Kernel | KernelField = DEFAULT_KERNEL,
    *,
    slices: int = 12,
    transfer: Transfer = Transfer.GAMMA_22,
    nodes: tuple[int, int] = NODES,
) -> tuple[Tensor, Tensor]:
    """Left and right view (3, h, w), encoded 0..1, aligned with `flatten_surfaces`.

    Args:
        surfaces: from the back to the front; the first covers everything.
        kernel: the kernel of the whole picture, or a field of them.
        slices: how many levels of the circle of confusion a surface is rendered at, 3 or more.
        nodes: rows and columns of places, 2 or more each, at which a field of kernels is asked.

    Raises:
        PairMismatchError: the surfaces differ in size.
        SettingsError: fewer than 3 slices, or a circle of confusion that is not finite.
    """
    _require_match(surfaces)
    if isinstance(kernel, KernelSpec | UnitPsf):
        light = _composite(surfaces, kernel, slices=slices, transfer=transfer)
    else:
        light = _composite_field(surfaces, kernel, slices=slices, transfer=transfer, nodes=nodes)
    left, right = encode_light(light, transfer)
    return left, right


def _composite(surfaces: Sequence[Surface], kernel: Kernel, *, slices: int, transfer: Transfer) -> Tensor:
    """Both views (2, 3, h, w) in linear light."""
    rear = decode_light(surfaces[0].colour, transfer)[None], surfaces[0].coc_px[None]
    seen = torch.cat(render_views(*rear, kernel, slices=slices, transfer=Transfer.LINEAR))
    for surface in surfaces[1:]:
        layer = _blur(surface, kernel, slices=slices, transfer=transfer)
        seen = layer[:, :-1] + seen * (1 - layer[:, -1:])
    return seen


def _composite_field(
    surfaces: Sequence[Surface],
    field: KernelField,
    *,
    slices: int,
    transfer: Transfer,
    nodes: tuple[int, int],
) -> Tensor:
    height, width = surfaces[0].coverage.shape
    light = surfaces[0].colour.new_zeros(2, *surfaces[0].colour.shape)
    largest_px = max(float(surface.coc_px.abs().max()) for surface in surfaces)
    for rows, row_weight, y in spread_nodes_along(height, nodes[0]):
        for columns, column_weight, x in spread_nodes_along(width, nodes[1]):
            kernel = field(2 * x / width - 1, (2 * y - height) / width)
            margin = kernel_size(kernel, largest_px)
            tall, wide = widen(rows, margin, height), widen(columns, margin, width)
            window = [_cut(surface, tall, wide) for surface in surfaces]
            views = _composite(window, kernel, slices=slices, transfer=transfer)
            inner = views[..., within(rows, tall), within(columns, wide)]
            light[..., rows, columns] += inner * (row_weight[:, None] * column_weight)
    return light


def _blur(surface: Surface, kernel: Kernel, *, slices: int, transfer: Transfer) -> Tensor:
    """Premultiplied light and coverage (2, 4, h, w) of a surface in both views.

    The surface is cut into slices of one circle of confusion each; their sum is divided by the blurred
    shares, which add up to 1 where the circle of confusion is constant.
    """
    height, width = surface.coverage.shape
    premultiplied = torch.cat(
        [decode_light(surface.colour, transfer) * surface.coverage, surface.coverage[None]]
    )
    scene = cut_slices(surface.coc_px[None], count=slices)
    margin = kernel_size(kernel, float(scene.levels_px.abs().max())) - 1
    padded = fast_size(height, width, margin=margin)
    total = premultiplied.new_zeros(2, 5, height, width)
    for index in scene.occupied():
        share = scene.share(index)[0]
        planes = torch.cat([premultiplied * share, share])
        kernels = kernel_bank(kernel, scene.levels_px[:, index])[0]
        total += _convolve(planes, kernels, padded=padded)
    return total[:, :-1].clamp_min(0) / total[:, -1:].clamp_min(_TINY)


def _convolve(planes: Tensor, kernels: Tensor, *, padded: Sequence[int]) -> Tensor:
    """Zero-padded convolution of planes (c, h, w) with two kernels (2, k, k): (2, c, h, w)."""
    if kernels.shape[-1] == 1:
        return planes.expand(2, *planes.shape)
    product = rfft2(planes, padded)[None] * rfft2(kernels, padded)[:, None]
    start, (height, width) = kernels.shape[-1] // 2, planes.shape[-2:]
    return irfft2(product, padded)[..., start : start + height, start : start + width]


def _cut(surface: Surface, rows: slice, columns: slice) -> Surface:
    parts = (surface.colour, surface.coverage, surface.coc_px)
    return Surface(*(part[..., rows, columns] for part in parts))


def _require_match(surfaces: Sequence[Surface]) -> None:
    shapes = {tuple(surface.coverage.shape) for surface in surfaces}
    shapes |= {tuple(surface.coc_px.shape) for surface in surfaces}
    shapes |= {tuple(surface.colour.shape[-2:]) for surface in surfaces}
    if len(shapes) != 1:
        raise PairMismatchError(
            "surfaces of one scene differ in size",
            where="render_surfaces",
            expected="one or more surfaces of one height and width",
            got=", ".join(map(str, sorted(shapes))) or "none",
        )
