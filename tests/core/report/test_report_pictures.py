"""The pictures of an item: true to the pixels, comparable, and named safely."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from ldp_core.errors import BlurMapError, SettingsError
from ldp_core.report import MapDigest, PictureKind, PictureSpec, digest_map, picture_paths, render_pictures
from ldp_core.report.model import BLUR_PICTURES
from ldp_core.report.pictures import (
    THUMB_SIZE_PX,
    UNKNOWN_COLOUR,
    colour_limit,
    index_values,
    name_external,
    palette_of,
    to_eight_bit,
)
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair, Pixels

HEIGHT, WIDTH = 60, 90
COC_PX = BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX]


def _photograph(seed: int, *, channels: int = 3, dtype: type = np.uint8) -> Pixels:
    """Smooth coloured pixels over most of the range."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / WIDTH
    phase = rng.uniform(0, 6, (channels, 2))
    unit = np.stack([0.5 + 0.4 * np.sin(7 * x + a) * np.cos(5 * y + b) for a, b in phase], axis=2)
    pixels: Pixels = np.rint(unit * np.iinfo(dtype).max).astype(dtype)
    return pixels


def _pair(**changes: object) -> Pair:
    fields = {"id": "set/a", "left": _photograph(1), "right": _photograph(2), "target": _photograph(3)}
    return Pair(**(fields | changes))  # type: ignore[arg-type]


def _signed(values: object) -> BlurMap:
    return BlurMap(np.asarray(values, np.float32), BlurMapKind.SIGNED_COC_PX)


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def _decode(content: bytes) -> np.ndarray:
    return np.asarray(_open(content).convert("RGB")).astype(float)


def test_every_picture_of_a_full_item_is_there_with_its_thumbnail() -> None:
    ramp = _signed(np.tile(np.linspace(-8, 8, WIDTH), (HEIGHT, 1)))
    pair = _pair(external={"dpdnet": _photograph(4)}, blur_truth=np.ones((HEIGHT, WIDTH), np.float32))
    files = render_pictures(pair, blur_map=ramp, restored=_photograph(5))
    photographs = {"left", "right", "input", "restored", "target", "peer-dpdnet"}
    assert set(files) == (
        {f"{name}.jpg" for name in photographs}
        | {"input-thumb.jpg", "blur_map-thumb.png", "restored-thumb.jpg"}
        | {"blur_map.png", "blur_truth.png", "blur.json"}
    )
    sizes = {
        _open(content).size
        for name, content in files.items()
        if "thumb" not in name and ".j" not in name[-5:]
    }
    assert sizes <= {(WIDTH, HEIGHT)}


def test_what_an_item_lacks_is_left_out() -> None:
    files = render_pictures(_pair(target=None), blur_map=None, restored=None)
    assert {name.partition(".")[0].removesuffix("-thumb") for name in files} == {"left", "right", "input"}


def test_photographs_survive_encoding_with_full_colour_resolution() -> None:
    pair = _pair()
    content = render_pictures(pair, blur_map=None, restored=None)["left.jpg"]
    assert JpegImagePlugin.get_sampling(_open(content)) == 0  # 4:4:4
    error = np.sqrt(np.mean((_decode(content) - pair.left) ** 2))
    assert 20 * np.log10(255 / error) > 40


def test_the_input_is_the_mean_of_the_views() -> None:
    pair = _pair(left=np.full((8, 8, 3), 100, np.uint8), right=np.full((8, 8, 3), 200, np.uint8), target=None)
    content = render_pictures(pair, blur_map=None, restored=None)["input.jpg"]
    assert np.abs(_decode(content) - 150).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_views_keep_their_relative_brightness(channels: int) -> None:
    dark = (_photograph(1, channels=channels, dtype=np.uint16) // 8).astype(np.uint16)
    bright = _photograph(1, channels=channels, dtype=np.uint16)
    files = render_pictures(_pair(left=dark, right=bright, target=None), blur_map=None, restored=None)
    assert _open(files["left.jpg"]).mode == ("L" if channels == 1 else "RGB")
    ratio = _decode(files["left.jpg"]).mean() / _decode(files["right.jpg"]).mean()
    assert ratio == pytest.approx(1 / 8, rel=0.05)


def test_tone_conversion_is_exact_for_every_sixteen_bit_value() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    assert np.array_equal(to_eight_bit(values), np.rint(values / 257).astype(np.uint8))


def test_thumbnails_are_small_and_keep_the_shape() -> None:
    wide = np.zeros((300, 900, 3), np.uint8)
    files = render_pictures(_pair(left=wide, right=wide, target=None), blur_map=None, restored=None)
    assert _open(files["input-thumb.jpg"]).size == (THUMB_SIZE_PX[0], round(THUMB_SIZE_PX[0] / 3))


def test_zero_blur_is_neutral_and_the_sides_have_their_own_hue() -> None:
    values = np.zeros((HEIGHT, WIDTH))
    values[0, 0], values[0, 1] = -10, 10
    picture = _decode(render_pictures(_pair(), blur_map=_signed(values), restored=None)["blur_map.png"])
    red, green, blue = picture[30, 30]
    assert max(red, green, blue) - min(red, green, blue) < 8
    assert picture[0, 0, 2] > picture[0, 0, 0]  # in front of the focal plane: blue
    assert picture[0, 1, 0] > picture[0, 1, 2]  # behind it: orange


def test_unknown_blur_has_a_colour_of_its_own() -> None:
    values = np.full((HEIGHT, WIDTH), np.nan)
    picture = _decode(render_pictures(_pair(), blur_map=_signed(values), restored=None)["blur_map.png"])
    assert tuple(picture[0, 0]) == tuple(bytes.fromhex(UNKNOWN_COLOUR[1:]))


def test_a_scale_is_symmetric_about_its_middle_step() -> None:
    values = np.linspace(-5, 5, 101, dtype=np.float32)[None]
    indices = index_values(values, low=-5, high=5).astype(int)
    assert np.array_equal(indices[0] + indices[0, ::-1], np.full(101, 254))
    assert palette_of(COC_PX).shape == (256, 3)


def test_a_signed_truth_is_drawn_on_the_scale_of_the_estimate() -> None:
    coc_px = np.tile(np.linspace(-20, 20, WIDTH), (HEIGHT, 1)).astype(np.float32)
    pair = _pair(blur_truth=coc_px / 4, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)
    files = render_pictures(pair, blur_map=_signed(coc_px), restored=None)
    estimate, truth = _decode(files["blur_map.png"]), _decode(files["blur_truth.png"])
    same = np.argmin(np.abs(coc_px[0] - coc_px[0, -1] / 4))
    assert np.abs(truth[0, -1] - estimate[0, same]).max() < 20
    assert np.abs(truth[0, -1] - estimate[0, -1]).max() > 60


@pytest.mark.parametrize(
    ("reach", "limit"), [(0.0, 1), (0.9, 1), (1.5, 2), (4.9, 5), (7, 10), (11, 20), (40, 50)]
)
def test_colour_scales_end_at_a_round_number(reach: float, limit: float) -> None:
    assert colour_limit(np.full((10, 10), -reach, np.float32), COC_PX) == limit


def test_the_scale_of_an_unsigned_map_is_zero_to_one() -> None:
    assert colour_limit(np.full((4, 4), 0.2, np.float32), BLUR_PICTURES[BlurMapKind.SIMILARITY]) == 1.0


def test_a_digest_accounts_for_every_pixel_and_survives_json() -> None:
    values = np.random.default_rng(0).normal(2, 5, (50, 50)).astype(np.float32)
    digest = digest_map(values, COC_PX)
    assert sum(digest.shares.values()) == pytest.approx(1, abs=1e-3)
    assert sum(n * digest.step * share for n, share in digest.shares.items()) == pytest.approx(
        values.mean(), abs=0.1
    )
    assert digest.p05 < digest.p50 < digest.p95 <= digest.limit
    assert MapDigest.from_json(digest.to_json()) == digest


def test_a_map_without_any_known_value_still_has_a_digest() -> None:
    assert digest_map(np.full((4, 4), np.nan, np.float32), COC_PX).p50 == 0.0


def test_external_results_get_safe_and_different_file_names() -> None:
    names = name_external(["../../etc/passwd", "<script>", "A", "a", "", "DPDNet v2"])
    assert len(set(names.values())) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in names.values())
    assert not any("/" in name or ".." in name.removeprefix("peer-")[:2] for name in names.values())


def test_the_same_item_gives_the_same_bytes() -> None:
    ramp = _signed(np.tile(np.linspace(-8, 8, WIDTH), (HEIGHT, 1)))
    once, again = (render_pictures(_pair(), blur_map=ramp, restored=_photograph(5)) for _ in range(2))
    assert once == again


def test_pictures_lie_below_their_item() -> None:
    assert picture_paths("set/a", ["left.jpg"]) == {"left.jpg": "items/set/a/left.jpg"}


DEPTH = PictureSpec("depth", "Depth map", PictureKind.UNSIGNED_MAP, thumbnail=True, unit="m")


def test_a_product_that_the_report_does_not_know_is_drawn_by_its_description() -> None:
    depth = np.tile(np.linspace(0, 40, WIDTH, dtype=np.float32), (HEIGHT, 1))
    flow = PictureSpec("flow", "Flow", PictureKind.PHOTOGRAPH)
    products = {DEPTH: depth, flow: _photograph(6)}
    files = render_pictures(_pair(), blur_map=None, restored=None, products=products)
    assert {"depth.png", "depth-thumb.png", "depth-values.json", "flow.jpg"} <= set(files)
    assert not {"flow-thumb.jpg", "flow-values.json"} & set(files)
    digest = MapDigest.from_json(files["depth-values.json"])
    assert (digest.kind, digest.limit, digest.step) == ("depth", 50, 2.5)
    assert digest.p50 == pytest.approx(20, abs=0.5)
    dark, bright = _decode(files["depth.png"])[0, [0, -1]].sum(axis=1)
    assert dark < bright


@pytest.mark.parametrize(
    ("kind", "value", "limit"),
    [
        (PictureKind.UNSIGNED_MAP, 0.003, 0.005),
        (PictureKind.SIGNED_MAP, -300.0, 500),
        (PictureKind.UNSIGNED_MAP, 0.0, 1),
        (PictureKind.PROBABILITY, 0.003, 1),
    ],
)
def test_a_colour_scale_fits_the_size_of_the_values(kind: PictureKind, value: float, limit: float) -> None:
    spec = PictureSpec("map", "Map", kind)
    assert colour_limit(np.full((4, 4), value, np.float32), spec) == pytest.approx(limit)


def test_a_description_chooses_the_colours() -> None:
    spec = PictureSpec("map", "Map", PictureKind.PROBABILITY, colours=("#000000", "#ff0000"))
    ones = np.ones((HEIGHT, WIDTH), np.float32)
    files = render_pictures(_pair(), blur_map=None, restored=None, products={spec: ones})
    assert tuple(_decode(files["map.png"])[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 1), (HEIGHT - 1, WIDTH)])
def test_a_product_that_does_not_fit_its_item_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BlurMapError, match="cannot be shown"):
        render_pictures(_pair(), blur_map=None, restored=None, products={DEPTH: np.zeros(shape, np.float32)})


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../depth"},
        {"name": "depth-thumb"},
        {"variant": "a b"},
        {"colours": ("#000000",)},
        {"colours": ("#000000", "red;}")},
    ],
)
def test_a_description_that_cannot_be_drawn_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        replace(DEPTH, **fields)
