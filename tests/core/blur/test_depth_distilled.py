"""Depth-distilled detection: the published network, its labels, pictures of any size, its training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_samples import render_frames, write_network
from PIL import Image

from ldp_core.blur import make_estimator
from ldp_core.blur.dd_network import (
    LIGHT,
    PUBLISHED,
    DdNetwork,
    DdSettings,
    Detection,
    Encoder,
    EncoderName,
    Srfb,
)
from ldp_core.blur.depth_distilled import DepthDistilledSettings, detect, scales_of
from ldp_core.errors import CatalogueError, WeightsError
from ldp_core.masked import Masked, split_masked
from ldp_core.training.__main__ import main
from ldp_core.training.dbd import (
    DbdBatch,
    DbdBatchSettings,
    DbdLossSettings,
    DbdTask,
    cross_entropy,
    distance,
    label,
    overlap_lack,
    read_encoder_weights,
)
from ldp_core.training.frames import FrameCache
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import FitSettings, Trainer
from ldp_core.types import BlurMapKind, Pair

PLAIN = DepthDistilledSettings(weights="none/none", side_px=64, overlap_px=16, contrast=1.0)


@pytest.fixture(scope="module")
def light() -> DdNetwork:
    torch.manual_seed(0)
    return DdNetwork(LIGHT).eval()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return render_frames(tmp_path_factory.mktemp("frames"), count=2)


class Brightness(torch.nn.Module):
    """In focus where bright: a detector whose answer is known."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> Detection:
        logits = 8 * (images.mean(1, keepdim=True) - 0.5)
        return Detection(logits.expand(-1, 6, -1, -1), logits)


def test_the_published_network_has_its_parameters() -> None:
    network = DdNetwork(PUBLISHED)
    assert sum(p.numel() for p in network.parameters()) == 19_436_634
    assert sum(p.numel() for p in network.encoder.parameters()) == 14_714_688
    found = network.eval()(torch.rand(1, 3, 64, 32))
    assert found.masks.shape == found.depths.shape == (1, 6, 64, 32)
    assert 0 < float(found.in_focus.min().detach()) <= float(found.in_focus.max().detach()) < 1


def test_the_shipped_form_fits_into_sixteen_mib_at_half_precision(light: DdNetwork) -> None:
    numbers = sum(x.numel() for x in light.state_dict().values())
    assert 2 * numbers < 16 * 2**20


def test_a_receptive_field_block_sees_69_pixels() -> None:
    """Three dilated convolutions in a row: 1 + 2 * (3 + 2 * 5 + 3 * 7) px."""
    torch.manual_seed(0)
    block = Srfb(1).eval()
    for branch in block.branches:
        torch.nn.init.ones_(branch[0].weight)  # type: ignore[arg-type, index]
    image = torch.zeros(1, 1, 101, 101)
    image[..., 50, 50] = 1
    blank = torch.zeros_like(image)
    changed = (
        block.branches[2](block.branches[1](block.branches[0](image)))
        - block.branches[2](block.branches[1](block.branches[0](blank)))
    )[0, 0, 50]
    reached = changed.nonzero().flatten()
    assert (int(reached.min()), int(reached.max())) == (50 - 34, 50 + 34)


def test_batch_statistics_of_a_given_encoder_stay_as_they_are() -> None:
    network = DdNetwork(LIGHT, frozen_statistics=True).train()
    before = {k: x.clone() for k, x in network.state_dict().items() if "running" in k}
    network(torch.rand(2, 3, 64, 64))
    after = network.state_dict()
    moved = {name for name, x in before.items() if not torch.equal(x, after[name])}
    assert moved
    assert not [name for name in moved if name.startswith("encoder.")]


def test_torchvision_weights_of_vgg16_are_taken_by_name(tmp_path: Path) -> None:
    own = Encoder(EncoderName.VGG16).body.state_dict()
    assert "features.0.weight" in own
    assert "features.28.bias" in own
    state = {name: torch.full_like(x, 0.5) for name, x in own.items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.pth")
    found = read_encoder_weights(tmp_path / "vgg16.pth", EncoderName.VGG16)
    assert found.keys() == own.keys()
    assert float(found["features.28.bias"][0]) == 0.5


def test_published_lite_weights_are_taken_by_order_and_others_refused(tmp_path: Path) -> None:
    own = Encoder(EncoderName.LITE).body.state_dict()
    renamed = {f"_blocks.{k}.{name.rsplit('.', 1)[-1]}": x for k, (name, x) in enumerate(own.items())}
    torch.save({**renamed, "_conv_head.weight": torch.zeros(3)}, tmp_path / "lite0.pth")
    found = read_encoder_weights(tmp_path / "lite0.pth", EncoderName.LITE)
    for name, x in own.items():
        assert torch.equal(found[name], x), name
    with pytest.raises(WeightsError, match="not weights of the encoder"):
        read_encoder_weights(tmp_path / "lite0.pth", EncoderName.VGG16)
    with pytest.raises(WeightsError, match="encoder weights is not there"):
        read_encoder_weights(tmp_path / "none.pth", EncoderName.LITE)


@pytest.mark.parametrize(
    ("coc_px", "mask", "weight"), [(0.0, 1, 1), (-0.9, 1, 1), (1.5, 0, 0), (-2.0, 0, 1), (9.0, 0, 1)]
)
def test_a_simulated_pixel_is_sharp_up_to_tau_and_blurred_from_twice_that(
    coc_px: float, mask: int, weight: int
) -> None:
    found = label(torch.tensor([[coc_px, 10.0]]), DbdBatchSettings())
    assert (int(found[0][0, 0]), int(found[1][0, 0])) == (mask, weight)


def test_depth_is_nearness_and_the_other_teacher_is_blur() -> None:
    """A thin lens: the circle of confusion grows, with its sign, as things recede."""
    inverse_depth = torch.linspace(0.1, 1, 12)[None]
    coc = 10 * (0.4 - inverse_depth)
    _, _, depth, known = label(coc, DbdBatchSettings())
    torch.testing.assert_close(depth, (inverse_depth - 0.1) / 0.9)
    assert known.all()
    _, _, amount, _ = label(coc, DbdBatchSettings(teacher="coc"))
    torch.testing.assert_close(amount, coc.abs() / coc.abs().max())
    assert not label(torch.full((2, 2), 3.0), DbdBatchSettings())[3].any()


def test_the_loss_counts_six_maps_and_only_what_is_known() -> None:
    truth = torch.zeros(1, 1, 4, 4)
    truth[..., :2] = 1
    weights = torch.ones_like(truth)
    sure = (truth * 2 - 1).expand(1, 6, 4, 4) * 30
    assert float(cross_entropy(sure, truth, weights)) == pytest.approx(0, abs=1e-6)
    assert float(overlap_lack(sure, truth, weights)) == pytest.approx(0, abs=1e-6)
    assert float(cross_entropy(torch.zeros_like(sure), truth, weights)) == pytest.approx(6 * np.log(2))
    assert float(distance(truth.expand(1, 6, 4, 4) + 0.25, truth, weights)) == pytest.approx(1.5)
    weights[..., :2] = 0
    half = sure.clone()
    half[..., :2] = -30
    assert float(cross_entropy(half, truth, weights)) == pytest.approx(0, abs=1e-6)
    assert float(distance(sure, truth, torch.zeros_like(truth))) == 0


@pytest.mark.parametrize(
    ("size", "sides"),
    [((320, 320), [64, 128, 256, 320]), ((60, 90), [64]), ((70, 80), [64]), ((100, 90), [64, 90])],
)
def test_a_picture_is_seen_whole_and_then_finer(size: tuple[int, int], sides: list[int]) -> None:
    assert list(scales_of(size, PLAIN)) == sides


def test_no_scale_is_finer_than_asked_or_than_the_picture() -> None:
    settings = DepthDistilledSettings(weights="a/b")
    assert list(scales_of((2940, 5180), settings)) == [320, 640, 1280]
    assert list(scales_of((320, 320), settings)) == [320]


@pytest.mark.parametrize("size", [(64, 64), (75, 131), (40, 200), (200, 64)])
@pytest.mark.parametrize("change", [{}, {"flip": True}, {"around": True}, {"fusion": "least"}])
def test_any_size_comes_back_as_it_was_and_in_its_place(
    size: tuple[int, int], change: dict[str, Any]
) -> None:
    image = torch.zeros(3, *size)
    image[..., size[1] // 2 :] = 1
    settings = DepthDistilledSettings.parse({**PLAIN.model_dump(), **change})
    found = detect(Brightness(), image, settings)
    assert found.shape == size
    assert float(found[:, : size[1] // 2 - 8].max()) < 0.1
    assert float(found[:, size[1] // 2 + 8 :].min()) > 0.9


def test_contrast_moves_no_pixel_over_the_middle() -> None:
    image = torch.rand(3, 64, 64)
    plain, sharpened = (
        detect(Brightness(), image, PLAIN.model_copy(update={"contrast": factor})) for factor in (1.0, 3.0)
    )
    torch.testing.assert_close(torch.logit(sharpened), 3 * torch.logit(plain), atol=1e-3, rtol=1e-3)
    assert torch.equal(plain > 0.5, sharpened > 0.5)


def test_by_the_least_what_is_blurred_at_one_scale_is_blurred() -> None:
    """Fine dots average out when reduced: only the finest scale sees them dark."""
    image = torch.ones(3, 256, 256)
    image[:, :, :128] = (torch.arange(128) % 2).float()
    least = detect(Brightness(), image, PLAIN.model_copy(update={"fusion": "least"}))
    mean = detect(Brightness(), image, PLAIN)
    dark = (slice(None), slice(0, 120, 2))
    assert float(least[dark].mean()) < 0.1
    assert float(mean[dark].mean()) > 0.2


def test_a_stage_gives_a_probability_from_which_no_radius_can_be_read(
    tmp_path: Path, light: DdNetwork
) -> None:
    opened = write_network(tmp_path, light, LIGHT)
    estimator = make_estimator("depth-distilled", opened)
    assert estimator.spec.weights_sha256 == opened["sha256"]
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 255, (2, 70, 90, 3), dtype=np.uint8)
    found = estimator.estimate(Pair("set/a", left, right))
    assert found.kind is BlurMapKind.IN_FOCUS_PROBABILITY
    assert found.values.shape == (70, 90)
    assert found.values.dtype == np.float32
    assert 0 <= found.values.min() <= found.values.max() <= 1
    swapped = estimator.estimate(Pair("set/a", right, left))
    np.testing.assert_array_equal(found.values, swapped.values)


def test_both_depths_and_grey_are_seen_alike(tmp_path: Path, light: DdNetwork) -> None:
    estimator = make_estimator("depth-distilled", write_network(tmp_path, light, LIGHT))
    grey = np.random.default_rng(0).integers(0, 255, (64, 64, 1), dtype=np.uint8)
    deep, rgb = grey.astype(np.uint16) * 257, np.repeat(grey, 3, axis=2)
    maps = [estimator.estimate(Pair("set/a", view, view)).values for view in (grey, deep, rgb)]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5)
    np.testing.assert_array_equal(maps[0], maps[2])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = write_network(tmp_path, torch.nn.Conv2d(1, 1, 1), LIGHT)
    estimator = make_estimator("depth-distilled", other)
    view = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(WeightsError, match="not of the network 'dbd'"):
        estimator.estimate(Pair("set/a", view, view))


def write_masked(folder: Path, count: int, *, side: int = 64) -> None:
    rng = np.random.default_rng(0)
    for name in ("image", "in_focus"):
        (folder / name).mkdir(parents=True)
    for k in range(count):
        picture = np.full((side, side, 3), 90, np.uint8)
        mask = np.zeros((side, side), bool)
        mask[:, side // 2 :] = True
        picture[mask] = rng.integers(0, 255, (int(mask.sum()), 3))
        Image.fromarray(picture).save(folder / "image" / f"{k:03d}.png")
        Image.fromarray(mask).save(folder / "in_focus" / f"{k:03d}.png")


def test_every_tenth_photograph_is_kept_out_of_training(tmp_path: Path) -> None:
    write_masked(tmp_path, 21, side=8)
    trained, kept = split_masked(tmp_path)
    assert [m.name for m in kept] == ["009", "019"]
    assert len(trained) == 19
    assert not {m.name for m in trained} & {m.name for m in kept}
    assert trained[0].in_focus[0].tolist() == [False] * 4 + [True] * 4


def test_a_picture_without_its_mask_is_refused(tmp_path: Path) -> None:
    write_masked(tmp_path, 3, side=8)
    (tmp_path / "in_focus" / "001.png").unlink()
    with pytest.raises(CatalogueError, match="not complete"):
        split_masked(tmp_path)


def make_session(folder: Path, photographs: list[Masked], cache: FrameCache, *, steps: int = 4) -> Session:
    fit = FitSettings(steps=steps, warmup_steps=1, learning_rate=1e-3, seed=3)
    batch = DbdBatchSettings(photographs=1, simulated=1, side_px=64, late_side_px=96, late_share=0.5)
    task = DbdTask(LIGHT, batch, DbdLossSettings(), photographs, photographs[:1], cache, steps, fit.seed)
    return Session(RunFolder(folder), Trainer(task, fit), Intervals(log=1, save=2, measure=100))


def test_four_steps_are_two_and_two_and_the_last_are_larger(tmp_path: Path, cache: FrameCache) -> None:
    write_masked(tmp_path / "set", 3)
    photographs, _ = split_masked(tmp_path / "set")
    straight = make_session(tmp_path / "a", photographs, cache)
    (*_, last) = straight.run()
    assert set(last["measured"]["validation"]) >= {"mae", "f_blur", "iou_focus"}
    assert (tmp_path / "a" / "pictures" / "validation-0000004.png").exists()
    first = make_session(tmp_path / "b", photographs, cache)
    for step in first.trainer.run():
        if step.number == 2:
            break
    first.save()
    second = make_session(tmp_path / "b", photographs, cache)
    assert second.resume()
    list(second.run())
    for part in ("network", "average"):
        torch.testing.assert_close(
            second.trainer.state()[part], straight.trainer.state()[part], rtol=0, atol=0
        )
    task = straight.trainer.task
    assert [task.draw(k, rank=0).images.shape[-1] for k in range(4)] == [64, 64, 96, 96]


def test_training_lowers_the_loss_of_masks_and_depths(
    tmp_path: Path, cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_masked(tmp_path / "set", 3)
    photographs, _ = split_masked(tmp_path / "set")
    session = make_session(tmp_path / "run", photographs, cache, steps=25)
    task = session.trainer.task
    batch = task.draw(0, rank=0)
    monkeypatch.setattr(DbdTask, "draw", lambda *_, **__: batch)
    losses = [step.loss for step in session.trainer.run()]
    assert losses[-1] < 0.6 * losses[0]


def test_a_photograph_teaches_no_depth_and_a_frame_does(tmp_path: Path, cache: FrameCache) -> None:
    write_masked(tmp_path / "set", 3)
    photographs, _ = split_masked(tmp_path / "set")
    task = make_session(tmp_path / "run", photographs, cache).trainer.task
    batch: DbdBatch = task.draw(0, rank=0)
    assert not batch.depth_weights[0].any()
    assert batch.mask_weights[0].all()
    network = task.network.eval()
    with torch.inference_mode():
        without = replace(task, weights=DbdLossSettings(gamma=0.0)).loss(network, batch)
        base, heavy = (replace(task, weights=DbdLossSettings(gamma=g)).loss(network, batch) for g in (1, 2))
    assert float(heavy - base) == pytest.approx(float(base - without), rel=1e-3)
    assert float(base) >= float(without)


def test_one_command_trains_and_leaves_weights_that_the_stage_opens(
    tmp_path: Path, cache: FrameCache
) -> None:
    write_masked(tmp_path / "set", 10)
    arguments = [str(tmp_path / "run"), "--masked", str(tmp_path / "set"), "--cache", str(cache.folder)]
    arguments += ["--steps", "1", "--photographs", "1", "--simulated", "1", "--side", "64", "--late-side"]
    assert main(["dbd", *arguments, "64", "--threads", "1", "--note", "a test"]) == 0
    card = json.loads((tmp_path / "run" / "dbd.json").read_text())
    assert card["parameters"] == sum(p.numel() for p in DdNetwork(LIGHT).parameters())
    assert card["notes"] == ["a test"]
    assert card["scores"]["validation"]["mae"] > 0
    assert str(tmp_path) not in json.dumps(card)
    opened = {"weights": str(tmp_path / "run" / "dbd.safetensors"), "sha256": card["sha256"]}
    view = np.zeros((64, 64, 3), np.uint8)
    assert make_estimator("depth-distilled", opened).estimate(Pair("a/b", view, view)).values.shape == (
        64,
        64,
    )


def test_settings_of_the_published_form_are_the_default() -> None:
    assert DdSettings() == PUBLISHED
