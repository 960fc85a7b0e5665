"""What LDP is trained on: scenes, frames, batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from network_samples import BATCHES, FRAMES, SCENES, render_frames

from ldp_core.errors import CatalogueError, SettingsError
from ldp_core.optics.kernels import KernelFamily
from ldp_core.training.frames import CameraSettings, FrameCache, FrameSettings
from ldp_core.training.ldp import (
    LdpBatchSettings,
    draw_batch,
    mirror,
)
from ldp_core.training.scenes import LensSettings, draw_kernel, draw_scene, render_scene
from ldp_core.training.sources import Sources, find_sources, read_nearness


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return render_frames(tmp_path_factory.mktemp("frames"), count=3)


def test_a_mirrored_scene_is_the_scene_mirrored_with_its_views_exchanged() -> None:
    """Rendering then mirroring equals mirroring then rendering: the sign of the blur stays."""
    scene = draw_scene(np.random.default_rng(1), Sources(), SCENES)
    symmetric = scene.kernel.model_copy(update={"family": "half_disc"})
    scene = replace(scene, kernel=symmetric)
    left, right = render_scene(scene, slices=8)
    flipped = replace(scene, sharp=scene.sharp.flip(-1), coc_px=scene.coc_px.flip(-1))
    flipped_left, flipped_right = render_scene(flipped, slices=8)
    views = np.stack([x.permute(1, 2, 0).numpy() for x in (left, right, scene.sharp, left)])
    views, maps = mirror(views, scene.coc_px.numpy()[None], across=True, down=False)
    inner = (slice(None), slice(8, -8))
    np.testing.assert_allclose(views[0][inner], flipped_left.permute(1, 2, 0).numpy()[inner], atol=2e-3)
    np.testing.assert_allclose(views[1][inner], flipped_right.permute(1, 2, 0).numpy()[inner], atol=2e-3)
    np.testing.assert_array_equal(maps[0], flipped.coc_px.numpy())


def test_batches_depend_on_seed_and_step_alone(cache: FrameCache) -> None:
    first, again, other = (draw_batch(cache, BATCHES, seed=1, step=step, frames=3) for step in (4, 4, 5))
    assert torch.equal(first.left, again.left)
    assert first.left.shape == (2, 3, 32, 32)
    assert not torch.equal(first.left, other.left)
    assert 0 <= float(first.left.min()) <= float(first.left.max()) <= 1


def test_grey_photographs_stay_grey(tmp_path: Path) -> None:
    camera = CameraSettings(grey_share=1.0, palette_share=1.0, noise_share=1.0)
    settings = FrameSettings(scene=SCENES, camera=camera)
    grey = FrameCache.create(tmp_path, capacity=1, seed=0, settings=settings, sources=Sources())
    list(grey.fill(Sources()))
    np.testing.assert_array_equal(grey[0].views[..., 0], grey[0].views[..., 2])


@pytest.mark.parametrize("share", ["unsigned_share", "mapless_share"])
def test_wiener_is_shown_only_with_a_signed_map(cache: FrameCache, share: str) -> None:
    without = LdpBatchSettings.parse(
        {**BATCHES.model_dump(), "unsigned_share": 0, "mapless_share": 0, share: 1}
    )
    batch = draw_batch(cache, without, seed=0, step=0, frames=3)
    assert batch.wiener is None
    if share == "unsigned_share":
        assert batch.planes is not None
        assert not batch.planes[:, [0, 2]].any()
    always = draw_batch(cache, without.model_copy(update={share: 0.0}), seed=0, step=0, frames=3)
    assert always.wiener is not None
    assert always.planes is not None
    assert (always.planes[:, 2] == 1).all()


def test_the_map_is_the_estimate_or_the_truth(cache: FrameCache) -> None:
    settings = LdpBatchSettings.parse({**BATCHES.model_dump(), "mapless_share": 0, "unsigned_share": 0})
    truth = settings.model_copy(update={"map": "truth"})
    told = draw_batch(cache, truth, seed=0, step=1, frames=3)
    guessed = draw_batch(cache, settings, seed=0, step=1, frames=3)
    assert told.planes is not None
    assert guessed.planes is not None
    torch.testing.assert_close(told.planes[:, :1], (told.coc_px / 20).clamp(-1, 1))
    assert not torch.equal(guessed.planes, told.planes)


def test_a_cache_goes_on_where_it_stopped_and_repeats_itself(tmp_path: Path, cache: FrameCache) -> None:
    half = FrameCache.create(tmp_path, capacity=3, seed=5, settings=FRAMES, sources=Sources())
    next(half.fill(Sources()))
    assert len(half) == 1
    assert list(
        FrameCache.create(tmp_path, capacity=3, seed=5, settings=FRAMES, sources=Sources()).fill(Sources())
    ) == [1, 2]
    for index in range(3):
        np.testing.assert_array_equal(half[index].views, cache[index].views)
        np.testing.assert_array_equal(half[index].maps, cache[index].maps)


def test_a_missing_cache_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ldp train cache"):
        FrameCache(tmp_path)


def test_scenes_are_drawn_from_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("photos", "rgbd", "layouts"):
        (tmp_path / folder).mkdir()
    iio.imwrite(tmp_path / "photos" / "p.png", rng.integers(0, 255, (130, 100, 3), dtype=np.uint8))
    iio.imwrite(tmp_path / "rgbd" / "a_rgb.png", rng.integers(0, 255, (90, 140, 3), dtype=np.uint8))
    depth = np.zeros((90, 140), np.uint16)
    depth[:, 40:80], depth[:, 80:] = 1000, 4000
    iio.imwrite(tmp_path / "rgbd" / "a_depth.png", depth)
    iio.imwrite(tmp_path / "layouts" / "l.png", depth)
    nearness = read_nearness(tmp_path / "rgbd" / "a_depth.png", is_depth=True)
    assert nearness[0, [0, 60, 100]].tolist() == [0, 1, 0]
    sources = find_sources(
        photos=[tmp_path / "photos"], registered=[tmp_path / "rgbd"], layouts=[tmp_path / "layouts"]
    )
    parent = tmp_path.name
    assert sources.names == {
        "photos": [f"{parent}/photos"],
        "registered": [f"{parent}/rgbd"],
        "layouts": [f"{parent}/layouts"],
    }
    for seed in range(12):
        scene = draw_scene(np.random.default_rng(seed), sources, SCENES)
        assert scene.sharp.shape == (3, 64, 96)
        assert float(scene.coc_px.abs().max()) <= SCENES.largest_coc_px + 1e-3
    with pytest.raises(CatalogueError, match="no usable picture"):
        find_sources(photos=[tmp_path])


@pytest.mark.parametrize("mix", ["broad", "cameras"])
def test_only_the_named_forms_of_lenses_are_drawn(mix: str) -> None:
    rng = np.random.default_rng(0)
    named = (KernelFamily.BUTTERWORTH, KernelFamily.TRANSLATING_DISC)
    settings = LensSettings.parse({"mix": mix, "families": named, "fitted_share": 0})
    assert {draw_kernel(rng, settings).family for _ in range(40)} == set(named)
    usual = LensSettings.parse({"mix": mix})
    assert len({draw_kernel(rng, usual).family for _ in range(80)}) >= 3
