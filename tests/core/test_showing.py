"""`ldp_core.show`: panels, titles, one colour scale for maps of a kind, and what it refuses."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import xarray

import ldp_core
from ldp_core.errors import ImageFormatError, SettingsError
from ldp_core.report.model import BLUR_PICTURES
from ldp_core.report.pictures import palette_of
from ldp_core.types import BlurMap, BlurMapKind

SIGNED = BlurMapKind.SIGNED_COC_PX
PICTURE = np.arange(24, dtype=np.uint8).reshape(4, 6)


def images(figure: Any) -> list[Any]:
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


@pytest.mark.parametrize(
    "picture",
    [PICTURE, PICTURE[..., None], np.uint16(257) * PICTURE, PICTURE / 255.0],
    ids=["grey", "plane", "16 bit", "floating point"],
)
def test_pictures_of_every_depth_look_alike(picture: Any) -> None:
    [drawn] = images(ldp_core.show(picture))
    np.testing.assert_array_equal(drawn, np.repeat(PICTURE[..., None], 3, axis=2))


def test_maps_of_a_kind_share_a_scale_that_is_labelled() -> None:
    small, large = (BlurMap(np.full((4, 6), value, np.float32), SIGNED) for value in (1.0, 10.0))
    figure = ldp_core.show(small, large, PICTURE, titles=["small", "large", "picture"])
    first, second, _ = images(figure)
    alone = images(ldp_core.show(small))[0]
    assert not np.array_equal(first, alone)
    spec = BLUR_PICTURES[SIGNED]
    np.testing.assert_array_equal(second[0, 0], palette_of(spec)[254])  # the end of the scale
    bars = [axes for axes in figure.axes if not axes.get_images()]
    labels = [bar.get_xlabel() for bar in bars if bar.get_xlabel()]
    assert labels == [f"{spec.quantity}\n{spec.meaning}"] * 2
    assert [bar.get_xlim() for bar in bars if bar.get_xlabel()] == [(-10, 10), (-10, 10)]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["small", "large", "picture"]


def test_archived_truths_are_drawn_by_what_they_mean() -> None:
    def truth(kind: str) -> xarray.DataArray:
        facts = {"blur_kind": "truth", "blur_truth_kind": kind}
        return xarray.DataArray(np.ones((4, 6), np.float32), dims=("y", "x"), name="blur", attrs=facts)

    signed, unsigned = (ldp_core.show(truth(kind)) for kind in ("signed_coc_px", "unsigned"))
    assert signed.axes[1].get_xlim()[0] < 0
    assert unsigned.axes[1].get_xlim()[0] == 0


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (np.zeros((2, 3, 4, 3)), np.zeros((4, 6, 2)), np.full((4, 6), 2.5)):
        with pytest.raises(ImageFormatError):
            ldp_core.show(wrong)
    with pytest.raises(SettingsError, match="nothing to show"):
        ldp_core.show()
    with pytest.raises(SettingsError, match="a title for each panel"):
        ldp_core.show(PICTURE, titles=["one", "two"])


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match="figures need matplotlib") as caught:
        ldp_core.show(PICTURE)
    assert "[figures]" in caught.value.remedy
