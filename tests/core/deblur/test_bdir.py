"""BDIR: its modules, one view in and the same size out, its losses, its training."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from network_samples import render_frames, write_network

from ldp_core.deblur import make_deblurrer
from ldp_core.deblur.bdir_network import LIGHT, BdirNetwork, BdirSettings, Said, Sair, from_ldp
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings
from ldp_core.errors import CatalogueError, WeightsError
from ldp_core.training.__main__ import main
from ldp_core.training.bdir import (
    BdirBatchSettings,
    BdirLossSettings,
    BdirTask,
    MeanViews,
    compare,
    draw_batch,
)
from ldp_core.training.frames import FrameCache
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import FitSettings, Trainer
from ldp_core.training.validation import read_singles, single_samples
from ldp_core.types import BlurMap, BlurMapKind, Pair

TINY = BdirSettings(width=8, encoder=(1, 1), middle=1, decoder=(1, 1))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return render_frames(tmp_path_factory.mktemp("frames"), count=2)


def stir(network: BdirNetwork) -> BdirNetwork:
    """Random weights everywhere, also where training begins with zeros."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (17, 64)])
def test_before_training_every_image_is_left_as_it_is(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    restored, latent = BdirNetwork(TINY).eval()(image)
    assert torch.equal(restored, image)
    assert latent.content.shape[1] == 8 * 4


def test_the_shipped_form_fits_into_sixteen_mib_at_half_precision() -> None:
    assert 2 * sum(p.numel() for p in BdirNetwork(LIGHT).parameters()) < 16 * 2**20


def test_said_reweights_the_statistics_of_each_image_alone() -> None:
    torch.manual_seed(0)
    said, x = Said(4), torch.randn(3, 4, 8, 8) * 3 + 1
    torch.testing.assert_close(said(x), x, atol=1e-5, rtol=1e-5)
    for parameter in said.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    together, alone = said(x), said(x[:1])
    torch.testing.assert_close(together[:1], alone)
    assert not torch.allclose(together, x, atol=0.1)


def test_said_gives_back_a_tenth_of_what_it_removes_through_its_gate() -> None:
    said, x = Said(2), torch.randn(1, 2, 6, 6) * 2 + 5
    with torch.no_grad():
        said.gate.weight.copy_(torch.eye(2)[..., None, None])
    mean, deviation = x.mean((-2, -1), keepdim=True), x.std((-2, -1), correction=0, keepdim=True)
    expected = x + 0.1 * (x - (x - mean) / deviation)
    torch.testing.assert_close(said(x), expected, atol=1e-4, rtol=1e-4)


def test_sair_jitters_statistics_in_training_alone() -> None:
    torch.manual_seed(0)
    sair, x = Sair(3), torch.randn(40, 3, 8, 8) + 2
    assert torch.equal(sair.eval()(x), x)
    with torch.inference_mode():
        jittered = sair.train()(x)
    changed = (jittered - x).abs().amax((1, 2, 3)) > 1e-4
    assert 8 < int(changed.sum()) < 32
    ratio = jittered.std((-2, -1)) / x.std((-2, -1))
    assert 0.5 < float(ratio.min()) <= float(ratio.max()) < 1.5


def test_without_said_and_sair_it_is_a_plain_network_of_nearly_equal_size() -> None:
    plain = BdirNetwork(LIGHT.model_copy(update={"interference": False}))
    full = BdirNetwork(LIGHT)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (plain, full)]
    assert not any("steady" in name for name, _ in plain.named_parameters())
    assert 1 < sizes[1] / sizes[0] < 1.5


def test_it_begins_as_an_ldp_network_that_sees_one_image_three_times() -> None:
    torch.manual_seed(0)
    form = NetworkSettings(width=8, encoder=(1, 1), middle=1, decoder=(1, 1), stem=2, bpa="none")
    ldp = LdpNetwork(form).eval()
    torch.nn.init.normal_(ldp.head.weight, std=0.1)
    own = BdirNetwork(TINY).eval()
    missing = own.load_state_dict(from_ldp(ldp.state_dict(), TINY), strict=False)
    assert not missing.unexpected_keys
    assert all("steady" in name for name in missing.missing_keys)
    image = torch.rand(1, 3, 32, 48)
    torch.testing.assert_close(own(image)[0], ldp(image, image, None, image), atol=1e-5, rtol=1e-4)


def test_equal_latents_are_not_apart_and_each_is_nearest_to_its_own() -> None:
    torch.manual_seed(0)
    latents = torch.randn(4, 16, 4, 4)
    alone = BdirLossSettings(discrimination=0.0)
    assert float(compare(latents, latents[:2], alone)) == pytest.approx(0)
    assert float(compare(latents, latents[2:], alone)) > 0.5
    both = BdirLossSettings(discrimination=1.0)
    assert float(compare(latents, latents[:2], both)) < float(compare(latents.flip(0), latents[:2], both))


def test_the_comparison_moves_the_blurred_latent_towards_the_sharp_one() -> None:
    blurred, sharp = (torch.randn(2, 8, 4, 4, requires_grad=True) for _ in range(2))
    compare(blurred, sharp, BdirLossSettings(discrimination=0.0)).backward()
    assert blurred.grad is not None
    assert blurred.grad.abs().sum() > 0
    assert sharp.grad is None or not sharp.grad.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_stage_restores_the_mean_of_the_views_at_their_depth(
    tmp_path: Path, dtype: type, channels: int
) -> None:
    opened = write_network(tmp_path, stir(BdirNetwork(TINY)), TINY)
    deblurrer = make_deblurrer("bdir", opened)
    assert deblurrer.spec.weights_sha256 == opened["sha256"]
    top = np.iinfo(dtype).max
    left, right = np.random.default_rng(0).integers(0, top, (2, 51, 70, channels)).astype(dtype)
    restored = deblurrer.restore(Pair("set/a", left, right), None)
    assert restored.shape == left.shape
    assert restored.dtype == dtype
    exchanged = deblurrer.restore(Pair("set/a", right, left), None)
    np.testing.assert_array_equal(restored, exchanged)
    blur_map = BlurMap(np.ones((51, 70), np.float32), BlurMapKind.SIMILARITY)
    np.testing.assert_array_equal(restored, deblurrer.restore(Pair("set/a", left, right), blur_map))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = write_network(tmp_path, torch.nn.Conv2d(1, 1, 1), TINY)
    view = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(WeightsError, match="not of the network 'bdir'"):
        make_deblurrer("bdir", other).restore(Pair("a/b", view, view), None)


def test_batches_are_of_the_mean_of_the_views_and_repeat_themselves(cache: FrameCache) -> None:
    views = MeanViews([cache, cache])
    assert len(views) == 4
    blurred, sharp = views.read(3)
    np.testing.assert_allclose(blurred, cache[1].views[:2].astype(np.float32).mean(0) / 255, atol=1e-6)
    np.testing.assert_allclose(sharp, cache[1].views[2] / 255, atol=1e-6)
    settings = BdirBatchSettings(crop_px=32, batch=3, sharp=1)
    first, again = (draw_batch(views, settings, count=4, rng=np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(first.blurred, again.blurred)
    assert first.blurred.shape == first.sharp.shape == (3, 3, 32, 32)
    assert float((first.blurred - first.sharp).abs().mean()) < 0.2


def make_session(folder: Path, cache: FrameCache, *, steps: int = 4) -> Session:
    fit = FitSettings(steps=steps, warmup_steps=1, learning_rate=2e-3, seed=3)
    task = BdirTask(
        TINY,
        BdirBatchSettings(crop_px=32, batch=2, sharp=1),
        BdirLossSettings(),
        MeanViews([cache]),
        {"hold": single_samples(cache)},
        fit.seed,
        {"sources": {}},
    )
    return Session(RunFolder(folder), Trainer(task, fit), Intervals(log=1, save=2, measure=100))


def test_four_steps_are_two_and_two(tmp_path: Path, cache: FrameCache) -> None:
    straight = make_session(tmp_path / "a", cache)
    (*_, last) = straight.run()
    assert set(last["measured"]["hold"]) == {"input", "restored"}
    assert iio.imread(tmp_path / "a" / "pictures" / "hold-0000004.png").shape == (128, 288, 3)
    first = make_session(tmp_path / "b", cache)
    for step in first.trainer.run():
        if step.number == 2:
            break
    first.save()
    second = make_session(tmp_path / "b", cache)
    assert second.resume()
    list(second.run())
    torch.testing.assert_close(
        second.trainer.state()["network"], straight.trainer.state()["network"], rtol=0, atol=0
    )


def test_training_lowers_the_loss(tmp_path: Path, cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make_session(tmp_path, cache, steps=60)
    batch = session.trainer.task.draw(0, rank=0)
    monkeypatch.setattr(BdirTask, "draw", lambda *_, **__: batch)
    losses = [step.loss for step in session.trainer.run()]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


def test_one_command_trains_and_leaves_weights_that_the_stage_opens(
    tmp_path: Path, cache: FrameCache
) -> None:
    rng = np.random.default_rng(0)
    hold_out = render_frames(tmp_path / "hold-out", count=1, seed=6)
    for name in ("a_in", "a_out", "b_in", "b_out"):
        iio.imwrite(tmp_path / f"{name}.png", rng.integers(0, 255, (40, 48, 3), dtype=np.uint8))
    pictures = f"{tmp_path}/*_in.png:{tmp_path}/*_out.png:8"
    arguments = [str(tmp_path / "run"), "--cache", str(cache.folder), "--steps", "1", "--crop", "32"]
    arguments += ["--batch", "1", "--sharp", "1", "--hold-out", str(hold_out.folder), "--measure", pictures]
    assert main(["bdir", *arguments, "--begin", "ldp", "--threads", "1"]) == 0
    card = json.loads((tmp_path / "run" / "bdir.json").read_text())
    assert card["training"]["begun_with"] == "ldp"
    assert len(card["scores"]) == 2
    assert str(tmp_path) not in json.dumps(card)
    opened = {"weights": str(tmp_path / "run" / "bdir.safetensors"), "sha256": card["sha256"]}
    view = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert make_deblurrer("bdir", opened).restore(Pair("a/b", view, view), None).shape == view.shape


def test_views_and_truths_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a_in.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(CatalogueError, match="do not pair"):
        read_singles(f"{tmp_path}/*_in.png:{tmp_path}/*_out.png")
