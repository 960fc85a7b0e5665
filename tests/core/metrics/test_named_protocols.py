"""Protocols by name give what the published evaluations give, each computed here as its source says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim as published_ms_ssim
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2ycbcr
from skimage.measure import blur_effect
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ldp_core.archive import stage_key
from ldp_core.errors import MetricError, SettingsError, WeightsError
from ldp_core.metrics import mae, psnr_db, score_item, score_spec, ssim
from ldp_core.metrics.lpips import lpips
from ldp_core.metrics.multiscale import LEAST_PX, ms_ssim, ssim_gaussian
from ldp_core.protocols import PROTOCOLS, ScoringOptions
from ldp_core.types import Pair, Pixels, Score

HEIGHT, WIDTH = 165, 178
LPIPS_OF_PACKAGE = 0.9117827


def paint(seed: int, *, height: int = HEIGHT, width: int = WIDTH, channels: int = 3) -> Pixels:
    rng = np.random.default_rng(seed)
    drawn = gaussian_filter(rng.normal(size=(height, width, channels)), (2, 2, 0)) + 0.1 * rng.normal(
        size=(height, width, channels)
    )
    painted: Pixels = np.rint(np.clip(drawn * 2 + 0.5, 0, 1) * 65535).astype(np.uint16)
    return painted


@pytest.fixture(scope="module")
def pair() -> Pair:
    target = paint(3)
    near = np.clip(target.astype(np.float64) * 0.9 + 0.02 * paint(4), 0, 65535).astype(np.uint16)
    return Pair("set/one", near, near[::1] // 2 + paint(5) // 4, target=target)


def scores_of(pair: Pair, name: str, restored: Pixels, **options: str) -> dict[str, float]:
    asked = ScoringOptions.of([name], **options)
    found = score_item(pair, restored=restored, blur_map=None, options=asked)
    named = [score for score in found if score.protocol.variant == name]
    assert {score.subject for score in named} <= {"input", "restored"}
    return {score.metric: score.value for score in named if score.subject == "restored"}


@pytest.mark.parametrize(
    ("name", "bits", "rows", "columns"),
    [
        ("dpdd", 16, HEIGHT, WIDTH),
        ("restormer", 16, HEIGHT, WIDTH),
        ("ifan-16bit", 16, 160, 176),
        ("ifan", 8, 160, 176),
        ("restormer-single", 8, HEIGHT, WIDTH),
    ],
)
def test_published_codes_give_the_same(pair: Pair, name: str, bits: int, rows: int, columns: int) -> None:
    assert pair.target is not None
    restored = pair.left
    pictures = [x[:rows, :columns] for x in (restored, pair.target)]
    image, target = (x / 65535 if bits == 16 else (x >> 8) / 255 for x in pictures)
    found = scores_of(pair, name, restored)
    assert found["psnr_db"] == pytest.approx(peak_signal_noise_ratio(target, image, data_range=1), abs=1e-9)
    theirs = structural_similarity(target, image, data_range=1, channel_axis=2)
    assert found["ssim"] == pytest.approx(theirs, abs=1e-9)
    assert found["mae"] == pytest.approx(np.abs(image - target).mean(), abs=1e-12)


def test_8_bit_of_dpdd_is_rounded(pair: Pair) -> None:
    assert pair.target is not None
    rounded = [np.rint(x / 257).astype(np.uint8) for x in (pair.left, pair.target)]
    found = scores_of(pair, "dpdd-8bit", pair.left)
    assert found == {"psnr_db": psnr_db(*rounded), "ssim": ssim(*rounded), "mae": mae(*rounded)}


@pytest.mark.parametrize(("name", "border"), [("basicsr-y", 0), ("basicsr-y-border4", 4)])
def test_luma_is_that_of_bt601(pair: Pair, name: str, border: int) -> None:
    assert pair.target is not None
    part = slice(border, HEIGHT - border), slice(border, WIDTH - border)
    image, target = (rgb2ycbcr((x[part] >> 8).astype(np.uint8))[..., 0] for x in (pair.left, pair.target))
    found = scores_of(pair, name, pair.left)
    assert found["psnr_db"] == pytest.approx(peak_signal_noise_ratio(target, image, data_range=255))
    theirs = structural_similarity(
        target, image, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert found["ssim"] == pytest.approx(theirs, abs=1e-9)


def test_luma_of_grey_is_that_of_equal_colours(pair: Pair) -> None:
    assert pair.target is not None
    grey = replace(pair, left=pair.left[..., :1], right=None, target=pair.target[..., :1])
    alike = replace(
        pair, left=grey.left.repeat(3, axis=2), right=None, target=pair.target[..., :1].repeat(3, axis=2)
    )
    found, expected = (scores_of(one, "basicsr-y", one.left) for one in (grey, alike))
    assert found == pytest.approx(expected)


def test_one_gain_undoes_a_darker_exposure(pair: Pair) -> None:
    assert pair.target is not None
    dark = (pair.target // 2).astype(np.uint16)
    assert scores_of(pair, "one-gain", dark)["psnr_db"] > 90
    # The sound neighbour: a picture that differs otherwise gains little.
    assert scores_of(pair, "one-gain", paint(9))["psnr_db"] < 15


def test_ms_ssim_is_that_of_the_published_package() -> None:
    for size in ((170, 181), (161, 200)):
        first, second = (paint(n, height=size[0], width=size[1]) for n in (1, 2))
        second = (0.7 * first + 0.3 * second).astype(np.uint16)
        tensors = [torch.from_numpy(x / 65535).permute(2, 0, 1)[None] for x in (first, second)]
        assert ms_ssim(first, second) == pytest.approx(
            float(published_ms_ssim(*tensors, data_range=1)), abs=1e-6
        )
    assert ms_ssim(first, first) == pytest.approx(1)


def test_small_pictures_have_no_ms_ssim(pair: Pair) -> None:
    small = paint(1, height=LEAST_PX - 1)
    with pytest.raises(MetricError, match="too small for MS-SSIM"):
        ms_ssim(small, small)
    with pytest.raises(MetricError, match="too small"):
        ssim_gaussian(small[:10], small[:10])
    cut = replace(pair, left=pair.left[:100], right=None, target=paint(3)[:100])
    assert scores_of(cut, "ms-ssim", cut.left) == {}
    assert scores_of(pair, "ms-ssim", pair.left).keys() == {"ms_ssim"}


def test_no_reference_needs_no_target(pair: Pair) -> None:
    alone = replace(pair, target=None)
    found = scores_of(alone, "no-reference", pair.left)
    assert found == {"blur_effect": pytest.approx(blur_effect(pair.left / 65535, channel_axis=2))}
    blurred = gaussian_filter(pair.left, (3, 3, 0))
    assert scores_of(alone, "no-reference", blurred)["blur_effect"] > found["blur_effect"]


def test_depth_is_never_invented(pair: Pair) -> None:
    assert pair.target is not None
    shallow = replace(
        pair, left=(pair.left >> 8).astype(np.uint8), right=None, target=(pair.target >> 8).astype(np.uint8)
    )
    assert scores_of(shallow, "dpdd", shallow.left) == {}
    assert scores_of(shallow, "ifan", shallow.left).keys() == {"psnr_db", "ssim", "mae"}


def test_protocols_never_share_a_name_with_the_usual_scores(pair: Pair) -> None:
    usual = score_item(pair, restored=pair.left, blur_map=None)
    found = score_item(pair, restored=pair.left, blur_map=None, options=ScoringOptions.of(["dpdd", "ifan"]))
    assert found[: len(usual)] == usual
    keys = [(score.metric, score.subject, score.protocol) for score in found]
    assert len(set(keys)) == len(keys)


def test_stage_keys_change_only_where_a_protocol_is_asked_for() -> None:
    assert stage_key(score_spec(options=ScoringOptions.of([]))) == stage_key(score_spec())
    keys = [stage_key(score_spec(options=ScoringOptions.of([name]))) for name in ("dpdd", "ifan")]
    keys += [stage_key(score_spec(options=ScoringOptions(("dpdd",), f"a#{n * 64}"))) for n in "ab"]
    assert len({stage_key(score_spec()), *keys}) == 5


def test_unknown_protocols_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="ifan") as caught:
        ScoringOptions.of(["ifann"])
    assert "ifan" in caught.value.remedy
    with pytest.raises(SettingsError, match="not pictures"):
        ScoringOptions.of(["pysodmetrics"])


def test_every_protocol_says_where_it_comes_from() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.source, name
        assert protocol.known or protocol.source == "Ours", name


@pytest.fixture(scope="module")
def lpips_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Weights drawn at random, with the names and shapes of those that are published."""
    rng = np.random.default_rng(0)
    shapes = {"1.0": (64, 3, 11), "2.3": (192, 64, 5), "3.6": (384, 192, 3), "4.8": (256, 384, 3)}
    shapes |= {"5.10": (256, 256, 3)}
    tensors = {}
    for n, (name, (out, into, side)) in enumerate(shapes.items()):
        scale = 1 / np.sqrt(into * side * side)
        tensors[f"net.slice{name}.weight"] = torch.from_numpy(rng.normal(0, scale, (out, into, side, side)))
        tensors[f"net.slice{name}.bias"] = torch.from_numpy(rng.normal(0, 0.1, out))
        tensors[f"lin{n}.model.1.weight"] = torch.from_numpy(rng.random((1, out, 1, 1)))
    file = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    save_file({name: tensor.float() for name, tensor in tensors.items()}, file)
    return str(file), hashlib.sha256(file.read_bytes()).hexdigest()


def test_lpips_is_that_of_the_published_package(lpips_weights: tuple[str, str]) -> None:
    file, sha256 = lpips_weights
    first, second = paint(1), paint(2)
    # By lpips 0.1.4, LPIPS(net="alex") with these weights.
    assert lpips(first, second, weights=file, sha256=sha256) == pytest.approx(LPIPS_OF_PACKAGE, rel=1e-5)
    assert lpips(first, first, weights=file, sha256=sha256) == 0


def test_lpips_joins_the_protocols_that_have_it(pair: Pair, lpips_weights: tuple[str, str]) -> None:
    file, sha256 = lpips_weights
    assert ScoringOptions.of(["dpdd"], file).lpips_sha256 == sha256
    assert "lpips" in scores_of(pair, "dpdd", pair.left, lpips_weights=file)
    assert "lpips" not in scores_of(pair, "dpdd", pair.left)


def test_lpips_without_weights_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="--lpips") as caught:
        ScoringOptions.of(["lpips"])
    assert "protocols.md" in caught.value.remedy
    with pytest.raises(WeightsError, match="no weights"):
        ScoringOptions.of(["lpips"], str(tmp_path / "none.safetensors"))


def test_other_weights_are_refused(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match="not of LPIPS"):
        scores_of(pair, "lpips", pair.left, lpips_weights=str(file))


def test_a_score_tells_its_depth_colours_and_protocol(pair: Pair) -> None:
    found: list[Score] = score_item(
        pair, restored=pair.left, blur_map=None, options=ScoringOptions.of(["basicsr-y"])
    )
    assert found[-1].protocol.name == f"8 bit | {WIDTH}x{HEIGHT} | Y of BT.601 | full | basicsr-y"
