"""Gated restoration: what is in focus stays bit for bit whatever the map; an unsure one gates nothing."""

from __future__ import annotations

import numpy as np
import pytest

from ldp_core.archive import stage_key
from ldp_core.deblur import make_deblurrer
from ldp_core.deblur.gated import GateSettings, gate_restoration, read_focus, weigh_input
from ldp_core.errors import BlurMapError, SettingsError
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels

KINDS = list(BlurMapKind)
HEIGHT, WIDTH = 48, 64


def paint(seed: int, dtype: type = np.uint8, channels: int = 3) -> Pixels:
    pixels: Pixels = np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, (HEIGHT, WIDTH, channels), dtype=dtype, endpoint=True
    )
    return pixels


def focus_on_the_left(columns: int = 24) -> FloatMap:
    values = np.zeros((HEIGHT, WIDTH), np.float32)
    values[:, :columns] = 1
    return values


def map_of(focus: FloatMap, kind: BlurMapKind) -> BlurMap:
    """The map of this kind that says what is in focus; the circle of confusion has both signs."""
    signs = np.where(np.arange(WIDTH) % 2, 1, -1).astype(np.float32)
    values = {
        BlurMapKind.IN_FOCUS_PROBABILITY: focus,
        BlurMapKind.SIMILARITY: 1 - focus,
        BlurMapKind.SIGNED_COC_PX: (1 - focus) * 9 * signs,
    }
    return BlurMap(values[kind], kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_in_focus_stays_and_out_of_focus_is_restored(kind: BlurMapKind, dtype: type) -> None:
    picture, restored = paint(1, dtype), paint(2, dtype)
    gated = gate_restoration(picture, restored, map_of(focus_on_the_left(), kind))
    assert gated.dtype == dtype
    np.testing.assert_array_equal(gated[:, :24], picture[:, :24])
    np.testing.assert_array_equal(gated[:, 28:], restored[:, 28:])
    band = gated[:, 24:27].astype(int)
    sides = np.stack([picture[:, 24:27], restored[:, 24:27]]).astype(int)
    assert ((band >= sides.min(axis=0)) & (band <= sides.max(axis=0))).all()


def test_the_band_falls_from_the_input_to_the_restoration() -> None:
    weights = weigh_input(focus_on_the_left(), GateSettings(feather_px=4))
    assert weights[0, 20:30].tolist() == [1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0]
    hard = weigh_input(focus_on_the_left(), GateSettings(feather_px=0))
    assert set(np.unique(hard)) == {0, 1}


def test_a_map_that_is_not_sure_mixes() -> None:
    picture, restored = np.full((4, 4, 1), 10, np.uint8), np.full((4, 4, 1), 20, np.uint8)
    blur_map = BlurMap(np.full((4, 4), 0.5, np.float32), BlurMapKind.IN_FOCUS_PROBABILITY)
    assert (gate_restoration(picture, restored, blur_map) == 15).all()


def test_focus_of_a_circle_of_confusion_falls_from_tau_to_twice_tau() -> None:
    blur_map = BlurMap(np.array([[0, -1, 1.5, -2, 30]], np.float32), BlurMapKind.SIGNED_COC_PX)
    assert read_focus(blur_map, tau_px=1).tolist() == [[1, 1, 0.5, 0, 0]]


def test_extremes_gate_all_or_nothing() -> None:
    picture, restored = paint(1), paint(2)
    for focus, expected in ((1.0, picture), (0.0, restored)):
        plane = np.full((HEIGHT, WIDTH), focus, np.float32)
        gated = gate_restoration(picture, restored, BlurMap(plane, BlurMapKind.IN_FOCUS_PROBABILITY))
        np.testing.assert_array_equal(gated, expected)


def test_what_does_not_fit_is_refused() -> None:
    blur_map = map_of(focus_on_the_left(), BlurMapKind.SIMILARITY)
    with pytest.raises(BlurMapError, match="do not fit"):
        gate_restoration(paint(1), paint(2)[1:], blur_map)
    with pytest.raises(BlurMapError, match="do not fit"):
        gate_restoration(paint(1), paint(2, np.uint16), blur_map)
    with pytest.raises(BlurMapError, match="do not fit"):
        gate_restoration(paint(1)[1:], paint(2)[1:], blur_map)
    with pytest.raises(BlurMapError, match="not finite"):
        read_focus(BlurMap(np.full((2, 2), np.nan, np.float32), BlurMapKind.SIMILARITY))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KINDS)
def test_any_method_is_gated_by_any_map(kind: BlurMapKind, dtype: type) -> None:
    pair = Pair("set/one", paint(1, dtype), paint(2, dtype))
    blur_map = map_of(focus_on_the_left(), kind)
    gated = make_deblurrer("gated", {"method": "ldp"}).restore(pair, blur_map)
    bare = make_deblurrer("ldp").restore(pair, blur_map)
    np.testing.assert_array_equal(gated[:, :24], input_image(pair)[:, :24])
    np.testing.assert_array_equal(gated[:, 28:], bare[:, 28:])
    assert (bare[:, :24] != gated[:, :24]).any()


def test_a_map_that_is_not_reliable_gates_nothing() -> None:
    pair = Pair("set/one", paint(1), paint(2))
    everywhere = BlurMap(np.full((HEIGHT, WIDTH), 0.9, np.float32), BlurMapKind.IN_FOCUS_PROBABILITY)
    bare = make_deblurrer("ldp").restore(pair, everywhere)
    np.testing.assert_array_equal(make_deblurrer("gated").restore(pair, everywhere), bare)
    trusting = make_deblurrer("gated", {"require_reliable": False})
    np.testing.assert_array_equal(trusting.restore(pair, everywhere), input_image(pair))


def test_a_measured_radius_needs_no_reliability() -> None:
    pair = Pair("set/one", paint(1), paint(2))
    sharp = BlurMap(np.zeros((HEIGHT, WIDTH), np.float32), BlurMapKind.SIGNED_COC_PX)
    gated = make_deblurrer("gated", {"method": "wiener"}).restore(pair, sharp)
    np.testing.assert_array_equal(gated, input_image(pair))


def test_the_gate_may_have_an_estimator_of_its_own() -> None:
    pair = Pair("set/one", paint(1), paint(1))
    blurred = BlurMap(np.full((HEIGHT, WIDTH), 9, np.float32), BlurMapKind.SIGNED_COC_PX)
    options = {"method": "wiener", "estimator": "zncc", "require_reliable": False}
    gated = make_deblurrer("gated", options).restore(pair, blurred)
    np.testing.assert_array_equal(gated, pair.left)


def test_no_map_is_an_error() -> None:
    with pytest.raises(BlurMapError, match="gate"):
        make_deblurrer("gated").restore(Pair("set/one", paint(1), paint(2)), None)


def test_keys_depend_on_all_stages_and_ungated_ones_on_no_gate() -> None:
    options = (
        {},
        {"method": "wiener"},
        {"method": "wiener", "settings": {"tile_px": 512}},
        {"estimator": "zncc"},
        {"gate": {"feather_px": 8}},
    )
    keys = {stage_key(make_deblurrer("gated", chosen).spec) for chosen in options}
    assert len(keys) == len(options)
    assert stage_key(make_deblurrer("gated").spec).startswith("gated-ldp-")
    assert make_deblurrer("gated").spec.weights_sha256 == make_deblurrer("ldp").spec.weights_sha256


@pytest.mark.parametrize(
    "options",
    [
        {"method": "gated"},
        {"method": "wizard"},
        {"settings": {"wand": 1}},
        {"estimator": "wizard"},
        {"gate": {"kept_from": 0.2, "restored_to": 0.4}},
    ],
)
def test_faults_in_settings_are_found_at_once(options: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        make_deblurrer("gated", options)
