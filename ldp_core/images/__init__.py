"""Pictures: bytes to pixels and back. The only place that reads or writes picture formats.

Reads and writes PNG, TIFF and JPEG, grey and RGB, 8 and 16 bit; 16 bit is never cut to 8. Reads JPEG 2000,
JPEG XL, AVIF, WebP, BMP, PPM, PGM, NPY, EXR and DNG as well, the last two with the extra ``formats``. Size
limits are checked from the header, before anything is decoded. What a file holds decides, never its name.

| kind | what becomes of it |
|---|---|
| floating point (NPY, EXR, TIFF, JPEG XL) | in 0..1: 16 bit, rounded; anything outside: refused |
| palette (PNG, BMP) | its colours; grey where all of them are |
| grey of 1, 2, 4 bit (PNG) | 8 bit, exactly |
| 10, 12, 14 bit (TIFF), a largest value of any size (PPM, PGM) | 8 or 16 bit, scaled to full range |
| 10, 12 bit and the like (JPEG 2000, JPEG XL, AVIF) | spread over 16 bit, each value apart |
| alpha (PNG, TIFF, WebP, EXR, JPEG 2000, JPEG XL, AVIF) | dropped where every pixel is opaque; else refused |
| previews, levels of a pyramid, masks beside a picture (TIFF) | stepped over |
| CMYK, YCbCr, palette or 1 bit in TIFF, several pictures, animation, 12 bit JPEG | refused |
| HEIC, CR2, CR3 | refused by name, with what converts them |
"""

from ldp_core.images.codec import PictureHeader
from ldp_core.images.files import (
    DEFAULT_LIMITS,
    PICTURE_FORMATS,
    ImageLimits,
    Picture,
    decode_image,
    encode_image,
    probe_image,
    probe_picture,
    read_image,
    read_picture,
)
from ldp_core.images.scale import to_full_scale, to_peak_scale
from ldp_core.images.traits import PictureTraits

__all__ = [
    "DEFAULT_LIMITS",
    "PICTURE_FORMATS",
    "ImageLimits",
    "Picture",
    "PictureHeader",
    "PictureTraits",
    "decode_image",
    "encode_image",
    "probe_image",
    "probe_picture",
    "read_image",
    "read_picture",
    "to_full_scale",
    "to_peak_scale",
]
