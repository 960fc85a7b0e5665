"""Raw photographs as DNG (Adobe DNG 1.x: a TIFF with a mosaic or linear sensor values), through rawpy.

Developed as little as a picture allows, and the same for every picture: white is the white level of the file,
black its black levels, multipliers are those of AsShotNeutral or 1; LibRaw's default demosaicing, sRGB
primaries, gamma 2.2, 16 bit; no automatic brightness, no rotation. The picture is the active area:
DefaultCrop and the opcode lists for lens shading and distortion are not applied; the curve of lossy JPEG is.

Refused by name, for LibRaw scales or reads them by their content, or not at all: floating point; compressions
other than none, lossless JPEG, and lossy JPEG with its curve; mosaics other than 2 x 2 and 6 x 6 of red,
green, blue.
"""

from __future__ import annotations

import io
from typing import Any, Final

import tifffile

from ldp_core.images.codec import PictureHeader, refuse_kind, report_damage, require_package
from ldp_core.images.lossy import walk_image
from ldp_core.images.tiff_pages import require_segments, require_tiles, walk_pages

_MOSAIC, _LINEAR = 32803, 34892
_UNSIGNED: Final = 1
_DEPTHS: Final = range(8, 17)
_PLAIN, _LOSSLESS_JPEG, _LOSSY_JPEG = 1, 7, 34892
_COMPRESSIONS: Final = (_PLAIN, _LOSSLESS_JPEG, _LOSSY_JPEG)
_LOSSLESS_FRAME: Final = 0xC3
_SCAN: Final = 0xDA
_ACTIVE_AREA: Final = 50829
_REPEAT, _PATTERN, _PLANE_COLOURS, _LAYOUT = 33421, 33422, 50710, 50711
_REPEATS: Final = ((2, 2), (6, 6))  # Bayer and X-Trans; others LibRaw takes for a Bayer pattern
_RGB: Final = (0, 1, 2)
_RECTANGULAR: Final = 1
_WHITE_LEVEL: Final = 50717
_NEUTRAL, _WHITE_XY = 50728, 50729
_OPCODES: Final = 51009
_CURVE_OPCODE: Final = 8
_GAMMA = (2.2, 0)  # a pure power, as all views here have, and no linear toe

_REMEDY: Final = "convert it with Adobe DNG Converter, uncompressed or with lossless compression"


def accept(tiff: tifffile.TiffFile) -> PictureHeader:
    """The header of the developed picture: the active area of the only full-size raw directory.

    Raises:
        ImageFormatError: there is none or there are several, or it is of a kind that is not read.
    """
    require_package("rawpy", kind="DNG")
    page = _find_raw(tiff)
    _require_kind(page)
    require_tiles(page)
    _find_multipliers(tiff, page)
    return _measure(page)


def develop(content: bytes, tiff: tifffile.TiffFile) -> Any:
    """Pixels ``(h, w, 3)`` uint16 of a DNG whose header was accepted."""
    header, page = accept(tiff), _find_raw(tiff)
    require_segments(page, content)
    if page.compression == _LOSSLESS_JPEG:
        _require_lossless(page, content)
    multipliers = _find_multipliers(tiff, page)
    with _open(content) as raw:
        _require_same(raw, page, header)
        return raw.postprocess(
            output_bps=16,
            gamma=_GAMMA,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,  # white stays the white level, never the brightest pixel
            use_camera_wb=multipliers is None,
            user_wb=multipliers,
            user_flip=0,
        )


def _find_raw(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """Directories of sensor values, but for previews, masks and pictures that a program enhanced."""
    raw = [
        page for page in walk_pages(tiff) if page.photometric in (_MOSAIC, _LINEAR) and not page.subfiletype
    ]
    if not raw:
        raise refuse_kind("DNG without sensor values")
    if len(raw) > 1:
        raise refuse_kind("DNG with several raw pictures", remedy="store one picture per file")
    return raw[0]


def _require_kind(page: tifffile.TiffPage) -> None:
    if page.compression not in _COMPRESSIONS:
        name = getattr(page.compression, "name", "unknown")
        raise refuse_kind(f"DNG of compression {int(page.compression)} ({name})", remedy=_REMEDY)
    if page.compression == _LOSSY_JPEG and _first_opcode(page) != _CURVE_OPCODE:
        raise refuse_kind("DNG of lossy JPEG without its curve (MapPolynomial)", remedy=_REMEDY)
    if page.sampleformat != _UNSIGNED:
        raise refuse_kind(
            f"DNG of floating point or signed values (sample format {page.sampleformat!r})",
            remedy="store integers with a fixed white level, or floating-point TIFF of 0..1",
        )
    if page.bitspersample not in _DEPTHS:
        raise refuse_kind(f"DNG of {page.bitspersample} bit", remedy=_REMEDY)
    if page.photometric == _LINEAR and page.samplesperpixel != 3:
        raise refuse_kind(f"DNG with {page.samplesperpixel} linear samples per pixel")
    if page.photometric == _MOSAIC:
        _require_mosaic(page)


def _first_opcode(page: tifffile.TiffPage) -> int:
    """Of OpcodeList2, or 0. LibRaw takes a curve of its own for lossy JPEG where there is none."""
    opcodes = bytes(_values(page, _OPCODES))
    return int.from_bytes(opcodes[4:8], "big")


def _require_mosaic(page: tifffile.TiffPage) -> None:
    repeat = tuple(_values(page, _REPEAT))
    colours = sorted({*_values(page, _PATTERN), *_values(page, _PLANE_COLOURS, _RGB)})
    layout = page.tags.valueof(_LAYOUT, _RECTANGULAR)
    if page.samplesperpixel != 1 or repeat not in _REPEATS or colours != list(_RGB) or layout != _RECTANGULAR:
        size = " x ".join(map(str, repeat))
        raise refuse_kind(f"DNG with a mosaic of {size}, colours {colours}, layout {layout}")


def _values(page: tifffile.TiffPage, tag: int, default: Any = ()) -> list[Any]:
    """Of a tag with one value or several; some writers leave bytes."""
    value = page.tags.valueof(tag, default)
    return list(value) if isinstance(value, (tuple, bytes)) else [value]


def _find_multipliers(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> list[float] | None:
    """None where the file has its own (AsShotNeutral); else 1: LibRaw would guess them from the pixels.

    Raises:
        ImageFormatError: they cannot be told without guessing.
    """
    first = tiff.pages[0]
    homes = [page, first] if isinstance(first, tifffile.TiffPage) else [page]
    for home in homes:
        if neutral := _values(home, _NEUTRAL):
            if len(neutral) not in (3, 6) or min(neutral) <= 0:  # whole numbers or fractions
                raise refuse_kind(f"DNG with AsShotNeutral {neutral}")
            return None
    if any(_WHITE_XY in home.tags for home in homes):
        raise refuse_kind("DNG with AsShotWhiteXY instead of AsShotNeutral", remedy=_REMEDY)
    if len(set(_values(page, _WHITE_LEVEL))) > 1:
        raise refuse_kind("DNG with several white levels and without AsShotNeutral", remedy=_REMEDY)
    return [1.0, 1.0, 1.0, 1.0]


def _measure(page: tifffile.TiffPage) -> PictureHeader:
    area = page.tags.valueof(_ACTIVE_AREA, (0, 0, page.imagelength, page.imagewidth))
    top, left, bottom, right = area
    if not (0 <= top < bottom <= page.imagelength and 0 <= left < right <= page.imagewidth):
        raise report_damage(f"an active area from {left}, {top} to {right}, {bottom}")
    return PictureHeader(height=bottom - top, width=right - left, channels=3, bit_depth=16)


def _require_lossless(page: tifffile.TiffPage, content: bytes) -> None:
    """LibRaw takes the lossy JPEG that some writers store under this number for something else."""
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        frames = [marker for marker, _, _ in walk_image(content[offset : offset + count]) if marker != _SCAN]
        if _LOSSLESS_FRAME not in frames:
            raise refuse_kind("DNG of lossy JPEG in compression 7", remedy=_REMEDY)


def _require_same(raw: Any, page: tifffile.TiffPage, header: PictureHeader) -> None:
    """LibRaw chooses a directory by rules of its own."""
    found = raw.raw_type.name, raw.sizes.width, raw.sizes.height
    expected = "Flat" if page.photometric == _MOSAIC else "Stack", header.width, header.height
    if found != expected:
        raise refuse_kind(f"DNG of which LibRaw reads {found} where {expected} is its picture")


def _open(content: bytes) -> Any:
    import rawpy

    try:
        return rawpy.imread(io.BytesIO(content))
    except rawpy.LibRawFileUnsupportedError as error:
        raise refuse_kind(f"DNG that LibRaw cannot read: {error}", remedy=_REMEDY) from error
