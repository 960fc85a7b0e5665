"""The archive as callers see it: one address, verbs for each kind of item, no state of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ldp_core.archive import pairs, results
from ldp_core.archive.arrays import fetch_record, origin_facts, read_array
from ldp_core.archive.layout import (
    BLUR,
    RESTORED,
    RUNS,
    SCORES,
    Address,
    ArchiveKind,
    Section,
    find_kind,
    list_versions,
    list_whole,
)
from ldp_core.archive.pairs import StoredVersion
from ldp_core.errors import ArchiveError, ObjectMissingError
from ldp_core.item_ids import check_run_id, make_item_key, split_item_key
from ldp_core.storage import join, list_folder, read_bytes
from ldp_core.types import BlurMap, Pair, Pixels, Score, StageSpec

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive at a local path or any URL fsspec speaks. Cheap to make, safe to send to workers.

    Items are named by their key: the item id, or ``<id>@<version>`` from version 2 on. Where ``latest`` is
    set, as `ldp_core.open_archive` does, the bare id means the latest version, and ``<id>@1`` the first.
    Every ``write_*`` returns False, and writes nothing, when an intact item is there already; a
    damaged item is replaced. Every ``read_*`` verifies digests and raises ``ItemMissingError`` or
    ``ItemDamagedError``; bad names raise ``ItemIdError``, a store that fails ``StorageError``.
    ``input_digest`` is the ``read_digest`` of the pair a result was made from: writers record it, and
    where it is given and differs from the one recorded, readers and writers raise ``ItemConflictError``.
    """

    url: str
    latest: bool = False

    def write_pair(self, pair: Pair, *, provenance: Mapping[str, Any]) -> bool:
        """Archive a pair. ``provenance`` is plain JSON, such as the sources' addresses and sha256.

        Raises:
            ItemConflictError: the key is archived with other content.
        """
        return pairs.write_pair(self.url, pair, provenance=provenance)

    def write_version(
        self, pair: Pair, archived: Mapping[int, str], *, provenance: Mapping[str, Any]
    ) -> StoredVersion:
        """Archive a pair as the version that has its content, else as the version after all others.

        ``archived`` are the versions known of, each with the digest that a record gives it, or ''.
        """
        return pairs.write_version(self.url, pair, archived, provenance=provenance)

    def versions(self, item_id: str) -> tuple[int, ...]:
        """The versions of an item whose frames are archived, in order; empty where there is none."""
        return list_versions(self.url, item_id)

    def read_pair(self, item: str) -> Pair:
        """The pair as it was written: pictures, blur truth, scored region, alignment."""
        return self.read_pair_and_digest(item)[0]

    def read_pair_and_digest(self, item: str) -> tuple[Pair, str]:
        """The pair, and what `read_digest` would say of it, in one visit."""
        return pairs.read_pair(self.url, self._key(item))

    def read_digest(self, item: str) -> str:
        """Digest of an archived pair; reads its metadata only. Equals ``pair_digest`` of the pair."""
        return pairs.read_digest(self.url, self._key(item))

    def write_blur_map(
        self,
        stage_key: str,
        item: str,
        blur_map: BlurMap,
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive a blur map and its confidence under the key of the stage that made it."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        return results.write_blur_map(self.url, self._address(BLUR, stage_key, item), blur_map, origin=origin)

    def read_blur_map(self, stage_key: str, item: str, *, input_digest: str = "") -> BlurMap:
        """A blur map and its confidence."""
        address = self._address(BLUR, stage_key, item)
        return results.read_blur_map(self.url, address, input_digest=input_digest)

    def write_restored(
        self,
        stage_key: str,
        item: str,
        restored: Pixels,
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive a restored picture ``(h, w, c)`` uint8 or uint16."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        return results.write_restored(
            self.url, self._address(RESTORED, stage_key, item), restored, origin=origin
        )

    def read_restored(self, stage_key: str, item: str, *, input_digest: str = "") -> Pixels:
        """A restored picture ``(h, w, c)``."""
        return self.read_result(RESTORED, stage_key, item, input_digest=input_digest)

    def write_scores(
        self,
        stage_key: str,
        item: str,
        scores: Sequence[Score],
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive the scores of an item."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        return results.write_scores(self.url, self._address(SCORES, stage_key, item), scores, origin=origin)

    def read_scores(self, stage_key: str, item: str, *, input_digest: str = "") -> list[Score]:
        """The scores of an item, bit for bit."""
        address = self._address(SCORES, stage_key, item)
        return results.read_scores(self.url, address, input_digest=input_digest)

    def write_result(
        self,
        kind: ArchiveKind,
        stage_key: str,
        item: str,
        pixels: NDArray[Any],
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive an array of any kind, one of your own too."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        return results.write_result(self.url, self._address(kind, stage_key, item), pixels, origin=origin)

    def read_result(
        self, kind: ArchiveKind, stage_key: str, item: str, *, input_digest: str = ""
    ) -> NDArray[Any]:
        """An array of any kind."""
        return read_array(self.url, self._address(kind, stage_key, item), input_digest=input_digest).pixels

    def list_items(self, kind: str | ArchiveKind, stage_key: str = "") -> frozenset[str]:
        """Keys of all whole items of a kind (``frames``, ``blur``, ...) and stage key: one listing."""
        return list_whole(self.url, Section(_kind(kind), stage_key))

    def list_stage_keys(self, kind: str | ArchiveKind) -> tuple[str, ...]:
        """Stage keys under which there are results of a kind (``blur``, ``restored``, ...), sorted."""
        return list_folder(join(self.url, _kind(kind).name)).folders

    def has(self, kind: str | ArchiveKind, stage_key: str, item: str) -> bool:
        """Whether an item was written whole; its pixels are not read."""
        try:
            read_bytes(join(self.url, self._address(kind, stage_key, item).metadata_path))
        except ObjectMissingError:
            return False
        return True

    def read_attributes(self, kind: str | ArchiveKind, stage_key: str, item: str) -> dict[str, Any]:
        """The record kept with an item: digests, settings, stage, weights, provenance."""
        return fetch_record(self.url, self._address(kind, stage_key, item))

    def open_dataarray(self, kind: str | ArchiveKind, stage_key: str, item: str) -> xarray.DataArray:
        """An item as a verified ``xarray.DataArray`` in memory, views named, its record as ``attrs``."""
        import xarray

        address = self._address(kind, stage_key, item)
        if address.kind.is_document:
            raise ArchiveError("scores are no array", where=address.path, remedy="use read_scores")
        stored = read_array(self.url, address)
        coords = {"view": stored.record["views"]} if "view" in stored.dimensions else None
        return xarray.DataArray(
            stored.pixels,
            dims=stored.dimensions,
            coords=coords,
            attrs=dict(stored.record),
            name=address.kind.name,
        )

    def __getitem__(self, item: str) -> xarray.DataArray:
        """The frames of an item: all its views, verified, as ``open_dataarray`` gives them."""
        return self.open_dataarray("frames", "", item)

    def __iter__(self) -> Iterator[str]:
        """Keys of all items whose frames are whole, or with ``latest`` their ids, in order: one listing."""
        keys = self.list_items("frames")
        return iter(sorted({split_item_key(key)[0] for key in keys} if self.latest else keys))

    def run_url(self, run_id: str) -> str:
        """The folder of a run: its record, table of scores, quarantine and report."""
        return join(self.url, RUNS, check_run_id(run_id))

    def _address(self, kind: str | ArchiveKind, stage_key: str, item: str) -> Address:
        return Address(Section(_kind(kind), stage_key), self._key(item))

    def _key(self, item: str) -> str:
        """The key that an item name means here."""
        if not self.latest:
            return item
        if "@" in item:
            return item.removesuffix("@1")
        versions = self.versions(item)
        return make_item_key(item, versions[-1]) if versions else item


def _kind(kind: str | ArchiveKind) -> ArchiveKind:
    return kind if isinstance(kind, ArchiveKind) else find_kind(kind)
