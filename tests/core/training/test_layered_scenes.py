"""Training scenes of the wider kind: repeatable, within their limits, seen through fields of kernels."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.optics.layered import KernelField
from ldp_core.training.bdir import MeanViews
from ldp_core.training.frames import FIELD_CAMERA, CameraSettings, FrameCache, FrameSettings, take_views
from ldp_core.training.layered_scenes import (
    LayeredSettings,
    draw_layered_scene,
    render_layered_scene,
)
from ldp_core.training.sources import Photo, Sources
from ldp_core.training.validation import pair_samples, single_samples

SMALL = LayeredSettings(height=64, width=96, slices=4, largest_coc_px=24)


def draw(index: int, settings: LayeredSettings = SMALL, sources: Sources | None = None):
    return draw_layered_scene(np.random.default_rng([4, index]), sources or Sources(), settings)


def test_a_scene_is_a_function_of_the_generator_state() -> None:
    first, again, other = draw(1), draw(1), draw(2)
    for a, b in zip(first.surfaces, again.surfaces, strict=True):
        assert torch.equal(a.colour, b.colour)
        assert torch.equal(a.coc_px, b.coc_px)
    assert not torch.equal(first.surfaces[0].colour, other.surfaces[0].colour)


def test_circles_of_confusion_of_both_signs_keep_their_limit() -> None:
    scenes = [draw(index) for index in range(40)]
    # A slanted group may exceed its distance's circle by a fifth of two axes.
    values = torch.stack([torch.stack([s.coc_px.min(), s.coc_px.max()]) for x in scenes for s in x.surfaces])
    assert -1.4 * SMALL.largest_coc_px <= float(values.min()) < -0.5 * SMALL.largest_coc_px
    assert 0.5 * SMALL.largest_coc_px < float(values.max()) <= 1.4 * SMALL.largest_coc_px
    assert {len(scene.surfaces) for scene in scenes} == {1, 2, 3}


def test_a_rendered_scene_has_the_size_of_the_frame() -> None:
    rendered = render_layered_scene(draw(5), slices=4)
    assert rendered.left.shape == rendered.right.shape == rendered.sharp.shape == (3, 64, 96)
    assert rendered.coc_px.shape == (64, 96)
    assert float(rendered.left.min()) >= 0
    assert float(rendered.left.max()) <= 1


def test_a_field_of_kernels_is_looked_through_within_the_camera_frame() -> None:
    asked = []

    def field(x: float, y: float) -> KernelSpec:
        asked.append((x, y))
        return KernelSpec(family=KernelFamily.DISC)

    def draw_field(_: np.random.Generator) -> KernelField:
        return field

    settings = SMALL.model_copy(update={"field_share": 1.0, "sharp_share": 0.0, "flat_share": 1.0})
    scene = draw_layered_scene(np.random.default_rng(3), Sources(), settings, draw_field=draw_field)
    rendered = render_layered_scene(scene, slices=4)
    assert len(set(asked)) == 4
    assert np.abs(np.array(asked)).max() <= 1
    torch.testing.assert_close(rendered.left, rendered.right, atol=1e-4, rtol=0)


def test_a_photograph_of_little_weight_is_seldom_drawn(tmp_path: Path) -> None:
    for name, value in (("soft", 40), ("crisp", 200)):
        iio.imwrite(tmp_path / f"{name}.png", np.full((200, 300, 3), value, np.uint8))
    sources = Sources(
        photos=(Photo(tmp_path / "soft.png", weight=0.05), Photo(tmp_path / "crisp.png")),
    )
    settings = SMALL.model_copy(update={"foreground_share": 0.0, "procedural_share": 0.0})
    means = [float(draw(index, settings, sources).surfaces[0].colour.mean()) for index in range(30)]
    assert sum(mean > 0.5 for mean in means) >= 25


def test_a_cache_of_views_alone_trains_networks_of_one_view_only(tmp_path: Path) -> None:
    settings = FrameSettings(layered=SMALL, camera=FIELD_CAMERA, views_only=True)
    cache = FrameCache.create(tmp_path, capacity=6, seed=3, settings=settings, sources=Sources())
    assert list(cache.fill(Sources())) == [*range(6)]
    frame = cache[0]
    assert frame.views.shape == (3, 64, 96, 3)
    assert frame.maps.shape == (1, 64, 96)
    blurred, sharp = MeanViews([cache]).read(0)
    assert blurred.shape == sharp.shape == (64, 96, 3)
    assert len(single_samples(cache)) == 6
    with pytest.raises(SettingsError, match="views alone"):
        pair_samples(cache)


def test_the_sharp_picture_is_matched_to_the_exposure_of_the_views(tmp_path: Path) -> None:
    camera = CameraSettings(palette_share=0, noise_share=0, gain_deviation=0, underexposed_share=0.5)
    flat = SMALL.model_copy(update={"sharp_share": 1.0})
    settings = FrameSettings(layered=flat, camera=camera, views_only=True)
    cache = FrameCache.create(tmp_path, capacity=8, seed=3, settings=settings, sources=Sources())
    list(cache.fill(Sources()))
    exposures = {cache[index].exposure for index in range(8)}
    assert min(exposures) < 0.97
    assert max(exposures) == 1
    for index in range(8):
        left, _, sharp = cache[index].matched_views.astype(int)
        assert np.abs(left - sharp).max() <= 1


def test_circles_of_40_px_survive_the_cache(tmp_path: Path) -> None:
    settings = FrameSettings(layered=LayeredSettings(height=64, width=64, slices=3), views_only=True)
    assert 127 * settings.coc_step_px >= 1.4 * 40
    assert FrameSettings().coc_step_px == 0.25


def test_views_may_come_as_jpeg() -> None:
    camera = CameraSettings(palette_share=0, noise_share=0, gain_deviation=0, jpeg_share=1.0)
    view = np.random.default_rng(0).random((32, 32, 3), dtype=np.float32)
    left, _ = take_views(np.random.default_rng(1), view, view, settings=camera)
    assert left.shape == (32, 32, 3)
    assert np.abs(left.astype(int) - np.rint(view * 255)).mean() > 2
