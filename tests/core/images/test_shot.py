"""What EXIF tells of a photograph becomes metadata of its item; what a manifest says goes before it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl, read_catalogue
from ldp_core.images.traits import SHOT_NAMES, read_exif

TOLD = {
    "make": "Google",
    "model": "Pixel 4",
    "iso": 800,
    "aperture": 1.73,
    "focal_length_mm": 4.38,
    "taken": "2026-05-04T10:11:12",
}


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Google", "Pixel 4\0"
    details = exif.get_ifd(0x8769)
    details[0x8827], details[0x9003] = 800, "2026:05:04 10:11:12"
    details[0x829D], details[0x920A] = IFDRational(173, 100), IFDRational(438, 100)
    return exif


def _write(folder: Path, ending: str) -> None:
    for view in ("left", "right"):
        (folder / view).mkdir(parents=True)
        pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / view / f"a.{ending}", exif=_exif())


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_an_item_knows_what_its_picture_tells(tmp_path: Path, ending: str) -> None:
    _write(tmp_path / "set", ending)
    catalogue = read_catalogue(str(tmp_path / "set"), layout="folders")
    [item] = catalogue.items
    assert item.metadata == TOLD
    assert item.metadata.keys() == SHOT_NAMES
    assert catalogue_from_jsonl(catalogue_to_jsonl(catalogue)) == catalogue


def test_a_manifest_is_believed_before_exif(tmp_path: Path) -> None:
    _write(tmp_path / "set", "jpg")
    (tmp_path / "set.csv").write_text(
        "id,left,right,iso,scene\na,set/left/a.jpg,set/right/a.jpg,100,indoor\n"
    )
    [item] = read_catalogue(str(tmp_path / "set.csv"), layout="manifest").items
    assert item.metadata == TOLD | {"iso": "100", "scene": "indoor"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda exif: exif.get_ifd(0x8769).__setitem__(0x829D, IFDRational(1, 0)),
        lambda exif: exif.get_ifd(0x8769).__setitem__(0x9003, "0000:00:00 00:00:00"),
        lambda exif: exif.get_ifd(0x8769).__setitem__(0x8827, (0, 0)),
    ],
)
def test_nonsense_in_exif_is_left_out(spoil: Callable[[Image.Exif], None]) -> None:
    exif = _exif()
    spoil(exif)
    shot = read_exif(exif.tobytes()).shot
    assert len(shot) == len(TOLD) - 1
    assert all(TOLD[name] == value for name, value in shot.items())


def test_a_fraction_is_a_number() -> None:
    exif = _exif()
    exif.get_ifd(0x8769)[0x829D] = IFDRational(Fraction(2, 1))
    assert read_exif(exif.tobytes()).shot["aperture"] == 2
