"""The pictures of one item, encoded for a browser: full size for the viewer, small for the table.

Photographs become JPEG, maps lossless PNG with a palette. Sixteen-bit pixels are shown as
``round(value / 257)``: no stretch, no per-picture normalisation, so that the pictures of an item can be
compared by eye. A palette has 255 steps, so that zero falls on one of them; the 256th stands for "unknown".
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from ldp_core.errors import BlurMapError
from ldp_core.report import model
from ldp_core.report.model import BLUR_PICTURES, BLUR_TRUTH, MapDigest, PictureKind, PictureSpec
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, FloatMap, Pair, Pixels

Values = NDArray[Any]
"""Pixels of a photograph, or the values of a map."""

PHOTOGRAPH_QUALITY: Final = 95
"""JPEG quality: more than 40 dB from the pixels, so that what a reader compares is not the encoding; 100
would double the files."""
THUMB_QUALITY: Final = 85
THUMB_SIZE_PX: Final = (224, 160)
"""Width and height at most: the table shows 72 x 52 CSS pixels, on dense screens three times as many."""
TONE_NOTE: Final = (
    "Pictures are shown at 8 bit. 16-bit pixels are shown as round(value / 257), with no stretch and no "
    "per-picture normalisation; photographs are JPEG quality 95 without chroma subsampling, maps are "
    "lossless PNG. Scores are computed on the pixels of the archive, never on these pictures."
)
STEPS: Final = 255
UNKNOWN: Final = 255
UNKNOWN_COLOUR: Final = "#6b6f76"
"""A grey that is on neither scale."""
REACH_PERCENTILE: Final = 99.5
"""Of a map's values the share that its colour scale covers: outliers do not make the rest pale."""
STEPS_OF_SCALE: Final = 20
"""Bins of a digest from 0 to the end of the colour scale, where its spec gives no step."""


def render_pictures(
    pair: Pair,
    *,
    blur_map: BlurMap | None = None,
    restored: Pixels | None = None,
    products: Mapping[PictureSpec, Values] | None = None,
) -> dict[str, bytes]:
    """Everything a report shows of one item, as file name -> content.

    These are a picture for each view, result and truth that there is, thumbnails of some, and a JSON file
    with the :class:`~ldp_core.report.model.MapDigest` of each map. ``products``: further pictures of the
    item's height and width, with their descriptions, which :func:`~ldp_core.report.write_report` needs too.

    Raises:
        BlurMapError: a product has another height, width or number of axes than its description says.
    """
    shown = {
        model.LEFT: pair.left if pair.has_both_views else None,
        model.RIGHT: pair.right,
        model.INPUT: input_image(pair),
        model.RESTORED: restored,
        model.TARGET: pair.target,
        **{
            PictureSpec(n, method): pair.external[method]
            for method, n in name_external(pair.external).items()
        },
        **({BLUR_PICTURES[blur_map.kind]: blur_map.values} if blur_map is not None else {}),
        **_checked(products or {}, pair),
    }
    files: dict[str, bytes] = {}
    for spec, values in shown.items():
        if values is not None:
            files |= _draw_map(spec, values) if spec.is_map else _draw_photograph(spec, values)
    if pair.blur_truth is not None:
        truth = _draw_truth(pair.blur_truth, pair.blur_truth_kind, blur_map)
        files[f"{BLUR_TRUTH}.png"] = _png(truth)
    return files


def picture_paths(item_id: str, files: Iterable[str]) -> dict[str, str]:
    """File name -> address relative to the report, of the files :func:`render_pictures` named."""
    return {file: f"items/{item_id}/{file}" for file in sorted(files)}


def name_external(methods: Iterable[str]) -> dict[str, str]:
    """Method -> picture name, safe as a file name whatever a method is called, one for each."""
    names: dict[str, str] = {}
    for method in sorted(methods):
        safe = re.sub(r"[^a-z0-9._]+", "_", method.lower()).strip("._") or "unnamed"
        name = model.EXTERNAL_PREFIX + safe
        names[method] = f"{name}_{len(names)}" if name in names.values() else name
    return names


def to_eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels for a screen: 8 bit as they are, 16 bit as ``round(value / 257)``."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def encode_photograph(pixels: Pixels) -> bytes:
    """Pixels ``(h, w, 1 or 3)`` as JPEG without chroma subsampling."""
    return _jpeg(_to_image(pixels))


def digest_map(values: FloatMap, spec: PictureSpec) -> MapDigest:
    """The distribution of the values of a map; pixels that are not finite are left out."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        known = np.zeros(1, np.float32)
    p05, p50, p95 = (round(float(p), 4) for p in np.percentile(known, (5, 50, 95)))
    limit = colour_limit(values, spec)
    step = spec.step or limit / STEPS_OF_SCALE
    bins, counts = np.unique(np.rint(known / step).astype(np.int64), return_counts=True)
    shares = {int(b): round(float(n) / known.size, 6) for b, n in zip(bins, counts, strict=True)}
    return MapDigest(spec.scale, limit, step, p05, p50, p95, shares)


def colour_limit(values: FloatMap, spec: PictureSpec) -> float:
    """Where the colour scale of a map ends: 1 for probabilities; for others the next of 1, 2, 5 times a
    power of ten that nearly all values are below, so that the scales of items compare."""
    if spec.kind is PictureKind.PROBABILITY:
        return 1.0
    sizes = np.abs(values[np.isfinite(values)])
    reach = max(float(np.percentile(sizes, REACH_PERCENTILE)) if sizes.size else 0.0, 2 * spec.step)
    if reach == 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(reach))
    return next(limit for factor in (1, 2, 5, 10) if (limit := factor * magnitude) >= reach)


def colour_at(share: float, spec: PictureSpec) -> str:
    """The colour of a scale at 0 (low end) .. 1 (high end), as ``#rrggbb``."""
    step = round(min(max(share, 0.0), 1.0) * (STEPS - 1))
    return "#" + bytes(palette_of(spec)[step].tolist()).hex()


@lru_cache
def palette_of(spec: PictureSpec) -> NDArray[np.uint8]:
    """The scale as a palette ``(256, 3)`` uint8 sRGB; the last entry is the unknown colour."""
    anchors = np.array([ImageColor.getrgb(stop) for stop in spec.stops], np.float64)
    at = np.linspace(0, len(anchors) - 1, STEPS)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    scale = np.rint(np.stack(channels, axis=1))
    return np.concatenate([scale, [ImageColor.getrgb(UNKNOWN_COLOUR)]]).astype(np.uint8)


def index_values(values: FloatMap, *, low: float, high: float) -> NDArray[np.uint8]:
    """Palette indices ``(h, w)`` of values spread from ``low`` to ``high``; values beyond take the end
    colours; not finite = unknown."""
    known = np.isfinite(values)
    scaled = (np.where(known, values, low) - low) / (high - low) * (STEPS - 1)
    steps = np.clip(np.rint(scaled), 0, STEPS - 1)
    return np.where(known, steps, UNKNOWN).astype(np.uint8)


def _checked(products: Mapping[PictureSpec, Values], pair: Pair) -> Mapping[PictureSpec, Values]:
    for spec, values in products.items():
        axes = 2 if spec.is_map else 3
        if values.ndim != axes or values.shape[:2] != pair.left.shape[:2]:
            raise BlurMapError(
                f"the {spec.kind.value} '{spec.name}' cannot be shown beside the other pictures of its item",
                where=pair.id,
                expected=f"{axes} axes, the first two {pair.left.shape[:2]}",
                got=str(values.shape),
            )
    return products


def _draw_photograph(spec: PictureSpec, pixels: Values) -> dict[str, bytes]:
    image = _to_image(pixels)
    thumb = {f"{spec.name}-thumb.jpg": _jpeg_thumb(image)} if spec.thumbnail else {}
    return {f"{spec.name}.jpg": _jpeg(image), **thumb}


def _draw_map(spec: PictureSpec, values: Values) -> dict[str, bytes]:
    image = _colour_map(values, spec, limit=colour_limit(values, spec))
    thumb = {f"{spec.name}-thumb.png": _png(_shrink_map(image))} if spec.thumbnail else {}
    return {f"{spec.name}.png": _png(image), **thumb, spec.digest_file: digest_map(values, spec).to_json()}


def _draw_truth(truth: FloatMap, kind: BlurTruthKind, blur_map: BlurMap | None) -> Image.Image:
    """A signed truth on the colour scale of the estimate, so that the two compare; an unsigned one,
    whose scale is unknown, spread over its own 1st..99th percentile, 0 = unknown."""
    if kind is not BlurTruthKind.SIGNED_COC_PX:
        return _draw_unsigned(truth)
    spec = BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX]
    estimate = blur_map.values if blur_map is not None and blur_map.kind.value == spec.scale else truth
    return _colour_map(truth, spec, limit=colour_limit(estimate, spec))


def _draw_unsigned(truth: FloatMap) -> Image.Image:
    known = truth[(truth != 0) & np.isfinite(truth)]
    low, high = (float(p) for p in np.percentile(known, (1, 99))) if known.size else (0.0, 1.0)
    masked = np.where(truth == 0, np.float32(np.nan), truth)
    indices = index_values(masked, low=low, high=max(high, low + 1e-6))
    return _with_palette(indices, BLUR_PICTURES[BlurMapKind.SIMILARITY])


def _colour_map(values: FloatMap, spec: PictureSpec, *, limit: float) -> Image.Image:
    return _with_palette(index_values(values, low=-limit if spec.is_signed else 0.0, high=limit), spec)


def _with_palette(indices: NDArray[np.uint8], spec: PictureSpec) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(palette_of(spec).tobytes())
    return image


def _to_image(pixels: Pixels) -> Image.Image:
    shown = to_eight_bit(pixels)
    return Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown)


def _shrink_map(image: Image.Image) -> Image.Image:
    """A thumbnail with the palette of the map: means of neighbouring entries, which stand for values."""
    indices = np.asarray(image)
    unknown = indices == UNKNOWN
    small = Image.fromarray(np.where(unknown, UNKNOWN // 2, indices).astype(np.uint8))
    small.thumbnail(THUMB_SIZE_PX, Image.Resampling.BOX)
    left_out = np.asarray(Image.fromarray(unknown).resize(small.size, Image.Resampling.NEAREST))
    shrunk = Image.fromarray(np.where(left_out, UNKNOWN, np.asarray(small)).astype(np.uint8))
    shrunk.putpalette(image.getpalette() or ())
    return shrunk


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _jpeg(image: Image.Image, quality: int = PHOTOGRAPH_QUALITY) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _jpeg_thumb(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail(THUMB_SIZE_PX, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _jpeg(small, THUMB_QUALITY)
