"""The folders of an archive are Zarr groups: Zarr shows the tree, and nobody takes a group for an item."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import zarr
from archive_samples import KEY, forget, make_map, make_pair, noise

from ldp_core.archive import Archive, Section
from ldp_core.archive.audit import audit_group, repair_group
from ldp_core.archive.layout import (
    BLUR,
    CONFIDENCE,
    FRAME_SECTION,
    GROUP_METADATA,
    RESTORED,
    SCORES,
    TRUTHS,
    list_top_groups,
    list_unknown,
    list_whole,
    read_listing,
    write_groups,
)
from ldp_core.storage import list_objects, read_bytes, write_bytes

SECTIONS = [FRAME_SECTION, TRUTHS, *(Section(kind, KEY) for kind in (BLUR, CONFIDENCE, RESTORED, SCORES))]
ITEMS = ["set/one", "set/day/two"]


@pytest.fixture(params=["local", "memory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    url = str(tmp_path / "archive") if request.param == "local" else f"memory://archive-{uuid4().hex}"
    archive = Archive(url)
    for item in ITEMS:
        archive.write_pair(make_pair(item), provenance={})
        archive.write_blur_map(KEY, item, make_map())
        archive.write_restored(KEY, item, noise(4, 4, 3))
        archive.write_scores(KEY, item, [])
    yield archive
    if request.param == "memory":
        forget(url)


def groups_of(archive: Archive) -> set[str]:
    paths = list_objects(archive.url)
    return {path for path in paths if read_bytes(f"{archive.url}/{path}") == GROUP_METADATA}


def test_zarr_shows_the_tree(archive: Archive) -> None:
    write_groups(archive.url, SECTIONS, ITEMS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object at scores is not recognized")
        group = zarr.open_group(archive.url, mode="r")
        tree = str(group.tree())
        assert {name for name, _ in group.arrays()} == set()
        assert {name for name, _ in group.groups()} == {"frames", "blur", "confidence", "restored"}
    assert all(name in tree for name in ("frames", KEY, "one", "day", "two"))
    assert dict(group["frames/set/day"].arrays()).keys() == {"two"}  # type: ignore[union-attr]


def test_a_group_is_a_group_to_zarr_and_holds_nothing_that_could_differ() -> None:
    assert json.loads(GROUP_METADATA) == {"zarr_format": 3, "node_type": "group", "attributes": {}}


def test_listings_tell_groups_from_items(archive: Archive) -> None:
    before = {section: list_whole(archive.url, section) for section in SECTIONS}
    write_groups(archive.url, SECTIONS, ITEMS)
    for section in SECTIONS:
        listing = read_listing(archive.url, section)
        assert set(listing.items) == list_whole(archive.url, section) == before[section] == set(ITEMS)
        assert not any((listing.unknown, listing.incomplete, listing.partial))
        assert (len(listing.groups) == 3) is not section.kind.is_document
    assert list_unknown(archive.url) == {}
    listed = {path for section in SECTIONS for path in read_listing(archive.url, section).groups}
    assert listed | set(list_top_groups(archive.url)) == groups_of(archive)


def test_a_group_without_items_is_no_item(archive: Archive) -> None:
    write_bytes(f"{archive.url}/restored/{KEY}/empty/zarr.json", GROUP_METADATA)
    section = Section(RESTORED, KEY)
    assert list_whole(archive.url, section) == set(read_listing(archive.url, section).items) == set(ITEMS)


def test_writing_groups_again_writes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    write_groups(archive.url, SECTIONS, ITEMS)
    written: list[str] = []
    monkeypatch.setattr("ldp_core.archive.layout.write_bytes", lambda url, _: written.append(url))
    write_groups(archive.url, SECTIONS, ITEMS)
    assert written == []
    write_groups(archive.url, SECTIONS, ["other/three"])
    assert {url.rpartition("/other/")[2] for url in written} == {"zarr.json"}


def test_an_altered_group_is_named_and_put_back(archive: Archive) -> None:
    write_groups(archive.url, SECTIONS, ITEMS)
    path = "frames/set/zarr.json"
    assert audit_group(archive.url, path) == ()
    write_bytes(f"{archive.url}/{path}", GROUP_METADATA.replace(b"group", b"array"))
    [found] = audit_group(archive.url, path)
    assert found.path == path
    repair_group(archive.url, path, when="20260101t000000z-aaaaaa")
    assert audit_group(archive.url, path) == ()
    assert b"array" in read_bytes(f"{archive.url}/rotten/20260101t000000z-aaaaaa/{path}")
