"""Circles of confusion as pictures: what goes in comes out, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ldp_core.catalogue import decode_coc_px, encode_coc_px, load_pair, read_catalogue
from ldp_core.errors import ImageFormatError
from ldp_core.images import encode_image
from ldp_core.types import BlurTruthKind, FloatMap

MAPS = arrays(np.float32, (3, 4), elements=st.floats(-250, 250, width=32))


@given(MAPS)
def test_a_map_survives_to_a_hundredth_of_a_pixel(coc_px: FloatMap) -> None:
    found = decode_coc_px(encode_coc_px(coc_px), where="map")
    assert np.abs(found - coc_px).max() <= 0.5 / 128
    assert (np.sign(found) == np.sign(np.where(np.abs(coc_px) < 0.5 / 128, found, coc_px))).all()


def test_another_kind_of_picture_is_refused() -> None:
    with pytest.raises(ImageFormatError, match="16-bit grey"):
        decode_coc_px(np.zeros((2, 2, 1), np.uint8), where="map")


def test_a_dataset_in_folders_may_bring_its_map(tmp_path: Path) -> None:
    view, other = np.zeros((3, 4, 3), np.uint8), np.ones((3, 4, 3), np.uint8)
    coc_px = np.linspace(-3, 5, 12, dtype=np.float32).reshape(3, 4)
    for folder, pixels in (("left", view), ("right", other), ("coc", encode_coc_px(coc_px))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(encode_image(pixels, "png"))
    [item] = read_catalogue(str(tmp_path), layout="folders").items
    pair = load_pair(item)
    assert pair.blur_truth_kind is BlurTruthKind.SIGNED_COC_PX
    assert pair.blur_truth is not None
    assert np.abs(pair.blur_truth - coc_px).max() <= 0.5 / 128
