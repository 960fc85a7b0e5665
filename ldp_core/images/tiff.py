"""TIFF 6.0 and BigTIFF, through tifffile: strips or tiles, any compression it knows. A DNG is one as well.

Of several directories the one with the full picture is read: previews, the levels of a pyramid and masks are
stepped over, wherever they lie. Several full pictures are refused. Floating point must lie in 0..1.
"""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any, BinaryIO, Final

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile.tifffile import imagej_description_metadata, shaped_description_metadata

from ldp_core.images import dng
from ldp_core.images.codec import Codec, PictureHeader, drop_opaque, quantise, refuse_kind
from ldp_core.images.colour import MAX_PROFILE_BYTES, SRGB
from ldp_core.images.scale import FULL_SCALE
from ldp_core.images.tiff_pages import require_segments, require_tiles, walk_pages
from ldp_core.images.traits import PictureTraits, to_ceiling, to_orientation

_MAGICS: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_GREY, _RGB = 1, 2
_UNSIGNED, _FLOAT = 1, 3
_DEPTHS: Final = {_UNSIGNED: (8, 10, 12, 14, 16), _FLOAT: (16, 32, 64)}
_ALPHA = (1, 2)
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_ROUNDING_PX: Final = 1.0  # the sides of a level are whole numbers, rounded up or down
_ORIENTATION, _MAX_SAMPLE_VALUE, _PROFILE = 274, 281, 34675
_PACKED_BITS: Final = (10, 12, 14)  # of sensors; decoded to 16 bit, their values as they are


def _read_header(file: BinaryIO) -> PictureHeader:
    """The header, from the directory of the full picture wherever in the file it lies."""
    with tifffile.TiffFile(file) as tiff:
        if tiff.is_dng:
            header = dng.accept(tiff)
            orientation = to_orientation(tiff.pages.first.tags.valueof(_ORIENTATION))
            return replace(header, traits=PictureTraits(peak=FULL_SCALE, orientation=orientation))
        page = _find_page(tiff)
        header = _accept_page(page)
        return replace(header, traits=_read_traits(page))


def _read_traits(page: tifffile.TiffPage) -> PictureTraits:
    """Of the full picture. Floating point is at full scale."""
    profile = page.tags.get(_PROFILE)
    known = profile is not None and profile.count <= MAX_PROFILE_BYTES
    ceiling = _first(page.tags.valueof(_MAX_SAMPLE_VALUE)) if page.bitspersample == 16 else None
    packed = 2**page.bitspersample - 1 if page.bitspersample in _PACKED_BITS else None
    is_float = page.sampleformat == _FLOAT
    return PictureTraits(
        peak=FULL_SCALE if is_float else packed,
        ceiling=None if is_float else to_ceiling(ceiling),
        profile=bytes(profile.value) if profile and known else SRGB,
        orientation=to_orientation(page.tags.valueof(_ORIENTATION)),
    )


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def _decode(content: bytes) -> Any:
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        if tiff.is_dng:
            return dng.develop(content, tiff)
        page = _find_page(tiff)
        require_segments(page, content)
        pixels = page.asarray(maxworkers=1)
        pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
        is_float = page.sampleformat == _FLOAT
        if _has_alpha(page):
            pixels = drop_opaque(pixels, opaque=1.0 if is_float else 2**page.bitspersample - 1)
        return quantise(pixels) if is_float else pixels


def _encode(plane: NDArray[Any]) -> bytes:
    """With deflate and a predictor, lossless."""
    file = io.BytesIO()
    photometric = "minisblack" if plane.ndim == 2 else "rgb"
    tifffile.imwrite(file, plane, photometric=photometric, compression="zlib", predictor=True, metadata=None)
    return file.getvalue()


def _find_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """The full picture: the largest directory, subdirectories included, that is no preview and no mask.

    Raises:
        ImageFormatError: there are several, or none.
    """
    pages = [page for page in walk_pages(tiff) if not page.subfiletype & _MASK]
    full = [page for page in pages if not page.subfiletype & _REDUCED]
    if not full:
        raise refuse_kind("TIFF that holds only previews", remedy="store the full picture")
    largest = max(full, key=_count_pixels)
    if any(page is not largest and not _is_level(page, largest) for page in full) or _is_stack(largest):
        raise refuse_kind("TIFF with several pictures", remedy="store one picture per file")
    if any(_count_pixels(page) > _count_pixels(largest) for page in pages):
        raise refuse_kind("TIFF whose preview is larger than its picture", remedy="store the full picture")
    return largest


def _count_pixels(page: tifffile.TiffPage) -> int:
    return int(page.imagelength) * int(page.imagewidth)


def _is_level(page: tifffile.TiffPage, full: tifffile.TiffPage) -> bool:
    """Whether it may be a smaller copy of the full picture: of its proportions, but for rounding."""
    off = abs(page.imagelength - page.imagewidth * full.imagelength / full.imagewidth)
    allowed = _ROUNDING_PX * max(1, full.imagelength / full.imagewidth)
    return _count_pixels(page) < _count_pixels(full) and off <= allowed


def _is_stack(page: tifffile.TiffPage) -> bool:
    """Whether one directory stands for several pictures, as ImageJ and tifffile write them."""
    if page.imagej_description:
        return int(imagej_description_metadata(page.imagej_description).get("images", 1)) > 1
    if page.shaped_description:
        shape = shaped_description_metadata(page.shaped_description).get("shape", ())
        return bool(math.prod(shape) > math.prod(page.shape))
    return False


def _accept_page(page: tifffile.TiffPage) -> PictureHeader:
    if page.photometric not in (_GREY, _RGB):
        raise refuse_kind(f"TIFF of photometric kind {page.photometric!r}")
    channels = 1 if page.photometric == _GREY else 3
    if page.samplesperpixel != channels + _has_alpha(page):
        raise refuse_kind(f"TIFF with {page.samplesperpixel} samples per pixel")
    if page.bitspersample not in _DEPTHS.get(page.sampleformat, ()):
        raise refuse_kind(f"TIFF of {page.bitspersample} bit, sample format {page.sampleformat!r}")
    if page.imagedepth != 1:
        raise refuse_kind("TIFF with several pictures", remedy="store one picture per file")
    require_tiles(page)
    return PictureHeader(
        height=page.imagelength,
        width=page.imagewidth,
        channels=channels,
        bit_depth=8 if page.bitspersample == 8 else 16,
    )


def _has_alpha(page: tifffile.TiffPage) -> bool:
    return len(page.extrasamples) == 1 and page.extrasamples[0] in _ALPHA


TIFF: Final = Codec(_MAGICS, _read_header, _decode, _encode)
