"""Fitted kernels against cameras: what made a blur is found again, and real cameras split the light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ldp_core.errors import CatalogueError, MetricError, SettingsError
from ldp_core.optics import FITTED_KERNELS, KernelFamily, KernelSpec, kernel_bank, kernel_pair
from ldp_core.optics.realism import evaluate_optics
from ldp_core.optics.realism.evaluate import fit_camera, place_lens, prepare_windows
from ldp_core.optics.realism.matching import (
    Calibration,
    Candidate,
    compare,
    fit_coc,
    mismatch,
    register,
    search,
    simulate_windows,
)
from ldp_core.optics.realism.photographs import (
    MARGIN_PX,
    SIDE_PX,
    Window,
    cut_window,
    read_canon,
    read_pixel4,
    stack_windows,
)
from ldp_core.optics.rng import Rng
from ldp_core.optics.textures import spectral_noise
from ldp_core.signals import irfft2, rfft2

HALF = KernelSpec(softness=0.5, crosstalk=0.2)
SYMMETRICAL = [KernelSpec(family=family) for family in (KernelFamily.DISC, KernelFamily.GAUSSIAN)]
PLACES = ((-0.6, 0.2), (0.5, -0.3))


def photograph(
    kernel: KernelSpec, coc_px: float, *, place: tuple[float, float] = PLACES[0], seed: int = 0
) -> Window:
    """A window of texture seen through a kernel; gains differ and the sharp picture lies elsewhere."""
    side = SIDE_PX + 2 * MARGIN_PX
    light = 0.4 + 0.1 * spectral_noise(Rng.from_seed(seed), side, side, exponent=1.0)
    bank = kernel_bank(kernel, torch.tensor([coc_px]))[0]
    blurred = irfft2(rfft2(light, (side, side)) * rfft2(bank, (side, side)), (side, side))
    views = blurred.roll((-(bank.shape[-1] // 2),) * 2, (1, 2)) * torch.tensor([0.9, 1.1])[:, None, None]
    empty = Window(f"window {seed}", f"group {seed}", *place, sharp=torch.empty(0), views=torch.empty(0))
    return cut_window(light.roll((2, -3), (0, 1)), views, top=MARGIN_PX, left=MARGIN_PX, window=empty)


def fit(windows: Sequence[Window], spec: KernelSpec) -> tuple[Tensor, Tensor]:
    ready, start = register(stack_windows(windows))
    return fit_coc(ready, spec, start)


@pytest.mark.parametrize("coc_px", [9.0, -9.0, 4.0])
def test_the_circle_of_confusion_is_found_with_its_sign(coc_px: float) -> None:
    found, least = fit([photograph(HALF, coc_px)], HALF)
    assert float(found) == pytest.approx(coc_px, rel=0.02)
    assert float(least) < 1e-3


def test_each_group_has_its_own_circle_of_confusion() -> None:
    found, _ = fit([photograph(HALF, 6.0, seed=1), photograph(HALF, -11.0, seed=2)], HALF)
    assert found.tolist() == pytest.approx([6.0, -11.0], rel=0.02)


def test_the_parameters_that_made_the_blur_are_found() -> None:
    windows, start = register(stack_windows([photograph(HALF, 14.0)]))
    values = {"softness": (0.2, 0.5, 0.9), "crosstalk": (0.0, 0.2, 0.4)}
    best, _ = search(
        Candidate("half_disc", KernelSpec(), values), lambda spec: float(fit_coc(windows, spec, start)[1])
    )
    assert (best.softness, best.crosstalk) == (0.5, 0.2)


def test_the_search_looks_between_its_values() -> None:
    candidate = Candidate("half_disc", KernelSpec(softness=0.0), {"softness": (0.0, 1.0, 2.0)})
    best, _ = search(candidate, lambda spec: (spec.softness - 1.4) ** 2)
    assert best.softness == 1.5


FAMILIES = [
    KernelSpec(softness=0.3),
    KernelSpec(family=KernelFamily.BUTTERWORTH, beta=0.2),
    KernelSpec(family=KernelFamily.TRANSLATING_DISC, crosstalk=0.1),
    *SYMMETRICAL,
]


@pytest.mark.parametrize("true", FAMILIES, ids=lambda spec: spec.family.value)
def test_the_family_that_made_the_blur_fits_best(true: KernelSpec) -> None:
    windows, start = register(stack_windows([photograph(true, 12.0)]))
    least = {spec: float(fit_coc(windows, spec, start)[1]) for spec in FAMILIES}
    assert min(least, key=least.__getitem__) == true


def test_a_lens_off_its_axis_fits_best_at_its_own_place() -> None:
    lens = KernelSpec(family=KernelFamily.OFF_AXIS)
    shots = [photograph(place_lens(lens, *at), 16.0, place=at, seed=n) for n, at in enumerate(PLACES)]
    windows, start = register(stack_windows(shots))
    _, here = fit_coc(windows, lens, start, placed=place_lens)
    _, opposite = fit_coc(windows, lens, start, placed=lambda spec, x, y: place_lens(spec, -x, -y))
    _, nowhere = fit_coc(windows, lens, start)
    assert float(here.max()) < 1e-3
    assert float(here.max()) < 0.1 * float(torch.minimum(nowhere, opposite).min())


def test_a_picture_of_something_else_is_left_out() -> None:
    right, wrong = (photograph(HALF, 6.0, seed=seed) for seed in (1, 2))
    ready = prepare_windows([right, replace(wrong, sharp=right.sharp)])
    assert ready.left_out == ("window 2",)
    assert ready.windows.names == ("window 1",)
    assert ready.coc_px.tolist() == pytest.approx([6.0], rel=0.2)


def test_a_single_window_cannot_be_fitted_and_scored() -> None:
    with pytest.raises(MetricError, match="too few windows"):
        next(fit_camera("camera", prepare_windows([photograph(HALF, 6.0)]), []))


def test_scores_are_of_windows_that_were_not_fitted_on() -> None:
    ready = prepare_windows([photograph(HALF, coc, seed=n) for n, coc in enumerate((6.0, 7.0, 8.0, 9.0))])
    (row,) = fit_camera("camera", ready, [])
    assert list(row.coc_px) == ["group 1", "group 3"]


def test_no_windows_are_refused() -> None:
    with pytest.raises(MetricError, match="no window"):
        stack_windows([])


def test_the_left_view_mirrors_the_right_one_at_the_opposite_place() -> None:
    lens = KernelSpec(family=KernelFamily.OFF_AXIS, field_x=0.7, field_y=-0.4)
    left, right = kernel_pair(lens, 17.0)
    opposite_left, opposite_right = kernel_pair(lens.model_copy(update={"field_x": -0.7}), 17.0)
    torch.testing.assert_close(left, opposite_right.flip(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(right, opposite_left.flip(1), atol=1e-6, rtol=0)


def test_light_off_the_axis_leans_to_the_centre_of_the_frame() -> None:
    """Coma: the mean of the views is brighter on the side that faces the centre."""
    lens = KernelSpec(family=KernelFamily.OFF_AXIS, field_x=0.0, field_y=-0.8, stretch=0.0)
    above_centre = sum(kernel_pair(lens, 24.0))
    assert isinstance(above_centre, Tensor)
    rows = above_centre.sum(1)
    brightest = int(rows.argmax())
    assert brightest > len(rows) // 2


def test_on_its_axis_and_ideal_the_lens_is_the_half_disc() -> None:
    ideal = KernelSpec(family=KernelFamily.OFF_AXIS, rim=0.0, ring=0.0)
    for found, expected in zip(kernel_pair(ideal, 15.0), kernel_pair(KernelSpec(), 15.0), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_kernels_are_most_like_those_they_were_measured_from(tmp_path: Path) -> None:
    true = KernelSpec(softness=0.4)
    for name, kernel in zip(("left", "right"), kernel_pair(true, 22.0), strict=True):
        np.save(tmp_path / f"blur_kernels_{name}.npy", kernel.numpy()[None])
    calibration = Calibration(str(tmp_path), cells=[0])
    found = {spec: calibration.mismatch(spec) for spec in (true, *FAMILIES[1:])}
    assert found[true] < 0.02
    assert min(found, key=found.__getitem__) == true


def test_absent_photographs_are_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="dp/pixel4_raw/calibration"):
        evaluate_optics(str(tmp_path))


def test_an_unknown_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="translating_disc"):
        evaluate_optics(str(tmp_path), families=["square"])


@pytest.mark.real
@pytest.mark.parametrize("camera", ["canon_r6m2", "pixel4"])
def test_fitted_kernels_beat_symmetrical_ones_on_both_views(real_data: Path, camera: str) -> None:
    root = str(real_data)
    shots = read_canon(root, grid=(1, 2)) if camera == "canon_r6m2" else read_pixel4(root, per_scene=1)
    windows, start = register(stack_windows(shots))
    placed = place_lens if camera == "pixel4" else None

    def wrongness(spec: KernelSpec) -> Tensor:
        coc_px, _ = fit_coc(windows, spec, start, placed=placed)
        return 1 - compare(simulate_windows(windows, spec, coc_px, placed=placed), windows.views).zncc.mean(0)

    fitted = wrongness(FITTED_KERNELS[camera])
    assert bool((fitted < 0.75 * torch.minimum(*map(wrongness, SYMMETRICAL))).all())
    assert bool((mismatch(windows, FITTED_KERNELS[camera], -start, placed=placed) > fitted.max()).all())
