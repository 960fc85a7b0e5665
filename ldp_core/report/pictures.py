"""The pictures of one item, encoded for a browser: full size for the viewer, small for the table.

Photographs become JPEG quality 95 without chroma subsampling, maps lossless PNG with a palette.
Sixteen-bit pixels are shown as ``round(value / 257)``: no stretch, no per-picture normalisation,
so that the pictures of an item can be compared by eye.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ldp_core.report.colours import index_map, index_values, palette_of
from ldp_core.report.model import THUMBS, colour_limit, digest_blur
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, FloatMap, Pair, Pixels

PHOTOGRAPH_QUALITY: Final = 95
THUMB_QUALITY: Final = 85
THUMB_SIZE_PX: Final = (224, 160)
TONE_NOTE: Final = (
    "Pictures are shown at 8 bit. 16-bit pixels are shown as round(value / 257), with no stretch and no "
    "per-picture normalisation; photographs are JPEG quality 95 without chroma subsampling, blur maps "
    "are lossless. Scores are computed on the pixels of the archive, never on these pictures."
)
DIGEST_FILE: Final = "blur.json"


def render_pictures(pair: Pair, *, blur_map: BlurMap | None, restored: Pixels | None) -> dict[str, bytes]:
    """Everything a report shows of one item, as file name -> content.

    Besides the pictures of :class:`ldp_core.report.model.ReportItem` and their thumbnails there is
    ``blur.json``, the :class:`~ldp_core.report.model.BlurDigest` of the map.
    """
    photographs = _photographs(pair, restored)
    files = {f"{name}.jpg": _jpeg(picture) for name, picture in photographs.items()}
    files |= {f"{name}-thumb.jpg": _jpeg_thumb(photographs[name]) for name in THUMBS if name in photographs}
    if pair.blur_truth is not None:
        files["blur_truth.png"] = _png(_draw_truth(pair.blur_truth, pair.blur_truth_kind, blur_map))
    if blur_map is not None:
        drawn = _draw_blur(blur_map)
        files |= {"blur_map.png": _png(drawn), "blur_map-thumb.jpg": _jpeg_thumb(drawn.convert("RGB"))}
        files[DIGEST_FILE] = digest_blur(blur_map).to_json()
    return files


def item_folder(item_id: str) -> str:
    """Where the pictures of an item lie below the report's folder."""
    return f"items/{item_id}"


def picture_paths(item_id: str, files: Iterable[str]) -> dict[str, str]:
    """File name -> address relative to the report, of the files :func:`render_pictures` named."""
    return {file: f"{item_folder(item_id)}/{file}" for file in sorted(files)}


def name_external(methods: Iterable[str]) -> dict[str, str]:
    """Method -> picture name, safe as a file name whatever a method is called, one for each."""
    names: dict[str, str] = {}
    for method in sorted(methods):
        name = "peer-" + (re.sub(r"[^a-z0-9._]+", "_", method.lower()).strip("._") or "unnamed")
        names[method] = f"{name}_{len(names)}" if name in names.values() else name
    return names


def to_eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels for a screen: 8 bit as they are, 16 bit as ``round(value / 257)``."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _photographs(pair: Pair, restored: Pixels | None) -> Mapping[str, Image.Image]:
    named = {
        "left": pair.left if pair.has_both_views else None,
        "right": pair.right,
        "input": input_image(pair),
        "restored": restored,
        "target": pair.target,
    } | {name: pair.external[method] for method, name in name_external(pair.external).items()}
    return {name: _to_image(pixels) for name, pixels in named.items() if pixels is not None}


def _to_image(pixels: Pixels) -> Image.Image:
    shown = to_eight_bit(pixels)
    return Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown)


def _draw_blur(blur_map: BlurMap) -> Image.Image:
    return _with_palette(index_map(blur_map, limit=colour_limit(blur_map)), blur_map.kind)


def _draw_truth(truth: FloatMap, kind: BlurTruthKind, blur_map: BlurMap | None) -> Image.Image:
    """A signed truth on the colour scale of the estimate, so that the two compare; an unsigned one,
    whose scale is unknown, spread over its own 1st..99th percentile, 0 = unknown."""
    if kind is BlurTruthKind.SIGNED_COC_PX:
        signed = BlurMap(truth, BlurMapKind.SIGNED_COC_PX)
        scaled = blur_map if blur_map is not None and blur_map.kind is signed.kind else signed
        limit = colour_limit(scaled)
        return _with_palette(index_map(signed, limit=limit), signed.kind)
    return _draw_unsigned(truth)


def _draw_unsigned(truth: FloatMap) -> Image.Image:
    known = truth[(truth != 0) & np.isfinite(truth)]
    low, high = (float(p) for p in np.percentile(known, (1, 99))) if known.size else (0.0, 1.0)
    masked = np.where(truth == 0, np.float32(np.nan), truth)
    indices = index_values(masked, low=low, high=max(high, low + 1e-6))
    return _with_palette(indices, BlurMapKind.SIMILARITY)


def _with_palette(indices: NDArray[np.uint8], kind: BlurMapKind) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(palette_of(kind).tobytes())
    return image


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
