"""Damage of every kind to every object of an item: a typed error each time, and never wrong pixels."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from archive_samples import KEY, assert_same, assert_same_fields, forget, make_map, noise

from ldp_core.archive import Archive
from ldp_core.archive.checksums import BLANK_CHECKSUM, write_checksummed
from ldp_core.errors import ArchiveError, ItemConflictError, ItemDamagedError, ItemMissingError, StorageError
from ldp_core.storage import delete, join, list_objects, read_bytes, write_bytes
from ldp_core.types import BlurMap, Pair, Score, ScoringProtocol

ONE, TWO = "set/one", "set/two"


def small_pair(item_id: str, *, seed: int) -> Pair:
    views = [noise(6, 5, 3, seed=seed + n) for n in range(2)]
    return Pair(id=item_id, left=views[0], right=views[1], blur_truth=noise(4, 3, dtype="float32", seed=seed))


def small_map(*, seed: int) -> BlurMap:
    maps = [noise(6, 5, dtype="float32", seed=seed + n) for n in range(2)]
    return replace(make_map(), values=maps[0], confidence=maps[1])


def small_scores(item_id: str, *, seed: int) -> list[Score]:
    return [Score(item_id, "psnr_db", "restored", ScoringProtocol(16, "5x6"), 30.0 + seed)]


@dataclass(frozen=True)
class Sort:
    """How one sort of item is written, rewritten, read and compared, and which objects it is made of."""

    write: Callable[[Archive, str, int], bool]
    read: Callable[[Archive, str], Any]
    expect: Callable[[str, int], Any]
    same: Callable[[Any, Any], None]
    chunks: tuple[str, ...]
    metadata: tuple[str, ...]

    def objects(self, item_id: str) -> list[str]:
        return [path.format(item_id) for path in (*self.chunks, *self.metadata)]


SORTS = {
    "pair": Sort(
        lambda a, i, s: a.write_pair(small_pair(i, seed=s), provenance={}),
        lambda a, i: a.read_pair(i),
        lambda i, s: small_pair(i, seed=s),
        assert_same_fields,
        ("frames/{}/c.0.0.0.0", "blur/truth/{}/c.0.0"),
        ("frames/{}/zarr.json", "blur/truth/{}/zarr.json"),
    ),
    "blur map": Sort(
        lambda a, i, s: a.write_blur_map(KEY, i, small_map(seed=s)),
        lambda a, i: a.read_blur_map(KEY, i),
        lambda i, s: small_map(seed=s),
        assert_same_fields,
        (f"blur/{KEY}/{{}}/c.0.0", f"confidence/{KEY}/{{}}/c.0.0"),
        (f"blur/{KEY}/{{}}/zarr.json", f"confidence/{KEY}/{{}}/zarr.json"),
    ),
    "restored": Sort(
        lambda a, i, s: a.write_restored(KEY, i, noise(6, 5, 3, seed=s)),
        lambda a, i: a.read_restored(KEY, i),
        lambda i, s: noise(6, 5, 3, seed=s),
        assert_same,
        (f"restored/{KEY}/{{}}/c.0.0.0",),
        (f"restored/{KEY}/{{}}/zarr.json",),
    ),
    "scores": Sort(
        lambda a, i, s: a.write_scores(KEY, i, small_scores(i, seed=s)),
        lambda a, i: a.read_scores(KEY, i),
        lambda i, s: small_scores(i, seed=s),
        assert_same,
        (),
        (f"scores/{KEY}/{{}}.json",),
    ),
}


@pytest.fixture(params=SORTS)
def sort(request: pytest.FixtureRequest) -> Sort:
    return SORTS[request.param]


@pytest.fixture
def archive(sort: Sort) -> Iterator[Archive]:
    """Two whole items of one sort, in memory."""
    archive = Archive(f"memory://faults-{uuid4().hex}")
    assert sort.write(archive, ONE, 1)
    assert sort.write(archive, TWO, 2)
    yield archive
    forget(archive.url)


def assert_damage_is_named_and_repaired(archive: Archive, sort: Sort, item_id: str, seed: int) -> None:
    with pytest.raises((ItemDamagedError, ItemMissingError)):
        sort.read(archive, item_id)
    assert sort.write(archive, item_id, seed)
    sort.same(sort.read(archive, item_id), sort.expect(item_id, seed))


def count_noticed(archive: Archive, sort: Sort, url: str, *, versions: list[bytes]) -> int:
    """How many altered versions of an object make the first item a typed error; the rest is harmless."""
    intact, noticed = read_bytes(url), 0
    for content in versions:
        assert content != intact
        write_bytes(url, content)
        try:
            sort.same(sort.read(archive, ONE), sort.expect(ONE, 1))
        except (ItemDamagedError, ItemMissingError):
            noticed += 1
    write_bytes(url, intact)
    sort.same(sort.read(archive, ONE), sort.expect(ONE, 1))
    return noticed


def flip(content: bytes, bit: int) -> bytes:
    altered = bytearray(content)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def test_flips_of_single_bits_are_errors(archive: Archive, sort: Sort) -> None:
    chance = random.Random(1)
    for path in sort.objects(ONE):
        url = join(archive.url, path)
        intact = read_bytes(url)
        versions = [flip(intact, bit) for bit in chance.sample(range(8 * len(intact)), 100)]
        assert count_noticed(archive, sort, url, versions=versions) == len(versions)


@pytest.mark.parametrize("sort", ["restored"], indirect=True)
def test_no_byte_of_a_chunk_may_be_flipped(archive: Archive, sort: Sort) -> None:
    url = join(archive.url, sort.chunks[0].format(ONE))
    intact = read_bytes(url)
    versions = [flip(intact, 8 * n + n % 8) for n in range(len(intact))]
    assert count_noticed(archive, sort, url, versions=versions) == len(versions)


def test_an_object_cut_anywhere_or_with_bytes_added_is_an_error(archive: Archive, sort: Sort) -> None:
    for path in sort.objects(ONE):
        url = join(archive.url, path)
        intact = read_bytes(url)
        lengths = {*range(0, len(intact), 29), *range(len(intact) - 25, len(intact))}
        versions = [intact[:n] for n in sorted(lengths)]
        versions += [intact + b"\0", b"\0" + intact, b"\0" * len(intact)]
        assert count_noticed(archive, sort, url, versions=versions) == len(versions)


def test_a_lost_object_is_an_error_and_is_repaired(archive: Archive, sort: Sort) -> None:
    for path in sort.objects(ONE):
        delete(join(archive.url, path))
        assert_damage_is_named_and_repaired(archive, sort, ONE, 1)


def test_an_exchanged_object_is_an_error_and_is_repaired(archive: Archive, sort: Sort) -> None:
    for path in zip(sort.objects(ONE), sort.objects(TWO), strict=True):
        urls = [join(archive.url, name) for name in path]
        contents = [read_bytes(url) for url in urls]
        write_bytes(urls[0], contents[1])
        write_bytes(urls[1], contents[0])
        assert_damage_is_named_and_repaired(archive, sort, ONE, 1)
        assert_damage_is_named_and_repaired(archive, sort, TWO, 2)


def test_an_item_put_whole_in_the_place_of_another_is_an_error(archive: Archive, sort: Sort) -> None:
    for one, two in zip(sort.objects(ONE), sort.objects(TWO), strict=True):
        write_bytes(join(archive.url, one), read_bytes(join(archive.url, two)))
    with pytest.raises(ItemDamagedError, match="another item"):
        sort.read(archive, ONE)


def test_metadata_that_is_damaged_is_missing_from_no_listing(archive: Archive, sort: Sort) -> None:
    path = sort.metadata[0].format(ONE)
    write_bytes(join(archive.url, path), b"{}")
    kind, key = path.split("/")[0], "" if path.startswith("frames") else KEY
    assert archive.list_items(kind, key) == {ONE, TWO}
    with pytest.raises(ItemDamagedError):
        archive.read_attributes(kind, key, ONE)


def reseal(archive: Archive, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Alter metadata and seal it again, as a faulty writer would."""
    url = join(archive.url, path)
    document = json.loads(read_bytes(url))
    record = document["ldp"] if "ldp" in document else document["attributes"]["ldp"]
    change(record)
    record["seal_sha256"] = BLANK_CHECKSUM
    write_bytes(url, write_checksummed(document, where=url))


def test_a_record_with_any_field_removed_is_an_error(archive: Archive, sort: Sort) -> None:
    needed = {"schema", "kind", "stage_key", "item"}
    for path in (sort.metadata[0].format(ONE),):
        for name in needed | ({"pixels_sha256"} if sort.chunks else set()):
            intact = read_bytes(join(archive.url, path))
            reseal(archive, path, lambda record, name=name: record.pop(name))
            with pytest.raises(ItemDamagedError):
                sort.read(archive, ONE)
            write_bytes(join(archive.url, path), intact)


def test_a_later_format_is_named_and_never_replaced(archive: Archive, sort: Sort) -> None:
    path = sort.metadata[0].format(ONE)
    reseal(archive, path, lambda record: record.update(schema=2, written_by="ldp 9.0"))
    for attempt in (lambda: sort.read(archive, ONE), lambda: sort.write(archive, ONE, 1)):
        with pytest.raises(ArchiveError, match="another version") as caught:
            attempt()
        assert caught.type is ArchiveError
        assert "ldp 9.0" in str(caught.value)


@pytest.mark.parametrize("sort", ["pair"], indirect=True)
def test_records_that_do_not_fit_their_pixels_are_errors(archive: Archive, sort: Sort) -> None:
    path = f"frames/{ONE}/zarr.json"
    intact = read_bytes(join(archive.url, path))
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda record: record["pixels_sha256"].reverse(),
        lambda record: record["pixels_sha256"].pop(),
        lambda record: record["views"].pop(),
        lambda record: record.update(views=["left", "middle"]),
        lambda record: record.update(score_region={"diagonal": 1}),
        lambda record: record.update(blur_truth_kind="loud"),
        lambda record: record.update(blur_truth_sha256="00" * 32),
    ]
    for change in changes:
        reseal(archive, path, change)
        with pytest.raises(ItemDamagedError):
            archive.read_pair(ONE)
        write_bytes(join(archive.url, path), intact)
    archive.read_pair(ONE)


@pytest.mark.parametrize("sort", ["blur map"], indirect=True)
def test_a_confidence_of_another_map_is_an_error(archive: Archive, sort: Sort) -> None:
    other = Archive(f"{archive.url}-other")
    other.write_blur_map(KEY, ONE, small_map(seed=8))
    folder = f"confidence/{KEY}/{ONE}"
    for name in list_objects(join(other.url, folder)):
        write_bytes(join(archive.url, folder, name), read_bytes(join(other.url, folder, name)))
    forget(other.url)
    assert_damage_is_named_and_repaired(archive, sort, ONE, 1)


@pytest.mark.parametrize("sort", ["pair"], indirect=True)
def test_damage_does_not_open_the_door_to_other_content(archive: Archive, sort: Sort) -> None:
    delete(join(archive.url, f"frames/{ONE}/c.0.0.0.0"))
    with pytest.raises(ItemConflictError):
        archive.write_pair(small_pair(ONE, seed=5), provenance={})
    assert archive.write_pair(small_pair(ONE, seed=1), provenance={})


def test_random_flips_in_a_large_noisy_chunk_are_errors() -> None:
    archive, pixels, chance = Archive(f"memory://faults-{uuid4().hex}"), noise(400, 500, 3), random.Random(3)
    archive.write_restored(KEY, ONE, pixels)
    url = join(archive.url, f"restored/{KEY}/{ONE}/c.0.0.0")
    intact = read_bytes(url)
    for _ in range(100):
        write_bytes(url, flip(intact, chance.randrange(8 * len(intact))))
        with pytest.raises(ItemDamagedError):
            archive.read_restored(KEY, ONE)
    write_bytes(url, intact)
    assert_same(archive.read_restored(KEY, ONE), pixels)
    forget(archive.url)


def test_a_store_that_fails_is_not_taken_for_a_missing_item(tmp_path: Path) -> None:
    in_the_way = tmp_path / "archive"
    in_the_way.write_bytes(b"a file where the archive should be")
    archive = Archive(str(in_the_way))
    for attempt in (
        lambda: archive.read_pair(ONE),
        lambda: archive.has("frames", "", ONE),
        lambda: archive.write_pair(small_pair(ONE, seed=1), provenance={}),
        lambda: archive.write_scores(KEY, ONE, []),
    ):
        with pytest.raises(StorageError):
            attempt()
