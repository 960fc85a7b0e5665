"""Training scenes of the wider kind: repeatable, within their limits, seen through fields of kernels."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from ldp_core.cameras import Camera
from ldp_core.cameras.kernel_numbers import NUMBERS, describe_kernel
from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import KernelFamily, KernelSpec, UnitPsf, unit_psf
from ldp_core.training.bdir import MeanViews
from ldp_core.training.frames import (
    FIELD_CAMERA,
    CameraSettings,
    FrameCache,
    FrameSettings,
    restore_untrained,
    take_views,
)
from ldp_core.training.layered_scenes import (
    LayeredSettings,
    draw_layered_scene,
    render_layered_scene,
)
from ldp_core.training.ldp import LdpBatchSettings, blur_each, charbonnier, draw_batch
from ldp_core.training.lenses import FIELD_TOLD, ToldSettings, draw_camera, draw_told, uniform_camera
from ldp_core.training.sources import Photo, Sources
from ldp_core.training.validation import pair_samples, single_samples
from ldp_core.types import Pair

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


def test_a_field_of_kernels_is_looked_through_within_the_camera_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def kernel_at(_: Camera, x: float, y: float) -> KernelSpec:
        asked.append((x, y))
        return KernelSpec(family=KernelFamily.DISC)

    settings = SMALL.model_copy(update={"field_share": 1.0, "sharp_share": 0.0, "flat_share": 1.0})
    scene = draw_layered_scene(np.random.default_rng(3), Sources(), settings)
    monkeypatch.setattr(Camera, "kernel_at", kernel_at)
    rendered = render_layered_scene(scene, slices=4)
    frame = scene.camera.profile.frame
    assert frame is not None
    assert len(set(asked)) == 4
    assert np.abs(np.array(asked)).max() <= 1
    width = max(x for x, _ in asked) - min(x for x, _ in asked)
    assert width == pytest.approx(2 * (96 + 2 * SMALL.margin_px) / frame.width, rel=1e-3)
    torch.testing.assert_close(rendered.left, rendered.right, atol=1e-4, rtol=0)


def test_what_is_told_of_a_camera_is_right_roughly_right_or_nothing() -> None:
    rng = np.random.default_rng(0)
    for camera in (draw_camera(rng, (304, 432)), uniform_camera(KernelSpec(crosstalk=0.1))):
        told = [draw_told(rng, camera, FIELD_TOLD) for _ in range(60)]
        assert 8 < sum(each is None for each in told) < 30
        assert 15 < sum(each is camera for each in told) < 40
        (rough, *_) = [each for each in told if each not in (None, camera)]
        assert rough.profile.frame == camera.profile.frame
        assert rough.profile.digest != camera.profile.digest


def test_a_scene_fits_into_the_frame_that_it_is_cut_from() -> None:
    rng = np.random.default_rng(0)
    for shape in ((304, 432), (1400, 900), (500, 3000)):
        for _ in range(5):
            x, y = draw_camera(rng, shape).places(*shape)
            assert float(x.abs().max()) <= 1
            assert float(y.abs().max()) <= 0.76


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    told = ToldSettings(generic_share=0, rough_share=0)
    layered = SMALL.model_copy(update={"field_share": 0.7, "flat_share": 1.0})
    settings = FrameSettings(layered=layered, camera=FIELD_CAMERA, told=told)
    folder = tmp_path_factory.mktemp("fields")
    cache = FrameCache.create(folder, capacity=3, seed=4, settings=settings, sources=Sources())
    list(cache.fill(Sources()))
    return FrameCache(folder)


def test_a_frame_keeps_its_camera_and_what_was_told_of_it(fields: FrameCache) -> None:
    """Its restoration and its map repeat themselves with the profile that it holds."""
    lenses = [fields[index].lens for index in range(3)]
    assert {lens.camera.uniform_kernel is None for lens in lenses if lens} == {True, False}
    frame = fields[0]
    assert frame.lens is not None
    assert frame.lens.told is not None
    assert frame.lens.told.profile.digest == frame.lens.camera.profile.digest
    pair = Pair("x/y", frame.views[0], frame.views[1])
    blur_map, wiener = restore_untrained(pair, frame.lens.told)
    np.testing.assert_array_equal(wiener, frame.views[3])
    np.testing.assert_allclose(blur_map.values, frame.maps[1], atol=fields.settings.coc_step_px)
    assert np.abs(restore_untrained(pair)[1].astype(int) - wiener).max() > 2


def test_a_batch_tells_the_kernels_of_its_frames(fields: FrameCache) -> None:
    settings = LdpBatchSettings(batch=3, crop_px=32, unsigned_share=0, mapless_share=0)
    batch = draw_batch(fields, settings, seed=0, step=0, frames=3)
    assert batch.kernel.shape == (3, len(NUMBERS), 32, 32)
    assert (batch.kernel[:, 0] == 1).all()
    for planes, kernel in zip(batch.kernel, batch.kernels, strict=True):
        psf = kernel if isinstance(kernel, UnitPsf) else unit_psf(kernel)
        torch.testing.assert_close(planes[:, 16, 16], describe_kernel(psf), atol=0.1, rtol=0.05)


def test_the_reblur_loss_is_least_with_the_kernels_of_the_frames(fields: FrameCache) -> None:
    settings = LdpBatchSettings(batch=3, crop_px=64, unsigned_share=0, mapless_share=0)
    batch = draw_batch(fields, settings, seed=0, step=0, frames=3)
    views = blur_each(batch.sharp, coc_px=batch.coc_px[:, 0], kernels=batch.kernels)
    others = blur_each(batch.sharp, coc_px=batch.coc_px[:, 0], kernels=batch.kernels[1:] + batch.kernels[:1])
    own, other = (
        charbonnier(side[0], batch.left) + charbonnier(side[1], batch.right) for side in (views, others)
    )
    assert float(own) < float(other)


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
