"""What the page on figures says: its tables are measured again, and it leaves no figure of ours out."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from doc_blocks import ROOT
from scipy import stats
from skimage.metrics import structural_similarity

from ldp_core.errors import MetricError
from ldp_core.metrics import metric_names, psnr_db, ssim
from ldp_core.metrics.blur_maps import measure_agreement
from ldp_core.metrics.bootstrap import LEVEL, RESAMPLES, SEED, mean_interval
from ldp_core.metrics.detection import MEASURES, ThresholdRule, score_detection
from ldp_core.metrics.fidelity import to_unit
from ldp_core.metrics.scoring import PSNR_CEILING_DB
from ldp_core.types import BlurMap, BlurMapKind

PAGE = (ROOT / "infra/docs/figures.md").read_text()
HERE = {"LDP", "scikit-image", "torchmetrics", "NumPy", "SciPy"}
"""Libraries that the tests have; rows of others are measured where they are installed too."""
TOLERANCE = 2e-4
"""The page has four decimals; other processors differ in the last bits of 64."""
EQUAL = {
    # figure: rows that are one quantity, to which tolerance
    "PSNR": ({"`psnr_db`", "`data_range` of the depth", "`data_range=1.0`"}, 1e-4),
    "SSIM": ({"`ssim`", "`data_range=1, channel_axis=2`"}, 1e-6),
    "MAE": ({"`mae`", "`mean_absolute_error` of 0..1"}, 1e-6),
    "iou_focus": ({"`iou_focus`", "`binary_jaccard_index`"}, 1e-6),
    "ap_focus": ({"`ap_focus`", "`binary_average_precision`"}, 1e-6),
    "auroc": ({"`auroc`", "`binary_auroc`"}, 1e-6),
    "ai2": ({"`ai2`", "RMSE after `polyfit`, degree 1"}, 1e-9),
    "one_minus_rho": ({"`one_minus_rho`", "1 - abs(`spearmanr`)"}, 1e-9),
}


NAMES_OF_TORCHMETRICS = ("auroc", "jaccard_index", "recall", "specificity", "accuracy")


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", ROOT / "infra/benchmarks/figures.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # its dataclass looks itself up there
    spec.loader.exec_module(script)
    return script


def read_page() -> dict[tuple[str, str, str], list[float]]:
    """The values of every row of the page's tables of measurements."""
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in PAGE.splitlines()
        if line[:1] == "|"
    ]
    rows = {tuple(row[:3]): row[3:] for row in cells}
    numeric = {key: [float(cell) for cell in row] for key, row in rows.items() if row and is_number(row[0])}
    return {(key[0], key[1], key[2]): values for key, values in numeric.items()}


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script()


@pytest.fixture(scope="module")
def measured(script: ModuleType) -> dict[tuple[str, str, str], float | None]:
    """Every row on the drawn pair; None where its library is not installed."""
    rows = (row for _, table in script.measure_all() for row in table)
    return {(row.name, row.library, row.how): row.values[0] for row in rows}


def test_the_page_has_the_rows_of_the_script_and_their_values(measured: dict[Any, float | None]) -> None:
    page = read_page()
    assert page.keys() == measured.keys()
    absent = {key[1] for key, value in measured.items() if value is None}
    assert absent.isdisjoint(HERE)
    wrong = {
        key: (value, page[key][0])
        for key, value in measured.items()
        if value is not None and abs(value - page[key][0]) > TOLERANCE
    }
    assert wrong == {}


@pytest.mark.parametrize("figure", EQUAL)
def test_what_the_page_calls_equal_is_equal(figure: str, measured: dict[Any, float | None]) -> None:
    names, tolerance = EQUAL[figure]
    rows = {key: value for key, value in measured.items() if key[0] == figure and key[2] in names}
    found = [value for value in rows.values() if value is not None]
    assert len({key[1] for key, value in rows.items() if value is not None}) >= 2
    assert np.ptp(found) <= tolerance


def test_sets_of_figures_differ_as_the_page_says(measured: dict[Any, float | None]) -> None:
    values = {key: value for key, value in measured.items() if value is not None}
    binned = [
        value for key, value in values.items() if key[0] == "auroc of p >= .5" and "thresholds" in key[2]
    ]
    assert len(binned) == 3
    assert max(binned) < 0.3 < values["auroc of p >= .5", "LDP", "`auroc`"]
    assert values["ai1", "SciPy", "least absolute deviation, by search"] <= values["ai1", "LDP", "`ai1`"]
    assert values["ai1", "LDP", "`ai1`"] < 1.1 * values["ai1", "SciPy", "least absolute deviation, by search"]
    family = [value for key, value in values.items() if key[0] == "SSIM" and "255" not in key[2]]
    assert max(family) - min(family) > 0.05


@pytest.mark.real
def test_the_real_pair_has_the_values_of_the_page(real_data: Path, script: ModuleType) -> None:
    image, reference = script.read_real_pair(real_data / "dp" / "canon_dpdd")
    page = read_page()
    assert psnr_db(image, reference) == pytest.approx(page["PSNR", "LDP", "`psnr_db`"][1], abs=TOLERANCE)
    assert ssim(image, reference) == pytest.approx(page["SSIM", "LDP", "`ssim`"][1], abs=TOLERANCE)
    wang = structural_similarity(
        to_unit(reference), to_unit(image), data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert wang == pytest.approx(page["SSIM", "scikit-image", "Wang's window"][1], abs=TOLERANCE)


def test_every_figure_of_ours_is_on_the_page() -> None:
    assert [name for name in (*metric_names(), *MEASURES) if f"`{name}`" not in PAGE] == []
    rules = {rule.name for rule in ThresholdRule} - {"P1_PUBLISHED"}
    assert [name for name in sorted(rules) if name not in PAGE] == []


def test_the_page_tells_our_edges_and_constants() -> None:
    picture = np.full((16, 16, 3), 0.5)
    with pytest.raises(MetricError):
        psnr_db(picture + 0.6, picture)  # refused, not clipped
    assert f"{PSNR_CEILING_DB:g} for equal pictures" in PAGE
    assert f"{LEVEL:.0%}".replace("%", " %") in PAGE
    assert f"{RESAMPLES:,} draws, seed {SEED}" in PAGE
    mask = np.zeros((8, 8), np.bool_)
    scores = score_detection(np.zeros((8, 8), np.float32), mask)
    assert scores["f_focus"] == scores["iou_focus"] == 1  # neither there nor found
    assert np.isnan([scores["ap_focus"], scores["auroc"]]).all()


def test_intervals_are_those_of_scipy() -> None:
    values = np.random.default_rng(1).normal(size=30)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval  # fmt: skip
    ours = mean_interval(values)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_agreement_is_made_of_usual_figures(script: ModuleType) -> None:
    probability, truth = script.draw_detection()
    half = np.float32(0.5)
    measured = BlurMap(np.where(truth, half, 4 * half), BlurMapKind.SIGNED_COC_PX)
    ours = measure_agreement(BlurMap(probability, BlurMapKind.IN_FOCUS_PROBABILITY), measured, tau_px=1.0)
    theirs = {name: script._torch(name)(probability, truth) for name in NAMES_OF_TORCHMETRICS}
    assert ours.auroc == pytest.approx(theirs["auroc"], abs=1e-6)
    assert ours.iou == pytest.approx(theirs["jaccard_index"], abs=1e-6)
    assert ours.balanced == pytest.approx((theirs["recall"] + theirs["specificity"]) / 2, abs=1e-6)
    assert ours.disagreeing == pytest.approx(1 - theirs["accuracy"], abs=1e-6)
