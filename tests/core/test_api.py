"""The library in a few calls: pictures as NumPy arrays in, results out, what is no picture refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ldp_core
from ldp_core.archive import Archive
from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.errors import (
    ArchiveError,
    BlurMapError,
    ImageFormatError,
    LdpError,
    MetricError,
    PairMismatchError,
    SecondViewMissingError,
    SettingsError,
)
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurMap, BlurMapKind, Pair, Pixels


@pytest.fixture(scope="module")
def pair() -> Pair:
    return simulate_pair(5, SimulationSettings(height=96, width=128, sharp_share=0))


@pytest.fixture(scope="module")
def views(pair: Pair) -> tuple[Pixels, Pixels]:
    return pair.both_views


def test_everything_that_is_offered_is_there() -> None:
    assert sorted(ldp_core.__all__) == list(ldp_core.__all__)
    assert all(getattr(ldp_core, name) is not None for name in ldp_core.__all__)
    assert set(ldp_core.__all__) <= set(dir(ldp_core))
    assert ldp_core.BlurMap is BlurMap
    assert ldp_core.LdpError is LdpError
    with pytest.raises(AttributeError, match="no attribute 'restor'"):
        _ = ldp_core.restor  # type: ignore[attr-defined]


def test_the_package_is_imported_at_once_and_without_torch() -> None:
    program = (
        "import sys, time\n"
        "start = time.perf_counter()\n"
        "import ldp_core\n"
        "seconds = time.perf_counter() - start\n"
        "assert not {'torch', 'numpy', 'zarr', 'pydantic'} & set(sys.modules)\n"
        "print(seconds)\n"
    )
    run = [sys.executable, "-c", program]
    took = [float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(took) < 0.05


def test_a_pair_is_restored_as_the_methods_restore_it(pair: Pair) -> None:
    left, right = pair.both_views
    blur_map = ldp_core.estimate(left, right)
    expected = make_estimator("disparity").estimate(pair)
    assert blur_map.kind is BlurMapKind.SIGNED_COC_PX
    np.testing.assert_array_equal(blur_map.values, expected.values)
    restored = ldp_core.restore(left, right)
    np.testing.assert_array_equal(restored, make_deblurrer("ldp").restore(pair, expected))
    assert pair.target is not None
    before, after = (ldp_core.score(p, pair.target)["psnr_db"] for p in (left, restored))
    assert after > before


def test_methods_settings_and_a_map_may_be_chosen(pair: Pair) -> None:
    left, right = pair.both_views
    settings = {"noise_signal": 0.05}
    blur_map = ldp_core.BlurMap(np.full((96, 128), 4, np.float32), ldp_core.BlurMapKind.SIGNED_COC_PX)
    restored = ldp_core.restore(
        left, right, deblurrer="wiener", blur_map=blur_map, deblurrer_settings=settings
    )
    np.testing.assert_array_equal(restored, make_deblurrer("wiener", settings).restore(pair, blur_map))
    found = ldp_core.estimate(left, right, estimator="zncc", estimator_settings={"stride_px": 20})
    np.testing.assert_array_equal(
        found.values, make_estimator("zncc", {"stride_px": 20}).estimate(pair).values
    )


def test_one_view_is_served_by_the_methods_for_one(pair: Pair) -> None:
    single = Pair("one", pair.left)
    np.testing.assert_array_equal(ldp_core.restore(pair.left), make_deblurrer("bdir").restore(single, None))
    found = ldp_core.estimate(pair.left)
    assert found.kind is BlurMapKind.IN_FOCUS_PROBABILITY
    np.testing.assert_array_equal(found.values, make_estimator("depth-distilled").estimate(single).values)


@pytest.mark.parametrize("call", [ldp_core.restore, ldp_core.estimate])
def test_one_view_where_two_are_needed_is_an_error(views: tuple[Pixels, Pixels], call: Any) -> None:
    chosen = {"deblurrer": "wiener"} if call is ldp_core.restore else {"estimator": "disparity"}
    with pytest.raises(SecondViewMissingError, match=next(iter(chosen.values()))):
        call(views[0], **chosen)


@pytest.mark.parametrize("shape", [(96, 128), (96, 128, 1), (96, 128, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32", "float64"])
def test_every_shape_and_dtype_comes_back_as_it_was_given(
    views: tuple[Pixels, Pixels], shape: tuple[int, ...], dtype: str
) -> None:
    left, right = (give(view, shape, np.dtype(dtype)) for view in views)
    restored = ldp_core.restore(left, right, deblurrer="wiener")
    assert restored.shape == shape
    assert restored.dtype == np.dtype(dtype).newbyteorder("=")
    deep = (give(view, shape, np.dtype("uint16")) for view in views)
    reference = ldp_core.restore(*deep, deblurrer="wiener")
    full_scale = 1 if restored.dtype.kind == "f" else np.iinfo(restored.dtype).max
    tolerance = 1.5 / 255 if dtype == "uint8" else 1e-6
    np.testing.assert_allclose(restored / full_scale, reference / 65535, atol=tolerance)


def give(view: Pixels, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """8 bit as another shape and dtype, of the same values on the scale 0..1."""
    planes = view if shape[-1] == 3 else view[..., 1].reshape(shape)
    if dtype.kind == "f":
        return (planes / 255).astype(dtype)
    return (planes.astype(np.uint16) * (257 if dtype.itemsize == 2 else 1)).astype(dtype)


def test_a_vertical_axis_is_a_pair_on_its_side(views: tuple[Pixels, Pixels]) -> None:
    upright = ldp_core.estimate(*views).values
    turned = ldp_core.estimate(*(view.swapaxes(0, 1) for view in views), dp_axis="y").values
    np.testing.assert_array_equal(turned.T, upright)


@pytest.mark.parametrize(
    ("picture", "fault"),
    [
        (np.zeros((4,), np.uint8), "no picture"),
        (np.zeros((4, 5, 4), np.uint8), "no picture"),
        (np.zeros((0, 5, 3), np.uint8), "no picture"),
        (np.zeros((1, 4, 5, 3), np.uint8), "no picture"),
        (np.zeros((4, 5), np.int64), "no pixels"),
        (np.zeros((4, 5), bool), "no pixels"),
        (np.full((4, 5), 1.5), "no pixels"),
        (np.full((4, 5), -0.1), "no pixels"),
        (np.full((4, 5), np.nan), "no pixels"),
        (np.zeros((4, 5), complex), "no pixels"),
        (np.full((4, 5), "white"), "no pixels"),
        ("photograph.png", "no picture"),
        (None, "no picture"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any, fault: str) -> None:
    with pytest.raises(ImageFormatError, match=fault) as caught:
        ldp_core.estimate(picture, picture)
    assert caught.value.where == "left"
    with pytest.raises(ImageFormatError, match=fault):
        ldp_core.score(np.zeros((4, 5), np.uint8), picture)


def test_views_that_differ_are_refused(views: tuple[Pixels, Pixels]) -> None:
    left, right = views
    for other in (right[:-1], right[..., :1], right.astype(np.uint16)):
        with pytest.raises(PairMismatchError):
            ldp_core.restore(left, other)


def test_a_map_that_does_not_fit_is_refused(views: tuple[Pixels, Pixels]) -> None:
    small = BlurMap(np.zeros((5, 5), np.float32), BlurMapKind.SIGNED_COC_PX)
    for blur_map in (small, np.zeros((96, 128), np.float32)):
        with pytest.raises(BlurMapError, match="does not fit"):
            ldp_core.restore(*views, blur_map=blur_map)  # type: ignore[arg-type]


def test_misspelt_names_are_told_what_they_were_meant_to_be(views: tuple[Pixels, Pixels]) -> None:
    for call in (
        lambda: ldp_core.restore(*views, deblurrer="weiner"),
        lambda: ldp_core.estimate(*views, estimator="disparty"),
        lambda: ldp_core.score(*views, metrics=["psnr_bd"]),
    ):
        with pytest.raises(SettingsError) as caught:
            call()
        assert caught.value.remedy.startswith("did you mean")
    with pytest.raises(SettingsError, match="axis"):
        ldp_core.estimate(*views, dp_axis="z")  # type: ignore[arg-type]


def test_scores_of_equal_pictures_and_of_others(views: tuple[Pixels, Pixels]) -> None:
    left, right = views
    assert ldp_core.score(left, left) == {"psnr_db": 100.0, "ssim": 1.0, "mae": 0.0}
    assert ldp_core.score(left, left / 255.0)["psnr_db"] == 100.0
    assert list(ldp_core.score(left, right, metrics=["ssim"])) == ["ssim"]
    with pytest.raises(MetricError):
        ldp_core.score(left, right[:-1])


def test_an_archive_is_opened_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "archive" / "frames").mkdir(parents=True)
    url = str(tmp_path / "archive")
    assert ldp_core.open_archive(url) == Archive(url, latest=True)


@pytest.mark.parametrize("name", ["nothing", "empty", "file"])
def test_an_address_without_an_archive_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"..")
    with pytest.raises(ArchiveError, match="no archive"):
        ldp_core.open_archive(str(tmp_path / name))
