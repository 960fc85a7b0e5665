"""The archive as callers see it: one address, verbs for each kind of item, no state of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ldp_core.archive import blur_maps, pairs, pictures, scores
from ldp_core.archive.addresses import (
    Address,
    ItemKind,
    folder_of,
    suffix_of,
)
from ldp_core.archive.arrays import damage_named, read_array
from ldp_core.archive.records import check_record, fetch_sealed, origin_facts
from ldp_core.errors import ArchiveError, ObjectMissingError
from ldp_core.item_ids import check_run_id, is_item_key
from ldp_core.storage import join, list_objects, read_bytes
from ldp_core.types import BlurMap, Pair, Pixels, Score, StageSpec

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive at a local path or any URL fsspec speaks. Cheap to make, safe to send to workers.

    Every ``write_*`` returns False, and writes nothing, when an intact item is there already; a
    damaged item is replaced. Every ``read_*`` verifies digests and raises ``ItemMissingError`` or
    ``ItemDamagedError``; bad names raise ``ItemIdError``, a store that fails ``StorageError``.
    ``input_digest`` is the ``read_digest`` of the pair a result was made from: writers record it, and
    where it is given and differs from the one recorded, readers and writers raise ``ItemConflictError``.
    """

    url: str

    def write_pair(self, pair: Pair, *, provenance: Mapping[str, Any]) -> bool:
        """Archive a pair. ``provenance`` is plain JSON, such as the sources' addresses and sha256.

        Raises:
            ItemConflictError: the id is archived with other content.
        """
        return pairs.write_pair(self.url, pair, provenance=provenance)

    def read_pair(self, item_id: str) -> Pair:
        """The pair as it was written: pictures, blur truth, scored region, alignment."""
        return self.read_pair_and_digest(item_id)[0]

    def read_pair_and_digest(self, item_id: str) -> tuple[Pair, str]:
        """The pair, and what `read_digest` would say of it, in one visit."""
        return pairs.read_pair(self.url, item_id)

    def read_digest(self, item_id: str) -> str:
        """Digest of an archived pair; reads its metadata only. Equals ``pair_digest`` of the pair."""
        return pairs.read_digest(self.url, item_id)

    def write_blur_map(
        self,
        stage_key: str,
        item_id: str,
        blur_map: BlurMap,
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive a blur map and its confidence under the key of the stage that made it."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        address = Address(ItemKind.BLUR, stage_key, item_id)
        return blur_maps.write_blur_map(self.url, address, blur_map, origin=origin)

    def read_blur_map(self, stage_key: str, item_id: str, *, input_digest: str = "") -> BlurMap:
        """A blur map and its confidence."""
        address = Address(ItemKind.BLUR, stage_key, item_id)
        return blur_maps.read_blur_map(self.url, address, input_digest=input_digest)

    def write_restored(
        self,
        stage_key: str,
        item_id: str,
        restored: Pixels,
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive a restored picture ``(h, w, c)`` uint8 or uint16."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        address = Address(ItemKind.RESTORED, stage_key, item_id)
        return pictures.write_restored(self.url, address, restored, origin=origin)

    def read_restored(self, stage_key: str, item_id: str, *, input_digest: str = "") -> Pixels:
        """A restored picture ``(h, w, c)``."""
        address = Address(ItemKind.RESTORED, stage_key, item_id)
        return pictures.read_restored(self.url, address, input_digest=input_digest)

    def write_scores(
        self,
        stage_key: str,
        item_id: str,
        item_scores: Sequence[Score],
        *,
        spec: StageSpec | None = None,
        input_digest: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> bool:
        """Archive the scores of an item."""
        origin = origin_facts(stage_key, spec=spec, input_digest=input_digest, provenance=provenance)
        address = Address(ItemKind.SCORES, stage_key, item_id)
        return scores.write_scores(self.url, address, item_scores, origin=origin)

    def read_scores(self, stage_key: str, item_id: str, *, input_digest: str = "") -> list[Score]:
        """The scores of an item, bit for bit."""
        address = Address(ItemKind.SCORES, stage_key, item_id)
        return scores.read_scores(self.url, address, input_digest=input_digest)

    def list_items(self, kind: str, stage_key: str = "") -> set[str]:
        """Ids of all whole items of a kind (``frames``, ``blur``, ...) and stage key: one listing."""
        folder = folder_of(_item_kind(kind), stage_key)
        suffix = suffix_of(ItemKind(kind)) or "/zarr.json"
        paths = (path for path in list_objects(join(self.url, folder)) if path.endswith(suffix))
        return {item_id for path in paths if is_item_key(item_id := path.removesuffix(suffix))}

    def has(self, kind: str, stage_key: str, item_id: str) -> bool:
        """Whether an item was written whole; its pixels are not read."""
        address = Address(_item_kind(kind), stage_key, item_id)
        try:
            read_bytes(join(self.url, address.metadata_path))
        except ObjectMissingError:
            return False
        return True

    def read_attributes(self, kind: str, stage_key: str, item_id: str) -> dict[str, Any]:
        """The record kept with an item: digests, settings, stage, weights, provenance."""
        address = Address(_item_kind(kind), stage_key, item_id)
        where = join(self.url, address.path)
        _, document = fetch_sealed(self.url, address)
        with damage_named(where):
            record = document["ldp"] if address.kind is ItemKind.SCORES else document["attributes"]["ldp"]
            return check_record(record, address, where=where)

    def open_dataarray(self, kind: str, stage_key: str, item_id: str) -> xarray.DataArray:
        """An item as a verified ``xarray.DataArray`` in memory, views named, its record as ``attrs``."""
        import xarray

        address = Address(_item_kind(kind), stage_key, item_id)
        if address.kind is ItemKind.SCORES:
            raise ArchiveError("scores are no array", where=address.path, remedy="use read_scores")
        stored = read_array(self.url, address)
        coords = {"view": stored.record["views"]} if "view" in stored.dimensions else None
        return xarray.DataArray(
            stored.pixels,
            dims=stored.dimensions,
            coords=coords,
            attrs=dict(stored.record),
            name=address.kind.value,
        )

    def run_url(self, run_id: str) -> str:
        """The folder of a run: its record, table of scores, quarantine and report."""
        return join(self.url, "runs", check_run_id(run_id))


def _item_kind(kind: str) -> ItemKind:
    try:
        return ItemKind(kind)
    except ValueError as error:
        raise ArchiveError(
            "the archive holds no such kind of item", expected=", ".join(ItemKind), got=repr(kind)
        ) from error
