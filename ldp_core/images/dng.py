"""Raw photographs as DNG (Adobe DNG 1.x: a TIFF with a mosaic or linear sensor values), through rawpy.

Developed as little as a picture allows, and the same for every picture: camera white balance, LibRaw's
default demosaicing, sRGB primaries, gamma 2.2, 16 bit; no automatic brightness, no rotation.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import tifffile

from ldp_core.images.codec import PictureHeader, refuse_kind, report_damage, require_package
from ldp_core.images.scale import FULL_SCALE
from ldp_core.images.traits import PictureTraits

_MOSAIC, _LINEAR = 32803, 34892
_ACTIVE_AREA = 50829
_GAMMA = (2.2, 0)  # a pure power, as all views here have, and no linear toe


def accept(tiff: tifffile.TiffFile) -> PictureHeader:
    """The header of the developed picture: the active area of the first full-size raw directory."""
    require_package("rawpy", kind="DNG")
    for page in _walk_pages(tiff):
        if page.photometric in (_MOSAIC, _LINEAR) and not page.subfiletype & 1:
            return _measure(page)
    raise refuse_kind("DNG without sensor values")


def develop(content: bytes, header: PictureHeader) -> Any:
    """Pixels ``(h, w, 3)`` uint16 of a DNG whose header was accepted."""
    with _open(content) as raw:
        if (raw.sizes.height, raw.sizes.width) != (header.height, header.width):
            size = f"{raw.sizes.width} x {raw.sizes.height}"
            raise report_damage(f"sensor values of {size}, header {header.width} x {header.height}")
        return raw.postprocess(
            output_bps=16,
            gamma=_GAMMA,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,  # white stays the white level, never the brightest pixel
            use_camera_wb=True,
            user_flip=0,
        )


def _open(content: bytes) -> Any:
    import rawpy

    try:
        return rawpy.imread(io.BytesIO(content))
    except rawpy.LibRawFileUnsupportedError as error:
        raise refuse_kind(f"DNG that LibRaw cannot read: {error}") from error


def _walk_pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    for page in tiff.pages:
        if isinstance(page, tifffile.TiffPage):
            yield page
            yield from (sub for sub in page.pages or () if isinstance(sub, tifffile.TiffPage))


def _measure(page: tifffile.TiffPage) -> PictureHeader:
    if page.photometric == _LINEAR and page.samplesperpixel != 3:
        raise refuse_kind(f"DNG with {page.samplesperpixel} linear samples per pixel")
    area = page.tags.valueof(_ACTIVE_AREA, (0, 0, page.imagelength, page.imagewidth))
    top, left, bottom, right = area
    height, width = bottom - top, right - left
    if not (0 < height <= page.imagelength and 0 < width <= page.imagewidth):
        raise report_damage(f"an active area of {width} x {height}")
    return PictureHeader(
        height=height, width=width, channels=3, bit_depth=16, traits=PictureTraits(peak=FULL_SCALE)
    )
