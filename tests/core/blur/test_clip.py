"""The language-driven estimator, on weights that have learnt nothing: what it computes, not how well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_samples import CONFIG, VISION, draw_pair, write_clip
from numpy.typing import NDArray

from ldp_core.archive import stage_key
from ldp_core.blur import clip, make_estimator
from ldp_core.blur.clip import ClipEstimator, ClipSettings, blur_views, calibrate, choose_thresholds
from ldp_core.blur.clip_cells import CellGrid, PaddedViews, Window, score_cells
from ldp_core.blur.clip_model import ClipModel, load_clip, open_clip
from ldp_core.blur.clip_settings import RELEASED_PROMPT, CellFormat
from ldp_core.errors import SettingsError, WeightsError
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc
from ldp_core.tensors import to_rgb
from ldp_core.types import BlurMapKind, Pair

LADDER = {"prompts": ["three to the left", "none", "three to the right"], "disparity_px": [-3, 0, 3]}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    card = {"model_cfg": CONFIG, "signed": LADDER | {"formats": ["squash"]}, "as_released": {"A": 5, "B": -5}}
    return write_clip(tmp_path_factory.mktemp("clip"), card=card)


@pytest.fixture(scope="module")
def model(asked: dict[str, Any]) -> ClipModel:
    return load_clip(**asked)


def see(pair: Pair, *, stride_px: int = 40) -> PaddedViews:
    grid = CellGrid(*pair.left.shape[:2], stride_px=stride_px)
    device = torch.device("cpu")
    return PaddedViews.of(to_rgb(pair.left), to_rgb(pair.right), grid=grid, peak=pair.peak, device=device)


def score_by_hand(model: ClipModel, pair: Pair, prompt: str, *, wide: bool = False) -> NDArray[np.float32]:
    """The published loop: one cell at a time as a picture, its sentence encoded every time."""
    from PIL import Image
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    crop = CenterCrop((64, 128 if wide else 64))
    scale = Resize(64, InterpolationMode.BICUBIC)
    show = Compose([scale, crop, ToTensor(), Normalize(model.card.image_mean, model.card.image_std)])
    tokens = open_clip().SimpleTokenizer()([prompt])
    height, width = pair.left.shape[:2]
    padding = [(0, -height % 40), (0, -width % 40), (0, 0)]
    left, right = (np.pad(view, padding, mode="reflect") for view in (pair.left, pair.right))
    rows = []
    for top in range(0, left.shape[0], 40):
        for start in range(0, left.shape[1], 40):
            cell = (slice(top, top + 40), slice(start, start + 40))
            picture = Image.fromarray(np.concatenate([left[cell], right[cell][:, ::-1]], axis=1))
            with torch.inference_mode():
                image = model.network.encode_image(show(picture)[None], normalize=True)  # type: ignore[operator]
                text = model.network.encode_text(tokens, normalize=True)  # type: ignore[operator]
                rows.append(float(model.network.logit_scale.exp() * (image @ text.T)))  # type: ignore[operator]
    return np.array(rows, dtype=np.float32).reshape(left.shape[0] // 40, -1)


@pytest.mark.parametrize("size", [(120, 160), (97, 131), (20, 90)])
def test_logits_are_those_of_a_plain_loop_over_cells(model: ClipModel, size: tuple[int, int]) -> None:
    pair = draw_pair(*size)
    ours = score_cells(model, see(pair), prompts=[RELEASED_PROMPT], layout=CellFormat.MIRROR)[..., 0]
    by_hand = score_by_hand(model, pair, RELEASED_PROMPT)
    np.testing.assert_allclose(ours.numpy(), by_hand, atol=2e-3)
    assert by_hand.std() > 20e-3


def test_batches_do_not_change_the_logits(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    views, prompts = see(draw_pair(130, 200), stride_px=20), ["a", "b"]
    whole = score_cells(model, views, prompts=prompts, layout=CellFormat.SQUASH)
    monkeypatch.setattr("ldp_core.blur.clip_cells._BATCH_PIXELS", {"cpu": 3 * 64**2})
    parts = score_cells(model, views, prompts=prompts, layout=CellFormat.SQUASH)
    torch.testing.assert_close(whole, parts, atol=1e-4, rtol=0)


def test_the_released_map_is_the_published_formula_without_a_stretch(
    asked: dict[str, Any], model: ClipModel
) -> None:
    pair = draw_pair(80, 120)
    logits = score_cells(model, see(pair), prompts=[RELEASED_PROMPT], layout=CellFormat.MIRROR)[..., 0]
    limits = {"A": float(logits.max()) + 1, "B": float(logits.min()) + 0.01}
    blur_map = make_estimator("clip", asked | {"thresholds": limits}).estimate(pair)
    expected = ((limits["A"] - logits) / (limits["A"] - limits["B"])).clamp(0, 1)
    np.testing.assert_allclose(blur_map.values, CellGrid(80, 120).spread(expected).numpy(), atol=1e-4)
    assert blur_map.kind is BlurMapKind.SIMILARITY
    assert blur_map.values.min() > 0


def test_thresholds_come_from_settings_then_weights_then_paper_then_scenes(
    asked: dict[str, Any], model: ClipModel, tmp_path: Path
) -> None:
    def choose(m: ClipModel, layout: CellFormat = CellFormat.MIRROR, **settings: Any) -> tuple[float, float]:
        found = choose_thresholds(m, RELEASED_PROMPT, layout, ClipSettings.parse(settings))
        return found.sharp_logit, found.blurred_logit

    assert choose(model, thresholds={"A": 1, "B": 2}) == (1, 2)
    assert choose(model) == (5, -5)
    bare = load_clip(**write_clip(tmp_path))
    assert choose(bare) == (29, 26.05)
    fitted = choose(bare, CellFormat.SQUASH)
    assert fitted not in ((29, 26.05), (5, -5))
    assert choose(ClipModel(bare.network, bare.card, trained=False)) not in ((29, 26.05), fitted)


@pytest.mark.parametrize("layout", [CellFormat.SQUASH, CellFormat.SINGLE, CellFormat.SHARED])
def test_calibration_places_sharp_at_zero_and_strong_blur_at_one(
    model: ClipModel, layout: CellFormat
) -> None:
    pair = draw_pair(160, 240)
    sharp, kernel = to_rgb(pair.left), KernelSpec()
    limits = calibrate(model, [sharp], prompt="anything", layout=layout, kernel=kernel)

    def middle(left: torch.Tensor, right: torch.Tensor) -> float:
        views = PaddedViews.of(left, right, grid=CellGrid(160, 240), peak=255, device=model.device)
        logits = score_cells(model, views, prompts=["anything"], layout=layout)
        rise = limits.sharp_logit - limits.blurred_logit
        return float(((limits.sharp_logit - logits) / rise).quantile(0.5))

    assert middle(sharp, sharp) == pytest.approx(0, abs=1e-4)
    assert middle(*blur_views(sharp, kernel, 24.0)) == pytest.approx(1, abs=0.3)


def test_a_prompt_that_tells_nothing_cannot_be_calibrated(
    model: ClipModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "score_cells", lambda *_, **__: torch.ones(4, 6, 1))
    with pytest.raises(WeightsError, match="does not tell"):
        calibrate(model, [torch.rand(3, 160, 240)], prompt="x", layout=CellFormat.MIRROR, kernel=KernelSpec())


def test_blurred_views_part_by_the_disparity_of_their_kernel() -> None:
    point = torch.zeros(3, 41, 41)
    point[:, 20, 20] = 1
    columns = torch.arange(41.0)
    left, right = (
        float((v[0].sum(0) * columns).sum() / v[0].sum()) for v in blur_views(point, KernelSpec(), 12)
    )
    assert right - left == pytest.approx(12 * disparity_per_coc(KernelSpec()), abs=0.01)


def test_an_antonym_pair_is_a_softmax(asked: dict[str, Any], model: ClipModel) -> None:
    pair = draw_pair(40, 40)
    logits = score_cells(model, see(pair), prompts=["sharp", "blurred"], layout=CellFormat.MIRROR)
    values = make_estimator("clip", asked | {"prompts": [["sharp", "blurred"]]}).estimate(pair).values
    np.testing.assert_allclose(values, float(logits.softmax(-1)[0, 0, 1]), atol=1e-5)


def test_an_ensemble_is_the_mean_of_its_maps(asked: dict[str, Any]) -> None:
    pair, prompts = draw_pair(90, 130), [RELEASED_PROMPT, ["a", "b"]]
    formats, limits = ["mirror", "wide", "single"], {"A": 2, "B": -2}
    common = asked | {"thresholds": limits}
    maps = [
        make_estimator("clip", common | {"formats": [f], "prompts": [p]}).estimate(pair).values
        for f in formats
        for p in prompts
    ]
    whole = common | {"mode": "ensemble", "formats": formats, "prompts": prompts, "spread": False}
    np.testing.assert_allclose(
        make_estimator("clip", whole).estimate(pair).values, np.mean(maps, 0), atol=1e-5
    )


def test_the_ensemble_of_the_weights_is_the_default(tmp_path: Path) -> None:
    card = {"model_cfg": CONFIG, "ensemble": {"formats": ["squash"], "prompts": [["a", "b"]]}}
    weights, pair = write_clip(tmp_path, card=card), draw_pair(50, 50)
    alone = weights | {"mode": "ensemble", "spread": False}
    by_default = make_estimator("clip", alone).estimate(pair).values
    named = make_estimator("clip", weights | {"formats": ["squash"], "prompts": [["a", "b"]]})
    np.testing.assert_array_equal(by_default, named.estimate(pair).values)


def test_a_signed_map_is_the_mean_shift_in_circles_of_confusion(
    asked: dict[str, Any], model: ClipModel
) -> None:
    pair = draw_pair(80, 80)
    blur_map = make_estimator("clip", asked | {"mode": "signed", "spread": False}).estimate(pair)
    assert blur_map.confidence is None
    logits = score_cells(model, see(pair), prompts=LADDER["prompts"], layout=CellFormat.SQUASH)
    disparity = (logits.softmax(-1) * torch.tensor([-3.0, 0, 3])).sum(-1)
    expected = CellGrid(80, 80).spread(disparity).numpy() / disparity_per_coc(KernelSpec())
    np.testing.assert_allclose(blur_map.signed_coc_px(), expected, atol=1e-4)


def test_weights_without_sentences_about_shifts_make_no_signed_map(tmp_path: Path) -> None:
    estimator = make_estimator("clip", write_clip(tmp_path) | {"mode": "signed"})
    with pytest.raises(WeightsError, match="shifts"):
        estimator.estimate(draw_pair(40, 40))
    with pytest.raises(SettingsError, match="prompts"):
        make_estimator("clip", {"mode": "signed", "prompts": ["x"]})


@pytest.mark.parametrize("stride_px", [40, 10])
@pytest.mark.parametrize("size", [(1, 1), (7, 90), (83, 121)])
def test_any_size_gives_a_finite_map(asked: dict[str, Any], size: tuple[int, int], stride_px: int) -> None:
    values = make_estimator("clip", asked | {"stride_px": stride_px}).estimate(draw_pair(*size)).values
    assert values.shape == size
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 1


def test_grey_and_sixteen_bit_pairs_agree_with_their_colour_and_eight_bit_twins(
    asked: dict[str, Any],
) -> None:
    estimator = make_estimator("clip", asked)
    grey = draw_pair(90, 90, channels=1)
    colour = Pair("colour", grey.left.repeat(3, axis=2), grey.right.repeat(3, axis=2))
    deep = Pair("deep", grey.left * np.uint16(257), grey.right * np.uint16(257))
    values = estimator.estimate(grey).values
    np.testing.assert_array_equal(estimator.estimate(colour).values, values)
    np.testing.assert_allclose(estimator.estimate(deep).values, values, atol=2e-3)


def test_a_random_network_is_a_control_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip(), "get_model_config", lambda name: CONFIG)
    estimators = [make_estimator("random-clip", {"shape": "tiny", "seed": seed}) for seed in (0, 0, 1)]
    maps = [estimator.estimate(draw_pair(90, 130)).values for estimator in estimators]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 0.01
    assert [e.spec.method for e in estimators] == ["random-clip"] * 3
    assert stage_key(estimators[0].spec) != stage_key(estimators[2].spec)


def test_the_stage_key_depends_on_weights_and_settings(asked: dict[str, Any]) -> None:
    spec = make_estimator("clip", asked).spec
    assert (spec.stage, spec.method, spec.version) == ("blur", "clip", "1")
    assert spec.weights_sha256 == asked["sha256"]
    others = [
        make_estimator("clip", asked | change).spec
        for change in ({"sha256": "ab" * 32}, {"mode": "signed"}, {"stride_px": 10}, {"prompts": ["x"]})
    ]
    assert len({stage_key(s) for s in [spec, *others]}) == 5
    assert stage_key(ClipEstimator(ClipSettings.parse(asked)).spec) == stage_key(spec)


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({}, "1"),
        ({"spread": True}, "2"),
        ({"mode": "signed"}, "2"),
        ({"mode": "ensemble"}, "2"),
        ({"mode": "signed", "spread": False}, "1"),
    ],
)
@pytest.mark.parametrize("method", ["clip", "random-clip"])
def test_only_maps_that_are_spread_have_another_version(
    method: str, change: dict[str, Any], version: str
) -> None:
    spec = make_estimator(method, change).spec
    assert spec.version == version
    assert ("spread" in spec.settings) == ("spread" in change)


def test_shared_features_cost_a_tenth_and_each_cell_reads_only_its_own_patches() -> None:
    window = Window.choose((28, 42), full_tokens=197)
    assert window == Window(4, 3, 3)
    mask = window.attention_mask()
    cells = window.rows * window.columns
    assert (mask[:cells] == 0).sum(1).tolist() == [1 + 2 * 9] * cells
    assert (mask[cells:, cells:] == 0).all()
    assert torch.isinf(mask[cells:, :cells]).all()
    owners = window.owners().view(window.grid)
    assert owners[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("pool", ["tok", "avg"])
def test_shared_features_of_one_cell_alone_are_those_of_a_small_input(tmp_path: Path, pool: str) -> None:
    """A window of one cell is an ordinary pass, apart from patches that do not look at the class token."""
    config = CONFIG | {"vision_cfg": VISION | {"pool_type": pool, "layers": 1}}
    model = load_clip(**write_clip(tmp_path, config=config))
    strips = torch.rand(2, 3, 16, 32, generator=torch.Generator().manual_seed(0))
    from ldp_core.blur.clip_cells import encode_window

    with torch.inference_mode():
        features = encode_window(model, strips, Window(1, 1, 2))[:, 0]
        expected = model.encode_images(model.normalise(strips))
    if pool == "tok":
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)
    else:
        assert (features * expected).sum(-1).min() > 0.9


def test_shared_features_map_every_cell_to_its_place(asked: dict[str, Any]) -> None:
    pair = draw_pair(200, 330)
    estimator = make_estimator("clip", asked | {"formats": ["shared"], "thresholds": {"A": 9, "B": -9}})
    before = estimator.estimate(pair).values
    changed = pair.left.copy()
    changed[160:, 280:] = 255 - changed[160:, 280:]
    after = estimator.estimate(Pair("changed", changed, pair.right)).values
    moved = np.abs(after - before)[20::40, 20::40]
    assert np.unravel_index(moved.argmax(), moved.shape)[0] == 4
    assert np.unravel_index(moved.argmax(), moved.shape)[1] in (7, 8)


def test_rows_of_both_views_as_patches_cannot_be_shared(tmp_path: Path) -> None:
    config = CONFIG | {"vision_cfg": VISION | {"image_size": [40, 80], "patch_size": [4, 80]}}
    asked = write_clip(tmp_path, config=config)
    with pytest.raises(SettingsError, match="share"):
        make_estimator("clip", asked | {"formats": ["shared"]}).estimate(draw_pair(80, 80))
    assert make_estimator("clip", asked).estimate(draw_pair(80, 80)).values.shape == (80, 80)


def test_sentences_are_not_encoded_again_for_the_next_pair(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_estimator("clip", asked | {"prompts": ["never said before"]}).estimate(draw_pair(40, 40))

    def refuse(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(load_clip(**asked).network, "encode_text", refuse)
    again = make_estimator("clip", asked | {"prompts": ["never said before"], "stride_px": 20})
    assert again.estimate(draw_pair(40, 80)).values.shape == (40, 80)
