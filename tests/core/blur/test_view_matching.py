"""The parts of matching, each by its own law."""

from __future__ import annotations

import pytest
import torch

from ldp_core.blur import matching
from ldp_core.optics.kernels import KernelFamily, KernelSpec


@pytest.mark.parametrize("size", [(40, 61), (41, 60)])
def test_mirrored_kernels_blur_as_any_others(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = torch.rand(2, 1, 1, *size)
    views = matching._Spectra.of(left, right, margin=9)
    found = views.cross_blur(KernelSpec(), -7.3)
    monkeypatch.setattr(matching, "_half_psf", lambda _: None)
    expected = views.cross_blur(KernelSpec(), -7.3)
    for one, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert found[2] == pytest.approx(expected[2], rel=1e-5)


def test_kernels_off_the_axis_are_not_mirrored() -> None:
    assert matching._half_psf(KernelSpec()) is not None
    assert matching._half_psf(KernelSpec(family=KernelFamily.OFF_AXIS, field_x=0.5)) is None
    assert matching._half_psf(KernelSpec(family=KernelFamily.OFF_AXIS, field_y=0.5)) is None


@pytest.mark.parametrize("sigma_px", [1.0, 3.0])
def test_smoothing_is_a_gaussian_with_repeated_borders(sigma_px: float) -> None:
    plane = torch.zeros(1, 1, 31, 41)
    plane[..., 15, 20] = 1
    smoothed = matching.smooth(plane, sigma_px)
    offsets = torch.arange(-3.0, 4.0)
    assert float(smoothed.sum()) == pytest.approx(1, abs=1e-5)
    expected = smoothed[0, 0, 15, 20] * torch.exp(-(offsets**2) / (2 * sigma_px**2))
    torch.testing.assert_close(smoothed[0, 0, 15, 17:24], expected)
    torch.testing.assert_close(smoothed[0, 0, 12:19, 20], expected)
    torch.testing.assert_close(
        matching.smooth(torch.full((1, 1, 9, 8), 0.3), sigma_px), torch.full((1, 1, 9, 8), 0.3)
    )
