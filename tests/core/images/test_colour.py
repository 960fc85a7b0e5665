"""Colour profiles: what they mean, where they stand, that views and truth agree, conversion to sRGB."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from peak_samples import COLORANTS, exif, icc, iccp, jpeg_with, png_with, tiff_with, webp_with
from picture_samples import pil_bytes
from PIL import Image

from ldp_core.archive import Archive
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.errors import ImageFormatError, OrientationMismatchError
from ldp_core.images import encode_image, probe_picture
from ldp_core.images.colour import (
    SRGB,
    adobe_rgb,
    convert_to_srgb,
    display_p3,
    from_chromaticities,
    from_cicp,
    name_colours,
    same_colours,
)
from ldp_core.metrics.scoring import score_item
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Catalogue, PixelOptions, Pixels, Problem

SMALL = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
P3 = icc("P3", name="P3 of a phone")
WRITERS: dict[str, Callable[[Pixels, bytes], bytes]] = {
    "PNG": lambda pixels, profile: png_with(pixels, iCCP=iccp(profile)),
    "JPEG": lambda pixels, profile: jpeg_with(pixels, profile=profile),
    "JPEG in parts": lambda pixels, profile: jpeg_with(pixels, profile=profile, part_bytes=1000),
    "TIFF": lambda pixels, profile: tiff_with(pixels, (34675, "B", len(profile), profile, True)),
    "WebP": lambda pixels, profile: webp_with(pixels, icc_profile=profile),
}


def jp2_with(pixels: Pixels, profile: bytes) -> bytes:
    """A JPEG 2000 file whose box of colours is exchanged for one with a profile."""
    content = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2"))
    header, colours = content.index(b"jp2h") - 4, content.index(b"colr") - 4
    old = int.from_bytes(content[colours : colours + 4], "big")
    new = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
    size = int.from_bytes(content[header : header + 4], "big") + len(new) - old
    parts = content[:header], struct.pack(">I", size), content[header + 4 : colours], new
    return b"".join(parts) + content[colours + old :]


def avif_with(pixels: Pixels, profile: bytes) -> bytes:
    return pil_bytes(pixels, "AVIF", icc_profile=profile)


WRITERS |= {"JPEG 2000": jp2_with, "AVIF": avif_with}


def traits_of(tmp_path: Path, content: bytes) -> bytes:
    (tmp_path / "a").write_bytes(content)
    return probe_picture(str(tmp_path / "a"))[1].profile


class TestMeaning:
    @pytest.mark.parametrize(
        "profile",
        [icc(), icc(name="another name"), icc(gamma=2.2), from_cicp(1, 13), SRGB],
        ids=["table", "other name", "gamma 2.2", "cICP", "none"],
    )
    def test_srgb_of_many_kinds(self, profile: bytes) -> None:
        assert same_colours(profile, SRGB, channels=3)
        assert not name_colours(profile, channels=3)

    @pytest.mark.parametrize("profile", [P3, display_p3(), from_cicp(12, 13)])
    def test_display_p3(self, profile: bytes) -> None:
        assert name_colours(profile, channels=3) == "Display P3"
        assert same_colours(profile, P3, channels=3)
        assert not same_colours(profile, SRGB, channels=3)

    @pytest.mark.parametrize("gamma", [1.0, 1.8, 2.0, 2.4])
    def test_another_curve_is_another_meaning(self, gamma: float) -> None:
        profile = icc(gamma=gamma, name="Linear")
        assert not same_colours(profile, SRGB, channels=3)
        assert name_colours(profile, channels=3).startswith("Linear")
        assert name_colours(icc(gamma=gamma, name="é"), channels=3).startswith("unnamed")

    def test_a_grey_profile_on_a_grey_picture(self) -> None:
        assert not name_colours(icc(grey=True, gamma=2.2), channels=1)
        assert name_colours(icc(grey=True, gamma=1.0), channels=1)

    def test_a_colour_profile_on_a_grey_picture_is_its_curve(self) -> None:
        assert not name_colours(P3, channels=1)

    @pytest.mark.parametrize(
        "profile", [b"\0", b"no profile", P3[:200], P3[:16] + b"CMYK" + P3[20:], icc(grey=True)]
    )
    def test_what_cannot_be_read_equals_itself_alone(self, profile: bytes) -> None:
        assert same_colours(profile, profile, channels=3)
        assert not same_colours(profile, SRGB, channels=3)
        with pytest.raises(ImageFormatError, match="colour profile"):
            convert_to_srgb(SMALL, profile)

    def test_chromaticities(self) -> None:
        assert from_chromaticities((0.64, 0.33, 0.3, 0.6, 0.15, 0.06), (0.3127, 0.329)) == SRGB
        wide = from_chromaticities((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), (0.3127, 0.329))
        assert name_colours(wide, channels=3) == "Display P3"


class TestFiles:
    @pytest.mark.parametrize("kind", WRITERS)
    def test_a_profile_is_found(self, tmp_path: Path, kind: str) -> None:
        assert traits_of(tmp_path, WRITERS[kind](SMALL, P3)) == P3

    def test_cicp_goes_before_a_profile(self, tmp_path: Path) -> None:
        content = png_with(SMALL, iCCP=iccp(icc()), cICP=bytes([12, 13, 0, 1]))
        assert traits_of(tmp_path, content) == display_p3()

    @pytest.mark.parametrize("kind", ["jpeg2k", "jpegxl", "avif"])
    def test_without_a_profile_it_is_srgb(self, tmp_path: Path, kind: str) -> None:
        content = bytes(getattr(imagecodecs, f"{kind}_encode")(SMALL))
        assert traits_of(tmp_path, content) == traits_of(tmp_path, pil_bytes(SMALL, "AVIF")) == SRGB

    def test_code_points_of_an_avif(self, tmp_path: Path) -> None:
        content = pil_bytes(SMALL, "AVIF")
        place = content.index(b"nclx") + 4
        altered = content[:place] + struct.pack(">HH", 12, 13) + content[place + 4 :]
        assert traits_of(tmp_path, altered) == display_p3()

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_the_turn_of_an_avif(self, tmp_path: Path, orientation: int) -> None:
        notes = Image.Exif()
        notes[0x0112] = orientation
        (tmp_path / "a").write_bytes(pil_bytes(SMALL, "AVIF", exif=notes))
        assert probe_picture(str(tmp_path / "a"))[1].orientation == orientation

    @pytest.mark.parametrize("body", [b"", b"a\0\0", b"a\0\0not packed", bytes(50)])
    def test_a_broken_chunk_is_no_damage(self, tmp_path: Path, body: bytes) -> None:
        traits_of(tmp_path, png_with(SMALL, iCCP=body, cICP=b"\1\15\0\1", eXIf=body, sBIT=body))

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_orientation(self, tmp_path: Path, orientation: int) -> None:
        contents = [
            jpeg_with(SMALL, orientation=orientation),
            png_with(SMALL, eXIf=exif(orientation)),
            tiff_with(SMALL, (274, "H", 1, orientation, True)),
            webp_with(SMALL, exif=exif(orientation)),
        ]
        for content in contents:
            (tmp_path / "a").write_bytes(content)
            assert probe_picture(str(tmp_path / "a"))[1].orientation == orientation


class TestConversion:
    @pytest.mark.parametrize("bits", [8, 16])
    def test_it_is_exact_to_half_a_step(self, bits: int) -> None:
        full = 2**bits - 1
        pixels = np.random.default_rng(1).integers(0, full + 1, (300, 40, 3)).astype(f"uint{bits}")
        found = convert_to_srgb(pixels, P3)
        linear = np.where((x := pixels / full) <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
        matrix = np.linalg.inv(np.array(COLORANTS["sRGB"]).T) @ np.array(COLORANTS["P3"]).T
        light = np.clip(linear @ matrix.T, 0, 1)
        expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * full
        assert found.dtype == pixels.dtype
        # The profiles hold four digits, so more than rounding differs; of 8 bit it is one step.
        assert np.abs(found - expected).max() <= (1 if bits == 8 else 0.003 * full)

    def test_srgb_stays_as_it_is(self) -> None:
        assert convert_to_srgb(SMALL, icc()) is SMALL

    def test_grey_of_another_curve(self) -> None:
        grey = np.array([[0, 64, 128, 255]], np.uint8)[..., None]
        found = convert_to_srgb(grey, icc(grey=True, gamma=1.0))
        assert found[0, :, 0].tolist() == [0, 137, 188, 255]

    def test_adobe_rgb_white_stays_white(self) -> None:
        white = np.full((2, 2, 3), 65535, np.uint16)
        np.testing.assert_array_equal(convert_to_srgb(white, adobe_rgb()), white)


def write_item(folder: Path, **contents: Callable[[Pixels], bytes]) -> Path:
    pair = simulate_pair(0, SimulationSettings(height=96, width=128))
    for role, view in pair.views.items():
        (folder / role).mkdir(parents=True, exist_ok=True)
        (folder / role / "0.png").write_bytes(contents.get(role, encode_image)(view))
    return folder


def read(folder: Path, *, to_srgb: bool = False) -> Catalogue:
    return read_catalogue(str(folder), layout="folders", dataset="set", pixels=PixelOptions(to_srgb=to_srgb))


def in_p3(pixels: Pixels) -> bytes:
    return png_with(pixels, iCCP=iccp(P3))


def in_srgb(pixels: Pixels) -> bytes:
    return png_with(pixels, iCCP=iccp(icc()))


def turned(orientation: int) -> Callable[[Pixels], bytes]:
    return lambda pixels: png_with(pixels, eXIf=exif(orientation))


class TestAgreement:
    @pytest.mark.parametrize("role", ["right", "target"])
    def test_a_profile_on_one_picture_is_refused_by_that_name(self, tmp_path: Path, role: str) -> None:
        catalogue = read_or_problems(write_item(tmp_path, **{role: in_p3}))
        [problem] = catalogue
        assert problem.kind == "colour_mismatch"
        assert "Display P3" in problem.message
        assert "--to-srgb" in problem.remedy

    @pytest.mark.parametrize("left", [in_srgb, lambda p: png_with(p, sRGB=b"\0"), encode_image])
    def test_srgb_beside_none_is_sound(self, tmp_path: Path, left: Callable[[Pixels], bytes]) -> None:
        [item] = read(write_item(tmp_path, left=left)).items
        assert (item.colour, load_pair(item).colour) == ("", "")

    def test_one_profile_everywhere_is_named_in_scores_and_frames(self, tmp_path: Path) -> None:
        catalogue = read(write_item(tmp_path / "a", left=in_p3, right=in_p3, target=in_p3))
        pair = load_pair(catalogue.items[0])
        scores = score_item(pair, restored=None, blur_map=None)
        assert {score.protocol.colour for score in scores} == {"rgb in Display P3"}
        Archive(str(tmp_path / "archive")).write_pair(pair, provenance={})
        assert Archive(str(tmp_path / "archive")).read_pair("set/0").colour == "Display P3"
        attributes = Archive(str(tmp_path / "archive")).read_attributes("frames", "", "set/0")
        assert attributes["colour"] == "Display P3"

    def test_what_is_converted_needs_not_agree(self, tmp_path: Path) -> None:
        mixed = read(write_item(tmp_path / "a", left=in_p3, right=in_p3), to_srgb=True)
        plain = load_pair(read(write_item(tmp_path / "b")).items[0])
        pair = load_pair(mixed.items[0])
        assert pair.colour == ""
        assert pair.target is not None
        np.testing.assert_array_equal(pair.target, plain.target)
        np.testing.assert_array_equal(pair.left, convert_to_srgb(plain.left, P3))

    @pytest.mark.parametrize("orientation", [2, 3, 6, 8])
    @pytest.mark.parametrize("role", ["left", "right", "target"])
    def test_one_turned_picture_is_refused_by_that_name(
        self, tmp_path: Path, role: str, orientation: int
    ) -> None:
        problems = read_or_problems(write_item(tmp_path, **{role: turned(orientation)}))
        assert {problem.kind for problem in problems} == {"orientation_mismatch"}
        assert all("EXIF orientation" in problem.message for problem in problems)

    def test_a_turned_picture_of_another_size_is_refused_by_that_name(self, tmp_path: Path) -> None:
        folder = write_item(tmp_path, right=lambda p: turned(6)(np.ascontiguousarray(np.rot90(p))))
        assert read_or_problems(folder)[0].kind == "orientation_mismatch"

    def test_all_turned_alike_stay_as_stored(self, tmp_path: Path) -> None:
        folder = write_item(tmp_path / "a", left=turned(6), right=turned(6), target=turned(6))
        pair, plain = (load_pair(read(f).items[0]) for f in (folder, write_item(tmp_path / "b")))
        np.testing.assert_array_equal(pair.left, plain.left)
        assert pair.dp_axis is plain.dp_axis

    def test_exif_behind_the_pixels_is_found_when_they_are_read(self, tmp_path: Path) -> None:
        def late(pixels: Pixels) -> bytes:
            plain, early = encode_image(pixels), turned(3)(pixels)
            chunk = early[33 : 33 + len(early) - len(plain)]
            return plain[:-12] + chunk + plain[-12:]

        with pytest.raises(OrientationMismatchError, match="EXIF orientation"):
            load_pair(read(write_item(tmp_path, right=late)).items[0])


def read_or_problems(folder: Path) -> list[Problem]:
    """The problems of a folder whose only item is refused, beside one that is sound."""
    for role in ("left", "right"):
        sound = encode_image(simulate_pair(1, SimulationSettings(height=96, width=128)).views[role])
        (folder / role / "1.png").write_bytes(sound)
    catalogue = read(folder)
    assert [item.id for item in catalogue.items] == ["set/1"]
    return [problem for problem in catalogue.problems if "0.png" in problem.where]
