"""A JPEG that ends early is damaged, however it ends; a sound one is read, whatever lies behind its end."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from ldp_core.errors import ImageFormatError
from ldp_core.images import decode_image

END = b"\xff\xd9"


def picture(channels: int, *, size: tuple[int, int] = (80, 64), **options: object) -> bytes:
    y, x = np.mgrid[: size[1], : size[0]]
    planes = np.stack([(x * 7 + y * 3) % 256, (x * y) % 256, 3 * y], -1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(planes if channels == 3 else planes[..., 0]).save(file, "JPEG", **options)
    return file.getvalue()


def with_thumbnail(content: bytes) -> bytes:
    """As cameras write it: a whole JPEG inside the EXIF segment, before the frame header."""
    thumbnail = picture(3, quality=30)
    body = b"Exif\0\0MM\0*\0\0\0\x08" + thumbnail
    return content[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body + content[2:]


def scan_starts(content: bytes) -> list[int]:
    """Where the scans begin; the pictures here hold no thumbnail."""
    return [place for place in range(len(content)) if content[place : place + 2] == b"\xff\xda"]


def per_component(*sampling: int) -> bytes:
    """A baseline JPEG whose components come in three scans, made of three grey ones, sampled as given."""
    across, down = max(factor >> 4 for factor in sampling), max(factor & 15 for factor in sampling)
    scans, grey = b"", b""
    for number, factor in enumerate(sampling, start=1):
        size = 80 * (factor >> 4) // across, 64 * (factor & 15) // down
        grey = picture(1, size=size, quality=90)
        scan = grey[grey.index(b"\xff\xda") : -2]
        scans += scan[:5] + bytes([number]) + scan[6:]
    frame, tables = grey.index(b"\xff\xc0"), grey.index(b"\xff\xc4")
    components = b"".join(bytes([number, factor, 0]) for number, factor in enumerate(sampling, start=1))
    new_frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 64, 80, 3) + components
    return grey[:frame] + new_frame + grey[tables : grey.index(b"\xff\xda")] + scans + END


PLAIN = {
    "baseline": picture(3, quality=85),
    "grey": picture(1, quality=85),
    "444": picture(3, quality=85, subsampling=0),
    "progressive": picture(3, quality=85, progressive=True),
    "grey progressive": picture(1, quality=85, progressive=True),
    "restarts": picture(3, quality=85, restart_marker_blocks=3),
    "RGB": picture(3, quality=85, keep_rgb=True),
    "scan per component": per_component(0x11, 0x11, 0x11),
}
SOUND = PLAIN | {f"{name} with a thumbnail": with_thumbnail(content) for name, content in PLAIN.items()}


def refuse(content: bytes) -> None:
    with pytest.raises(ImageFormatError, match="damaged"):
        decode_image(content)


@pytest.mark.parametrize("name", SOUND)
class TestSound:
    def test_the_pixels_are_those_of_a_second_decoder(self, name: str) -> None:
        expected = imagecodecs.jpeg8_decode(SOUND[name])
        np.testing.assert_array_equal(decode_image(SOUND[name]).squeeze(), expected)

    @pytest.mark.parametrize("tail", [b"\0" * 700, b"\n", b"text", END, b"\xff" * 9, PLAIN["baseline"]])
    def test_bytes_behind_the_end_change_nothing(self, name: str, tail: bytes) -> None:
        np.testing.assert_array_equal(decode_image(SOUND[name] + tail), decode_image(SOUND[name]))


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize(
    "closing",
    [b"", b"\0" * 3000, END, b"\0" * 3000 + END],
    ids=["cut", "zeros", "end marker", "zeros and end"],
)
def test_a_picture_that_ends_early_is_damaged(name: str, closing: bytes) -> None:
    content = SOUND[name]
    for keep in {int(len(content) * share / 41) for share in range(1, 41)}:
        refuse(content[:keep].ljust(20, b"\xff") + closing)
    if not closing.endswith(END):
        for lost in (1, 2, 3, 4, 9):
            refuse(content[:-lost] + closing)


@pytest.mark.parametrize("name", ["progressive", "grey progressive", "scan per component"])
@pytest.mark.parametrize("wrap", [lambda content: content, with_thumbnail], ids=["plain", "thumbnail"])
def test_scans_that_did_not_come_are_missed(name: str, wrap: object) -> None:
    content = PLAIN[name]
    starts = scan_starts(content)
    assert len(starts) > 2
    for start in starts[1:]:
        refuse(wrap(content[:start] + END))  # type: ignore[operator]


def test_a_following_picture_does_not_complete_a_cut_one() -> None:
    content = SOUND["baseline with a thumbnail"]
    refuse(content[: len(content) * 4 // 5] + PLAIN["baseline"])


def test_surplus_data_before_the_end_are_damage() -> None:
    """Missing data filled with zeros decode as pixels; surplus zeros are what is left to tell it by."""
    refuse(PLAIN["baseline"][:-2] + b"\0" * 50 + END)


@pytest.mark.parametrize("sampling", [(0x41, 0x11, 0x11), (0x42, 0x11, 0x11), (0x22, 0x22, 0x22)])
def test_unusual_sampling_is_read(sampling: tuple[int, ...]) -> None:
    content = with_thumbnail(per_component(*sampling))
    np.testing.assert_array_equal(decode_image(content), imagecodecs.jpeg8_decode(content))
    for share in range(1, 41):
        refuse(content[: len(content) * share // 41])
