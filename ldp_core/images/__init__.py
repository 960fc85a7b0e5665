"""Pictures: bytes to pixels and back. The only place that reads or writes picture formats.

Reads and writes PNG, TIFF and JPEG, grey and RGB, 8 and 16 bit; 16 bit is never cut to 8. Size limits are
checked from the header, before anything is decoded.
"""

from ldp_core.images.header import PictureHeader
from ldp_core.images.limits import DEFAULT_LIMITS, ImageLimits
from ldp_core.images.read import decode_image, probe_image, read_image
from ldp_core.images.write import PICTURE_FORMATS, encode_image

__all__ = [
    "DEFAULT_LIMITS",
    "PICTURE_FORMATS",
    "ImageLimits",
    "PictureHeader",
    "decode_image",
    "encode_image",
    "probe_image",
    "read_image",
]
