"""A lens model from measured kernels: known lenses are found again, and what holds nothing is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ldp_core.cameras import SensorFrame, open_camera
from ldp_core.cameras.calibrate import Calibration, GridSource, calibrate_from_grid, write_profile
from ldp_core.cameras.grid_fit import GridFit, fit_grid
from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.errors import ObjectMissingError, SettingsError
from ldp_core.optics.kernels import kernel_pair

ROWS, COLUMNS, SIZE = 3, 4, 37
TRUE = PupilModel(
    softness=0.7, crosstalk=0.12, shift=0.4, rim=0.15, ring=0.3, ring_growth=0.3, coma=0.8, stretch=0.2
)
FRAME = SensorFrame(width=1200, height=900)


def measure(model: PupilModel, *, noise: float = 0.0, coc_px: float = 18.0) -> torch.Tensor:
    """Kernels (12, 2, 37, 37) of a lens, as a calibration would find them: in float32, with noise."""
    generator = torch.Generator().manual_seed(1)
    cells = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            place = 2 * (column + 0.5) / COLUMNS - 1, 0.75 * (2 * (row + 0.5) / ROWS - 1)
            pair = torch.stack(kernel_pair(pupil_psf(model, *place), coc_px))
            size = pair.shape[-1]
            wide = torch.nn.functional.pad(pair, [(SIZE - size) // 2] * 4 if size < SIZE else [0] * 4)
            cut = (wide.shape[-1] - SIZE) // 2
            wide = wide[:, cut : cut + SIZE, cut : cut + SIZE]
            cells.append(wide + noise * wide.amax() * torch.randn(wide.shape, generator=generator).abs())
    return torch.stack(cells).double()


@pytest.fixture(scope="module")
def noisy() -> torch.Tensor:
    return measure(TRUE, noise=0.01)


@pytest.fixture(scope="module")
def found(noisy: torch.Tensor) -> GridFit:
    return fit_grid(noisy, rows=ROWS, columns=COLUMNS, aspect=0.75)


class TestFit:
    def test_a_known_lens_is_found_again(self, found: GridFit) -> None:
        bounds = {"softness": 0.12, "crosstalk": 0.05, "shift": 0.12, "coma": 0.15, "stretch": 0.1}
        for name, bound in bounds.items():
            assert getattr(found.model, name) == pytest.approx(getattr(TRUE, name), abs=bound), name
        assert found.correlation.min() > 0.99

    def test_its_scale_is_found_to_three_percent_at_every_place(self, found: GridFit) -> None:
        for x, y in ((0, 0), (0.8, 0), (-0.5, 0.5), (0.9, -0.6)):
            fitted, true = (pupil_psf(lens, x, y).disparity for lens in (found.model, TRUE))
            assert fitted == pytest.approx(true, rel=0.03)

    def test_kernels_without_disparity_are_refused(self) -> None:
        blind = measure(PupilModel(crosstalk=0.45))
        with pytest.raises(SettingsError, match="too few measured kernels"):
            fit_grid(blind, rows=ROWS, columns=COLUMNS, aspect=0.75)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, noisy: torch.Tensor) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    for side, name in enumerate(("left", "right")):
        np.save(folder / f"blur_kernels_{name}.npy", noisy[:, side].numpy().astype(np.float32))
    return folder


class TestCalibration:
    @pytest.mark.parametrize("kernels", ["lens", "grid"])
    def test_a_written_profile_is_read_again(
        self, folder: Path, tmp_path: Path, kernels: str, found: GridFit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ldp_core.cameras.calibrate.fit_grid", lambda *_, **__: found)
        source = GridSource(str(folder), ROWS, COLUMNS)
        made = calibrate_from_grid(source, name="mine", frame=FRAME, kernels=kernels)  # type: ignore[arg-type]
        write_profile(made, str(tmp_path / "mine.json"))
        camera = open_camera(str(tmp_path / "mine.json"))
        assert camera.profile == made.profile
        for x, y in ((0.25, 0.0), (-0.75, 0.5)):
            assert camera.kernel_at(x, y).disparity == pytest.approx(
                pupil_psf(TRUE, x, y).disparity, rel=0.06
            )
        assert set(made.arrays) == ({"mine.npy"} if kernels == "grid" else set())
        assert {"data", "method", "residuals", "licence"} <= set(camera.profile.card)

    def test_a_folder_without_kernels(self, tmp_path: Path) -> None:
        source = GridSource(str(tmp_path), ROWS, COLUMNS)
        with pytest.raises(ObjectMissingError):
            calibrate_from_grid(source, name="mine", frame=FRAME)

    @pytest.mark.parametrize("shape", [(11, 37, 37), (12, 37, 36), (12, 37)])
    def test_kernels_that_do_not_fit_the_grid(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        for name in ("left", "right"):
            np.save(tmp_path / f"blur_kernels_{name}.npy", np.ones(shape, np.float32))
        with pytest.raises(SettingsError, match="do not fit"):
            GridSource(str(tmp_path), ROWS, COLUMNS).read()

    def test_a_profile_is_written_as_json_only(self, tmp_path: Path) -> None:
        made = Calibration(open_camera("generic").profile, {})
        with pytest.raises(SettingsError, match="JSON"):
            write_profile(made, str(tmp_path / "mine.txt"))
