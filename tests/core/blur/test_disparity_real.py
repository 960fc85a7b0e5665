"""The training-free estimator on photographs of three cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ldp_core.blur import make_estimator
from ldp_core.images import read_image
from ldp_core.metrics.blur_maps import auc, one_minus_rho, sample_blur
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc
from ldp_core.types import BlurMap, BlurTruthKind, FloatMap, Pair

pytestmark = pytest.mark.real


def estimate(folder: Path, *, left: str, right: str) -> BlurMap:
    views = [read_image(str(folder / name)) for name in (left, right)]
    return make_estimator("disparity").estimate(Pair("real/pair", *views))


def disparity_px(folder: Path) -> FloatMap:
    return estimate(folder, left="l.png", right="r.png").values * disparity_per_coc(KernelSpec())


@pytest.mark.parametrize("scene", [1, 5])
def test_pixel4_map_ranks_as_the_measured_defocus(real_data: Path, scene: int) -> None:
    folder = real_data / "dp" / "pixel4"
    blur_map = estimate(folder, left=f"{scene:03d}_l.png", right=f"{scene:03d}_r.png")
    truth = read_image(str(folder / f"{scene:03d}_defocus.png"))[..., 0].astype(np.float32)
    samples = sample_blur(blur_map, truth, kind=BlurTruthKind.UNSIGNED)
    assert one_minus_rho(samples.estimate, samples.truth) < 0.09
    assert auc(samples.amount, samples.blurred) > 0.98


def test_canon_charts_shift_as_correlation_and_thin_lens_say(real_data: Path) -> None:
    """Windowed sub-pixel ZNCC of the centre gives -0.95 and +0.53 px; a lens focused at 1 m, -2 : 1."""
    charts = real_data / "dp" / "canon_r6m2" / "flat" / "001"
    near, far = (disparity_px(charts / d / "f4")[192:320, 256:512].mean() for d in ("0600", "1500"))
    assert near == pytest.approx(-0.95, abs=0.1)
    assert far == pytest.approx(0.53, abs=0.05)
    assert near / far == pytest.approx(-2, abs=0.2)


@pytest.mark.parametrize("distance", ["0600", "1500"])
def test_canon_chart_stopped_down_is_in_focus(real_data: Path, distance: str) -> None:
    disparity = disparity_px(real_data / "dp" / "canon_r6m2" / "flat" / "001" / distance / "f20")
    assert np.abs(disparity).mean() < 0.06


def test_canon_scene_follows_its_depth_as_a_thin_lens_focused_at_one_metre(real_data: Path) -> None:
    folder = real_data / "dp" / "canon_r6m2" / "casual" / "orbbec" / "003"
    disparity, depth_m = disparity_px(folder), read_image(str(folder / "d.png"))[..., 0] / 1000
    at = {z: np.median(disparity[np.abs(depth_m - z) < 0.05]) for z in (1.03, 1.5, 3.0)}
    assert abs(at[1.03]) < 0.1
    assert at[3.0] / at[1.5] == pytest.approx((2 / 3) / (1 / 3), rel=0.2)
