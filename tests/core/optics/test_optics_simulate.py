"""Sensor, scenes and simulated photographs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldp_core.errors import SettingsError
from ldp_core.optics import (
    KernelSpec,
    SceneKind,
    Sensor,
    SimulationSettings,
    Transfer,
    expose_views,
    make_scene,
    quantise,
    scenes,
    simulate,
    simulate_pair,
)
from ldp_core.optics.rng import Rng, derive_seed

SMALL = SimulationSettings(height=48, width=64, near_limit_px=6.0, far_limit_px=10.0)
SILENT = Sensor(full_well_electrons=0.0, read_noise=0.0)


def expose(level: float, sensor: Sensor, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    view = torch.full((3, 200, 200), level)
    return expose_views(view, view, sensor=sensor, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_noise_has_the_variance_of_its_electrons(level: float) -> None:
    sensor = Sensor(full_well_electrons=2000.0, read_noise=0.005, transfer=Transfer.LINEAR)
    left, right = expose(level, sensor)
    assert float(left.mean()) == pytest.approx(level, rel=0.005)
    assert float(left.var()) == pytest.approx(level / 2000 + 0.005**2, rel=0.03)
    assert abs(float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1])) < 0.01


def test_a_silent_sensor_changes_nothing() -> None:
    left, right = expose(0.4, SILENT)
    torch.testing.assert_close(left, torch.full_like(left, 0.4))
    torch.testing.assert_close(right, left)


def test_gain_and_shading_differ_between_the_views() -> None:
    sensor = SILENT.model_copy(
        update={"gain_difference": 0.1, "shading_difference": 0.2, "transfer": Transfer.LINEAR}
    )
    left, right = expose(0.4, sensor)
    ratio = (right - left)[0, 0] / 0.4
    assert float(ratio.mean()) == pytest.approx(0.1, abs=1e-4)
    assert float(ratio[-1] - ratio[0]) == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize(("bit_depth", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_quantisation_uses_the_full_range(bit_depth: int, dtype: type) -> None:
    view = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.2]).view(1, 1, 5)
    pixels = quantise(view, bit_depth=bit_depth)  # type: ignore[arg-type]
    peak = np.iinfo(dtype).max
    assert pixels.dtype == dtype
    assert pixels.shape == (1, 5, 1)
    assert pixels.flatten().tolist() == [0, 0, round(peak / 2), peak, peak]


@pytest.mark.parametrize("kind", list(SceneKind))
def test_every_layout_is_a_picture_with_depth(kind: SceneKind) -> None:
    scene = make_scene(5, size=(60, 90), kind=kind)
    assert scene.sharp.shape == (3, 60, 90)
    assert scene.depth_m.shape == (60, 90)
    assert 0 <= float(scene.sharp.min()) < float(scene.sharp.max()) <= 1
    assert float(scene.depth_m.min()) > 0
    assert float(scene.sharp.std()) > 0.02


@pytest.mark.parametrize("kind", list(SceneKind))
def test_a_scene_is_a_function_of_its_seed(kind: SceneKind) -> None:
    one, again, other = (make_scene(seed, size=(40, 50), kind=kind) for seed in (3, 3, 4))
    assert torch.equal(one.sharp, again.sharp)
    assert torch.equal(one.depth_m, again.depth_m)
    assert not torch.equal(one.sharp, other.sharp)


@pytest.mark.parametrize("size", [(16, 16), (17, 131), (90, 16)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    for seed in range(12):
        assert make_scene(seed, size=size).sharp.shape == (3, *size)


def test_simulated_photographs_fit_together() -> None:
    batch = simulate(range(4), SMALL)
    assert batch.left.shape == batch.right.shape == batch.sharp.shape == (4, 3, 48, 64)
    assert batch.depth_m.shape == batch.coc_px.shape == (4, 48, 64)
    assert bool(torch.isfinite(batch.left).all())
    assert -6.01 <= float(batch.coc_px.min()) <= float(batch.coc_px.max()) <= 10.01


def test_farther_content_has_the_larger_signed_circle() -> None:
    batch = simulate(range(4), SMALL)
    for depth_m, coc_px in zip(batch.depth_m, batch.coc_px, strict=True):
        order = depth_m.flatten().argsort()
        assert float(coc_px.flatten()[order].diff().min()) > -1e-4


def test_a_photograph_does_not_depend_on_its_batch() -> None:
    together = simulate([2, 3, 4], SMALL)
    alone = simulate([3], SMALL)
    assert torch.equal(together.coc_px[1], alone.coc_px[0])
    torch.testing.assert_close(together.sharp[1], alone.sharp[0])
    assert float((together.left[1] - alone.left[0]).abs().mean()) < 1e-3


def test_photographs_repeat_by_number_and_differ_by_seed() -> None:
    one, again = (simulate_pair(7, SMALL) for _ in range(2))
    other = simulate_pair(7, SMALL.model_copy(update={"seed": 1}))
    assert np.array_equal(one.left, again.left)
    assert not np.array_equal(one.left, other.left)


class TestSetsOfTwoSeeds:
    """Every photograph of one set beside every photograph of another, neighbouring one."""

    sets = tuple(SMALL.model_copy(update={"seed": seed, "scenes": (SceneKind.PLANES,)}) for seed in (4, 5))

    def test_no_scene_is_shared(self) -> None:
        one, two = (simulate(range(24), settings) for settings in self.sets)
        for name in ("sharp", "depth_m", "coc_px", "left"):
            planes = torch.cat([getattr(batch, name) for batch in (one, two)]).flatten(1)
            alike = torch.cdist(planes, planes, p=float("inf")) < 0.01 * planes.amax()
            focused = (planes == 0).all(1)  # photographs that are in focus all over have one map of blur
            assert not (alike & ~focused[:, None]).triu(1).any(), name

    def test_no_texture_has_the_phase_of_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn: list[float] = []

        def record(rng: Rng, height: int, width: int) -> torch.Tensor:
            drawn.append(rng.uniform(0, 1))
            return torch.full((3, height, width), 0.5)

        monkeypatch.setattr(scenes, "paint_any", record)
        monkeypatch.setattr(scenes, "paint_cloud", record)
        for settings in self.sets:
            simulate(range(24), settings)
        assert len(drawn) > 200
        assert len(set(drawn)) == len(drawn)

    def test_no_noise_is_shared(self) -> None:
        """In pictures that are in focus all over, noise is what a view has and its target has not."""
        grain = []
        for settings in self.sets:
            noisy = Sensor(full_well_electrons=50.0)
            batch = simulate(
                range(24), settings.model_copy(update={"sharp_share": 1.0, "sensor": noisy, "width": 96})
            )
            grain += [*(batch.left - batch.sharp), *(batch.right - batch.sharp)]
        alike = torch.corrcoef(torch.stack(grain).flatten(1)).fill_diagonal_(0)
        assert float(alike.abs().max()) < 0.1

    def test_streams_of_many_sets_differ(self) -> None:
        """Among 200,000 draws of 32 bits, four or five would be equal by chance."""
        keys = [
            (seed, number, part)
            for seed in (0, 4, 5, 2**32, 2**40)
            for number in range(300)
            for part in (0, 1)
        ]
        drawn = {tuple(Rng.from_key(*key).uniforms(4).tolist()) for key in keys}
        assert len(drawn) == len(keys)
        assert len({derive_seed(*key) for key in keys}) == len(keys)

    def test_keys_of_other_lengths_are_other_keys(self) -> None:
        keys = [(4, 0, 0), (0, 4, 0), (0, 0, 4), (4 + 2**32, 0, 0), (4, 2**32, 0), (4 + 2**64, 0, 0)]
        assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_a_small_set_is_the_beginning_of_a_large_one() -> None:
    few, many = simulate(range(3), SMALL), simulate(range(5), SMALL)
    assert torch.equal(few.coc_px, many.coc_px[:3])
    assert torch.equal(few.sharp, many.sharp[:3])


def test_all_kinds_of_focus_occur() -> None:
    settings = SMALL.model_copy(update={"sharp_share": 0.2, "blurred_share": 0.3})
    coc_px = simulate(range(16), settings).coc_px.flatten(1)
    assert bool((coc_px.abs().amax(1) == 0).any())
    assert bool((coc_px.amin(1) > 0).any())
    assert bool((coc_px.amax(1) < 0).any())
    assert bool(((coc_px.amin(1) < 0) & (coc_px.amax(1) > 0)).any())


def test_a_sharp_photograph_equals_its_target_but_for_noise() -> None:
    settings = SMALL.model_copy(update={"sharp_share": 1.0, "sensor": SILENT})
    pair = simulate_pair(1, settings)
    assert pair.target is not None
    assert np.array_equal(pair.left, pair.target)
    assert np.array_equal(pair.right, pair.target)


@pytest.mark.parametrize(("bit_depth", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_a_pair_carries_target_and_signed_truth(bit_depth: int, dtype: type) -> None:
    pair = simulate_pair(3, SMALL.model_copy(update={"bit_depth": bit_depth}), item_id="demo/a")
    assert pair.id == "demo/a"
    assert pair.left.dtype == dtype
    assert pair.target is not None
    assert pair.blur_truth is not None
    assert pair.blur_truth.shape == (48, 64)
    assert pair.blur_truth.dtype == np.float32


def test_views_of_a_blurred_photograph_differ() -> None:
    settings = SMALL.model_copy(update={"blurred_share": 1.0, "sharp_share": 0.0, "sensor": SILENT})
    batch = simulate(range(3), settings)
    assert float((batch.left - batch.right).abs().mean()) > 1e-3


def test_kernel_mix_is_drawn_from() -> None:
    mix = (KernelSpec(softness=0.1), KernelSpec(softness=8.0))
    settings = SMALL.model_copy(update={"kernels": mix, "blurred_share": 1.0, "sensor": SILENT})
    hard, soft = (simulate(range(6), settings.model_copy(update={"kernels": (k,)})).left for k in mix)
    mixed = simulate(range(6), settings).left
    to_hard, to_soft = ((mixed - other).abs().mean((1, 2, 3)) for other in (hard, soft))
    assert bool((torch.minimum(to_hard, to_soft) < 1e-3).all())
    assert 0 < int((to_hard < to_soft).sum()) < 6


# number: means of left, right, sharp, depth in metres and circle of confusion; deviation of the left view
SEEDED = {
    0: (0.4240, 0.4211, 0.4122, 1.1428, -0.3232, 0.1075),
    1: (0.4277, 0.4299, 0.4222, 2.6591, 2.7499, 0.1429),
    2: (0.3767, 0.3772, 0.3720, 2.9846, 1.7519, 0.1190),
    7: (0.3877, 0.3900, 0.3777, 2.1183, 4.2973, 0.1513),
}


@pytest.mark.parametrize("number", SEEDED)
def test_a_number_gives_the_photograph_it_always_gave(number: int) -> None:
    """Published figures of simulated sets are known by seed and number."""
    batch = simulate([number], SMALL)
    planes = (batch.left, batch.right, batch.sharp, batch.depth_m, batch.coc_px)
    found = (*(float(plane.mean()) for plane in planes), float(batch.left.std()))
    assert found == pytest.approx(SEEDED[number], abs=2e-4)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="colour"):
        SimulationSettings.parse({"colour": "red"})
