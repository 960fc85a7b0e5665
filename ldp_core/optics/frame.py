"""A whole frame through a lens whose blur depends on the place in the frame.

Kernels are exact at the nodes of a grid over the frame. Around each node a window is rendered with the
kernels of that node; windows fade linearly into their neighbours, in linear light. Our own choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ldp_core.optics.kernels import KernelFamily, KernelSpec, kernel_size
from ldp_core.optics.render import render_views
from ldp_core.optics.transfer import Transfer, decode_light, encode_light

NODES = (3, 4)
"""Rows and columns of the grid; coma and elongation of the fitted lenses bend little between them."""


@dataclass(frozen=True, slots=True)
class _Node:
    """Rows and columns that a node reaches, with its weights there, and its place in half widths."""

    rows: slice
    columns: slice
    weight: Tensor
    field_x: float
    field_y: float


def render_frame(
    sharp: Tensor,
    coc_px: Tensor,
    kernel: KernelSpec,
    *,
    slices: int = 12,
    transfer: Transfer = Transfer.GAMMA_22,
) -> tuple[Tensor, Tensor]:
    """Left and right view of a frame, the lens's axis in its centre.

    Takes and returns what `render_views` does. An off-axis lens is looked through at every place of the
    frame in turn, whatever `field_x` and `field_y` say; kernels of other families are the same everywhere.
    """
    if kernel.family is not KernelFamily.OFF_AXIS:
        return render_views(sharp, coc_px, kernel, slices=slices, transfer=transfer)
    height, width = sharp.shape[-2:]
    light = sharp.new_zeros(2, *sharp.shape)
    for node in _spread_nodes(height, width):
        local = kernel.model_copy(update={"field_x": node.field_x, "field_y": node.field_y})
        margin = kernel_size(local, float(coc_px.abs().max()))
        rows, columns = _widen(node.rows, margin, height), _widen(node.columns, margin, width)
        window = sharp[..., rows, columns], coc_px[..., rows, columns]
        views = torch.stack(render_views(*window, local, slices=slices, transfer=transfer))
        inner = _within(node.rows, rows), _within(node.columns, columns)
        light[..., node.rows, node.columns] += decode_light(views[..., *inner], transfer) * node.weight
    left, right = encode_light(light, transfer)
    return left, right


def _spread_nodes(height: int, width: int) -> Iterator[_Node]:
    for rows, row_weight, y in _spread(height, NODES[0]):
        for columns, column_weight, x in _spread(width, NODES[1]):
            place = 2 * x / width - 1, (2 * y - height) / width
            yield _Node(rows, columns, row_weight[:, None] * column_weight, *place)


def _spread(length: int, count: int) -> Iterator[tuple[slice, Tensor, float]]:
    """Nodes from edge to edge: the pixels each reaches, hat-shaped weights, its coordinate."""
    step = length / (count - 1)
    centres = torch.arange(length) + 0.5
    for index in range(count):
        weights = (1 - (centres - index * step).abs() / step).clamp_min(0)
        reached = weights.nonzero()[:, 0]
        span = slice(int(reached[0]), int(reached[-1]) + 1)
        yield span, weights[span], index * step


def _widen(span: slice, margin: int, length: int) -> slice:
    return slice(max(span.start - margin, 0), min(span.stop + margin, length))


def _within(span: slice, wide: slice) -> slice:
    return slice(span.start - wide.start, span.stop - wide.start)
