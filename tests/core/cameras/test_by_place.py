"""Methods with kernels by place in the frame: no seams, better than one kernel."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from test_profiles import measured, write_grid, write_profile, write_pupil

from ldp_core.blur.disparity import DisparityEstimator, DisparitySettings
from ldp_core.cameras import open_camera
from ldp_core.cameras.tiles import apply_by_place, render_by_place
from ldp_core.deblur.ldp import LdpDeblurrer, LdpSettings
from ldp_core.deblur.occlusion import find_ranges
from ldp_core.deblur.wiener import WienerDeblurrer, WienerSettings
from ldp_core.errors import SettingsError
from ldp_core.metrics.fidelity import psnr_db
from ldp_core.metrics.reblur import reblur_psnr_db
from ldp_core.optics.kernels import disparity_per_coc
from ldp_core.tensors import to_pixels
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels

HEIGHT, WIDTH = 480, 720
COC_PX = 12.0
STRONG = {"softness": 0.6, "shift": 0.5, "coma": 1.2, "stretch": 0.3, "crosstalk": 0.1}


def picture() -> torch.Tensor:
    """(1, h, w) of texture at every scale, without steps."""
    generator = torch.Generator().manual_seed(3)
    planes = [
        weight
        * torch.nn.functional.interpolate(
            torch.rand(1, 1, HEIGHT // cell, WIDTH // cell, generator=generator),
            size=(HEIGHT, WIDTH),
            mode="bicubic",
        )
        for cell, weight in ((48, 0.25), (16, 0.25), (8, 0.25), (4, 0.1))
    ]
    return (0.1 + torch.stack(planes).sum(0)[0]).clamp(0.02, 0.98)


@pytest.fixture(scope="module")
def lens(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lens")
    kernels = {"kind": "pupil", "pupil": STRONG}
    return write_profile(folder, "lens", kernels=kernels, frame={"width": WIDTH, "height": HEIGHT})


@pytest.fixture(scope="module")
def pair(lens: str) -> Pair:
    """Out of focus by the same amount all over, as the lens sees it, with a little noise."""
    sharp = picture()
    views = render_by_place(sharp, torch.full((HEIGHT, WIDTH), COC_PX), open_camera(lens), slices=3)
    generator = torch.Generator().manual_seed(5)
    noisy = [view + 0.002 * torch.randn(view.shape, generator=generator) for view in views]
    left, right, target = (to_pixels(view, peak=65535) for view in (*noisy, sharp))
    return Pair("lens", left.astype(np.uint16), right.astype(np.uint16), target.astype(np.uint16))


def flat_map(coc_px: float = COC_PX) -> BlurMap:
    return BlurMap(np.full((HEIGHT, WIDTH), coc_px, np.float32), BlurMapKind.SIGNED_COC_PX)


def restore(pair: Pair, camera: str, blur_map: BlurMap | None = None) -> Pixels:
    return WienerDeblurrer(WienerSettings(camera=camera)).restore(pair, blur_map or flat_map())


class TestWiener:
    def test_kernels_by_place_restore_better_than_one(self, pair: Pair, lens: str) -> None:
        """Each gets the map that the true disparity gives with its own kernels."""
        assert pair.target is not None
        disparity = COC_PX * open_camera(lens).disparity_per_coc(HEIGHT, WIDTH).numpy()
        generic = disparity / disparity_per_coc(DisparitySettings().kernel)
        blur_map = BlurMap(generic.astype(np.float32), BlurMapKind.SIGNED_COC_PX)
        plain = psnr_db(restore(pair, "generic", blur_map), pair.target)
        assert psnr_db(restore(pair, lens), pair.target) > plain + 1

    def test_tiles_give_what_the_whole_picture_gives(
        self, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The lens is the same at every place, so that tiles alone can make a difference."""
        kernels = {"kind": "pupil", "pupil": {"softness": 0.8, "crosstalk": 0.1}}
        camera = write_profile(tmp_path, kernels=kernels, frame={"width": WIDTH, "height": HEIGHT})
        ramp = np.linspace(-20, 20, WIDTH, dtype=np.float32) * np.ones((HEIGHT, 1), np.float32)
        blur_map = BlurMap(ramp, BlurMapKind.SIGNED_COC_PX)
        tiled = restore(pair, camera, blur_map).astype(np.float64) / 65535
        monkeypatch.setattr("ldp_core.cameras.tiles._STRIDE_PX", 2000)
        whole = restore(pair, camera, blur_map).astype(np.float64) / 65535
        difference = np.abs(tiled - whole)
        assert 0 < float(difference.max()) < 0.012
        assert float(np.sqrt(np.square(difference).mean())) < 0.0006

    def test_no_tile_shows_where_kernels_change(self, pair: Pair, lens: str) -> None:
        """Mean steps from column to column, over four columns, are nowhere larger than around them."""
        assert pair.target is not None
        residual = (restore(pair, lens).astype(np.float64) - pair.target.astype(np.float64))[..., 0]
        steps = np.abs(np.diff(residual, axis=1)).mean(0)
        steps = np.convolve(steps, np.ones(4) / 4, mode="valid")[40:-40]
        around = np.convolve(steps, np.ones(61) / 61, mode="same")[40:-40]
        assert float((steps[40:-40] / around).max()) < 1.35

    def test_bars_hide_little_of_the_wall_behind_them(
        self, pair: Pair, lens: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The wall comes out as without the bars, nearer than where both are restored as one surface."""
        bars = np.zeros((HEIGHT, WIDTH), dtype=bool)
        bars[:, 120:135] = bars[:, 350:362] = bars[:, 600:620] = True
        beside = (distance_transform_edt(~bars) > 2) & (distance_transform_edt(~bars) < 24)
        views = [np.where(bars[..., None], 4000, view).astype(view.dtype) for view in (pair.left, pair.right)]
        hidden = Pair("bars", *views)
        blur_map = BlurMap(np.where(bars, 0, COC_PX).astype(np.float32), BlurMapKind.SIGNED_COC_PX)

        def error() -> float:
            difference = restore(hidden, lens, blur_map)[beside] / 65535 - alone[beside]
            return float(np.square(difference).mean())

        alone = restore(pair, lens) / 65535
        apart = error()
        one = find_ranges(torch.zeros(1, 1))
        monkeypatch.setattr("ldp_core.deblur.wiener.find_ranges", lambda *_: one)
        assert apart < 0.5 * error()

    def test_a_profile_with_one_kernel_is_that_kernel(self, pair: Pair, tmp_path: Path) -> None:
        kernel = {"softness": 0.8, "crosstalk": 0.1}
        camera = write_profile(tmp_path, kernels={"kind": "uniform", "kernel": kernel})
        settings = WienerSettings.parse({"kernel": kernel})
        expected = WienerDeblurrer(settings).restore(pair, flat_map())
        np.testing.assert_array_equal(restore(pair, camera), expected)

    def test_a_picture_beyond_the_frame_is_refused(self, pair: Pair, tmp_path: Path) -> None:
        small = write_pupil(tmp_path, width=600, height=400, scale=1.0)
        with pytest.raises(SettingsError, match="does not fit"):
            restore(pair, small)


class TestByPlace:
    def test_tiles_of_a_function_without_kernels_make_no_difference(self, lens: str) -> None:
        arrays = [picture(), torch.rand(HEIGHT, WIDTH)]
        found = apply_by_place(lambda _, a, b: a * b, arrays, camera=open_camera(lens), margin_px=20)
        torch.testing.assert_close(found, arrays[0] * arrays[1])

    def test_each_tile_gets_the_kernel_of_its_place(self, lens: str) -> None:
        camera = open_camera(lens)
        found = apply_by_place(
            lambda kernel, plane: torch.full_like(plane, kernel.disparity / 2),
            [torch.zeros(HEIGHT, WIDTH)],
            camera=camera,
            margin_px=20,
        )
        expected = camera.disparity_per_coc(HEIGHT, WIDTH)
        middle = HEIGHT // 2, WIDTH // 2
        assert float(found[middle]) == pytest.approx(float(expected[middle]), rel=0.02)
        assert float((found / expected - 1).abs().max()) < 0.2
        steps = found.diff(dim=1).abs().max() / float(expected.max() - expected.min())
        assert float(steps) < 0.04


class TestEstimator:
    def test_circles_of_confusion_follow_from_disparity_by_place(self, pair: Pair, lens: str) -> None:
        plain, by_place = (
            DisparityEstimator(DisparitySettings(camera=camera)).estimate(pair).values
            for camera in ("generic", lens)
        )
        factors = open_camera(lens).disparity_per_coc(HEIGHT, WIDTH).numpy()
        ratio = disparity_per_coc(DisparitySettings().kernel) / factors
        np.testing.assert_allclose(by_place, plain * ratio, rtol=1e-4, atol=1e-4)

    def test_its_profile_gives_the_truth_all_over_the_frame(self, pair: Pair, lens: str) -> None:
        values = DisparityEstimator(DisparitySettings(camera=lens)).estimate(pair).values
        for columns in (slice(40, 200), slice(280, 440), slice(520, 680)):
            assert float(np.median(values[60:-60, columns])) == pytest.approx(COC_PX, rel=0.08)


class TestReblur:
    def test_the_truth_explains_the_views_with_the_kernels_of_its_camera(self, pair: Pair, lens: str) -> None:
        assert pair.target is not None
        plain = reblur_psnr_db({"truth": pair.target}, pair, blur_map=flat_map())
        by_place = reblur_psnr_db({"truth": pair.target}, pair, blur_map=flat_map(), camera=open_camera(lens))
        assert by_place["truth"] > plain["truth"] + 5


class TestStageKeys:
    def test_generic_leaves_no_trace(self) -> None:
        for spec in (
            WienerDeblurrer(WienerSettings(camera="generic")).spec,
            DisparityEstimator(DisparitySettings(camera="generic")).spec,
            LdpDeblurrer(LdpSettings(camera="generic")).spec,
        ):
            assert "camera" not in spec.settings

    def test_a_profile_is_named_by_its_digest_wherever_it_lies(self, tmp_path: Path) -> None:
        specs = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            camera = write_pupil(tmp_path / name)
            specs.append(WienerDeblurrer(WienerSettings(camera=camera)).spec)
        assert specs[0] == specs[1]
        assert set(specs[0].settings["camera"]) == {"name", "sha256"}
        json.dumps(specs[0].settings)

    def test_measured_kernels_count(self, tmp_path: Path) -> None:
        path = Path(write_grid(tmp_path))
        before = WienerDeblurrer(WienerSettings(camera=str(path))).spec
        np.save(tmp_path / "grid.npy", measured(6, radius_px=8))
        digest = hashlib.sha256((tmp_path / "grid.npy").read_bytes()).hexdigest()
        content = json.loads(path.read_text())
        content["kernels"]["sha256"] = digest
        path.write_text(json.dumps(content))
        assert WienerDeblurrer(WienerSettings(camera=str(path))).spec != before


def test_the_sign_of_the_map_is_kept(lens: str) -> None:
    """Content before the focal plane: the disparity of the views is negative at every place."""
    views = render_by_place(picture(), torch.full((HEIGHT, WIDTH), -COC_PX), open_camera(lens), slices=3)
    left, right = (to_pixels(view, peak=65535).astype(np.uint16) for view in views)
    values: FloatMap = (
        DisparityEstimator(DisparitySettings(camera=lens)).estimate(Pair("a", left, right)).values
    )
    assert float(np.median(values)) == pytest.approx(-COC_PX, rel=0.08)
