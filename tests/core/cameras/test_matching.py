"""Which profile serves which item: one for all, or what the pictures tell of their camera."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_profiles import write_profile, write_pupil

from ldp_core.cameras import open_camera
from ldp_core.cameras.matching import assign_cameras, choose_camera
from ldp_core.cameras.profile import Camera
from ldp_core.catalogue import read_catalogue
from ldp_core.errors import ObjectMissingError, SettingsError
from ldp_core.images.exif import TakenBy, read_camera
from ldp_core.types import Catalogue, DpAxis

MAKE, MODEL, LENS = 0x010F, 0x0110, 0xA434


def encode(format: str, *, make: str = "", model: str = "", lens: str = "") -> bytes:  # noqa: A002
    pixels = np.random.default_rng(0).integers(0, 255, (24, 36, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = make, model
    exif.get_ifd(0x8769)[LENS] = lens
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, exif=exif)
    return file.getvalue()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """An item of a Canon 5D IV, one of a camera that nobody knows, one without EXIF."""
    source = tmp_path / "source"
    (source / "left").mkdir(parents=True)
    (source / "right").mkdir()
    cameras = {"a": ("Canon", "Canon EOS 5D Mark IV"), "b": ("Acme", "One"), "c": ("", "")}
    for name, (make, model) in cameras.items():
        for side in ("left", "right"):
            (source / side / f"{name}.jpg").write_bytes(encode("JPEG", make=make, model=model))
    return read_catalogue(str(source), layout="folders")


def named(folder: Path, name: str, *matches: dict[str, str]) -> Camera:
    return open_camera(write_profile(folder, name, matches=list(matches)))


class TestExif:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
    def test_make_model_and_lens(self, tmp_path: Path, format: str) -> None:  # noqa: A002
        path = tmp_path / "picture"
        path.write_bytes(encode(format, make="Google ", model="Pixel 4", lens="wide\0"))
        lens = "" if format == "TIFF" else "wide"  # Pillow writes no nested tags into TIFF
        assert read_camera(str(path)) == TakenBy("Google", "Pixel 4", lens)

    @pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II"])
    def test_what_is_no_picture_tells_nothing(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "picture").write_bytes(content)
        assert read_camera(str(tmp_path / "picture")) == TakenBy()

    def test_a_picture_that_is_missing_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ObjectMissingError):
            read_camera(str(tmp_path / "picture"))


class TestChoice:
    def test_by_make_and_model_whatever_their_case(self, tmp_path: Path) -> None:
        camera = named(tmp_path, "pixel", {"make": "google", "model": "PIXEL 4"})
        assert choose_camera(TakenBy("Google", "Pixel 4"), [camera]) is camera
        assert choose_camera(TakenBy("Google", "Pixel 4 XL"), [camera]) is None
        assert choose_camera(TakenBy("Other", "Pixel 4"), [camera]) is None

    def test_the_profile_of_the_lens_comes_first(self, tmp_path: Path) -> None:
        plain = named(tmp_path, "plain", {"model": "R6"})
        with_lens = named(tmp_path, "lens", {"model": "R6", "lens": "RF50mm"})
        for cameras in ([plain, with_lens], [with_lens, plain]):
            assert choose_camera(TakenBy("Canon", "R6", "RF50mm F1.8"), cameras) is with_lens
            assert choose_camera(TakenBy("Canon", "R6", "RF85mm"), cameras) is plain

    def test_a_picture_that_tells_nothing_fits_no_profile(self, tmp_path: Path) -> None:
        assert choose_camera(TakenBy(), [named(tmp_path, "a", {"model": "A"}), named(tmp_path, "b")]) is None


class TestAssignment:
    def test_generic_changes_nothing(self, catalogue: Catalogue) -> None:
        assert assign_cameras(catalogue, "generic") is catalogue

    def test_one_profile_serves_all_items(self, catalogue: Catalogue, tmp_path: Path) -> None:
        camera = write_pupil(tmp_path)
        cameras = {item.camera for item in assign_cameras(catalogue, camera).items}
        assert cameras == {open_camera(camera).address}

    def test_axis_and_order_of_views_follow_from_the_profile(
        self, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        camera = write_profile(tmp_path, dp_axis="y", views_exchanged=True)
        for item, before in zip(assign_cameras(catalogue, camera).items, catalogue.items, strict=True):
            assert item.dp_axis is DpAxis.Y
            assert (item.left, item.right) == (before.right, before.left)

    def test_an_item_of_an_unknown_camera_is_refused_and_the_others_stay(self, catalogue: Catalogue) -> None:
        first, *others = catalogue.items
        assert others
        listed = replace(catalogue, items=(replace(first, camera="pixel-40"), *others))
        found = assign_cameras(listed, "generic")
        assert found.items == tuple(others)
        [problem] = [one for one in found.problems if one not in catalogue.problems]
        assert (problem.where, problem.kind, problem.refuses_item) == (first.id, "bad_row", True)
        assert "'pixel-40'" in problem.message
        assert "pixel-4" in problem.remedy

    def test_a_single_view_stays_one(self, catalogue: Catalogue, tmp_path: Path) -> None:
        single = replace(catalogue, items=tuple(replace(item, right=None) for item in catalogue.items))
        camera = write_profile(tmp_path, views_exchanged=True)
        assert not any(item.has_both_views for item in assign_cameras(single, camera).items)

    def test_no_such_profile(self, catalogue: Catalogue) -> None:
        with pytest.raises(SettingsError, match="no such camera profile"):
            assign_cameras(catalogue, "nowhere")
