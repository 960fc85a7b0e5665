"""The trainer: its losses, its exact resume, its checkpoints, what it measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from network_samples import BATCHES, SCENES, TINY, render_frames

from ldp_core.cameras.kernel_numbers import NUMBERS
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings, arrange_for
from ldp_core.errors import CatalogueError, SettingsError, WeightsError
from ldp_core.training.frames import FrameCache
from ldp_core.training.ldp import (
    LdpFitSettings,
    LdpTask,
    begin_with,
    blur_absence,
    blur_weighted,
    charbonnier,
    draw_batch,
    measure_sets,
    reblur,
    restore_sample,
)
from ldp_core.training.session import Intervals, RunFolder, Session, describe_entry
from ldp_core.training.trainer import FitSettings, Trainer, learning_rate
from ldp_core.training.validation import ValidationSample, pair_samples, read_pairs


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return render_frames(tmp_path_factory.mktemp("frames"), count=3)


def make_session(folder: Path, cache: FrameCache, *, steps: int = 6) -> Session:
    task = make_task(cache, LdpFitSettings(steps=steps, warmup_steps=2, seed=3))
    return Session(RunFolder(folder), Trainer(task, task.fit), Intervals(log=2, save=3, measure=100))


def make_task(cache: FrameCache, fit: LdpFitSettings, *, samples: Sequence[ValidationSample] = ()) -> LdpTask:
    return LdpTask(TINY, fit, cache, BATCHES, {"hold": samples} if samples else {})


def test_six_steps_are_three_and_three(tmp_path: Path, cache: FrameCache) -> None:
    straight = make_session(tmp_path / "a", cache)
    list(straight.run())
    first = make_session(tmp_path / "b", cache)
    for step in first.trainer.run():
        if step.number == 3:
            break
    first.save()
    second = make_session(tmp_path / "b", cache)
    assert second.resume()
    list(second.run())
    for name, tensor in straight.trainer.state()["network"].items():
        torch.testing.assert_close(second.trainer.state()["network"][name], tensor, rtol=0, atol=0)
    for name, tensor in straight.trainer.average.state_dict().items():
        torch.testing.assert_close(second.trainer.average.state_dict()[name], tensor, rtol=0, atol=0)


def test_slow_steps_are_saved_by_the_clock(tmp_path: Path, cache: FrameCache) -> None:
    task = make_task(cache, LdpFitSettings(steps=3, warmup_steps=2))
    for seconds, saved in ((0.0, True), (1e6, False)):
        folder = RunFolder(tmp_path / str(seconds))
        intervals = Intervals(log=2, save=100, measure=100, save_seconds=seconds)
        session = Session(folder, Trainer(task, task.fit), intervals)
        next(session.run())
        assert folder.has_checkpoint is saved, "step 1 has been taken, the run has not ended"


def test_training_lowers_the_loss(cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(cache, LdpFitSettings(steps=20, warmup_steps=0, learning_rate=5e-3))
    drawn = task.draw(0, rank=0)
    batch = replace(drawn, sharp=(drawn.left + drawn.right) / 4)
    monkeypatch.setattr(LdpTask, "draw", lambda *_, **__: batch)
    losses = [step.loss for step in Trainer(task, task.fit).run()]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("term", ["blur_weight", "reblur_weight"])
def test_every_term_of_the_loss_counts_and_has_a_finite_gradient(cache: FrameCache, term: str) -> None:
    batch = draw_batch(cache, BATCHES, seed=0, step=0, frames=3)
    plain = make_task(cache, LdpFitSettings())
    weighted = make_task(cache, LdpFitSettings.parse({term: 0.5}))
    loss = weighted.loss(weighted.network, batch)
    assert float(loss.detach()) > float(plain.loss(plain.network, batch).detach())
    loss.backward()
    gradient = weighted.network.head.weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_a_run_leaves_pictures_of_what_it_measures(tmp_path: Path, cache: FrameCache) -> None:
    task = make_task(cache, LdpFitSettings(steps=1), samples=pair_samples(cache))
    session = Session(RunFolder(tmp_path), Trainer(task, task.fit))
    (entry,) = [line for line in session.run() if "measured" in line]
    assert set(entry["measured"]["hold"]) == {"input", "wiener", "restored"}
    sheet = iio.imread(tmp_path / "pictures" / "hold-0000001.png")
    assert sheet.shape == (3 * SCENES.height, 4 * SCENES.width, 3)


def test_a_wall_clock_budget_ends_a_run(tmp_path: Path, cache: FrameCache) -> None:
    session = make_session(tmp_path, cache, steps=10_000)
    list(session.run(minutes=0))
    assert session.trainer.step == 0
    assert (RunFolder(tmp_path).checkpoint).exists()


def test_the_learning_rate_warms_up_and_falls_to_its_last_value() -> None:
    fit = FitSettings(steps=100, warmup_steps=9, learning_rate=1e-3, last_learning_rate=1e-5)
    rates = [learning_rate(fit, step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3, rel=0.05)
    assert rates[50] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[100] == pytest.approx(1e-5)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.save({"step": 1})
    assert run.load()["step"] == 1
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="cannot be read"):
        run.load()
    with pytest.raises(WeightsError, match="a checkpoint is not there"):
        RunFolder(tmp_path / "none").load()


def test_a_checkpoint_of_an_older_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    torch.save({"format": 1, "step": 3, "random": torch.get_rng_state()}, run.checkpoint)
    with pytest.raises(WeightsError, match="another format") as caught:
        run.load()
    assert (caught.value.expected, caught.value.got) == ("2", "1")
    assert "another folder" in caught.value.remedy


def test_a_run_of_another_network_is_not_gone_on_with(tmp_path: Path, cache: FrameCache) -> None:
    make_session(tmp_path, cache).save()
    fit = LdpFitSettings(steps=6)
    wider = LdpTask(TINY.model_copy(update={"width": 16}), fit, cache, BATCHES)
    with pytest.raises(WeightsError, match="another network"):
        Session(RunFolder(tmp_path), Trainer(wider, fit)).resume()


def test_a_checkpoint_names_every_command_that_it_was_trained_by(tmp_path: Path, cache: FrameCache) -> None:
    commands = ["ldp train ldp RUN --steps 2", "ldp train ldp RUN --steps 4"]
    for steps, command in zip((2, 4, 4), (*commands, commands[1]), strict=True):
        session = make_session(tmp_path, cache, steps=steps)
        session.commands = [command]
        session.resume()
        list(session.run())
    assert RunFolder(tmp_path).load()["commands"] == commands


def test_the_moving_average_begins_as_the_network_and_follows_it_ever_more_slowly(
    cache: FrameCache,
) -> None:
    """After two steps a share of 2/11 is left of the first; with decay 0 the average is the network."""
    task = make_task(cache, LdpFitSettings(steps=2, warmup_steps=0, seed=3))
    trainer = Trainer(task, task.fit)
    seen = [task.network.head.weight.detach().clone() for _ in trainer.run()]
    expected = seen[1] + (seen[0] - seen[1]) * 2 / 11
    torch.testing.assert_close(trainer.average.get_parameter("head.weight"), expected)
    at_once = Trainer(task, FitSettings(steps=1, average_decay=0))
    list(at_once.run())
    torch.testing.assert_close(at_once.average.state_dict(), at_once.network.state_dict(), rtol=0, atol=0)


def test_a_checkpoint_is_never_executed(tmp_path: Path) -> None:
    path = RunFolder(tmp_path).checkpoint
    torch.save({"format": 2, "step": Path("x")}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        RunFolder(tmp_path).load()


def test_charbonnier_is_its_formula() -> None:
    restored, sharp = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    expected = ((restored - sharp) ** 2 + 1e-6).sqrt().mean()
    torch.testing.assert_close(charbonnier(restored, sharp), expected)
    assert float(charbonnier(sharp, sharp)) == pytest.approx(1e-3)


def test_the_blur_weight_counts_only_where_blurred_and_wrong() -> None:
    sharp, restored = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5)
    views = torch.zeros(1, 1, 4, 4)
    views[..., :2] = 0.8
    blur = torch.zeros(1, 1, 4, 4)
    blur[..., :2, :] = 1
    loss = blur_weighted(restored, sharp, blur=blur, left=views, right=views)
    assert float(loss) == pytest.approx(0.25 * math.sqrt(0.25 + 1e-6))
    nothing = blur_weighted(restored, sharp, blur=torch.zeros(1, 1, 2, 2), left=views, right=views)
    assert float(nothing) == 0


def test_blur_absence_is_zero_when_sharp_and_keeps_its_gradient_beyond_full_blur() -> None:
    def loss(value: float) -> torch.Tensor:
        image = torch.full((1, 3, 2, 2), value, requires_grad=True)
        result = blur_absence(image, score=lambda x: x.mean((1, 2, 3)), sharp_score=1, blurred_score=0.5)
        result.backward()
        return torch.stack([result.detach(), image.grad.abs().sum() if image.grad is not None else result])

    assert loss(1.2).tolist() == [0, 0]
    assert loss(0.75)[0] == pytest.approx(0.5)
    assert loss(0.0)[0] == pytest.approx(2)
    assert loss(0.0)[1] > 0


def test_reblur_is_least_for_the_image_the_views_were_made_from() -> None:
    sharp = torch.rand(1, 1, 8, 8)

    def blur(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.roll(1, -1), x.roll(-1, -1)

    left, right = blur(sharp)
    assert float(reblur(sharp, left=left, right=right, blur=blur)) == pytest.approx(1e-3)
    assert float(reblur(sharp.flip(-1), left=left, right=right, blur=blur)) > 0.1


def test_an_untrained_network_scores_as_what_it_starts_from(tmp_path: Path, cache: FrameCache) -> None:
    rng = np.random.default_rng(0)
    for name in ("x_l", "x_r", "x_gt"):
        iio.imwrite(tmp_path / f"{name}.png", rng.integers(0, 255, (32, 48), dtype=np.uint8))
    name, pairs = read_pairs(str(tmp_path))
    samples = [*pairs, *pair_samples(cache)]
    assert (name, len(samples)) == (tmp_path.name, 4)
    for residual, start in (("mean", "input"), ("wiener", "wiener")):
        network = LdpNetwork(NetworkSettings.parse({**TINY.model_dump(), "residual": residual}))
        for sample in samples:
            score = sample.score(restore_sample(network, sample))
            assert score == pytest.approx(sample.starting_scores[start], abs=1e-3)
        scores = measure_sets(network, {"all": samples})["all"]
        assert scores["restored"] == pytest.approx(scores[start], abs=2e-3)


def test_the_best_shift_forgives_a_displaced_truth() -> None:
    sharp = torch.rand(3, 24, 24)
    sample = ValidationSample("x", {}, {"input": sharp.roll((2, -1), (1, 2))}, sharp)
    assert sample.starting_scores["input"] < 15
    assert replace(sample, aligned=True).starting_scores["input"] == pytest.approx(100)
    assert sample.score(sharp) == 100


def test_one_gain_that_passes_white_is_cut_there() -> None:
    sharp = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(3))
    sharp[:, 0, 0] = 1
    dark = 0.5 * sharp
    dark[:, 0, 0] = 0.8
    sample = ValidationSample("dark", {}, {"input": dark}, sharp, any_gain=True)
    assert 20 < sample.starting_scores["input"] < 60


def test_one_gain_forgives_another_exposure_but_no_other_error() -> None:
    sharp = torch.rand(3, 24, 24)
    sample = ValidationSample("x", {}, {"input": 0.8 * sharp}, sharp)
    assert sample.starting_scores["input"] < 25
    assert replace(sample, any_gain=True).starting_scores["input"] == pytest.approx(100)
    dark = replace(sample, any_gain=True, starts={"input": 0.8 * sharp.flip(-1)})
    assert dark.starting_scores["input"] < 25


def test_real_pairs_are_restored_with_the_profile_of_their_camera(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("x_l", "x_r", "x_gt"):
        iio.imwrite(tmp_path / f"{name}.png", rng.integers(0, 255, (32, 48), dtype=np.uint8))
    (_, [plain]), (_, [told]) = (read_pairs(f"{tmp_path}{how}") for how in ("", ":4:align:gain:pixel-4"))
    assert (told.region.top, told.aligned, told.any_gain) == (4, True, True)
    assert not plain.inputs["kernel"].any()
    assert (told.inputs["kernel"][0] > 0.999).all()
    assert not torch.equal(told.starts["wiener"], plain.starts["wiener"])


def test_a_larger_network_begins_as_the_one_whose_weights_it_is_given() -> None:
    small = LdpNetwork(TINY)
    for parameter in small.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    form = {**TINY.model_dump(), "encoder": (1, 2), "middle": 2, "knows_kernel": True}
    large = LdpNetwork(NetworkSettings.parse(form))
    begin_with(large, small.state_dict())
    left, right, guess = torch.rand(3, 1, 3, 32, 32)
    planes, kernel = torch.rand(1, 3, 32, 32), torch.rand(1, len(NUMBERS), 32, 32)
    told = arrange_for(large.settings, planes, kernel)
    with torch.inference_mode():
        expected = small(left, right, planes, guess)
        torch.testing.assert_close(large(left, right, told, guess), expected)
    with pytest.raises(WeightsError, match="not those of a part"):
        begin_with(small, large.state_dict())
    with pytest.raises(WeightsError, match="not those of a part"):
        begin_with(LdpNetwork(TINY.model_copy(update={"width": 16})), small.state_dict())


@pytest.mark.parametrize("text", ["x:y", "x:0:shift", "x:0:align:1", "x:0:gain:gain", "x:0:generic:pixel-4"])
def test_what_to_measure_on_is_refused_where_it_cannot_be_understood(text: str) -> None:
    with pytest.raises(SettingsError, match="does not name what to measure on"):
        read_pairs(text)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no pairs to measure on"):
        read_pairs(str(tmp_path))


def test_a_log_entry_is_a_sentence() -> None:
    entry = {"step": 1500, "loss": 0.012345, "learning_rate": 5e-4, "seconds_per_step": 0.8}
    assert describe_entry(entry, steps=2000) == (
        "training step 1,500 of 2,000: loss 0.012345, learning rate 0.0005, 0.80 s per step"
    )
    measured = {"step": 9, "measured": {"hold": {"input": 24.5, "restored": 26.0}, "error": 0.25}}
    assert describe_entry(measured, steps=9) == (
        "training step 9 of 9: hold: input 24.5, restored 26; error 0.25"
    )
