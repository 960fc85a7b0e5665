"""Kernels: known values, calibrated kernels, and the errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ldp_core.errors import ObjectMissingError, SettingsError
from ldp_core.optics import KernelFamily, KernelSpec, disparity_per_coc, kernel_bank, kernel_pair
from ldp_core.optics.calibration import cell_at, place_of_cell


def half_disc_calibration(folder: Path, *, size: int = 31, radius: float = 9.0) -> Path:
    """A calibration grid of two cells: half discs, lit from opposite sides, off centre by (1, -2)."""
    places = np.arange(size) - size // 2
    y, x = places[:, None] - 1, places[None] + 2
    disc = np.hypot(y, x) <= radius
    for name, side in (("left", -1), ("right", 1)):
        kernel = (disc * (0.2 + (side * x > 0))).astype(np.float32)
        np.save(folder / f"blur_kernels_{name}.npy", np.stack([kernel, kernel.T]))
    return folder


def test_half_disc_disparity_is_that_of_the_geometry() -> None:
    """Centroid of a half disc: 4 r / (3 pi), on either side."""
    spec = KernelSpec(family=KernelFamily.HALF_DISC, softness=0.0)
    assert disparity_per_coc(spec) == pytest.approx(4 / (3 * math.pi), rel=2e-3)


def test_a_ramp_over_the_whole_disc_gives_a_quarter_of_the_diameter() -> None:
    spec = KernelSpec(family=KernelFamily.HALF_DISC, softness=1.0)
    assert disparity_per_coc(spec) == pytest.approx(0.25, rel=2e-3)


def test_half_discs_add_up_to_the_full_disc() -> None:
    left, right = kernel_pair(KernelSpec(family=KernelFamily.HALF_DISC), 15.0)
    disc, _ = kernel_pair(KernelSpec(family=KernelFamily.DISC), 15.0)
    torch.testing.assert_close((left + right) / 2, disc, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", [KernelFamily.DISC, KernelFamily.GAUSSIAN])
def test_families_without_a_split_have_no_disparity(family: KernelFamily) -> None:
    assert disparity_per_coc(KernelSpec(family=family)) == 0.0


def test_gaussian_and_disc_agree_in_spread() -> None:
    def variance(family: KernelFamily) -> float:
        kernel, _ = kernel_pair(KernelSpec(family=family), 30.0)
        places = torch.arange(kernel.shape[-1]) - kernel.shape[-1] // 2
        return float(kernel.sum(0) @ places.float() ** 2)

    assert variance(KernelFamily.DISC) == pytest.approx(15**2 / 4, rel=0.01)
    assert variance(KernelFamily.GAUSSIAN) == pytest.approx(15**2 / 4, rel=0.05)


def test_crosstalk_shrinks_the_disparity_in_proportion() -> None:
    clean = disparity_per_coc(KernelSpec())
    assert disparity_per_coc(KernelSpec(crosstalk=0.25)) == pytest.approx(clean / 2, rel=1e-6)
    assert disparity_per_coc(KernelSpec(crosstalk=0.5)) == pytest.approx(0, abs=1e-9)


def test_a_bank_is_differentiable_in_the_diameter() -> None:
    coc_px = torch.tensor([5.3], requires_grad=True)
    bank = kernel_bank(KernelSpec(), coc_px)
    (bank**2).sum().backward()
    assert coc_px.grad is not None
    assert float(coc_px.grad) < 0


def test_an_empty_bank_is_empty() -> None:
    assert kernel_bank(KernelSpec(), torch.zeros(0)).shape == (0, 2, 1, 1)


def test_calibrated_kernels_keep_their_diameter_and_side(tmp_path: Path) -> None:
    folder = str(half_disc_calibration(tmp_path))
    spec = KernelSpec(family=KernelFamily.MEASURED, measured_path=folder, measured_cell=0)
    left, right = kernel_pair(spec, 18.0)
    places = torch.arange(left.shape[-1]).float() - left.shape[-1] // 2
    both = (left + right) / 2
    assert float(both.sum(0) @ places) == pytest.approx(0, abs=0.05)
    assert float(both.sum(1) @ places) == pytest.approx(0, abs=0.05)
    assert float((both * (places[:, None] ** 2 + places**2)).sum()) == pytest.approx(9**2 / 2, rel=0.08)
    assert 0.2 < disparity_per_coc(spec) < 0.4


def test_calibrated_kernels_are_reflected_for_near_content(tmp_path: Path) -> None:
    folder = str(half_disc_calibration(tmp_path))
    spec = KernelSpec(family=KernelFamily.MEASURED, measured_path=folder, measured_cell=0)
    far, near = kernel_bank(spec, torch.tensor([12.0, -12.0]))
    torch.testing.assert_close(near, far.flip(1, 2), atol=1e-6, rtol=0)


def test_places_and_cells_of_the_calibration_belong_together() -> None:
    assert [cell_at(*place_of_cell(cell)) for cell in range(48)] == list(range(48))
    assert (cell_at(-2, -2), cell_at(2, 2)) == (0, 47)


def test_calibrated_kernels_without_a_folder_are_refused() -> None:
    with pytest.raises(SettingsError, match="folder of a calibration"):
        kernel_pair(KernelSpec(family=KernelFamily.MEASURED), 3.0)


def test_absent_calibration_names_its_address(tmp_path: Path) -> None:
    spec = KernelSpec(family=KernelFamily.MEASURED, measured_path=str(tmp_path / "absent"))
    with pytest.raises(ObjectMissingError, match="blur_kernels_left"):
        kernel_pair(spec, 3.0)


def test_a_cell_beyond_the_grid_is_refused(tmp_path: Path) -> None:
    folder = str(half_disc_calibration(tmp_path))
    spec = KernelSpec(family=KernelFamily.MEASURED, measured_path=folder, measured_cell=2)
    with pytest.raises(SettingsError, match="n > 2"):
        kernel_pair(spec, 3.0)


def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blur_kernels_left.npy").write_bytes(b"not an array")
    spec = KernelSpec(family=KernelFamily.MEASURED, measured_path=str(tmp_path))
    with pytest.raises(SettingsError, match="not a file of calibrated kernels"):
        kernel_pair(spec, 3.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diameter_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(SettingsError, match="finite"):
        kernel_pair(KernelSpec(), value)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(SettingsError, match="softness"):
        KernelSpec.parse({"softness": -1})
