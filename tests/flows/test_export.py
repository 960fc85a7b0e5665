"""Results as files: pixels, names and metadata as users find them in other programs; stopped and resumed."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms
from run_samples import complete_run
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.catalogue import read_catalogue
from ldp_core.images import read_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.report.colour_bar import draw_with_bar
from ldp_core.report.model import BLUR_PICTURES
from ldp_core.types import BlurMapKind, Pixels
from tasks.export import name_file
from tasks.pipeline import make_config, pipelines_for
from tasks.run import Run

RUN = "20260101t000000z-aaaaaa"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KEPT = {ExifTags.Base.Make: "Canon", ExifTags.Base.Model: "EOS 5D", ExifTags.Base.Orientation: 1}
EXPOSURE = {ExifTags.Base.ISOSpeedRatings: 800, ExifTags.Base.LensModel: "RF 50"}
PRIVATE = {ExifTags.Base.BodySerialNumber: "S123", ExifTags.Base.CameraOwnerName: "A. Person"}


def exif_of_camera() -> Image.Exif:
    exif = Image.Exif()
    exif.update({**KEPT, ExifTags.Base.Artist: "A. Person", ExifTags.Base.Copyright: "A. Person"})
    exif.get_ifd(ExifTags.IFD.Exif).update({**EXPOSURE, **PRIVATE})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 24.0)})
    return exif


def write_view(path: Path, pixels: Pixels) -> None:
    """A JPEG or TIFF as a camera leaves it: a profile, EXIF with position, owner and serial number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.dtype == np.uint8:
        options: dict[str, Any] = {"quality": 95, "subsampling": 0}
        Image.fromarray(pixels).save(path, exif=exif_of_camera(), icc_profile=PROFILE, **options)
        return
    extra = [(271, "s", 0, "Canon", True), (315, "s", 0, "A. Person", True)]
    tifffile.imwrite(path, pixels, photometric="rgb", iccprofile=PROFILE, extratags=extra, metadata=None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a run over two pairs: one of 8 bit below a folder, one of 16 bit."""
    folder = tmp_path_factory.mktemp("export")
    for name, depth in (("Day 1/IMG_0001.jpg", 8), ("IMG_0002.tif", 16)):
        pair = simulate_pair(len(name), SimulationSettings(height=64, width=72))
        for side, view in (("left", pair.left), ("right", pair.both_views[1])):
            scaled = view if depth == 8 else view.astype(np.uint16) * 257 - (view > 99)
            write_view(folder / "set" / side / name, scaled)
    config = make_config(str(folder / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}))
    catalogue = read_catalogue(str(folder / "set"), layout="folders", dataset="set")
    complete_run(Run.start(config, catalogue, pipelines_for(config, catalogue.items), run_id=RUN))
    return folder


def export(made: Path, to: Path, *options: object, code: int = 0) -> str:
    arguments = ["export", RUN, "--archive", made / "archive", "--to", to, "--workers", 1, *options]
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def archived(made: Path, item: str) -> Pixels:
    run = Run(str(made / "archive"), RUN)
    from ldp_core.archive import Archive

    return Archive(run.archive).read_restored(run.key_of("deblur", "pair"), item)


EIGHT, SIXTEEN = ("Day 1/IMG_0001", "set/day-1-img_0001"), ("IMG_0002", "set/img_0002")


@pytest.mark.parametrize(("kind", "ending"), [("png", "png"), ("tiff", "tif"), ("npy", "npy")])
def test_depth_and_names_are_kept(kind: str, ending: str, made: Path, tmp_path: Path) -> None:
    out = export(made, tmp_path / "to", "--format", kind)
    assert "2 items written, 0 there already" in out
    for name, item in (EIGHT, SIXTEEN):
        file = tmp_path / "to" / "restored" / f"{name}.{ending}"
        found = np.load(file) if kind == "npy" else read_image(str(file))
        assert found.dtype == (np.uint8 if name == EIGHT[0] else np.uint16)
        np.testing.assert_array_equal(found, archived(made, item))


def read_exif(path: Path) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """What Pillow finds; of a TIFF of 16 bit by its own directory, for Pillow opens none."""
    exif = Image.Exif()
    if path.suffix == ".tif":
        exif.load(b"Exif\0\0" + path.read_bytes())
    else:
        with Image.open(path) as picture:
            exif = picture.getexif()
    directories = (exif.get_ifd(ifd) for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
    return (dict(exif), *(dict(found) for found in directories))


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg"])
def test_profile_and_exif_are_carried_over_but_for_what_is_private(
    kind: str, made: Path, tmp_path: Path
) -> None:
    export(made, tmp_path / "to", "--format", kind)
    ending = {"png": "png", "tiff": "tif", "jpeg": "jpg"}[kind]
    file = tmp_path / "to" / "restored" / f"{EIGHT[0]}.{ending}"
    picture, exposure, position = read_exif(file)
    assert picture.items() >= KEPT.items()
    assert exposure.items() >= EXPOSURE.items()
    assert position == {}
    assert b"A. Person" not in file.read_bytes()
    assert b"S123" not in file.read_bytes()
    with Image.open(file) as opened:
        assert opened.info["icc_profile"] == PROFILE
        opened.load()
    other, _, _ = read_exif(tmp_path / "to" / "restored" / f"{SIXTEEN[0]}.{ending}")
    assert other[ExifTags.Base.Make] == "Canon"
    assert ExifTags.Base.Artist not in other


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg"])
def test_all_metadata_are_kept_where_that_is_asked_for(kind: str, made: Path, tmp_path: Path) -> None:
    export(made, tmp_path / "to", "--format", kind, "--keep-all-metadata")
    ending = {"png": "png", "tiff": "tif", "jpeg": "jpg"}[kind]
    picture, exposure, position = read_exif(tmp_path / "to" / "restored" / f"{EIGHT[0]}.{ending}")
    assert picture[ExifTags.Base.Artist] == "A. Person"
    assert exposure.items() >= PRIVATE.items()
    assert [float(number) for number in position[2]] == [48, 51, 24]


def test_maps_are_32_bit_values_and_a_picture_with_a_bar(made: Path, tmp_path: Path) -> None:
    export(made, tmp_path / "to", "--what", "blur,confidence", "--ids", write_ids(tmp_path, "IMG_0002"))
    for product in ("blur", "confidence"):
        with tifffile.TiffFile(tmp_path / "to" / product / "IMG_0002.tif") as tiff:
            assert (tiff.pages.first.dtype, tiff.pages.first.shape) == (np.float32, (64, 72))
            assert tiff.pages.first.description.startswith(("signed_coc_px", "confidence"))
        with Image.open(tmp_path / "to" / product / "IMG_0002.png") as picture:
            assert picture.width > 72
    assert not (tmp_path / "to" / "blur" / "Day 1").exists()


def write_ids(folder: Path, *ids: str) -> Path:
    (folder / "ids.txt").write_text("\n".join(ids))
    return folder / "ids.txt"


def test_a_bar_tells_the_scale_of_its_picture() -> None:
    values = np.linspace(-3, 8, 200 * 300, dtype=np.float32).reshape(200, 300)
    spec = BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX]
    with Image.open(io.BytesIO(draw_with_bar(values, spec))) as opened:
        sheet = np.asarray(opened)
    bar = sheet[:, 300:]
    column = bar[40:-30, 16]  # inside the strip of colours
    assert (column[0] == sheet[-1, 299]).sum() < 3  # the end of the scale, 10 px, is beyond 8 px
    assert len(np.unique(column, axis=0)) > 100
    values[0, 0] = np.nan
    with Image.open(io.BytesIO(draw_with_bar(values, spec))) as opened:
        assert opened.getpixel((0, 0)) == (0x6B, 0x6F, 0x76)


def test_an_export_goes_on_and_is_never_mixed(made: Path, tmp_path: Path) -> None:
    export(made, tmp_path / "to", "--limit", 1)
    assert "1 item written, 1 there already" in export(made, tmp_path / "to")
    assert "2 items written" in export(made, tmp_path / "to", "--what", "input")
    assert "this folder holds another export" in export(made, tmp_path / "to", "--format", "tiff", code=1)
    assert not [path for path in (tmp_path / "to").rglob("*") if path.name.endswith(".partial")]


@pytest.mark.parametrize("place", ["", "frames", "of-mine/2"])
def test_an_archive_takes_no_export(place: str, made: Path) -> None:
    before = sorted(made.rglob("*"))
    assert "an export may not lie in an archive" in export(made, made / "archive" / place, code=1)
    assert sorted(made.rglob("*")) == before
    assert "2 items written" in export(made, made / f"archive-{place.replace('/', '-')}")


def test_what_is_damaged_is_named_and_the_rest_is_written(made: Path, tmp_path: Path) -> None:
    archive = Path(shutil.copytree(made / "archive", tmp_path / "archive"))
    chunk = next(archive.glob("restored/*/set/img_0002/c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    moved = tmp_path / "made"
    moved.mkdir()
    archive.rename(moved / "archive")
    out = export(moved, tmp_path / "to", code=3)
    assert "set/img_0002: " in out
    assert "1 item written, 0 there already, 1 failed" in out


def test_an_export_without_its_source_says_that_metadata_are_missing(made: Path, tmp_path: Path) -> None:
    source = made / "set"
    source.rename(made / "elsewhere")
    try:
        assert "2 without metadata" in export(made, tmp_path / "to")
    finally:
        (made / "elsewhere").rename(source)


def test_any_store_of_fsspec_takes_an_export(made: Path) -> None:
    from ldp_core.storage import list_objects

    export(made, "memory://exported")  # type: ignore[arg-type]
    assert set(list_objects("memory://exported")) == {
        "export.json", f"restored/{EIGHT[0]}.png", f"restored/{SIXTEEN[0]}.png"
    }  # fmt: skip


def test_scores_become_a_table(made: Path, tmp_path: Path) -> None:
    arguments = ["export", RUN, "--archive", made / "archive", "--table", tmp_path / "scores.csv", "--json"]
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert json.loads(result.stdout) == {"table": str(tmp_path / "scores.csv")}
    table = pd.read_csv(tmp_path / "scores.csv")
    parquet = pd.read_parquet(made / "archive" / "runs" / RUN / "scores.parquet")
    assert table["value"].tolist() == parquet["value"].tolist()
    assert set(table["name"]) == {EIGHT[0], SIXTEEN[0]}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "nothing to write"),
        (("--to", "x", "--what", "restord"), "there is no such product"),
        (("--to", "x", "--format", "exr"), "there is no 'exr'"),
        (("--table", "x.docx"), "a name that ends in .csv or .tsv"),
        (("--to", "x", "--ids", "ids.txt"), "these items are not among those that came through"),
    ],
)
def test_what_cannot_be_exported_is_told(
    options: tuple[str, ...], told: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_ids(tmp_path, "IMG_0009")
    result = CliRunner().invoke(app, ["export", RUN, "--archive", str(made / "archive"), *options])
    assert result.exit_code in (1, 2)
    assert told in result.output
    assert not (tmp_path / "x" / "restored").exists()


@pytest.mark.parametrize("title", ["../outside", "/etc/x", "a//b", "a\\b", ".", "a\nb"])
def test_no_name_leads_out_of_the_folder(title: str, made: Path) -> None:
    from dataclasses import replace

    [item, _] = Run(str(made / "archive"), RUN).catalogue.items
    assert name_file(replace(item, name=title)) == "day-1-img_0001"
