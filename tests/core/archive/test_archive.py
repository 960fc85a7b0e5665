"""The archive: what is written comes back, and plain Zarr reads it."""

from __future__ import annotations

import json
import math
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from archive_samples import (
    KEY,
    SPEC,
    assert_same,
    assert_same_fields,
    make_map,
    make_pair,
    noise,
    objects_of,
)

from ldp_core.archive import Archive, pair_digest, pixel_sha256
from ldp_core.types import BlurMapKind, Pair, Score, ScoringProtocol, StageSpec


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_pair_comes_back_equal_in_every_field(archive: Archive, dtype: Any) -> None:
    pair = make_pair(dtype=dtype)
    assert archive.write_pair(pair, provenance={"source": "s3://somewhere"})
    assert_same_fields(archive.read_pair(pair.id), pair)


def test_a_bare_pair_comes_back_with_nothing_added(archive: Archive) -> None:
    pair = Pair(id="set/bare", left=noise(5, 4, 1), right=noise(5, 4, 1, seed=1))
    archive.write_pair(pair, provenance={})
    assert_same_fields(archive.read_pair("set/bare"), pair)
    assert list(archive) == ["set/bare"]
    assert archive.list_items("blur", "truth") == set()


@pytest.mark.parametrize("kind", list(BlurMapKind))
def test_a_blur_map_comes_back_with_its_meaning_and_confidence(archive: Archive, kind: BlurMapKind) -> None:
    blur_map = make_map(kind=kind)
    assert archive.write_blur_map(KEY, "set/one", blur_map, spec=SPEC)
    assert_same_fields(archive.read_blur_map(KEY, "set/one"), blur_map)


def test_a_blur_map_without_confidence_stays_without(archive: Archive) -> None:
    archive.write_blur_map(KEY, "set/one", replace(make_map(), confidence=None))
    assert archive.read_blur_map(KEY, "set/one").confidence is None
    assert archive.list_items("confidence", KEY) == set()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_restored_picture_comes_back(archive: Archive, dtype: Any) -> None:
    picture = noise(37, 20, 3, dtype=dtype)
    assert archive.write_restored(KEY, "set/one", picture)
    assert_same(archive.read_restored(KEY, "set/one"), picture)


def test_scores_come_back_bit_for_bit_and_in_order(archive: Archive) -> None:
    protocols = [
        ScoringProtocol(16, "1680x1120", region="rows 44:", variant="a|b"),
        ScoringProtocol(8, "4x4", colour="grey"),
    ]
    values = [0.1 + 0.2, -0.0, 1e-320, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 7]
    scores = [
        Score("set/one", f"metric {n}", "dpdnet", protocols[n % 2], value) for n, value in enumerate(values)
    ]
    assert archive.write_scores(KEY, "set/one", scores, spec=SPEC)
    found = archive.read_scores(KEY, "set/one")
    assert [replace(s, value=0.0) for s in found] == [replace(s, value=0.0) for s in scores]
    assert [s.value.hex() for s in found] == [float(s.value).hex() for s in scores]


def test_each_array_is_two_objects_and_all_zero_arrays_keep_their_chunk(archive: Archive) -> None:
    black = np.zeros((300, 900, 3), np.uint16)
    archive.write_pair(Pair(id="set/black", left=black, right=black), provenance={})
    archive.write_restored(KEY, "set/black", black)
    assert set(objects_of(archive)) == {
        "frames/set/black/c.0.0.0.0",
        "frames/set/black/zarr.json",
        f"restored/{KEY}/set/black/c.0.0.0",
        f"restored/{KEY}/set/black/zarr.json",
    }
    assert_same_fields(archive.read_pair("set/black"), Pair(id="set/black", left=black, right=black))


def test_plain_zarr_reads_every_array(archive: Archive) -> None:
    pair, blur_map = make_pair(), make_map()
    archive.write_pair(pair, provenance={})
    archive.write_blur_map(KEY, pair.id, blur_map)
    frames: Any = zarr.open_array(f"{archive.url}/frames/{pair.id}", mode="r")
    assert frames.metadata.dimension_names == ("view", "y", "x", "channel")
    views = frames.attrs["ldp"]["views"]
    assert views == ["left", "right", "target", "peer:apple", "peer:dpdnet"]
    assert_same(frames[views.index("peer:dpdnet")], pair.external["dpdnet"])
    blur: Any = zarr.open_array(f"{archive.url}/blur/{KEY}/{pair.id}", mode="r")
    assert blur.metadata.dimension_names == ("y", "x")
    assert_same(blur[...], blur_map.values)
    truth: Any = zarr.open_array(f"{archive.url}/blur/truth/{pair.id}", mode="r")
    assert_same(truth[...], pair.blur_truth)


def test_inner_chunks_are_bands_of_one_view_and_every_chain_ends_in_crc32c(archive: Archive) -> None:
    view = noise(700, 900, 3)
    archive.write_pair(Pair(id="set/large", left=view, right=view), provenance={})
    document = json.loads(objects_of(archive)["frames/set/large/zarr.json"])
    (sharding,) = document["codecs"]
    rows = sharding["configuration"]["chunk_shape"]
    assert rows[0] == 1
    assert rows[2:] == [900, 3]
    assert 1 < rows[1] < 700
    for chain in (sharding["configuration"]["codecs"], sharding["configuration"]["index_codecs"]):
        assert chain[-1]["name"] == "crc32c"


def test_a_dataarray_has_named_dimensions_views_and_record(archive: Archive) -> None:
    pair = make_pair()
    archive.write_pair(pair, provenance={"camera": "5D IV"})
    frames = archive.open_dataarray("frames", "", pair.id)
    assert frames.dims == ("view", "y", "x", "channel")
    assert_same(frames.sel(view="target").to_numpy(), pair.target)
    assert frames.attrs["provenance"] == {"camera": "5D IV"}
    archive.write_restored(KEY, pair.id, pair.left)
    assert archive.open_dataarray("restored", KEY, pair.id).dims == ("y", "x", "channel")


def test_attributes_tell_what_a_result_was_made_from_and_by(archive: Archive) -> None:
    pair = make_pair()
    archive.write_pair(pair, provenance={"sources": {"left": {"uri": "l.png", "sha256": "00" * 32}}})
    kept = archive.read_attributes("frames", "", pair.id)
    assert kept["digest"] == pair_digest(pair) == archive.read_digest(pair.id)
    assert kept["pixels_sha256"][0] == pixel_sha256(pair.left)
    assert kept["provenance"]["sources"]["left"]["sha256"] == "00" * 32
    archive.write_scores(KEY, pair.id, [], spec=SPEC, input_digest=kept["digest"], provenance={"gpu": "none"})
    result = archive.read_attributes("scores", KEY, pair.id)
    assert result["input"] == kept["digest"]
    assert result["provenance"] == {"gpu": "none"}
    assert StageSpec(**result["spec"]) == replace(SPEC, settings={"window_px": 9, "levels": [1, 2]})


def test_views_in_any_memory_order_are_archived_alike(archive: Archive) -> None:
    view = noise(37, 20, 3)
    turned = np.asfortranarray(view)
    assert pixel_sha256(turned) == pixel_sha256(view) == pixel_sha256(view.astype(">u2"))
    archive.write_restored(KEY, "set/one", turned[:, ::-1])
    assert_same(archive.read_restored(KEY, "set/one"), np.ascontiguousarray(view[:, ::-1]))


def test_an_archive_may_travel_to_a_worker(archive: Archive) -> None:
    assert pickle.loads(pickle.dumps(archive)) == archive


def test_no_temporary_file_is_left_on_a_local_disk(tmp_path: Path) -> None:
    Archive(str(tmp_path)).write_pair(make_pair(), provenance={})
    names = [name for _, _, files in os.walk(tmp_path) for name in files]
    assert sorted(names) == ["c.0.0", "c.0.0.0.0", "zarr.json", "zarr.json"]
