"""The simulator against two real cameras: a Canon R6 II and a Pixel 4."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ldp_core.images import read_image
from ldp_core.optics import (
    DEFAULT_KERNEL,
    KernelFamily,
    KernelSpec,
    Transfer,
    decode_light,
    disparity_per_coc,
    kernel_bank,
    render_views,
)
from ldp_core.optics.calibration import read_calibrated_pair

pytestmark = pytest.mark.real

MARGIN = 16
PATCH = (368, 368 + 160), (160, 160 + 160)
CANON_KERNEL = KernelSpec(softness=1.0, crosstalk=0.27)
"""The R6 II splits weakly: about half the disparity of the default kernel for the same blur."""


def read_light(path: Path, rows: slice, columns: slice) -> Tensor:
    """Linear green light (h, w) of a part of a picture."""
    pixels = read_image(str(path))[rows, columns]
    encoded = torch.from_numpy(pixels[..., pixels.shape[2] // 2] / 255.0).float()
    return decode_light(encoded, Transfer.GAMMA_22)


def residual(model: Tensor, camera: Tensor) -> Tensor:
    """Share (n,) of the camera's variance that models (n, h, w) leave unexplained after gain and offset."""
    inner = slice(MARGIN, -MARGIN)
    a = model[..., inner, inner].flatten(1).double()
    b = camera[..., inner, inner].flatten().double()
    a, b = a - a.mean(1, keepdim=True), b - b.mean()
    return 1 - (a @ b) ** 2 / ((a**2).sum(1) * (b**2).sum())


def blur(sharp: Tensor, coc_px: Tensor, kernel: KernelSpec) -> Tensor:
    """Views (n, 2, h, w) of one flat sharp picture (h, w) at n circles of confusion."""
    pictures = sharp.expand(len(coc_px), 1, *sharp.shape)
    maps = coc_px[:, None, None].expand(-1, *sharp.shape)
    views = render_views(pictures, maps, kernel, transfer=Transfer.LINEAR)
    return torch.cat(views, 1)


def fit(sharp: Tensor, views: Tensor, kernel: KernelSpec, coc_px: Tensor) -> tuple[float, float, Tensor]:
    """Best circle of confusion, its residual (mean of both views), and the views it simulates."""
    models = blur(sharp, coc_px, kernel)
    error = sum(residual(models[:, side], views[side]) for side in (0, 1)) / 2
    assert isinstance(error, Tensor)
    best = int(error.argmin())
    return float(coc_px[best]), float(error[best]), models[best]


def horizontal_shift(left: Tensor, right: Tensor) -> float:
    """How far content of the right view lies to +x of the left one, by least squares on the gradient."""
    inner = slice(MARGIN, -MARGIN)
    mean = (left + right) / 2
    gradient = ((mean.roll(-1, 1) - mean.roll(1, 1)) / 2)[inner, inner].flatten()
    gap = (left - right)[inner, inner].flatten()
    return float((gradient @ gap) / (gradient @ gradient))


def read_chart(real_data: Path, distance: str) -> tuple[Tensor, Tensor]:
    """The near sharp chart (h, w) at f/20 and both views (2, h, w) at f/4, centre of the frame."""
    folder = real_data / "dp" / "canon_r6m2" / "flat" / "001" / distance
    window = slice(160, 352), slice(288, 480)
    sharp = torch.stack([read_light(folder / "f20" / f"{side}.png", *window) for side in "lr"]).mean(0)
    return sharp, torch.stack([read_light(folder / "f4" / f"{side}.png", *window) for side in "lr"])


DISTANCES = [("0600", -0.56), ("1500", 0.65)]


@pytest.mark.parametrize(("distance", "measured_px"), DISTANCES)
def test_canon_shift_has_the_sign_and_size_of_the_model(
    real_data: Path, distance: str, measured_px: float
) -> None:
    sharp, views = read_chart(real_data, distance)
    coc_px, _, simulated = fit(sharp, views, CANON_KERNEL, torch.arange(-12, 12.1, 1.0))
    assert coc_px * measured_px > 0
    disparity_px = disparity_per_coc(CANON_KERNEL) * coc_px
    assert 0.6 < disparity_px / measured_px < 1.75
    camera_px = horizontal_shift(*views)
    assert horizontal_shift(*simulated) == pytest.approx(camera_px, rel=0.2)


@pytest.mark.parametrize(("distance", "measured_px"), DISTANCES)
def test_canon_views_are_closer_to_simulated_than_to_unblurred_ones(
    real_data: Path, distance: str, measured_px: float
) -> None:
    sharp, views = read_chart(real_data, distance)
    diameters = torch.arange(3, 10.1, 1.0) * (1 if measured_px > 0 else -1)
    _, right_sign, _ = fit(sharp, views, CANON_KERNEL, diameters)
    _, wrong_sign, _ = fit(sharp, views, CANON_KERNEL, -diameters)
    _, unsplit, _ = fit(sharp, views, KernelSpec(family=KernelFamily.DISC), diameters)
    _, unblurred, _ = fit(sharp, views, CANON_KERNEL, torch.zeros(1))
    assert right_sign < 0.15 * unblurred
    assert right_sign < 0.8 * unsplit < unsplit < wrong_sign


def calibration(real_data: Path) -> str:
    return str(real_data / "dp" / "pixel4_raw" / "calibration")


def test_pixel4_calibration_reads_in_our_convention(real_data: Path) -> None:
    spec = KernelSpec(family=KernelFamily.MEASURED, measured_path=calibration(real_data))
    assert 0.2 < disparity_per_coc(spec) < 0.26


def test_default_kernel_resembles_the_pixel4_one(real_data: Path) -> None:
    """Cosine between kernels at the same second moment; a split form must beat the plain disc."""
    folder = calibration(real_data)
    cosines: dict[str, list[float]] = {"default": [], "disc": []}
    for cell in (18, 27, 36):
        measured = KernelSpec(family=KernelFamily.MEASURED, measured_path=folder, measured_cell=cell)
        models = {"default": DEFAULT_KERNEL, "disc": KernelSpec(family=KernelFamily.DISC)}
        target = kernel_bank(measured, torch.tensor([22.0]))[0]
        for name, spec in models.items():
            model = kernel_bank(spec, torch.tensor([22.0]))[0]
            margin = (target.shape[-1] - model.shape[-1]) // 2
            model = torch.nn.functional.pad(model, (margin,) * 4)
            cosines[name].append(float((model * target).sum() / model.norm() / target.norm()))
    default, disc = (sum(values) / len(values) for values in cosines.values())
    assert default > 0.9
    assert default > disc + 0.05


def test_pixel4_kernels_sum_to_one(real_data: Path) -> None:
    pair = read_calibrated_pair(calibration(real_data), cell=0)
    torch.testing.assert_close(pair.sum((1, 2)), torch.ones(2, dtype=torch.float64))


def test_pixel4_patch_is_closest_to_the_split_kernels(real_data: Path) -> None:
    """All-in-focus patch of scene 1, blurred, against both views of the camera."""
    folder = real_data / "dp" / "pixel4"
    window = slice(*PATCH[0]), slice(*PATCH[1])
    views = torch.stack([read_light(folder / f"001_{side}.png", *window) for side in "lr"])
    sharp = read_light(folder / "001_gt.png", *window)
    diameters = torch.arange(24, 34.0, 2.0)
    measured = KernelSpec(family=KernelFamily.MEASURED, measured_path=calibration(real_data))
    errors = {
        name: fit(sharp, views, spec, sign * diameters)[1]
        for name, spec, sign in (
            ("measured", measured, 1),
            ("default", DEFAULT_KERNEL, 1),
            ("disc", KernelSpec(family=KernelFamily.DISC), 1),
            ("wrong sign", DEFAULT_KERNEL, -1),
        )
    }
    assert max(errors["measured"], errors["default"]) < 0.7 * errors["disc"]
    assert errors["disc"] < errors["wrong sign"]
