"""Directories of a TIFF or DNG: all of them, and whether their data are whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import tifffile

from ldp_core.images.codec import refuse_kind, report_damage, require_tail
from ldp_core.images.lossy import walk_image

_MAX_PAGES: Final = 100  # a pyramid of the largest picture has 17 levels; a DNG has 3 to 8 directories
_MAX_DEPTH: Final = 3
# A tile may exceed a small picture; beyond 2048 x 2048 no sound writer does that.
_SMALL_TILE_PIXELS: Final = 2**22
_JPEG: Final = (7, 34892)
# LZW, JPEG 2000, WebP, JPEG XL: their data have an end, and no checksum as those of deflate.
_WITH_END: Final = (5, 33003, 33004, 33005, 34712, 34927, 50001, 50002)


def walk_pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Every directory and its subdirectories, each before those that it holds.

    Raises:
        ImageFormatError: there is none, or more than any picture needs.
    """
    count = 0
    for count, page in enumerate(_walk(tiff.pages, _MAX_DEPTH), start=1):
        if count > _MAX_PAGES:
            raise refuse_kind("TIFF with several pictures", remedy="store one picture per file")
        yield page
    if not count:
        raise report_damage("a TIFF without a directory")


def _walk(pages: tifffile.TiffPages, depth: int) -> Iterator[tifffile.TiffPage]:
    for page in pages:
        if isinstance(page, tifffile.TiffPage):
            yield page
            if page.pages is not None and depth:
                yield from _walk(page.pages, depth - 1)


def require_tiles(page: tifffile.TiffPage) -> None:
    """A tile is decoded whole, so its announced size counts as much as the picture's."""
    if min(page.imagelength, page.imagewidth) < 1:
        raise report_damage(f"a size of {page.imagewidth} x {page.imagelength}")
    tile_pixels = page.tilelength * page.tilewidth * page.tiledepth
    if page.is_tiled and tile_pixels > max(_SMALL_TILE_PIXELS, page.imagelength * page.imagewidth):
        raise report_damage(f"tiles of {page.tilewidth} x {page.tilelength}")


def require_segments(page: tifffile.TiffPage, content: bytes) -> None:
    """Missing strips and JPEG data that end early decode to zeros or grey; here they are a fault."""
    spans = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not page.is_contiguous and len(spans) != math.prod(page.chunked):
        raise report_damage(f"{len(spans)} of {math.prod(page.chunked)} strips")
    if any(offset <= 0 or count <= 0 or offset + count > len(content) for offset, count in spans):
        raise report_damage("a TIFF that is cut short")
    for offset, count in spans if page.compression in (*_JPEG, *_WITH_END) else ():
        segment = content[offset : offset + count]
        require_tail(segment, kind="TIFF")
        if page.compression in _JPEG:
            list(walk_image(segment))
