"""Bad input of every kind: the right error by name; and no alarm on clean pairs, real and simulated."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fsspec.implementations.memory import MemoryFileSystem
from numpy.typing import NDArray
from picture_samples import dng_bytes, exr_bytes, extended_webp, npy_bytes, pil_bytes
from PIL import Image

from ldp_core import storage
from ldp_core.catalogue import encode_coc_px, load_pair, read_catalogue
from ldp_core.catalogue.checking import check_pair, thumbnail, thumbnail_correlation
from ldp_core.errors import CatalogueError, ImageError
from ldp_core.images import decode_image, encode_image, probe_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurTruthKind, Pair, Pixels

ROOT = "memory://bad/set"
RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (40, 56, 3), dtype=np.uint8)
REAL = RNG.random((40, 56, 3), dtype=np.float32)
PNG, JPEG, TIFF = (encode_image(RGB, kind) for kind in ("png", "jpeg", "tiff"))
WEBP, NPY = pil_bytes(RGB, "WEBP", lossless=True), npy_bytes(RGB)
EXR = exr_bytes({name: REAL[..., n].copy() for n, name in enumerate("RGB")})
DNG = dng_bytes(RNG.integers(600, 16000, (40, 56), dtype=np.uint16))
SOUND = {"png": PNG, "jpeg": JPEG, "tiff": TIFF, "webp": WEBP, "npy": NPY, "exr": EXR, "dng": DNG}
SOUND |= {"bmp": pil_bytes(RGB, "BMP"), "ppm": pil_bytes(RGB, "PPM"), "pgm": pil_bytes(RGB[..., 0], "PPM")}


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, body: bytes = b"") -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def patched(content: bytes, place: int, patch: bytes) -> bytes:
    return content[:place] + patch + content[place + len(patch) :]


def npy_header(text: str) -> bytes:
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body


def exr_window(content: bytes, *corner: int) -> bytes:
    for name in (b"dataWindow\0box2i\0", b"displayWindow\0box2i\0"):
        place = content.index(name) + len(name) + 4
        content = patched(content, place, struct.pack("<4i", *corner))
    return content


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def flipped(content: bytes, place: int) -> bytes:
    return patched(content, place, bytes([content[place] ^ 0x10]))


def short_tag(tag: int, value: int) -> bytes:
    return struct.pack("<HHIHH", tag, 3, 1, value, 0)


def long_tag(tag: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, 4, 1, value)


FRAME = JPEG.index(b"\xff\xc0")
NOT_A_NUMBER = REAL.copy()
NOT_A_NUMBER[3, 4, 1] = np.nan

FORMAT: dict[str, bytes] = {
    "no bytes": b"",
    "zero bytes": bytes(4096),
    "text": b"left,right\na.png,b.png\n",
    "html saved as a picture": b"<!doctype html><title>404</title>",
    "gif": pil_bytes(RGB[..., 0], "GIF"),
    "bmp of 32 bit": pil_bytes(Image.new("RGBA", (8, 8)), "BMP"),
    "pgm of 17 bit": b"P5 2 1 131071\n" + bytes(4),
    "two pgm in one file": 2 * (b"P5 2 1 255\n" + b"ab"),
    **{f"{kind} of its magic only": content[:8] for kind, content in SOUND.items()},
    **{f"{kind} cut in half": content[: len(content) // 2] for kind, content in SOUND.items()},
    **{f"{kind} short of its last bytes": content[:-20] for kind, content in SOUND.items()},
    "png with an altered pixel": flipped(PNG, len(PNG) // 2),
    "png with an altered header": flipped(PNG, 18),
    "png of size 0": png(0, 10),
    "png of negative size": png(2**31, 10),
    "png of an unknown colour type": png(8, 8, colour=5),
    "png of 3 bit": png(8, 8, depth=3, colour=0),
    "png with too few rows": png(8, 8, body=zlib.compress(bytes(40))),
    "png without pixels": b"\x89PNG\r\n\x1a\n" + PNG[8:33] + chunk(b"IEND", b""),
    "png with a transparent colour": pil_bytes(Image.new("RGB", (8, 8)), "PNG", transparency=(0, 0, 0)),
    "png with alpha": pil_bytes(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "PNG"),
    "png with its end in the middle": PNG[:60] + chunk(b"IEND", b""),
    "jpeg of size 0": patched(JPEG, FRAME + 5, bytes(4)),
    "jpeg of 12 bit": patched(JPEG, FRAME + 4, b"\x0c"),
    "jpeg of CMYK": pil_bytes(Image.new("CMYK", (8, 8)), "JPEG"),
    "jpeg without a frame": JPEG[:2] + JPEG[FRAME + 2 + 17 :],
    "tiff whose directory lies beyond its end": patched(TIFF, 4, struct.pack("<I", 10**9)),
    "tiff of float above 1": tiff(9 * REAL[..., 0], photometric="minisblack"),
    "tiff of CMYK": pil_bytes(Image.new("CMYK", (8, 8)), "TIFF"),
    "tiff of several pages": tiff(np.zeros((3, 8, 8), np.uint8), photometric="minisblack"),
    "webp of another RIFF": patched(WEBP, 8, b"WAVE"),
    "webp animated": pil_bytes(
        Image.new("RGB", (8, 8)), "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]
    ),
    "npy of objects": npy_bytes(np.array([[None]]), allow_pickle=True),
    "npy with code for a header": npy_header("__import__('os').getcwd()"),
    "npy of negative shape": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 4)}"),
    "npy with bytes to spare": NPY + b"\0",
    "npy with a NaN": npy_bytes(NOT_A_NUMBER),
    "npy of 0 to 255 as float": npy_bytes(RGB.astype(np.float32)),
    "exr with a NaN": exr_bytes({"Y": NOT_A_NUMBER[..., 1].copy()}),
    "exr of high dynamic range": exr_bytes({"Y": REAL[..., 0] * 9}),
    "exr of depth": exr_bytes({"Z": REAL[..., 0].copy()}),
    "exr of negative size": exr_window(EXR, 0, 0, -5, 10),
    "exr with a header without end": EXR[:8] + b"name" * 4000,
    "dng without sensor values": DNG.replace(short_tag(262, 32803), short_tag(262, 1)),
}
TOO_LARGE: dict[str, bytes] = {
    "png bomb": png(60_000, 60_000, depth=16, body=zlib.compress(bytes(1_000_000), 9)),
    "png of one endless row": png(2**30, 1),
    "jpeg bomb": patched(JPEG, FRAME + 5, struct.pack(">HH", 60_000, 60_000)),
    "webp bomb": extended_webp(WEBP, 2**24 - 1, 2**24 - 1),
    "npy bomb": npy_header("{'descr': '<u2', 'fortran_order': False, 'shape': (99999, 99999, 3)}"),
    "exr bomb": exr_window(EXR, 0, 0, 2**30, 2**30),
    "dng bomb": DNG.replace(long_tag(256, 56), long_tag(256, 2**20)).replace(
        long_tag(257, 40), long_tag(257, 2**20)
    ),
}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [(name, content, "image_format") for name, content in FORMAT.items()]
    + [(name, content, "image_too_large") for name, content in TOO_LARGE.items()],
    ids=[*FORMAT, *TOO_LARGE],
)
def test_a_bad_picture_is_refused_by_the_right_name(name: str, content: bytes, kind: str) -> None:
    assert content not in SOUND.values(), "the sample was not altered"
    with pytest.raises(ImageError) as caught:
        decode_image(content, name=name)
    error = caught.value
    assert error.kind == kind
    assert error.where == name
    assert error.got
    assert error.remedy


def test_there_are_more_than_forty_of_them() -> None:
    assert len(FORMAT) + len(TOO_LARGE) > 60


@pytest.mark.parametrize("kind", SOUND)
def test_flipped_bits_give_an_error_or_pixels(kind: str) -> None:
    content = SOUND[kind]
    places = [*range(0, min(len(content), 300), 3), *RNG.integers(0, len(content), 60)]
    for place in places:
        altered = patched(content, place, bytes([content[place] ^ int(RNG.integers(1, 256))]))
        try:
            pixels = decode_image(altered)
        except ImageError:
            continue
        assert pixels.ndim == 3
        assert pixels.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "npy"])
def test_a_wrong_extension_does_not_matter(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    path.write_bytes(PNG)
    assert probe_image(str(path)).width == 56


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()


def simulated(number: int, **settings: Any) -> Pair:
    return simulate_pair(
        number, SimulationSettings.parse({"height": 120, "width": 180, "seed": 1, **settings})
    )


def put_pair(pair: Pair, **replaced: bytes) -> None:
    """A simulated pair in folders, with its signed map; ``replaced`` are files of other content."""
    views: dict[str, Pixels] = pair.views
    assert pair.blur_truth is not None
    files = {name: encode_image(view) for name, view in views.items()}
    files["coc"] = encode_image(encode_coc_px(pair.blur_truth))
    for folder, content in (files | replaced).items():
        storage.write_bytes(storage.join(ROOT, folder, "a.png"), content)


def refusal() -> str:
    """The kind under which the one item of the store is refused, in the catalogue or on loading."""
    try:
        (item,) = read_catalogue(ROOT, layout="folders").items
        load_pair(item)
    except CatalogueError as error:
        return error.got.partition(";")[0]
    except ImageError as error:
        return error.kind
    return ""


def doubts() -> list[str]:
    """The kinds of doubt about the one item of the store."""
    (item,) = read_catalogue(ROOT, layout="folders").items
    found = load_pair(item).doubts
    assert not any(doubt.refuses_item for doubt in found)
    return [doubt.kind for doubt in found]


def washed_out_pair() -> Pair:
    """Texture in focus, and behind it a wall that is 24 px out of focus and nearly even.

    A ripple of one level, such as a sensor leaves, makes it look shifted to -x in the right view.
    """
    rng = np.random.default_rng(0)
    view = rng.integers(60, 200, (240, 360, 1)).astype(np.float32)
    coc_px = np.zeros((240, 360), dtype=np.float32)
    coc_px[:, 120:] = 24.0
    ripple = 1.2 * np.sin(np.arange(240) / 3.0)[None, :, None]
    left, right = view.copy(), view.copy()
    left[:, 120:] = 128 + ripple
    right[:, 120:] = 128 + np.roll(ripple, -2, axis=1)
    views = [
        np.rint(each + rng.normal(0, 0.3, each.shape)).clip(0, 255).astype(np.uint8) for each in (left, right)
    ]
    return Pair("set/a", *views, blur_truth=coc_px, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return simulated(5)


class TestPairs:
    @pytest.mark.parametrize("number", [1, 2, 7])
    def test_clean_ones_pass_and_exchanged_views_do_not(self, number: int) -> None:
        pair = simulated(number)
        put_pair(pair)
        assert refusal() == ""
        assert doubts() == []
        put_pair(pair, left=encode_image(pair.right), right=encode_image(pair.left))
        assert refusal() == "swapped_views"

    @pytest.mark.parametrize("number", [0, 4])
    def test_exchanged_views_of_one_sign_are_a_doubt(self, number: int) -> None:
        """All of it lies on one side of the focal plane: a constant shift of one view looks the same."""
        pair = simulated(number)
        put_pair(pair)
        assert doubts() == []
        put_pair(pair, left=encode_image(pair.right), right=encode_image(pair.left))
        assert doubts() == ["swapped_views"]

    def test_views_without_texture_are_not_taken_for_exchanged_ones(self) -> None:
        """Stripes of depth, of which only washed-out ones are out of focus: first-order shifts are chance."""
        assert check_pair(washed_out_pair()) == ()

    @pytest.mark.parametrize("number", [0, 1])
    def test_a_part_of_the_truth_of_the_wrong_sign_is_no_proof(self, number: int) -> None:
        pair = simulated(number)
        assert pair.blur_truth is not None
        pair.blur_truth[:30] *= -1
        assert check_pair(pair) == ()

    def test_equal_views_are_sound_where_all_is_in_focus(self) -> None:
        silent = {"sensor": {"full_well_electrons": 0.0, "read_noise": 0.0}, "sharp_share": 1.0}
        put_pair(simulated(3, **silent))
        assert refusal() == ""
        assert doubts() == ["same_views"]

    def test_even_pictures_are_a_doubt(self) -> None:
        black = np.zeros((120, 180, 3), dtype=np.uint8)
        put_pair(replace(simulated(1), left=black, right=black, target=None))
        assert refusal() == ""
        assert doubts() == ["same_views"]

    @pytest.mark.parametrize(("correlation", "expected"), [(0.56, []), (0.45, ["scene_mismatch"])])
    def test_what_chance_lowers_so_far_is_no_refusal(self, correlation: float, expected: list[str]) -> None:
        """Of 77 cells, .6 is lowered to .52 by one standard deviation, and to .33 by three."""
        pair = simulated(1)
        assert pair.target is not None
        shares = np.linspace(0, 1, 101)[:, None, None, None]
        mixtures = (shares * pair.target + (1 - shares) * pair.target[::-1]).astype(np.uint8)
        left = thumbnail(pair.left)
        found = [
            abs((thumbnail_correlation(left, thumbnail(mixed)) or 0) - correlation) for mixed in mixtures
        ]
        assert min(found) < 0.02
        put_pair(pair, target=encode_image(mixtures[int(np.argmin(found))]))
        assert (refusal(), doubts()) == ("", expected)

    def test_exchanged_views_without_a_truth_cannot_be_told(self, pair: Pair) -> None:
        put_pair(pair, left=encode_image(pair.right), right=encode_image(pair.left))
        storage.delete(storage.join(ROOT, "coc/a.png"))
        assert refusal() == ""

    def test_one_view_twice(self, pair: Pair) -> None:
        put_pair(pair, right=encode_image(pair.left))
        assert refusal() == "same_views"
        put_pair(pair, right=encode_image(pair.left, "tiff"))
        assert refusal() == "same_views"

    @pytest.mark.parametrize("role", ["right", "target"])
    def test_a_picture_of_another_scene(self, role: str, pair: Pair) -> None:
        put_pair(pair, **{role: encode_image(simulated(6).views[role])})
        assert refusal() == "scene_mismatch"

    @pytest.mark.parametrize("role", ["left", "right", "target", "coc"])
    def test_pictures_of_other_sizes_depths_and_kinds(self, role: str, pair: Pair) -> None:
        view = pair.left
        for other in (view[:-1], view[:, ::2], view.transpose(1, 0, 2), view[..., :1]):
            put_pair(pair, **{role: encode_image(np.ascontiguousarray(other))})
            assert refusal() in ("1 size_mismatch", "2 size_mismatch", "3 size_mismatch", "image_format")

    def test_a_damaged_picture_whose_header_is_sound(self, pair: Pair) -> None:
        content = encode_image(pair.right)
        put_pair(pair, right=flipped(content, len(content) // 2))
        assert refusal() == "image_format"


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "layout", "count"),
    [("pixel4_nogt", "pixel4", 10), ("canon_r6m2", "canon-r6m2", 10), ("canon_dpdd", "canon-dpdd", 5)],
)
def test_no_alarm_on_real_pairs(folder: str, layout: str, count: int, real_data: Path) -> None:
    catalogue = read_catalogue(str(real_data / "dp" / folder), layout=layout)
    assert len(catalogue.items) == count
    assert not [problem for problem in catalogue.problems if problem.refuses_item]
    for item in catalogue.items:
        load_pair(item)


@pytest.mark.real
def test_no_alarm_on_a_full_size_pair(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "dp" / "canon_full"
    rows = [f"{folder}/005_L.jpg,{folder}/005_R.jpg,{folder}/005_B.jpg"]
    manifest = tmp_path / "pairs.csv"
    manifest.write_text("\n".join(["left,right,peer:combined", *rows]))
    (item,) = read_catalogue(str(manifest), layout="manifest").items
    assert load_pair(item).left.shape == (2940, 5180, 3)
