"""The renderer: direction of the shift, identity, occlusion, batches, whole frames, and the thin lens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldp_core.errors import PairMismatchError, SettingsError
from ldp_core.optics import (
    FITTED_KERNELS,
    KernelFamily,
    KernelSpec,
    Lens,
    SimulationSettings,
    Transfer,
    decode_light,
    disparity_per_coc,
    encode_light,
    render_views,
    simulate_pair,
)
from ldp_core.optics.render import render_frame
from ldp_core.optics.rng import Rng
from ldp_core.optics.textures import spectral_noise

SPEC = KernelSpec(family=KernelFamily.HALF_DISC, softness=0.5)
LENS = FITTED_KERNELS["pixel4"]
FRAME_COC_PX = 9.0
CORNER = 16


def picture(seed: int = 0, *, batch: int = 1, height: int = 40, width: int = 56) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def centroid_x(plane: Tensor) -> float:
    return float((plane.sum(0) @ torch.arange(plane.shape[1]).float()) / plane.sum())


@pytest.mark.parametrize("coc_px", [-13.0, -4.0, 4.0, 13.0])
def test_a_point_source_moves_as_the_convention_says(coc_px: float) -> None:
    """Positive = behind the focal plane = to larger x in the right view."""
    sharp = torch.zeros(1, 1, 41, 61)
    sharp[0, 0, 20, 30] = 1.0
    coc = torch.full((1, 41, 61), coc_px)
    left, right = render_views(sharp, coc, SPEC, transfer=Transfer.LINEAR)
    shift = centroid_x(right[0, 0]) - centroid_x(left[0, 0])
    assert shift == pytest.approx(disparity_per_coc(SPEC) * coc_px, rel=0.01)


def test_a_point_source_spreads_over_its_circle_of_confusion() -> None:
    sharp = torch.zeros(1, 1, 61, 61)
    sharp[0, 0, 30, 30] = 1.0
    left, right = render_views(sharp, torch.full((1, 61, 61), 20.0), SPEC, transfer=Transfer.LINEAR)
    lit = ((left + right)[0, 0] > 1e-4).nonzero()
    assert (lit.amax(0) - lit.amin(0)).tolist() == [20, 20]


def test_what_is_in_focus_stays_as_it_is() -> None:
    sharp = picture()
    for view in render_views(sharp, torch.zeros(1, 40, 56)):
        torch.testing.assert_close(view, sharp, atol=1e-6, rtol=0)


def test_what_is_in_focus_stays_sharp_beside_what_is_not() -> None:
    sharp, coc = picture(), torch.zeros(1, 40, 56)
    coc[:, :, 40:] = 9.0
    for view in render_views(sharp, coc):
        torch.testing.assert_close(view[..., :35], sharp[..., :35], atol=1e-4, rtol=0)


def test_a_sharp_foreground_hides_the_blurred_background() -> None:
    sharp, coc = torch.zeros(1, 1, 40, 60), torch.full((1, 40, 60), 16.0)
    sharp[..., 20:40], coc[..., 20:40] = 1.0, 0.0
    for view in render_views(sharp, coc):
        torch.testing.assert_close(view[..., 20:40], torch.ones(1, 1, 40, 20), atol=1e-4, rtol=0)
        assert float(view[..., :20].max()) < 0.02


def test_a_blurred_foreground_spills_over_the_sharp_background() -> None:
    sharp, coc = torch.zeros(1, 1, 40, 60), torch.zeros(1, 40, 60)
    sharp[..., 20:40], coc[..., 20:40] = 1.0, -12.0
    left, _ = render_views(sharp, coc, KernelSpec(family=KernelFamily.DISC), transfer=Transfer.LINEAR)
    row = left[0, 0, 20]
    assert float(row[37]) < 0.95
    assert float(row[41]) > 0.2
    assert float((row[1:] - row[:-1]).abs().max()) < 0.2
    assert float(row.sum()) == pytest.approx(20, rel=0.02)


def test_a_slanted_surface_shows_no_seam_between_slices() -> None:
    sharp = torch.full((1, 1, 48, 96), 0.5)
    coc = torch.linspace(-12, 20, 96).repeat(1, 48, 1)
    for view in render_views(sharp, coc, SPEC, slices=5):
        torch.testing.assert_close(view, sharp, atol=1e-3, rtol=0)


@pytest.mark.parametrize("tile_px", [17, 32, 64])
def test_tiles_equal_the_picture_rendered_at_once(tile_px: int) -> None:
    """A near bar, blurred, before a slanted background: blur and occlusion cross the edges of the tiles."""
    sharp, coc = picture(height=70, width=90, batch=2), torch.linspace(0, 14, 90).repeat(2, 70, 1)
    coc[:, :, 30:50] = -9.0
    coc[1] = coc[1].flip(1)
    whole = torch.stack(render_views(sharp, coc, SPEC))
    tiled = torch.stack(render_views(sharp, coc, SPEC, tile_px=tile_px))
    difference = (tiled - whole).abs()
    # Where the bar hides all of the background, both fill in from surroundings on a coarse grid of their own.
    assert float((difference < 1e-4).float().mean()) > 0.96
    assert float(difference.mean()) < 1e-4


def test_more_slices_change_little() -> None:
    sharp = picture(height=64, width=96)
    coc = torch.linspace(-6, 10, 96).repeat(1, 64, 1)
    few, many = (render_views(sharp, coc, SPEC, slices=n)[0] for n in (12, 40))
    assert float((few - many).pow(2).mean().sqrt()) < 0.02


def test_blur_happens_in_light() -> None:
    """A fine black and white grating turns to half the light, which is encoded brighter than half."""
    sharp = torch.zeros(1, 1, 64, 64)
    sharp[..., ::2] = 1.0
    left, _ = render_views(sharp, torch.full((1, 64, 64), 14.0), KernelSpec(family=KernelFamily.DISC))
    assert float(left[0, 0, 32, 24:40].mean()) == pytest.approx(0.5 ** (1 / 2.2), abs=0.01)


def test_a_batch_equals_its_pictures() -> None:
    sharp = picture(batch=3)
    coc = torch.stack([torch.linspace(-8, 4, 56), torch.full((56,), 11.0), torch.zeros(56)])
    coc = coc[:, None].expand(-1, 40, -1)
    together = render_views(sharp, coc, SPEC)
    for index in range(3):
        alone = render_views(sharp[index : index + 1], coc[index : index + 1], SPEC)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[index], b[0], atol=2e-3, rtol=0)


def test_rendering_is_repeatable() -> None:
    coc = torch.linspace(-8, 4, 56).repeat(1, 40, 1)
    first, second = (render_views(picture(), coc, SPEC) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("transfer", list(Transfer))
def test_encoding_undoes_decoding(transfer: Transfer) -> None:
    values = torch.linspace(0, 1, 101)
    torch.testing.assert_close(
        encode_light(decode_light(values, transfer), transfer), values, atol=1e-5, rtol=0
    )


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(PairMismatchError, match="do not belong together"):
        render_views(picture(), torch.zeros(1, 40, 55))


def test_too_few_slices_are_refused() -> None:
    with pytest.raises(SettingsError, match="slices"):
        render_views(picture(), torch.zeros(1, 40, 56), slices=2)


def test_not_finite_circles_of_confusion_are_refused() -> None:
    with pytest.raises(SettingsError, match="finite"):
        render_views(picture(), torch.full((1, 40, 56), torch.nan))


def test_the_lens_is_sharp_at_its_focus_and_signed_around_it() -> None:
    lens = Lens(focal_length_m=0.05, f_number=4, focus_distance_m=1.0, pixel_pitch_m=6e-6)
    near, focus, far = lens.coc_px(torch.tensor([0.5, 1.0, 2.0])).tolist()
    assert focus == 0
    assert near == pytest.approx(-(0.05**2) / (4 * 0.95) / 6e-6)
    assert far == pytest.approx(-near / 2)


def test_stopping_down_shrinks_the_blur_in_proportion() -> None:
    depth_m = torch.tensor([0.6, 1.5])
    wide, narrow = (Lens(f_number=n).coc_px(depth_m) for n in (4.0, 20.0))
    torch.testing.assert_close(narrow * 5, wide)


def test_a_lens_cannot_focus_within_its_focal_length() -> None:
    with pytest.raises(SettingsError, match="focal length"):
        Lens(focal_length_m=0.05, focus_distance_m=0.04).coc_px(torch.ones(1))


def photograph(height: int, width: int) -> tuple[Tensor, Tensor]:
    sharp = 0.5 + 0.1 * spectral_noise(Rng.from_seed(4), height, width, exponent=0.7)
    return sharp.clamp(0, 1)[None, None], torch.full((1, height, width), FRAME_COC_PX)


def distance(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], window: tuple[slice, ...]) -> float:
    return max(float((a - b)[(..., *window)].abs().max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("field_x", "field_y", "window"),
    [
        (-1.0, -0.75, (slice(0, CORNER), slice(0, CORNER))),
        (1.0, 0.75, (slice(-CORNER, None), slice(-CORNER, None))),
        (-1.0, 0.0, (slice(112, 112 + CORNER), slice(0, CORNER))),
    ],
)
def test_at_a_node_the_frame_is_seen_through_the_kernels_of_that_place(
    field_x: float, field_y: float, window: tuple[slice, ...]
) -> None:
    sharp, coc_px = photograph(240, 320)
    frame = render_frame(sharp, coc_px, LENS)
    here = LENS.model_copy(update={"field_x": field_x, "field_y": field_y})
    elsewhere = LENS.model_copy(update={"field_x": -field_x, "field_y": 0.3 - field_y})
    near = distance(frame, render_views(sharp, coc_px, here), window)
    assert near < 0.5 * distance(frame, render_views(sharp, coc_px, elsewhere), window)
    assert near < 0.02


def test_a_lens_that_is_alike_everywhere_gives_the_same_frame() -> None:
    sharp, coc_px = photograph(120, 160)
    alike = LENS.model_copy(update={"coma": 0.0, "stretch": 0.0})
    window = (slice(None), slice(None))
    assert distance(render_frame(sharp, coc_px, alike), render_views(sharp, coc_px, alike), window) < 2e-3
    half_disc = KernelSpec()
    frame, views = render_frame(sharp, coc_px, half_disc), render_views(sharp, coc_px, half_disc)
    assert distance(frame, views, window) == 0


def test_photographs_are_simulated_over_the_whole_frame_on_request() -> None:
    settings = SimulationSettings(height=96, width=128, kernels=(LENS,), sharp_share=0)
    place, whole = (
        simulate_pair(1, settings.model_copy(update={"whole_frame": chosen})) for chosen in (False, True)
    )
    assert place.target is not None
    assert whole.target is not None
    assert (place.target == whole.target).all()
    assert (place.left != whole.left).any()
