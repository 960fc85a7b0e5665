"""How LDP-tiny is trained: its sentences, its cells, its exact resume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ldp_core.blur.clip import ClipEstimator, ClipSettings
from ldp_core.blur.clip_model import open_clip
from ldp_core.blur.clip_settings import MapMode
from ldp_core.errors import SettingsError, WeightsError
from ldp_core.evaluation.maps import rank
from ldp_core.optics.scenes import SceneKind
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.training.__main__ import main
from ldp_core.training.layered_scenes import LayeredSettings
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.sources import Sources
from ldp_core.training.tiny import publish
from ldp_core.training.tiny.model import (
    CONTEXT_LENGTH,
    TinyFitSettings,
    TinySettings,
    TinyTask,
    build_model,
)
from ldp_core.training.tiny.patches import (
    CELL_PX,
    PATCH_PX,
    CellSettings,
    PatchMaker,
    PatchPool,
    PatchSettings,
    draw_cells,
    read_texture,
)
from ldp_core.training.tiny.scene_patches import ScenePatchMaker, ScenePatchSettings
from ldp_core.training.tiny.sentences import (
    SHIFTS_PX,
    STATEMENTS,
    draw_sentences,
    shift_sentence,
    shift_sentences,
    shift_weights,
)
from ldp_core.training.trainer import Trainer
from ldp_core.types import BlurMap, BlurMapKind, Pair
from ldp_core.weights import open_weights, read_weights

SMALL = TinySettings(embed_dim=16, patch_rows=10, width=32, layers=1, text_width=8, text_layers=1)
PATCHES = PatchSettings(lenses=3, procedural_pictures=1, edge_share=0, palette_share=0.3)
CELLS = CellSettings(batch=6)


@pytest.fixture
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_PICTURES", ((SceneKind.LEAVES, 0),))
    monkeypatch.setattr(publish, "_PICTURE_SIZE", (80, 80))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> PatchPool:
    pool = PatchPool.create(tmp_path_factory.mktemp("patches"), capacity=6)
    assert list(pool.fill(PatchMaker((), PATCHES, seed=3))) == [6]
    return pool


def make_session(folder: Path, pool: PatchPool, *, steps: int = 4) -> Session:
    fit = TinyFitSettings(steps=steps, warmup_steps=1, seed=5)
    trainer = Trainer(TinyTask(SMALL, fit, pool, CELLS), fit)
    return Session(RunFolder(folder), trainer, Intervals(log=1, save=2, measure=100))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, pool: PatchPool) -> Session:
    session = make_session(tmp_path_factory.mktemp("run"), pool)
    assert [entry["step"] for entry in session.run() if "loss" in entry] == [1, 2, 3, 4]
    return session


def test_four_steps_are_two_and_two(tmp_path: Path, pool: PatchPool, trained: Session) -> None:
    first = make_session(tmp_path, pool)
    for _ in first.run():
        if first.trainer.step == 2:
            break
    first.save()
    second = make_session(tmp_path, pool)
    assert second.resume()
    list(second.run())
    torch.testing.assert_close(
        second.trainer.state()["network"], trained.trainer.state()["network"], rtol=0, atol=0
    )


def test_both_views_start_with_the_same_filters() -> None:
    """A cell beside its own mirror image excites the units of either view alike."""
    filters = build_model(SMALL, seed=1).visual.conv1
    cell = torch.rand(1, 3, CELL_PX, CELL_PX)
    seen = filters(torch.cat([cell, cell.flip(-1)], dim=-1))
    left, right = seen[:, : SMALL.width // 2], seen[:, SMALL.width // 2 :]
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


def test_words_that_were_never_said_stay_zero(trained: Session) -> None:
    words = trained.trainer.state()["network"]["model.token_embedding.weight"]
    tokenize = open_clip().SimpleTokenizer(context_length=CONTEXT_LENGTH)
    said, unsaid = (tokenize([text])[0, 1] for text in ("right", "zebra"))
    assert words[said].any()
    assert not words[unsaid].any()


def test_patches_are_a_function_of_seed_and_number(pool: PatchPool) -> None:
    again, other = (PatchMaker((), PATCHES, seed=seed).make(4) for seed in (3, 4))
    np.testing.assert_array_equal(again.views, pool[4].views)
    np.testing.assert_array_equal(again.coc_px, pool[4].coc_px)
    assert (other.views != pool[4].views).any()


def test_a_patch_with_edges_is_blurred_by_depth() -> None:
    maker = PatchMaker((), PATCHES.model_copy(update={"edge_share": 1.0, "lenses": 1}), seed=3)
    assert max(float(np.ptp(maker.make(number).coc_px)) for number in range(3)) > 1


@pytest.fixture(scope="module")
def scene_maker() -> ScenePatchMaker:
    scene = LayeredSettings(height=80, width=96, field_share=1.0, sharp_share=0, slices=3)
    settings = ScenePatchSettings(scene=scene, patches_per_scene=3, jpeg_share=0.5)
    return ScenePatchMaker(Sources(), settings, seed=3)


def test_patches_of_scenes_are_a_function_of_seed_and_number(scene_maker: ScenePatchMaker) -> None:
    later, first = scene_maker.make(4), scene_maker.make(1)
    again = ScenePatchMaker(Sources(), scene_maker.settings, seed=3).make(4)
    assert later.views.shape == (2, PATCH_PX, PATCH_PX, 3)
    assert later.coc_px.shape == (PATCH_PX, PATCH_PX)
    assert later.disparity_per_coc > 0
    np.testing.assert_array_equal(later.views, again.views)
    np.testing.assert_array_equal(later.coc_px, again.coc_px)
    assert (first.views != later.views).any()


def test_kernels_of_a_scene_depend_on_the_place(scene_maker: ScenePatchMaker) -> None:
    assert len({scene_maker.make(number).disparity_per_coc for number in range(3)}) == 3


def test_a_pool_tells_what_it_was_made_from(tmp_path: Path, pool: PatchPool) -> None:
    told = PatchPool.create(tmp_path, capacity=1, origin={"seed": 3})
    assert list(told.fill(PatchMaker((), PATCHES, seed=3))) == [1]
    assert PatchPool(tmp_path).origin == {"seed": 3}
    assert pool.origin == {}


def test_a_cell_at_an_edge_is_labelled_by_what_has_texture() -> None:
    rng = np.random.default_rng(0)
    view = np.full((CELL_PX, CELL_PX, 3), 90, np.uint8)
    coc_px = np.full((CELL_PX, CELL_PX), 2, np.float16)
    coc_px[:, 20:] = 10
    assert read_texture([view, view], coc_px) == pytest.approx(6)
    view[:, 22:] = rng.integers(0, 255, (CELL_PX, 18, 3))
    assert read_texture([view, view], coc_px) == pytest.approx(10, abs=0.1)


def test_training_begins_from_what_ships(pool: PatchPool) -> None:
    fit = TinyFitSettings(steps=1, seed=5)
    towers = TinyTask(TinySettings(), fit, pool, CELLS, begin="ldp-tiny").network
    shipped = open_weights("ldp-tiny").tensors
    for name, tensor in towers.model.state_dict().items():
        torch.testing.assert_close(tensor, shipped[name].float(), rtol=0, atol=0)
    torch.testing.assert_close(towers.meanings.norm(dim=1), torch.ones(len(towers.meanings)))


def test_a_folder_without_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no pool of patches"):
        PatchPool(tmp_path)


def test_cells_of_a_step_repeat_and_steps_differ(pool: PatchPool) -> None:
    first, again, later = (
        draw_cells(pool, CELLS, seed=1, step=step, patches=6).composites for step in (0, 0, 1)
    )
    assert first.shape == (6, 3, CELL_PX, 2 * CELL_PX)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, later)


def test_a_disparity_says_where_the_right_half_lies(pool: PatchPool) -> None:
    """Correlation of both halves, the right one turned back, peaks at the labelled shift."""
    clean = CellSettings(batch=60, noise_share=0, gain_deviation=0)
    cells = draw_cells(pool, clean, seed=2, step=0, patches=6)
    grey = cells.composites.mean(1)
    left, right = grey[..., :CELL_PX], grey[..., CELL_PX:].flip(-1)
    textured = (left.std((1, 2)) > 0.05) & (cells.disparity_px.abs() > 1)
    assert textured.sum() >= 5
    errors = [
        abs(max(range(-9, 10), key=lambda s: float(_correlate(a, b, s))) - float(shift))
        for a, b, shift in zip(left[textured], right[textured], cells.disparity_px[textured], strict=True)
    ]
    assert np.median(errors) < 1
    assert np.mean(np.array(errors) < 2) > 0.8


def _correlate(left: torch.Tensor, right: torch.Tensor, shift: int) -> torch.Tensor:
    width = CELL_PX - 10
    a = left[:, 5 : 5 + width]
    columns = torch.arange(5 + shift, 5 + shift + width).clamp(0, CELL_PX - 1)
    pair = torch.stack([a.flatten(), right[:, columns].flatten()])
    return torch.corrcoef(pair)[0, 1]


def test_sentences_name_every_shift_once() -> None:
    for wording in range(8):
        assert len(set(shift_sentences(wording=wording))) == len(SHIFTS_PX)
    assert shift_sentence(2) == "the right view is shifted 2 pixels to the right"
    assert shift_sentence(-1, spelled=True) == "the right view is shifted one pixel to the left"
    assert shift_sentence(0) == "the right view is not shifted"


def test_sentences_fit_the_context() -> None:
    tokenize = open_clip().SimpleTokenizer(context_length=77)
    texts = [text for meaning in STATEMENTS for text in meaning.wordings]
    texts += [text for wording in range(8) for text in shift_sentences(wording=wording, spelled=True)]
    assert int((tokenize(texts) > 0).sum(1).max()) <= CONTEXT_LENGTH


@pytest.mark.parametrize("disparity", [-8.0, -2.3, 0.0, 0.4, 7.9])
def test_the_mean_of_the_shifts_is_the_disparity(disparity: float) -> None:
    weights = shift_weights(torch.tensor([disparity]))
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights @ torch.tensor(SHIFTS_PX, dtype=torch.float32)) == pytest.approx(disparity, abs=1e-3)


def test_a_statement_and_its_opposite_cannot_both_hold() -> None:
    symmetric, asymmetric, sharp, blurred, _, strong, behind, before = STATEMENTS
    disparity, coc = torch.tensor([-6.0, 0.0, 6.0]), torch.tensor([-26.0, 0.0, 26.0])
    for one, other in ((symmetric, asymmetric), (sharp, blurred)):
        torch.testing.assert_close(one.log_odds(disparity, coc), -other.log_odds(disparity, coc))
        assert (one.log_odds(disparity, coc) > 0).tolist() == [False, True, False]
    assert (behind.log_odds(disparity, coc) > 0).tolist() == [False, False, True]
    assert (before.log_odds(disparity, coc) > 0).tolist() == [True, False, False]
    assert (strong.log_odds(disparity, coc) > 0).tolist() == [True, False, True]


def test_the_words_of_a_step_are_a_function_of_its_generator() -> None:
    first, again = (draw_sentences(np.random.default_rng(3)) for _ in range(2))
    assert first == again
    assert len(first.meaning_numbers) == len(first.shifts) + len(first.statements)
    assert first.log_odds(torch.zeros(5), torch.zeros(5)).shape == (5, len(first.statements))


@pytest.mark.usefixtures("one_picture")
def test_what_is_exported_is_what_the_estimator_opens(
    tmp_path: Path, trained: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.safetensors"
    assert main(["ldp-tiny", "export", str(trained.folder.path), str(path), "--threads", "1"]) == 0
    digest = capsys.readouterr().out.strip()
    card = json.loads(read_weights(str(path), sha256=digest).metadata["clip"])
    assert card["as_released"]["A"] != card["as_released"]["B"]
    view = np.zeros((80, 80, 3), np.uint8)
    signed = ClipEstimator(ClipSettings(weights=str(path), sha256=digest, mode=MapMode.SIGNED))
    found = signed.estimate(Pair("flat", view, view))
    assert found.kind is BlurMapKind.SIGNED_COC_PX
    assert found.values.shape == (80, 80)


@pytest.mark.usefixtures("one_picture")
def test_a_file_over_its_limit_is_refused(
    tmp_path: Path, trained: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "LARGEST_BYTES", 1000)
    with pytest.raises(WeightsError, match="too large"):
        publish.export_weights(trained.trainer.state(), tmp_path / "tiny.safetensors")


def test_a_map_that_is_the_truth_ranks_perfectly() -> None:
    pair = simulate_pair(0, SimulationSettings(height=80, width=80, sharp_share=0, blurred_share=0))
    truth = pair.blur_truth
    assert truth is not None
    found = rank(BlurMap(truth, BlurMapKind.SIGNED_COC_PX), pair)
    assert (found.rho, found.rho_signed) == pytest.approx((1, 1))
    assert (found.ai1, found.ai2) == pytest.approx((0, 0), abs=1e-6)
