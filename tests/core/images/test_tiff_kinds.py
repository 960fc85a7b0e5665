"""TIFF with several directories, and of floating point."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ldp_core.errors import ImageFormatError
from ldp_core.images import decode_image, probe_image
from ldp_core.images.codec import quantise

RNG = np.random.default_rng(11)
FULL = RNG.integers(0, 256, (96, 128, 3), dtype=np.uint8)
SMALL = FULL[::2, ::2]
TINY = FULL[::4, ::4]
ODD = FULL[:40, :128]
OPTIONS: dict[str, Any] = {"photometric": "rgb", "metadata": None}

Page = tuple[NDArray[Any], dict[str, Any]]


def pages(*stored: Page) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for pixels, options in stored:
            writer.write(pixels, **(OPTIONS | options))
    return file.getvalue()


def plain(**options: Any) -> bytes:
    file = io.BytesIO()
    pixels = FULL if options.get("compression") != "jpeg" else FULL[..., 0]
    photometric = {"photometric": "rgb" if pixels.ndim == 3 else "minisblack"}
    tifffile.imwrite(file, pixels, **(OPTIONS | photometric | options))
    return file.getvalue()


MASK: dict[str, Any] = {"subfiletype": 4, "photometric": "mask", "bitspersample": 1}
FULL_IS_READ = {
    "preview first, full in a SubIFD": pages((TINY, {"subifds": 1}), (FULL, {})),
    "preview first, named so": pages((TINY, {"subfiletype": 1, "subifds": 1}), (FULL, {})),
    "preview first, then full": pages((TINY, {"subfiletype": 1}), (FULL, {})),
    "preview of other proportions": pages((ODD, {"subfiletype": 1}), (FULL, {})),
    "preview last": pages((FULL, {}), (SMALL, {"subfiletype": 1})),
    "pyramid of pages": pages((FULL, {}), (SMALL, {}), (TINY, {})),
    "pyramid from the small end": pages((TINY, {}), (SMALL, {}), (FULL, {})),
    "pyramid of SubIFDs": pages(
        (FULL, {"subifds": 2, "tile": (16, 16)}), (SMALL, {"subfiletype": 1}), (TINY, {"subfiletype": 1})
    ),
    "odd sides": pages((FULL[:95, :127], {"subifds": 1}), (FULL[:95:4, :127:4], {})),
    "a mask beside it": pages((FULL, {}), (FULL[..., 0] > 9, MASK)),
    "alone": pages((FULL, {})),
}
REFUSED = {
    "several": pages((FULL, {}), (FULL[::-1], {})),
    "several ": pages((FULL, {}), (ODD, {})),
    "several  ": pages((FULL, {"subifds": 1}), (FULL[::-1], {})),
    "several   ": pages((TINY, {"subfiletype": 1}), (FULL, {}), (FULL, {})),
    "several    ": pages(*[(SMALL[:1, :1], {})] * 120),
    "only previews": pages((FULL, {"subfiletype": 1})),
    "preview is larger": pages((SMALL, {}), (FULL, {"subfiletype": 1})),
}


@pytest.mark.parametrize("name", FULL_IS_READ)
def test_the_full_picture_is_read_wherever_it_lies(name: str, tmp_path: Path) -> None:
    expected = FULL[:95, :127] if name == "odd sides" else FULL
    np.testing.assert_array_equal(decode_image(FULL_IS_READ[name]), expected)
    (tmp_path / "a.tif").write_bytes(FULL_IS_READ[name])
    ref = probe_image(str(tmp_path / "a.tif"))
    assert (ref.height, ref.width) == expected.shape[:2]


@pytest.mark.parametrize("reason", REFUSED)
def test_where_it_cannot_be_told_it_is_refused(reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(REFUSED[reason])
    for attempt in (lambda: decode_image(REFUSED[reason]), lambda: probe_image(str(tmp_path / "a.tif"))):
        with pytest.raises(ImageFormatError, match=reason.strip()):
            attempt()


def test_one_directory_for_a_stack_is_refused() -> None:
    def write(stack: NDArray[Any], **options: Any) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, stack, photometric="minisblack", **options)
        return file.getvalue()

    stack = RNG.integers(0, 256, (5, 16, 24), dtype=np.uint8)
    for options in ({"truncate": True}, {"imagej": True, "truncate": True}, {"imagej": True}, {}):
        with pytest.raises(ImageFormatError, match="several"):
            decode_image(write(stack, **options))
        np.testing.assert_array_equal(decode_image(write(stack[0], **options))[..., 0], stack[0])


REAL = RNG.random((37, 53, 3))


class TestFloat:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"byteorder": ">"},
            {"compression": "zlib", "predictor": 3},
            {"compression": "zlib", "predictor": 3, "byteorder": ">", "tile": (16, 16)},
            {"compression": "lzw"},
            {"planarconfig": "separate"},
            {"rowsperstrip": 5, "compression": "zstd"},
        ],
        ids=str,
    )
    def test_values_of_0_to_1_become_16_bit(self, dtype: type[np.floating], options: dict[str, Any]) -> None:
        values = REAL.astype(dtype)
        stored = np.moveaxis(values, -1, 0) if "planarconfig" in options else values
        file = io.BytesIO()
        tifffile.imwrite(file, np.ascontiguousarray(stored), **(OPTIONS | options))
        np.testing.assert_array_equal(decode_image(file.getvalue()), quantise(values))

    def test_grey_and_alpha(self) -> None:
        grey = REAL[..., :1].astype(np.float32)
        opaque = np.concatenate([grey, np.ones_like(grey)], -1)
        for values in (grey[..., 0], opaque):
            np.testing.assert_array_equal(decode_image(self.write(values)), quantise(grey))
        with pytest.raises(ImageFormatError, match="alpha"):
            decode_image(self.write(np.concatenate([grey, grey], -1)))

    @pytest.mark.parametrize("odd", [np.nan, np.inf, -0.001, 1.001, 255.0])
    def test_other_values_are_refused(self, odd: float) -> None:
        values = REAL[..., 0].astype(np.float32)
        values[3, 4] = odd
        with pytest.raises(ImageFormatError, match=r"0\.\.1"):
            decode_image(self.write(values))

    @pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.complex64])
    def test_other_types_are_refused(self, dtype: type[np.generic]) -> None:
        with pytest.raises(ImageFormatError, match="bit, sample format"):
            decode_image(self.write(np.zeros((8, 8), dtype)))

    @staticmethod
    def write(values: NDArray[Any]) -> bytes:
        file = io.BytesIO()
        extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if values.ndim == 3 else {}
        tifffile.imwrite(file, values, photometric="minisblack", metadata=None, **extra)
        return file.getvalue()


COMPRESSED: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: plain(compression="jpeg", rowsperstrip=32),
    "jpeg tiles": lambda: plain(compression="jpeg", tile=(32, 32)),
    "lzw": lambda: plain(compression="lzw"),
    "zlib": lambda: plain(compression="zlib", rowsperstrip=16),
    "jpeg 2000": lambda: plain(compression="jpeg2000"),
    "jpeg xl": lambda: plain(compression="jpegxl"),
    "webp": lambda: plain(compression="webp"),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_data_that_stop_are_refused(name: str) -> None:
    """Cut, or closed with zeros as a transfer that stopped leaves a file; the directory stands in front."""
    content = COMPRESSED[name]()
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        first = tiff.pages[0].dataoffsets[0]
    assert decode_image(content).shape[:2] == FULL.shape[:2]
    for share in range(11):
        keep = first + (len(content) - first - 20) * share // 10
        for tail in (b"", bytes(len(content) - keep)):
            with pytest.raises(ImageFormatError, match="damaged"):
                decode_image(content[:keep] + tail)
