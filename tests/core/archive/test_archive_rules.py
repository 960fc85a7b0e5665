"""What the archive refuses: other content, other names, other meaning."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_samples import (
    KEY,
    SPEC,
    assert_same_fields,
    make_map,
    make_pair,
    noise,
    objects_of,
)

from ldp_core.archive import Archive, stage_key
from ldp_core.errors import (
    ArchiveError,
    BlurMapError,
    ItemConflictError,
    ItemIdError,
    ItemMissingError,
    PairMismatchError,
    SettingsError,
)
from ldp_core.storage import write_bytes
from ldp_core.types import BlurTruthKind, DpAxis, Pair, Region, Score, ScoringProtocol


def test_writing_the_same_pair_again_writes_nothing(archive: Archive) -> None:
    archive.write_pair(make_pair(), provenance={"first": True})
    before = objects_of(archive)
    assert not archive.write_pair(make_pair(), provenance={"first": False})
    assert objects_of(archive) == before


CHANGES: dict[str, Any] = {
    "left": noise(37, 20, 3, seed=99),
    "right": noise(37, 20, 3, seed=99),
    "target": None,
    "blur_truth": None,
    "external": {},
    "score_region": Region(),
    "aligned": True,
    "blur_truth_kind": BlurTruthKind.UNSIGNED,
    "dp_axis": DpAxis.Y,
    "source_peak": 200,
    "colour": "Display P3",
    "mask": noise(37, 20) > 2**15,
}


def test_every_field_of_a_pair_is_among_the_changes() -> None:
    assert {field.name for field in fields(Pair)} == {"id", "version", "doubts", *CHANGES}


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_id_with_other_content_is_refused(archive: Archive, name: str) -> None:
    archive.write_pair(make_pair(), provenance={})
    before = objects_of(archive)
    with pytest.raises(ItemConflictError, match="other content"):
        archive.write_pair(replace(make_pair(), **{name: CHANGES[name]}), provenance={})
    assert objects_of(archive) == before


def test_swapping_left_and_right_is_other_content(archive: Archive) -> None:
    pair = make_pair()
    archive.write_pair(pair, provenance={})
    with pytest.raises(ItemConflictError):
        archive.write_pair(replace(pair, left=pair.right, right=pair.left), provenance={})


def test_a_result_that_is_there_is_kept(archive: Archive) -> None:
    archive.write_blur_map(KEY, "set/one", make_map())
    archive.write_restored(KEY, "set/one", noise(4, 4, 3))
    archive.write_scores(KEY, "set/one", [])
    before = objects_of(archive)
    assert not archive.write_blur_map(KEY, "set/one", make_map(seed=7))
    assert not archive.write_restored(KEY, "set/one", noise(4, 4, 3, seed=7))
    assert not archive.write_scores(
        KEY, "set/one", [Score("set/one", "m", "input", ScoringProtocol(8, "4x4"), 1.0)]
    )
    assert objects_of(archive) == before


def test_a_result_is_bound_to_the_pair_it_was_made_from(archive: Archive) -> None:
    archive.write_blur_map(KEY, "set/one", make_map(), input_digest="aa")
    archive.write_restored(KEY, "set/one", noise(4, 4, 3), input_digest="aa")
    archive.write_scores(KEY, "set/one", [], input_digest="aa")
    archive.read_blur_map(KEY, "set/one", input_digest="aa")
    archive.read_restored(KEY, "set/one", input_digest="aa")
    archive.read_scores(KEY, "set/one", input_digest="aa")
    for attempt in (
        lambda: archive.read_blur_map(KEY, "set/one", input_digest="bb"),
        lambda: archive.read_restored(KEY, "set/one", input_digest="bb"),
        lambda: archive.read_scores(KEY, "set/one", input_digest="bb"),
        lambda: archive.write_blur_map(KEY, "set/one", make_map(), input_digest="bb"),
        lambda: archive.write_restored(KEY, "set/one", noise(4, 4, 3), input_digest="bb"),
        lambda: archive.write_scores(KEY, "set/one", [], input_digest="bb"),
    ):
        with pytest.raises(ItemConflictError, match="other pixels"):
            attempt()


def test_two_keys_lie_side_by_side(archive: Archive) -> None:
    other = stage_key(replace(SPEC, version="4"))
    archive.write_blur_map(KEY, "set/one", make_map())
    archive.write_blur_map(other, "set/one", make_map(seed=5))
    assert_same_fields(archive.read_blur_map(KEY, "set/one"), make_map())
    assert_same_fields(archive.read_blur_map(other, "set/one"), make_map(seed=5))


def test_a_listing_names_whole_items_of_one_kind_and_key_only(archive: Archive) -> None:
    assert archive.list_items("frames") == set()
    archive.write_pair(make_pair("set/one"), provenance={})
    archive.write_pair(make_pair("set/two"), provenance={})
    archive.write_blur_map(KEY, "set/one", make_map())
    archive.write_scores(KEY, "set/two", [])
    write_bytes(f"{archive.url}/frames/set/half/c.0.0.0.0", b"a chunk whose writer was killed")
    assert archive.list_items("frames") == {"set/one", "set/two"}
    assert archive.list_items("blur", KEY) == archive.list_items("confidence", KEY) == {"set/one"}
    assert archive.list_items("blur", "truth") == {"set/one", "set/two"}
    assert archive.list_items("scores", KEY) == {"set/two"}
    assert archive.list_items("restored", KEY) == set()
    assert archive.has("frames", "", "set/one")
    assert archive.has("scores", KEY, "set/two")
    assert not archive.has("frames", "", "set/half")
    assert not archive.has("scores", KEY, "set/one")


def test_what_is_not_there_is_missing(archive: Archive) -> None:
    for read in (
        lambda: archive.read_pair("set/none"),
        lambda: archive.read_digest("set/none"),
        lambda: archive.read_blur_map(KEY, "set/none"),
        lambda: archive.read_restored(KEY, "set/none"),
        lambda: archive.read_scores(KEY, "set/none"),
        lambda: archive.read_attributes("frames", "", "set/none"),
        lambda: archive.open_dataarray("blur", KEY, "set/none"),
    ):
        with pytest.raises(ItemMissingError):
            read()


BAD_IDS = [
    "", "/", "a//b", "/a", "a/", "..", "a/..", "a/../b", ".a", "-a", "A", "a/B", "a b", "a\n", "é", "a\\b",
    "٣", "a/zarr.json", "a.json", "c.0.0", "x" * 201, "/".join(["abcdefghi"] * 61),
]  # fmt: skip


@pytest.mark.parametrize("item_id", BAD_IDS)
def test_a_bad_item_id_is_refused_everywhere(archive: Archive, item_id: str) -> None:
    for attempt in (
        lambda: archive.write_pair(make_pair(item_id), provenance={}),
        lambda: archive.read_pair(item_id),
        lambda: archive.write_scores(KEY, item_id, []),
        lambda: archive.read_blur_map(KEY, item_id),
        lambda: archive.has("frames", "", item_id),
    ):
        with pytest.raises(ItemIdError):
            attempt()
    assert objects_of(archive) == {}


@pytest.mark.parametrize("item_id", ["a", "0", "canon-dpdd/1p0a0984", "a/b/c_d.e-f", "a..b", "x" * 200])
def test_a_good_item_id_is_taken(archive: Archive, item_id: str) -> None:
    archive.write_scores(KEY, item_id, [])
    assert archive.list_items("scores", KEY) == {item_id}


@pytest.mark.parametrize("key", ["", "a/b", "..", "Upper", "truth"])
def test_a_bad_stage_key_is_refused(archive: Archive, key: str) -> None:
    with pytest.raises(ItemIdError):
        archive.write_blur_map(key, "set/one", make_map())


def test_frames_take_no_stage_key_and_kinds_are_known(archive: Archive) -> None:
    with pytest.raises(ItemIdError, match="no stage key"):
        archive.list_items("frames", KEY)
    with pytest.raises(ArchiveError, match="no such kind"):
        archive.list_items("pictures", KEY)


def test_a_key_of_another_specification_is_refused(archive: Archive) -> None:
    with pytest.raises(ItemIdError, match="another specification"):
        archive.write_restored(KEY, "set/one", noise(4, 4, 3), spec=replace(SPEC, version="4"))


def test_a_measured_map_has_no_known_scale(archive: Archive) -> None:
    archive.write_pair(make_pair(), provenance={})
    with pytest.raises(BlurMapError, match="no known scale"):
        archive.read_blur_map("truth", "set/one")


def test_arrays_that_are_not_what_they_should_be_are_refused(archive: Archive) -> None:
    for bad in (
        replace(make_map(), values=noise(37, 20, dtype=np.float64)),
        replace(make_map(), values=noise(36, 20, dtype=np.float32)),
        replace(make_map(), values=noise(37, 20, 1, dtype=np.float32), confidence=None),
    ):
        with pytest.raises(BlurMapError):
            archive.write_blur_map(KEY, "set/one", bad)
    for picture in (noise(4, 4), noise(4, 4, 3, dtype=np.float32)):
        with pytest.raises(ArchiveError):
            archive.write_restored(KEY, "set/one", picture)
    with pytest.raises(ArchiveError, match="cannot be archived"):
        archive.write_restored(KEY, "set/one", np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(PairMismatchError, match="external result 'small'"):
        archive.write_pair(replace(make_pair(), external={"small": noise(4, 4, 3)}), provenance={})
    with pytest.raises(SettingsError, match="plain JSON"):
        archive.write_pair(make_pair(), provenance={"path": Path("x")})
    assert not archive.has("frames", "", "set/one")
    assert archive.list_items("blur", KEY) == archive.list_items("restored", KEY) == set()


def test_a_run_has_its_own_folder(archive: Archive) -> None:
    assert archive.run_url("2026-11-21t09") == f"{archive.url}/runs/2026-11-21t09"
    with pytest.raises(ItemIdError):
        archive.run_url("../frames")


def test_versions_of_an_item_lie_side_by_side(archive: Archive) -> None:
    first, second = make_pair(), make_pair(seed=5)
    archive.write_pair(first, provenance={})
    archive.write_pair(replace(second, version=2), provenance={})
    archive.write_restored(KEY, "set/one@2", noise(4, 4, 3))
    assert archive.list_items("frames") == {"set/one", "set/one@2"}
    assert archive.list_items("restored", KEY) == {"set/one@2"}
    assert_same_fields(archive.read_pair("set/one"), first)
    assert_same_fields(archive.read_pair("set/one@2"), replace(second, version=2))
    for wrong in ("set/one@1", "set/one@0", "set/one@02", "set/one@x", "@2", "set@2/one"):
        with pytest.raises(ItemIdError):
            archive.read_pair(wrong)
