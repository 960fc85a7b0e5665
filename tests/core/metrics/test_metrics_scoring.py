"""Which scores an item gets, of whom, and under which protocol."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from ldp_core.archive import stage_key
from ldp_core.errors import MetricError, SettingsError
from ldp_core.metrics import align, mae, psnr_db, score_item, score_spec, scoring, ssim
from ldp_core.metrics.scoring import FIDELITY, PSNR_CEILING_DB, metric_names
from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair, Pixels, Region, Score, ScoringProtocol

HEIGHT, WIDTH = 28, 36


def paint(seed: int, *, channels: int = 3, dtype: type = np.uint8) -> Pixels:
    rng = np.random.default_rng(seed)
    painted: Pixels = rng.integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH, channels), dtype=dtype)
    return painted


def make_pair(**changes: object) -> Pair:
    return replace(Pair("set/one", paint(1), paint(2), target=paint(3)), **changes)  # type: ignore[arg-type]


def make_map(kind: BlurMapKind = BlurMapKind.SIGNED_COC_PX) -> BlurMap:
    return BlurMap(np.tile(np.linspace(-3, 5, WIDTH, dtype=np.float32), (HEIGHT, 1)), kind)


def names(scores: list[Score]) -> set[tuple[str, str]]:
    return {(score.subject, score.metric) for score in scores}


def value(scores: list[Score], subject: str, metric: str, *, alignment: str = "none") -> float:
    (found,) = (
        s.value for s in scores if (s.subject, s.metric, s.protocol.alignment) == (subject, metric, alignment)
    )
    return found


def test_with_a_target_everyone_is_compared_and_the_input_always() -> None:
    pair = make_pair(external={"dpdnet": paint(5)})
    scores = score_item(pair, restored=paint(4), blur_map=None)
    assert names(scores) == {(s, m) for s in ("input", "restored", "dpdnet") for m in FIDELITY}
    target = pair.target
    assert target is not None
    for subject, picture in (("input", input_image(pair)), ("restored", paint(4)), ("dpdnet", paint(5))):
        assert value(scores, subject, "psnr_db") == psnr_db(picture, target)
        assert value(scores, subject, "ssim") == ssim(picture, target)
        assert value(scores, subject, "mae") == mae(picture, target)


def test_without_a_restoration_the_input_is_still_there() -> None:
    scores = score_item(make_pair(), restored=None, blur_map=None)
    assert names(scores) == {("input", metric) for metric in FIDELITY}


def test_without_target_truth_or_sign_there_is_nothing_to_say() -> None:
    pair = make_pair(target=None)
    assert score_item(pair, restored=paint(4), blur_map=make_map(BlurMapKind.SIMILARITY)) == []


def test_a_displaced_target_adds_scores_after_the_best_shift() -> None:
    target = paint(3)
    restored = np.roll(target, (2, -3), axis=(0, 1))
    scores = score_item(make_pair(aligned=False), restored=restored, blur_map=None)
    assert len(scores) == 2 * 2 * len(FIDELITY)
    assert value(scores, "restored", "psnr_db") < 12
    assert value(scores, "restored", "psnr_db", alignment="best shift 4 px") == PSNR_CEILING_DB
    assert value(scores, "restored", "ssim", alignment="best shift 4 px") == pytest.approx(1)
    expected = psnr_db(*align(input_image(make_pair()), target))
    assert value(scores, "input", "psnr_db", alignment="best shift 4 px") == expected


def test_a_signed_map_is_judged_by_reblurring_even_without_truth() -> None:
    scores = score_item(make_pair(target=None), restored=paint(4), blur_map=make_map())
    assert names(scores) == {("input", "reblur_psnr_db"), ("restored", "reblur_psnr_db")}
    assert {score.protocol.variant for score in scores} == {"half_disc kernel"}


def test_the_reblur_kernel_can_be_chosen_and_is_named() -> None:
    kernel = KernelSpec(family=KernelFamily.BUTTERWORTH, order=6)
    pair = make_pair(target=None)
    ours, other = (
        score_item(pair, restored=None, blur_map=make_map(), kernel=k)[0] for k in (KernelSpec(), kernel)
    )
    assert other.protocol.variant == "butterworth kernel, order 6"
    assert ours.value != other.value
    assert score_spec(kernel) != score_spec()


def test_a_known_blur_adds_the_scores_of_the_map() -> None:
    truth = np.tile(np.linspace(-6, 8, WIDTH, dtype=np.float32), (HEIGHT, 1))
    pair = make_pair(target=None, blur_truth=truth, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)
    scores = [s for s in score_item(pair, restored=None, blur_map=make_map()) if s.subject == "blur_map"]
    assert {s.metric for s in scores} == {"ai1", "ai2", "one_minus_rho", "auc"}
    assert {s.metric: s.protocol.variant for s in scores} == {
        "ai1": "signed, px",
        "ai2": "signed, px",
        "one_minus_rho": "signed, px",
        "auc": "blurred: |coc| > 2 px",
    }
    assert value(scores, "blur_map", "one_minus_rho") == pytest.approx(0, abs=1e-6)


def test_a_truth_that_says_nothing_adds_no_score() -> None:
    truth = np.zeros((HEIGHT, WIDTH), np.float32)
    for kind in BlurTruthKind:
        pair = make_pair(target=None, blur_truth=truth, blur_truth_kind=kind)
        assert score_item(pair, restored=None, blur_map=make_map(BlurMapKind.SIMILARITY)) == []


def test_no_auc_where_everything_is_blurred() -> None:
    truth = np.tile(np.linspace(4, 8, WIDTH, dtype=np.float32), (HEIGHT, 1))
    pair = make_pair(target=None, blur_truth=truth, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)
    scores = score_item(pair, restored=None, blur_map=make_map(BlurMapKind.SIMILARITY))
    assert {score.metric for score in scores} == {"ai1", "ai2", "one_minus_rho"}


def test_the_protocol_is_the_pairs_own() -> None:
    pair = Pair(
        "set/two",
        *(paint(seed, channels=1, dtype=np.uint16) for seed in (1, 2, 3)),
        score_region=Region(top=8),
        external={"eight_bit": paint(4, channels=1)},
    )
    scores = score_item(pair, restored=None, blur_map=None)
    protocols = {score.subject: score.protocol for score in scores}
    assert protocols["input"] == ScoringProtocol(16, "36x28", region="rows 8:", colour="grey")
    assert protocols["eight_bit"] == ScoringProtocol(8, "36x28", region="rows 8:", colour="grey")


def test_every_score_is_finite_and_known() -> None:
    target = paint(3)
    scores = score_item(make_pair(aligned=False), restored=target, blur_map=make_map())
    assert all(np.isfinite(score.value) for score in scores)
    assert {score.metric for score in scores} <= set(metric_names())
    assert value(scores, "restored", "psnr_db") == PSNR_CEILING_DB


def test_input_is_the_mean_of_the_views_at_their_depth() -> None:
    left = np.array([0, 1, 2, 254, 65_535], np.uint16).reshape(1, 5, 1)
    right = np.array([1, 2, 2, 255, 65_535], np.uint16).reshape(1, 5, 1)
    mean = input_image(Pair("set/three", left, right))
    assert mean.dtype == np.uint16
    assert mean.ravel().tolist() == [0, 2, 2, 254, 65_535]


@pytest.mark.parametrize("name", ["input", "restored", "blur_map"])
def test_a_peer_may_not_take_our_names(name: str) -> None:
    with pytest.raises(MetricError, match="reserved"):
        score_item(make_pair(external={name: paint(5)}), restored=None, blur_map=None)


def test_a_subject_of_another_size_is_refused() -> None:
    with pytest.raises(MetricError, match="does not match"):
        score_item(make_pair(), restored=paint(4)[1:], blur_map=None)


KEYS = {
    (): "full-reference-blur-map-reblur-53ee8a2a4d749f9d31e8",
    (("measured_key", "m-1"),): "full-reference-blur-map-reblur-46f0004b35a322ff9c37",
}


@pytest.mark.parametrize("changes", KEYS)
def test_without_metrics_of_other_packages_the_stage_key_stays(
    changes: tuple[tuple[str, str], ...],
) -> None:
    assert stage_key(score_spec(**dict(changes))) == KEYS[changes]  # type: ignore[arg-type]


PLUGIN = """
def largest_error(image, reference, *, region):
    crops = (picture[region.slices].astype(float) for picture in (image, reference))
    return abs(next(crops) - next(crops)).max() / 255

def nothing(image, reference, *, region):
    return float("nan")

no_function = 3
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **metrics: str) -> None:
    """A package with metrics by entry point, as pip would leave it."""
    (folder / "some_metrics.py").write_text(PLUGIN)
    info = folder / "some_metrics-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-metrics\nVersion: 1.0\n")
    lines = [f"{name} = some_metrics:{function}" for name, function in metrics.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ldp.metrics]", *lines]))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(scoring, "FIDELITY", replace(FIDELITY))


def test_a_metric_of_an_installed_package_is_scored_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stage_key(score_spec())
    install(tmp_path, monkeypatch, largest_error="largest_error", psnr_db="nothing", auc="nothing")
    scores = score_item(make_pair(), restored=paint(4), blur_map=None)
    assert names(scores) == {
        (s, m) for s in ("input", "restored") for m in (*FIDELITY.shipped, "largest_error")
    }
    difference = np.abs(paint(4).astype(float) - paint(3)).max() / 255
    assert value(scores, "restored", "largest_error") == difference
    assert type(value(scores, "restored", "largest_error")) is float
    assert value(scores, "restored", "psnr_db") == psnr_db(paint(4), paint(3))
    assert metric_names().index("mae") + 1 == metric_names().index("largest_error")
    assert len(metric_names()) == len(set(metric_names()))
    assert stage_key(score_spec()) != before


def test_a_metric_that_gives_no_number_names_the_item_and_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, nothing="nothing")
    with pytest.raises(MetricError, match="nothing of input") as caught:
        score_item(make_pair(), restored=None, blur_map=None)
    assert caught.value.where == "set/one"


@pytest.mark.parametrize("function", ["no_function", "absent"])
def test_an_entry_point_without_a_metric_is_named(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, odd=function)
    with pytest.raises(SettingsError, match="the metric 'odd' cannot be loaded") as caught:
        score_spec()
    assert f"some_metrics:{function}, of the package some-metrics" in str(caught.value)


def test_the_stage_is_plain_json() -> None:
    spec = score_spec()
    assert spec.stage == "score"
    assert json.loads(json.dumps(asdict(spec))) == asdict(spec)
