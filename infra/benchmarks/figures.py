r"""One pair, one figure, six libraries: prints the tables of `infra/docs/figures.md`.

In an environment of its own, for the product needs none of these libraries:

    python3 -m venv figures
    figures/bin/pip install -c constraints.txt -e . scikit-image torchmetrics \
        piq==0.8.0 opencv-python-headless==5.0.0.93 scikit-learn==1.9.1
    figures/bin/pip install --no-deps pysodmetrics==1.6.2  # it asks for older libraries than these
    figures/bin/python infra/benchmarks/figures.py ../shared/data/dp/canon_dpdd

A library that is not installed leaves its rows empty. The drawn pair is a photograph that scikit-image ships,
blurred and with noise, so that everybody has it. The real pair, `c` and `gt` of 1P0A0984, is measured where
its folder is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from ldp_core.blur.torchvision_shim import make_torchvision_importable
from ldp_core.metrics import mae, psnr_db, psnr_of_mse, ssim
from ldp_core.metrics.blur_maps import ai1, ai2, auc, one_minus_rho
from ldp_core.metrics.detection import (
    BETA_SQUARED,
    ThresholdRule,
    sample_rules,
    score_detection,
    summarise_rules,
)
from ldp_core.metrics.fidelity import to_unit

Picture = NDArray[Any]
Unit = NDArray[np.float64]
BINS: Final = (50, 200, 1000)
FIRST_ROW: Final = 44
"""Above it the restorations of this set carry text, so its pictures are scored below."""
REAL_SCENE: Final = "1P0A0984"


@dataclass(frozen=True)
class Figure:
    """A row: what is measured, by whom and how, and the call; None where the library is not installed."""

    name: str
    library: str
    how: str
    values: list[float | None] = field(default_factory=list)


Calls = Mapping[tuple[str, str, str], Callable[..., float]]
"""(figure, library, arguments) to the call that takes one pair."""


def draw_pair() -> tuple[Picture, Picture]:
    """A picture and its reference, (512, 512, 3) uint16: blur grows to the right in four steps, noise .01."""
    from skimage.data import astronaut

    sharp = astronaut() / 255
    steps = [ndimage.gaussian_filter(sharp, (sigma, sigma, 0)) for sigma in (0, 1, 2, 4)]
    blurred = np.concatenate([step[:, 128 * i : 128 * (i + 1)] for i, step in enumerate(steps)], axis=1)
    noisy = blurred + np.random.default_rng(0).normal(0, 0.01, sharp.shape)
    return _to_16_bit(noisy), _to_16_bit(sharp)


def draw_detection() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """An in-focus probability of the drawn picture, (128, 128), a fifth of it 1; the mask: its left half."""
    grey = to_unit(draw_pair()[0]).mean(axis=2)
    contrast = ndimage.gaussian_filter(np.abs(ndimage.laplace(grey)), 4)
    probability = np.clip(contrast / np.quantile(contrast, 0.8), 0, 1).astype(np.float32)[::4, ::4]
    return probability.copy(), np.broadcast_to(np.arange(128) < 64, (128, 128)).copy()


def draw_blur() -> tuple[Unit, Unit]:
    """An estimate of a circle of confusion and its truth in px, (n,): noise, and a tenth of wrong values."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(-8, 8, 4000)
    estimate = 0.6 * truth + 0.5 + rng.normal(0, 0.4, truth.size)
    estimate[:400] = rng.uniform(-8, 8, 400)
    return estimate, truth


def read_real_pair(folder: Path) -> tuple[Picture, Picture]:
    """The combined view and the reference of a real scene, uint8, below `FIRST_ROW`."""
    from imageio.v3 import imread

    image, reference = (imread(folder / f"{REAL_SCENE}_{kind}.png")[FIRST_ROW:] for kind in ("c", "gt"))
    return image, reference


def list_psnr() -> Calls:
    """PSNR in dB of a picture (h, w, 3) and its reference."""
    return {
        ("PSNR", "LDP", "`psnr_db`"): psnr_db,
        ("PSNR", "scikit-image", "`data_range` of the depth"): _skimage_psnr,
        ("PSNR", "torchmetrics", "`data_range=1.0`"): lambda x, y: _torch_psnr(_planes(x), _planes(y)),
        ("PSNR", "piq", "`data_range=1.0`"): lambda x, y: _piq().psnr(_planes(x), _planes(y)),
        ("PSNR", "OpenCV", "`PSNR(..., R=1.0)` of 0..1"): lambda x, y: _cv2().PSNR(
            to_unit(x), to_unit(y), R=1.0
        ),
        ("PSNR", "scikit-learn", "of `mean_squared_error`"): lambda x, y: psnr_of_mse(
            _sklearn().mean_squared_error(to_unit(x).ravel(), to_unit(y).ravel())
        ),
        ("PSNR, peak 255", "OpenCV", "`PSNR(...)`, its default"): lambda x, y: _cv2().PSNR(x, y),
        ("PSNR of Y", "piq", "`convert_to_greyscale=True`"): lambda x, y: _piq().psnr(
            _planes(x), _planes(y), convert_to_greyscale=True
        ),
        ("PSNR of Y", "LDP", "`psnr_db` of Y in 16..235 (ITU-R BT.601)"): lambda x, y: psnr_db(
            _luma(x), _luma(y)
        ),
        ("PSNR, two pictures", "LDP", "mean over the left and the right half"): lambda x, y: float(
            np.mean([psnr_db(*halves) for halves in zip(_halves(x), _halves(y), strict=True)])
        ),
        ("PSNR, two pictures", "torchmetrics", "both halves in one batch"): lambda x, y: _torch_psnr(
            _batch(_halves(x)), _batch(_halves(y))
        ),
        ("PSNR", "LDP", "both cut to 8 bit"): lambda x, y: psnr_db(_cut(x), _cut(y)),
        ("PSNR", "LDP", "the picture rounded to 8 bit"): lambda x, y: psnr_db(_round(x), y),
        ("PSNR", "LDP", "cut to multiples of 16 px"): lambda x, y: psnr_db(_trim(x), _trim(y)),
    }


def list_ssim() -> Calls:
    """SSIM, likewise. Wang's window: Gaussian, sigma 1.5, 11 x 11, population covariance."""
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return {
        ("SSIM", "LDP", "`ssim`"): ssim,
        ("SSIM", "scikit-image", "`data_range=1, channel_axis=2`"): _skimage_ssim,
        ("SSIM", "scikit-image", "the same, mean of `full=True`: with borders"): lambda x, y: np.mean(
            _skimage_ssim(x, y, full=True)[1]
        ),
        ("SSIM", "scikit-image", "`use_sample_covariance=False`"): lambda x, y: _skimage_ssim(
            x, y, use_sample_covariance=False
        ),
        ("SSIM", "scikit-image", "Wang's window"): lambda x, y: _skimage_ssim(x, y, **wang),
        ("SSIM", "scikit-image", "Wang's window, Y in 16..235"): lambda x, y: _skimage_ssim(
            _luma(x), _luma(y), **wang
        ),
        ("SSIM", "scikit-image", "`win_size=3`, no channel axis"): lambda x, y: _skimage_ssim(
            x, y, channel_axis=None, win_size=3
        ),
        ("SSIM", "scikit-image", "`data_range=255` of 0..1"): lambda x, y: _skimage_ssim(
            x, y, data_range=255
        ),
        ("SSIM", "torchmetrics", "`data_range=1.0`"): lambda x, y: _torch_ssim(x, y, data_range=1.0),
        ("SSIM", "torchmetrics", "no `data_range`"): _torch_ssim,
        ("SSIM", "torchmetrics", "`data_range=1.0, gaussian_kernel=False, kernel_size=7`"): lambda x, y: (
            _torch_ssim(x, y, data_range=1.0, gaussian_kernel=False, kernel_size=7)
        ),
        ("SSIM", "piq", "its defaults"): lambda x, y: _piq().ssim(_planes(x), _planes(y)),
        ("SSIM", "piq", "`downsample=False`"): lambda x, y: _piq().ssim(
            _planes(x), _planes(y), downsample=False
        ),
    }


def list_mae() -> Calls:
    """Mean absolute error of a picture, likewise."""
    return {
        ("MAE", "LDP", "`mae`"): mae,
        ("MAE", "torchmetrics", "`mean_absolute_error` of 0..1"): lambda x, y: (
            _torchmetrics().regression.mean_absolute_error(_planes(x), _planes(y))
        ),
        ("MAE", "scikit-learn", "`mean_absolute_error` of 0..1"): lambda x, y: _sklearn().mean_absolute_error(
            to_unit(x).ravel(), to_unit(y).ravel()
        ),
    }


def list_detection() -> Calls:
    """Figures of an in-focus probability (h, w) and its mask."""
    ours = ("mae", "f_focus", "iou_focus", "ap_focus", "auroc")
    return {
        **{(name, "LDP", f"`{name}`"): _take(name) for name in ours},
        ("f_focus", "LDP", str(ThresholdRule.P6)): _take_rule(ThresholdRule.P6),
        ("f_focus", "LDP", str(ThresholdRule.P4)): _take_rule(ThresholdRule.P4),
        ("mae", "py_sod_metrics", "`MAE`, its default"): lambda p, m: _sod_mae(_levels(p), _levels(m)),
        ("mae", "py_sod_metrics", "`normalize=False`"): lambda p, m: _sod_mae(p, m, normalize=False),
        ("mae of .25 + p / 2", "LDP", "`mae`"): lambda p, m: _take("mae")(_pale(p), m),
        ("mae of .25 + p / 2", "py_sod_metrics", "`MAE`, its default"): lambda p, m: _sod_mae(
            _levels(_pale(p)), _levels(m)
        ),
        ("f_focus", "scikit-learn", "`fbeta_score`, beta^2 .3, at .5"): lambda p, m: _sklearn().fbeta_score(
            m.ravel(), _hard(p).ravel(), beta=BETA_SQUARED**0.5
        ),
        ("f_focus", "py_sod_metrics", "`FmeasureHandler`, adaptive"): lambda p, m: _sod_f(p, m)["adaptive"],
        ("f_focus", "py_sod_metrics", "the same, largest of its curve"): lambda p, m: max(
            _sod_f(p, m)["dynamic"]
        ),
        ("iou_focus", "scikit-learn", "`jaccard_score` at .5"): lambda p, m: _sklearn().jaccard_score(
            m.ravel(), _hard(p).ravel()
        ),
        ("iou_focus", "torchmetrics", "`binary_jaccard_index`"): _torch("jaccard_index"),
        ("ap_focus", "scikit-learn", "`average_precision_score`"): lambda p, m: (
            _sklearn().average_precision_score(m.ravel(), p.ravel())
        ),
        ("ap_focus", "torchmetrics", "`binary_average_precision`"): _torch("average_precision"),
        ("auroc", "scikit-learn", "`roc_auc_score`"): lambda p, m: _sklearn().roc_auc_score(
            m.ravel(), p.ravel()
        ),
        ("auroc", "torchmetrics", "`binary_auroc`"): _torch("auroc"),
        **{("auroc", "torchmetrics", f"`thresholds={n}`"): _torch("auroc", thresholds=n) for n in BINS},
        ("auroc of p >= .5", "LDP", "`auroc`"): lambda p, m: _take("auroc")(_hard(p), m),
        ("auroc of p >= .5", "torchmetrics", "`binary_auroc`"): lambda p, m: _torch("auroc")(_hard(p), m),
        **{("auroc of p >= .5", "torchmetrics", f"`thresholds={n}`"): _bin_hard(n) for n in BINS},
    }


def list_blur() -> Calls:
    """Figures of an estimate (n,) of a signed circle of confusion and its truth, px; blurred: above 2 px."""
    return {
        ("ai1", "LDP", "`ai1`"): ai1,
        ("ai1", "SciPy", "least absolute deviation, by search"): _least_deviation,
        ("ai2", "LDP", "`ai2`"): ai2,
        ("ai2", "NumPy", "RMSE after `polyfit`, degree 1"): lambda e, t: np.sqrt(
            np.square(np.polyval(np.polyfit(e, t, 1), e) - t).mean()
        ),
        ("one_minus_rho", "LDP", "`one_minus_rho`"): one_minus_rho,
        ("one_minus_rho", "SciPy", "1 - abs(`spearmanr`)"): lambda e, t: (
            1 - abs(stats.spearmanr(e, t).statistic)
        ),
        ("auc", "LDP", "`auc` of the absolute estimate"): lambda e, t: auc(np.abs(e), np.abs(t) > 2),
        ("auc", "scikit-learn", "`roc_auc_score`"): lambda e, t: _sklearn().roc_auc_score(
            np.abs(t) > 2, np.abs(e)
        ),
    }


def measure(calls: Calls, *pairs: tuple[Any, Any]) -> list[Figure]:
    """A row per call, with a value per pair."""
    return [Figure(*key, [_call(call, *pair) for pair in pairs]) for key, call in calls.items()]


def measure_all(folder: Path | None = None) -> Iterator[tuple[str, list[Figure]]]:
    """Every table with its name; pictures have a second column where the folder of real ones is given."""
    pairs = [draw_pair(), *([read_real_pair(folder)] if folder else [])]
    yield "pictures", measure({**list_psnr(), **list_ssim(), **list_mae()}, *pairs)
    yield "detection", measure(list_detection(), draw_detection())
    yield "blur maps", measure(list_blur(), draw_blur())


def format_table(figures: list[Figure]) -> Iterator[str]:
    """The lines of a Markdown table."""
    columns = ["drawn pair", "real pair"][: len(figures[0].values)]
    yield f"| figure | library | how | {' | '.join(columns)} |"
    yield "|---|---|---|" + "---|" * len(columns)
    for row in figures:
        yield f"| {row.name} | {row.library} | {row.how} | {' | '.join(map(_format, row.values))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="../shared/data/dp/canon_dpdd")
    for name, figures in measure_all(parser.parse_args().folder):
        print(f"\n{name}\n", *format_table(figures), sep="\n", flush=True)


def _call(call: Callable[..., float], first: Any, second: Any) -> float | None:
    try:
        return float(call(first, second))
    except ModuleNotFoundError:
        return None


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _to_16_bit(picture: Unit) -> Picture:
    return np.rint(np.clip(picture, 0, 1) * 65535).astype(np.uint16)


def _cut(picture: Picture) -> Picture:
    """The upper 8 bit, as readers give that read 16 bit as 8."""
    return picture if picture.dtype == np.uint8 else (picture >> 8).astype(np.uint8)


def _round(picture: Picture) -> Picture:
    return np.rint(to_unit(picture) * 255).astype(np.uint8)


def _trim(picture: Picture) -> Picture:
    height, width = (size - size % 16 for size in picture.shape[:2])
    return picture[:height, :width]


def _luma(picture: Picture) -> Unit:
    """Y of R'G'B' as super-resolution papers take it, 16/255 .. 235/255, (h, w, 1)."""
    return (to_unit(picture) @ [65.481, 128.553, 24.966] + 16)[..., None] / 255


def _halves(picture: Picture) -> list[Picture]:
    middle = picture.shape[1] // 2
    return [picture[:, :middle], picture[:, middle : 2 * middle]]


def _planes(picture: Picture) -> Any:
    return _batch([picture])


def _batch(pictures: list[Picture]) -> Any:
    import torch

    # float32, as people do: grouped convolutions of float64 take torch ten times as long.
    units = np.stack([to_unit(picture) for picture in pictures]).astype(np.float32)
    return torch.from_numpy(units).permute(0, 3, 1, 2).contiguous()


def _skimage() -> Any:
    import skimage.metrics

    return skimage.metrics


def _sklearn() -> Any:
    import sklearn.metrics

    return sklearn.metrics


def _cv2() -> Any:
    import cv2

    return cv2


def _piq() -> Any:
    make_torchvision_importable()
    import piq

    return piq


def _torchmetrics() -> Any:
    make_torchvision_importable()
    import torchmetrics.functional

    return torchmetrics.functional


def _skimage_psnr(x: Picture, y: Picture) -> float:
    return float(_skimage().peak_signal_noise_ratio(y, x, data_range=float(np.iinfo(x.dtype).max)))


def _skimage_ssim(x: Picture, y: Picture, **options: Any) -> Any:
    options = {"data_range": 1, "channel_axis": 2} | options
    return _skimage().structural_similarity(to_unit(x), to_unit(y), **options)


def _torch_psnr(x: Any, y: Any) -> float:
    return float(_torchmetrics().image.peak_signal_noise_ratio(x, y, data_range=1.0))


def _torch_ssim(x: Picture, y: Picture, **options: Any) -> float:
    return float(_torchmetrics().image.structural_similarity_index_measure(_planes(x), _planes(y), **options))


def _torch(name: str, **options: Any) -> Callable[..., float]:
    def measure(probability: Any, mask: Any) -> float:
        import torch

        values, members = torch.from_numpy(probability).flatten(), torch.from_numpy(mask).flatten().long()
        return float(getattr(_torchmetrics().classification, f"binary_{name}")(values, members, **options))

    return measure


def _bin_hard(bins: int) -> Callable[..., float]:
    return lambda p, m: _torch("auroc", thresholds=bins)(_hard(p), m)


def _take(name: str) -> Callable[..., float]:
    return lambda p, m: score_detection(p, m)[name]


def _take_rule(rule: ThresholdRule) -> Callable[..., float]:
    return lambda p, m: summarise_rules([sample_rules(p, m)["focus"]])[rule].mean


def _hard(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    return (probability >= 0.5).astype(np.float32)


def _pale(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(0.25) + probability / 2


def _levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(values * np.float32(255)).astype(np.uint8)


def _sod_mae(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    import py_sod_metrics

    measure = py_sod_metrics.MAE()
    measure.step(prediction, mask, normalize=normalize)
    return float(measure.get_results()["mae"])


def _sod_f(prediction: NDArray[Any], mask: NDArray[Any]) -> Any:
    import py_sod_metrics

    handler = py_sod_metrics.FmeasureHandler(beta=BETA_SQUARED, with_adaptive=True, with_dynamic=True)
    measure = py_sod_metrics.FmeasureV2({"f": handler})
    measure.step(_levels(prediction), _levels(mask))
    return measure.get_results()["f"]


def _least_deviation(estimate: Unit, truth: Unit) -> float:
    from scipy import optimize

    def deviation(line: Unit) -> float:
        return float(np.abs(line[0] * estimate + line[1] - truth).mean())

    return float(optimize.minimize(deviation, np.polyfit(estimate, truth, 1), method="Nelder-Mead").fun)


if __name__ == "__main__":
    main()
