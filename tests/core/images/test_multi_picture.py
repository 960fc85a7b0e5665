"""JPEG files with several pictures: views are refused, what phones put behind a photograph is not."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from picture_samples import pil_bytes
from PIL import Image

from ldp_core.errors import ImageFormatError
from ldp_core.images import decode_image

Y, X = np.mgrid[:48, :64]
LEFT = np.stack([X * 3, Y * 4, X + Y], -1).astype(np.uint8)
RIGHT = np.roll(LEFT, 3, axis=1)
VIEWS = {"panorama": 0x020001, "disparity": 0x020002, "multi-angle": 0x020003}
PREVIEWS = {"VGA": 0x010001, "full HD": 0x010002}
UNDEFINED = 0
CHILD = 1 << 30


def jpeg(pixels: np.ndarray, *, xmp: bytes = b"") -> bytes:
    content = pil_bytes(pixels, "JPEG", quality=90)
    block = b"\xff\xe1" + struct.pack(">H", 2 + len(xmp)) + xmp if xmp else b""
    return content[:2] + block + content[2:]


def with_index(pictures: Sequence[bytes], kinds: Sequence[int], *, order: str = "<") -> bytes:
    """The pictures in one file, behind an index as CIPA DC-007 has it."""
    head = 2 + 4 + 4  # start of image; marker and length of APP2; its name

    def segment(places: Sequence[tuple[int, int]]) -> bytes:
        entries = b"".join(
            struct.pack(order + "IIIHH", kind, size, start, 0, 0)
            for kind, (size, start) in zip(kinds, places, strict=True)
        )
        directory = struct.pack(order + "H", 3)
        directory += struct.pack(order + "HHI4s", 0xB000, 7, 4, b"0100")
        directory += struct.pack(order + "HHII", 0xB001, 4, 1, len(kinds))
        directory += struct.pack(order + "HHII", 0xB002, 7, len(entries), 8 + 2 + 36 + 4) + bytes(4)
        start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
        body = b"MPF\0" + start + directory + entries
        return b"\xff\xe2" + struct.pack(">H", 2 + len(body)) + body

    length = len(segment([(0, 0)] * len(kinds)))
    places, start = [(len(pictures[0]) + length, 0)], len(pictures[0]) + length
    for picture in pictures[1:]:
        places.append((len(picture), start - head))
        start += len(picture)
    return pictures[0][:2] + segment(places) + pictures[0][2:] + b"".join(pictures[1:])


def refuse(content: bytes) -> None:
    with pytest.raises(ImageFormatError, match="several pictures") as caught:
        decode_image(content)
    assert "split it" in caught.value.remedy


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", VIEWS)
def test_views_are_refused(kind: str, order: str) -> None:
    refuse(with_index([jpeg(LEFT), jpeg(RIGHT)], [0x20000000 | VIEWS[kind], VIEWS[kind]], order=order))


def test_another_writer_s_equal_pictures_are_refused() -> None:
    file = io.BytesIO()
    images = [Image.fromarray(LEFT), Image.fromarray(RIGHT)]
    images[0].save(file, "MPO", save_all=True, append_images=images[1:])
    refuse(file.getvalue())


SOUND = {
    "small gain map": ([jpeg(RIGHT[::4, ::4, 0])], [UNDEFINED]),
    "gain map of full size": ([jpeg(RIGHT[..., 0])], [UNDEFINED]),
    "colour gain map (Ultra HDR)": ([jpeg(RIGHT, xmp=b'x hdrgm:Version="1.0"')], [UNDEFINED]),
    "colour gain map (ISO)": ([jpeg(RIGHT, xmp=b"urn:iso:std:iso:ts:21496:-1\0")], [UNDEFINED]),
    "VGA preview": ([jpeg(RIGHT[::2, ::2])], [PREVIEWS["VGA"] | CHILD]),
    "full HD preview": ([jpeg(RIGHT)], [PREVIEWS["full HD"] | CHILD]),
    "depth map and gain map": ([jpeg(RIGHT[::2, ::2, 0]), jpeg(RIGHT[::4, ::4, 0])], [UNDEFINED] * 2),
    "no second picture": ([], []),
    "a second picture that did not come": ([b"\xff\xd8\xff"], [UNDEFINED]),
}


@pytest.mark.parametrize("name", SOUND)
def test_ordinary_photographs_are_read(name: str) -> None:
    later, kinds = SOUND[name]
    content = with_index([jpeg(LEFT), *later], [0x030000, *kinds])
    np.testing.assert_array_equal(decode_image(content), decode_image(jpeg(LEFT)))


@pytest.mark.parametrize("keep", [0, 3, 10, 30, 40])
def test_a_damaged_index_hides_no_picture(keep: int) -> None:
    content = with_index([jpeg(LEFT), jpeg(RIGHT)], [0x030000, UNDEFINED])
    start = content.index(b"MPF\0") + 4
    end = start + int.from_bytes(content[start - 6 : start - 4], "big") - 6
    zeroed = content[: start + keep] + bytes(end - start - keep) + content[end:]
    assert decode_image(zeroed).shape == LEFT.shape
