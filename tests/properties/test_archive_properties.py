"""Laws of the archive: items come back bit for bit, any change is noticed, keys depend on content only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from archive_samples import KEY, assert_same, assert_same_fields, forget
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ldp_core.archive import Archive, encoding, pixel_sha256, stage_key
from ldp_core.archive.checksums import BLANK_CHECKSUM, CHECKSUM_FIELD, read_checksummed, write_checksummed
from ldp_core.archive.encoding import plan_chunks
from ldp_core.errors import ItemDamagedError
from ldp_core.types import (
    BlurMap,
    BlurMapKind,
    BlurTruthKind,
    Pair,
    Region,
    Score,
    ScoringProtocol,
    StageSpec,
)

calm = settings(deadline=None, max_examples=30)
sides = st.integers(1, 40)
segments = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)
item_ids = st.lists(segments, min_size=1, max_size=3).map("/".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(), deeper, max_size=3),
    max_leaves=8,
)


@contextmanager
def fresh_archive() -> Iterator[Archive]:
    url = f"memory://laws-{uuid4().hex}"
    try:
        yield Archive(url)
    finally:
        forget(url)


def pictures(shape: tuple[int, ...], dtype: Any) -> st.SearchStrategy[Any]:
    """Noise, one value everywhere, and all zero."""
    noise = st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True))  # fmt: skip
    flat = st.integers(0, np.iinfo(dtype).max).map(lambda value: np.full(shape, value, dtype))
    return noise | flat | st.just(np.zeros(shape, dtype))


def float_maps(shape: tuple[int, int]) -> st.SearchStrategy[Any]:
    """Every float32 there is: infinities, both zeros, and NaN with any payload."""
    return arrays(np.uint32, shape, elements=st.integers(0, 2**32 - 1)).map(
        lambda bits: bits.view(np.float32)
    )


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    shape = (draw(sides), draw(sides), draw(st.sampled_from((1, 3))))
    picture = pictures(shape, draw(st.sampled_from((np.uint8, np.uint16))))
    edges = st.none() | st.integers(-50, 50)
    return Pair(
        id=draw(item_ids),
        left=draw(picture),
        right=draw(picture),
        target=draw(st.none() | picture),
        blur_truth=draw(st.none() | st.tuples(sides, sides).flatmap(float_maps)),
        external=draw(st.dictionaries(st.text(max_size=5), picture, max_size=2)),
        score_region=Region(draw(st.integers(0, 9)), draw(st.integers(0, 9)), draw(edges), draw(edges)),
        aligned=draw(st.booleans()),
        blur_truth_kind=draw(st.sampled_from(BlurTruthKind)),
    )


@calm
@given(pair=pairs(), provenance=st.dictionaries(st.text(), json_values, max_size=3))
def test_any_pair_comes_back_and_stays(pair: Pair, provenance: dict[str, Any]) -> None:
    with fresh_archive() as archive:
        assert archive.write_pair(pair, provenance=provenance)
        assert not archive.write_pair(pair, provenance={})
        assert_same_fields(archive.read_pair(pair.id), pair)
        assert archive.read_attributes("frames", "", pair.id)["provenance"] == provenance
        assert archive.list_items("frames") == {pair.id}


@calm
@given(shape=st.tuples(sides, sides), draw=st.data(), kind=st.sampled_from(BlurMapKind))
def test_any_blur_map_comes_back(shape: tuple[int, int], draw: st.DataObject, kind: BlurMapKind) -> None:
    confidence = draw.draw(st.none() | float_maps(shape))
    blur_map = BlurMap(values=draw.draw(float_maps(shape)), kind=kind, confidence=confidence)
    with fresh_archive() as archive:
        archive.write_blur_map(KEY, "set/one", blur_map)
        assert_same_fields(archive.read_blur_map(KEY, "set/one"), blur_map)


@calm
@given(shape=st.tuples(sides, sides, st.sampled_from((1, 3))), band=st.integers(1, 4000), draw=st.data())
def test_pictures_of_many_bands_come_back(shape: tuple[int, ...], band: int, draw: st.DataObject) -> None:
    picture = draw.draw(pictures(shape, np.uint16))
    with fresh_archive() as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_BAND_BYTES", band)
        archive.write_restored(KEY, "set/one", picture)
        assert_same(archive.read_restored(KEY, "set/one"), picture)


@settings(deadline=None)
@given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), views=st.integers(1, 5))
def test_one_shard_spans_the_item_and_wastes_less_than_a_band(height: int, width: int, views: int) -> None:
    pixels = np.broadcast_to(np.uint16(0), (views, height, width, 3))
    band, shard = plan_chunks(pixels, dimensions=("view", "y", "x", "channel"))
    assert (band[0], *band[2:]) == (1, width, 3)
    assert (shard[0], *shard[2:]) == (views, width, 3)
    assert shard[1] % band[1] == 0
    assert height <= shard[1] < height + band[1]
    assert band[1] == 1 or band[1] * width * 6 <= 3 * 2**20


scores = st.builds(
    Score,
    item=st.text(),
    metric=st.text(),
    subject=st.text(),
    protocol=st.builds(
        ScoringProtocol, bit_depth=st.integers(), size=st.text(), region=st.text(), variant=st.text()
    ),
    value=st.floats(),
)


@calm
@given(rows=st.lists(scores, max_size=6))
def test_any_scores_come_back(rows: list[Score]) -> None:
    with fresh_archive() as archive:
        archive.write_scores(KEY, "set/one", rows)
        assert list(map(repr, archive.read_scores(KEY, "set/one"))) == list(map(repr, rows))


@calm
@given(values=st.dictionaries(st.text(), json_values, max_size=5), draw=st.data())
def test_a_key_depends_on_content_and_not_on_order(values: dict[str, Any], draw: st.DataObject) -> None:
    spec = StageSpec("blur", "disparity", "1", values)
    shuffled = StageSpec("blur", "disparity", "1", dict(draw.draw(st.permutations(list(values.items())))))
    assert stage_key(shuffled) == stage_key(spec)
    assert stage_key(StageSpec("blur", "disparity", "1", {**values, "one more": 1})) != stage_key(spec)


def test_no_bit_of_a_checksummed_text_may_be_flipped() -> None:
    document = {"content": [1.5, "a \\u00e9", None], CHECKSUM_FIELD: BLANK_CHECKSUM}
    text = write_checksummed(document, where="here")
    for bit in range(8 * len(text)):
        altered = bytearray(text)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ItemDamagedError):
            read_checksummed(bytes(altered), where="here")


@calm
@given(values=st.dictionaries(st.text(), json_values, max_size=4), draw=st.data())
def test_a_checksummed_text_opens_and_any_edit_is_noticed(
    values: dict[str, Any], draw: st.DataObject
) -> None:
    document = {"content": values, CHECKSUM_FIELD: BLANK_CHECKSUM}
    text = write_checksummed(document, where="here")
    opened = read_checksummed(text, where="here")
    assert opened["content"] == values
    at = draw.draw(st.integers(0, len(text)))
    removed = draw.draw(st.integers(0, len(text) - at))
    edited = text[:at] + draw.draw(st.binary(max_size=4)) + text[at + removed :]
    if edited != text:
        with pytest.raises(ItemDamagedError):
            read_checksummed(edited, where="here")


@calm
@given(draw=st.data(), shape=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_a_pixel_digest_covers_shape_and_type(draw: st.DataObject, shape: tuple[int, int]) -> None:
    pixels = draw.draw(pictures(shape, np.uint16))
    others = [pixels.reshape(-1), pixels.view(np.int16), pixels.astype(np.uint32)]
    others += [] if shape[0] == shape[1] else [pixels.reshape(shape[::-1])]
    assert all(pixel_sha256(other) != pixel_sha256(pixels) for other in others)
    assert pixel_sha256(pixels.copy()) == pixel_sha256(pixels)
