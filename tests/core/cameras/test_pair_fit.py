"""A lens model from pairs: a known lens is found again, from views alone and with truths; what tells nothing
is refused."""

from __future__ import annotations

import pytest
import torch

from ldp_core.cameras import Camera, CameraProfile, SensorFrame
from ldp_core.cameras.pair_fit import GENERIC_LENS, PairFit, fit_pairs
from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.cameras.tiles import render_by_place
from ldp_core.cameras.windows import Windows, cut_windows
from ldp_core.errors import SettingsError

TRUE = PupilModel(softness=0.7, crosstalk=0.1, shift=0.3, ring=0.3, coma=0.8, stretch=0.1)
HEIGHT, WIDTH = 416, 608
FRAME = SensorFrame(width=WIDTH, height=HEIGHT)
PLACES = ((0, 0), (0.7, 0), (-0.7, 0), (0, 0.5), (0.6, -0.4))


def paint(seed: int) -> torch.Tensor:
    """(1, h, w) whose amplitude falls as 1 / f, as that of photographs does."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft2(torch.randn(HEIGHT, WIDTH, generator=generator))
    down, across = torch.fft.fftfreq(HEIGHT), torch.fft.rfftfreq(WIDTH)
    plane = torch.fft.irfft2(
        spectrum / torch.hypot(down[:, None], across[None, :]).clamp_min(0.004), s=(HEIGHT, WIDTH)
    )
    return (0.5 + 0.15 * plane / plane.std()).clamp(0.02, 0.98)[None]


def photograph(lens: PupilModel, sharp: torch.Tensor, coc_px: float, seed: int) -> torch.Tensor:
    """Both views (2, 1, 1, h, w), with noise."""
    kernels = {"kind": "pupil", "pupil": lens}
    camera = Camera(CameraProfile.parse({"name": "true", "kernels": kernels, "frame": FRAME}))
    views = torch.stack(render_by_place(sharp, torch.full(sharp.shape[-2:], coc_px), camera, slices=3))
    generator = torch.Generator().manual_seed(seed)
    return (views + 0.002 * torch.randn(views.shape, generator=generator))[:, None]


def take(lens: PupilModel, coc_px: list[float], *, with_truth: bool = False) -> Windows:
    cut = []
    for number, diameter in enumerate(coc_px):
        sharp = paint(number)
        left, right = photograph(lens, sharp, diameter, seed=number)
        # A truth from another moment: 2 px to the right and darker.
        truth = 0.8 * sharp.roll(2, -1)[None] if with_truth else None
        cut.append(cut_windows(left, right, FRAME, picture=number, truth=truth))
    return Windows.join(cut)


def scale_errors(model: PupilModel) -> list[float]:
    """Disparity per px of circle of confusion against the true one, by place."""
    return [abs(pupil_psf(model, *at).disparity / pupil_psf(TRUE, *at).disparity - 1) for at in PLACES]


@pytest.fixture(scope="module")
def alone() -> PairFit:
    return fit_pairs(take(TRUE, [9.0, -12.0, 16.0]))


class TestViewsAlone:
    def test_disparity_per_blur_is_found_at_every_place(self, alone: PairFit) -> None:
        """To 9 %; the generic lens is up to 15 % off."""
        assert max(scale_errors(alone.model)) < 0.09
        assert sum(scale_errors(alone.model)) < 0.6 * sum(scale_errors(GENERIC_LENS))

    def test_what_makes_the_views_unlike_is_found(self, alone: PairFit) -> None:
        for name, bound in {"softness": 0.15, "crosstalk": 0.06, "shift": 0.3, "coma": 0.3}.items():
            assert getattr(alone.model, name) == pytest.approx(getattr(TRUE, name), abs=bound), name

    def test_less_stays_unexplained(self, alone: PairFit) -> None:
        assert alone.unexplained_after < 0.5 * alone.unexplained_before

    def test_a_blur_common_to_both_views_stays_that_of_the_generic_lens(self, alone: PairFit) -> None:
        assert alone.model.rim == GENERIC_LENS.rim
        assert "rim" not in alone.estimates

    def test_it_says_what_the_pairs_decide(self, alone: PairFit) -> None:
        """The light at the rim hardly changes how the views differ; how the halves divide it does."""
        told = {name: estimate.told for name, estimate in alone.estimates.items()}
        assert all(0 <= share <= 1 for share in told.values())
        assert told["softness"] > 0.9 > told["ring_growth"]

    def test_intervals_hold_the_values(self, alone: PairFit) -> None:
        assert alone.pictures == 3
        for name, estimate in alone.estimates.items():
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low - 0.05 <= estimate.value <= estimate.high + 0.05, name


def test_truths_tell_scale_more_exactly() -> None:
    fit = fit_pairs(take(TRUE, [9.0, -12.0], with_truth=True))
    assert max(scale_errors(fit.model)) < 0.05
    assert fit.unexplained_after < fit.unexplained_before


class TestRefusals:
    def test_pairs_in_focus(self) -> None:
        sharp = paint(1)[None]
        with pytest.raises(SettingsError, match="do not tell") as refused:
            fit_pairs(cut_windows(sharp, sharp, FRAME, picture=0))
        assert "24 in focus" in refused.value.got

    def test_pairs_without_texture(self) -> None:
        generator = torch.Generator().manual_seed(1)
        left, right = (0.5 + 0.01 * torch.randn(1, 1, HEIGHT, WIDTH, generator=generator) for _ in range(2))
        with pytest.raises(SettingsError, match="do not tell") as refused:
            fit_pairs(cut_windows(left, right, FRAME, picture=0))
        assert "24 of them without texture" in refused.value.got

    def test_pictures_smaller_than_a_window(self) -> None:
        with pytest.raises(SettingsError) as refused:
            fit_pairs(cut_windows(*torch.rand(2, 1, 1, 100, 300), FRAME, picture=0))
        assert "0 windows" in refused.value.got

    def test_pictures_larger_than_the_frame(self) -> None:
        large = torch.rand(1, 1, HEIGHT, WIDTH)
        frame = SensorFrame(width=500, height=400, scale=1)
        with pytest.raises(SettingsError, match="does not fit into the frame"):
            cut_windows(large, large, frame, picture=0)
