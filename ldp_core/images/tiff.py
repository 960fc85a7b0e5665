"""TIFF 6.0 and BigTIFF, through tifffile: strips or tiles, any compression it knows. A DNG is one as well."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any, BinaryIO, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from ldp_core.images import dng
from ldp_core.images.codec import Codec, PictureHeader, drop_opaque, refuse_kind, report_damage
from ldp_core.images.colour import MAX_PROFILE_BYTES, SRGB
from ldp_core.images.scale import FULL_SCALE
from ldp_core.images.traits import PictureTraits, to_ceiling, to_orientation

_MAGICS: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_GREY, _RGB = 1, 2
_UNSIGNED = 1
_ALPHA = (1, 2)
_REDUCED_IMAGE = 1
_ORIENTATION, _MAX_SAMPLE_VALUE, _PROFILE = 274, 281, 34675
_PACKED_BITS: Final = (10, 12, 14)  # of sensors; decoded to 16 bit, their values as they are
# A tile may exceed a small picture; beyond 2048 x 2048 no sound writer does that.
_SMALL_TILE_PIXELS = 2**22


def _read_header(file: BinaryIO) -> PictureHeader:
    """The header, from the first directory wherever in the file it lies."""
    with tifffile.TiffFile(file) as tiff:
        header = dng.accept(tiff) if tiff.is_dng else _accept_page(tiff)
        return replace(header, traits=_read_traits(_first_page(tiff), header))


def _read_traits(page: tifffile.TiffPage, header: PictureHeader) -> PictureTraits:
    """Developed raw values are sRGB at full scale; a profile there is one of the camera."""
    orientation = to_orientation(page.tags.valueof(_ORIENTATION))
    if header.traits.peak == FULL_SCALE:
        return replace(header.traits, orientation=orientation)
    profile = page.tags.get(_PROFILE)
    known = profile is not None and profile.count <= MAX_PROFILE_BYTES
    ceiling = _first(page.tags.valueof(_MAX_SAMPLE_VALUE)) if header.bit_depth == 16 else None
    peak = 2**page.bitspersample - 1 if page.bitspersample in _PACKED_BITS else None
    return PictureTraits(
        peak, to_ceiling(ceiling), bytes(profile.value) if profile and known else SRGB, orientation
    )


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def _decode(content: bytes) -> Any:
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        if tiff.is_dng:
            return dng.develop(content, dng.accept(tiff))
        page = _first_page(tiff)
        _require_segments(page, size_bytes=len(content))
        pixels = page.asarray(maxworkers=1)
        pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
        return drop_opaque(pixels, opaque=2**page.bitspersample - 1) if _has_alpha(page) else pixels


def _encode(plane: NDArray[Any]) -> bytes:
    """With deflate and a predictor, lossless."""
    file = io.BytesIO()
    photometric = "minisblack" if plane.ndim == 2 else "rgb"
    tifffile.imwrite(file, plane, photometric=photometric, compression="zlib", predictor=True, metadata=None)
    return file.getvalue()


def _first_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    page = tiff.pages[0]
    if not isinstance(page, tifffile.TiffPage):
        raise report_damage("a TIFF without a directory")
    return page


def _accept_page(tiff: tifffile.TiffFile) -> PictureHeader:
    page = _first_page(tiff)
    if page.photometric not in (_GREY, _RGB):
        raise refuse_kind(f"TIFF of photometric kind {page.photometric!r}")
    channels = 1 if page.photometric == _GREY else 3
    if page.samplesperpixel != channels + _has_alpha(page):
        raise refuse_kind(f"TIFF with {page.samplesperpixel} samples per pixel")
    if page.bitspersample not in (8, 16, *_PACKED_BITS) or page.sampleformat != _UNSIGNED:
        raise refuse_kind(f"TIFF of {page.bitspersample} bit, sample format {page.sampleformat!r}")
    if page.imagedepth != 1 or _is_sequence(tiff):
        raise refuse_kind("TIFF with several pictures", remedy="store one picture per file")
    _require_sane_tiles(page)
    return PictureHeader(
        height=page.imagelength,
        width=page.imagewidth,
        channels=channels,
        bit_depth=8 if page.bitspersample == 8 else 16,
    )


def _has_alpha(page: tifffile.TiffPage) -> bool:
    return len(page.extrasamples) == 1 and page.extrasamples[0] in _ALPHA


def _is_sequence(tiff: tifffile.TiffFile) -> bool:
    """Whether a second directory holds another picture rather than a preview of the first."""
    try:
        second = tiff.pages[1]
    except IndexError:
        return False
    return isinstance(second, tifffile.TiffPage) and not second.subfiletype & _REDUCED_IMAGE


def _require_sane_tiles(page: tifffile.TiffPage) -> None:
    """A tile is decoded whole, so its announced size counts as much as the picture's."""
    if min(page.imagelength, page.imagewidth) < 1:
        raise report_damage(f"a size of {page.imagewidth} x {page.imagelength}")
    tile_pixels = page.tilelength * page.tilewidth * page.tiledepth
    if page.is_tiled and tile_pixels > max(_SMALL_TILE_PIXELS, page.imagelength * page.imagewidth):
        raise report_damage(f"tiles of {page.tilewidth} x {page.tilelength}")


def _require_segments(page: tifffile.TiffPage, *, size_bytes: int) -> None:
    """Missing strips decode to zeros; here they are a fault."""
    spans = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not page.is_contiguous and len(spans) != math.prod(page.chunked):
        raise report_damage(f"{len(spans)} of {math.prod(page.chunked)} strips")
    if any(offset <= 0 or count <= 0 or offset + count > size_bytes for offset, count in spans):
        raise report_damage("a TIFF that is cut short")


TIFF: Final = Codec(_MAGICS, _read_header, _decode, _encode)
