"""What the training-free restoration accepts, refuses and gains."""

from __future__ import annotations

import numpy as np
import pytest

from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.errors import BlurMapError, SettingsError
from ldp_core.types import BlurMap, BlurMapKind, Pair


@pytest.fixture
def pair() -> Pair:
    view = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    return Pair("set/one", view, view.copy())


def map_of(shape: tuple[int, int], *, value: float = 0.0) -> BlurMap:
    return BlurMap(np.full(shape, value, dtype=np.float32), BlurMapKind.SIGNED_COC_PX)


def test_restoring_without_a_map_is_refused(pair: Pair) -> None:
    with pytest.raises(BlurMapError, match="without a blur map") as caught:
        make_deblurrer("wiener").restore(pair, None)
    assert "set/one" in str(caught.value)


@pytest.mark.parametrize("kind", [BlurMapKind.SIMILARITY, BlurMapKind.IN_FOCUS_PROBABILITY])
def test_a_map_without_radius_is_refused(pair: Pair, kind: BlurMapKind) -> None:
    with pytest.raises(BlurMapError, match="no radius"):
        make_deblurrer("wiener").restore(pair, BlurMap(np.zeros((40, 50), np.float32), kind))


def test_a_map_of_another_size_is_refused(pair: Pair) -> None:
    with pytest.raises(BlurMapError, match="does not fit"):
        make_deblurrer("wiener").restore(pair, map_of((50, 40)))


def test_a_map_with_holes_is_refused(pair: Pair) -> None:
    blur_map = map_of((40, 50))
    blur_map.values[3, 4] = np.nan
    with pytest.raises(BlurMapError, match="1 values not finite"):
        make_deblurrer("wiener").restore(pair, blur_map)


def test_settings_are_checked_and_recorded() -> None:
    with pytest.raises(SettingsError, match="not valid"):
        make_deblurrer("wiener", {"sharpness": 11})
    with pytest.raises(SettingsError, match="no such deblurrer"):
        make_deblurrer("magic")
    assert make_deblurrer("wiener", {"tile_px": 512}).spec.settings["tile_px"] == 512


def test_every_method_says_what_it_is() -> None:
    assert "wiener" in DEBLURRERS
    spec = make_deblurrer("wiener").spec
    assert (spec.stage, spec.method) == ("deblur", "wiener")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (3, 2, 1), (33, 17, 3)])
def test_the_smallest_pictures_come_back(shape: tuple[int, int, int]) -> None:
    view = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    restored = make_deblurrer("wiener").restore(Pair("a/b", view, view), map_of(shape[:2], value=9.0))
    assert restored.shape == shape
