"""Kernels in a few numbers: 0 for the generic one, each telling one thing, turned over with the picture."""

from __future__ import annotations

import pytest
import torch

from ldp_core.cameras import Camera, CameraProfile, SensorFrame, open_camera
from ldp_core.cameras.kernel_fields import PupilKernels
from ldp_core.cameras.kernel_numbers import (
    NUMBERS,
    describe_kernel,
    kernel_planes,
    mirror_kernel_planes,
)
from ldp_core.cameras.profile import mirror_kernel
from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc, unit_psf


def named(numbers: torch.Tensor) -> dict[str, float]:
    return dict(zip(NUMBERS, numbers.tolist(), strict=True))


def test_the_generic_kernel_is_zero_and_known_only_as_a_profile() -> None:
    assert named(describe_kernel(unit_psf(KernelSpec()))) == {
        name: float(name == "known") for name in NUMBERS
    }
    assert not kernel_planes(None, 5, 7).any()
    assert kernel_planes(None, 5, 7).shape == (len(NUMBERS), 5, 7)


def test_crosstalk_lessens_disparity_and_adds_to_the_overlap() -> None:
    spec = KernelSpec(crosstalk=0.2)
    numbers = named(describe_kernel(unit_psf(spec)))
    expected = (disparity_per_coc(spec) - disparity_per_coc(KernelSpec())) / 0.1
    assert numbers["disparity"] == pytest.approx(expected, abs=1e-5)
    assert numbers["overlap"] > 0.5
    assert abs(numbers["ring"]) < 1e-5


@pytest.mark.parametrize(("across", "down"), [(True, False), (False, True), (True, True)])
def test_numbers_turn_over_with_their_kernel(across: bool, down: bool) -> None:
    psf = pupil_psf(PupilModel(shift=0.5, coma=0.9, stretch=0.2, ring=0.3), 0.6, 0.4)
    turned = describe_kernel(mirror_kernel(psf, in_x=across, in_y=down))
    planes = describe_kernel(psf)[:, None, None].expand(-1, 2, 3)
    assert (describe_kernel(psf).abs() > 0.005).all(), "a number that is 0 would not show its sign"
    mirrored = mirror_kernel_planes(planes, across=across, down=down)
    torch.testing.assert_close(mirrored[:, 0, 0], turned, atol=1e-5, rtol=1e-5)


def test_planes_follow_the_place_and_turn_over_with_the_picture() -> None:
    frame = SensorFrame(width=400, height=300, scale=1, centre_x=0.3)
    kernels = PupilKernels(pupil=PupilModel(shift=0.5, coma=0.9))
    planes = kernel_planes(Camera(CameraProfile(name="x", kernels=kernels, frame=frame)), 60, 80)
    psf = pupil_psf(PupilModel(shift=0.5, coma=0.9), 0.3 + 79 / 400, -59 / 400)
    torch.testing.assert_close(planes[:, 0, -1], describe_kernel(psf), atol=1e-3, rtol=1e-3)
    flipped = mirror_kernel_planes(planes, across=True, down=False)
    torch.testing.assert_close(flipped[1], planes[1].flip(-1))
    torch.testing.assert_close(flipped[NUMBERS.index("skew_x")], -planes[NUMBERS.index("skew_x")].flip(-1))


def test_a_phone_differs_from_the_half_disc_by_about_one() -> None:
    planes = kernel_planes(open_camera("pixel-4"), 1512, 2016)[:, ::100, ::100]
    assert 0.5 < float(planes[1:].abs().max()) < 4
