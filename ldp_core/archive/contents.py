"""What lies in an archive, by its listings alone: whole items, traces of stopped writers, strangers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ldp_core.archive.addresses import TRUTH, Address, ItemKind, folder_of
from ldp_core.errors import ArchiveError
from ldp_core.item_ids import is_item_key, is_segment
from ldp_core.storage import Entry, Folder, is_partial, join, list_entries, list_folder

ROTTEN = "rotten"
"""The folder of an archive in which rotten objects are set aside."""
RUNS = "runs"

_CHUNKS = {ItemKind.FRAMES: 4, ItemKind.BLUR: 2, ItemKind.CONFIDENCE: 2, ItemKind.RESTORED: 3}
_NAME = re.compile(r"(?P<item>.+)/(?P<object>zarr\.json|c(?:\.0)+)")


@dataclass(frozen=True, slots=True)
class Section:
    """All items of one kind and stage key; the key of frames is empty."""

    kind: ItemKind
    stage_key: str

    @property
    def path(self) -> str:
        return folder_of(self.kind, self.stage_key)

    @property
    def is_result(self) -> bool:
        """Whether a stage made it: neither frames nor a measured map."""
        return self.kind is not ItemKind.FRAMES and self.stage_key != TRUTH


FRAMES, TRUTHS = Section(ItemKind.FRAMES, ""), Section(ItemKind.BLUR, TRUTH)
"""What a stage did not make: the views, and blur maps that were measured."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """The objects of a section. ``items``: by id, those of whole items by path below the archive.

    ``torn`` are chunks without metadata, ``partial`` temporary files of writers, by path; the rest
    is ``strange``.
    """

    items: Mapping[str, Mapping[str, Entry]]
    torn: Mapping[str, Entry] = field(default_factory=dict)
    partial: Mapping[str, Entry] = field(default_factory=dict)
    strange: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole items."""
        return sum(entry.size_bytes for objects in self.items.values() for entry in objects.values())


def require_archive(root: str) -> None:
    """Refuse an address where no archive lies.

    Raises:
        ArchiveError: nothing of an archive is there.
    """
    if not {*ItemKind, RUNS} & {*list_folder(root).folders}:
        raise ArchiveError(
            "there is no archive at this address",
            where=root,
            expected=f"at least one of the folders {', '.join((*ItemKind, RUNS))}",
            remedy="check the address; `ldp restore` makes an archive",
        )


def list_sections(root: str) -> list[Section]:
    """The sections of an archive, frames first, in the order of the stages."""
    kinds = (kind for kind in ItemKind if kind is not ItemKind.FRAMES)
    folders = ((kind, list_folder(join(root, kind.value)).folders) for kind in kinds)
    keyed = (Section(kind, key) for kind, keys in folders for key in keys if is_segment(key))
    return [FRAMES, *keyed]


def list_strangers(root: str) -> dict[str, Entry]:
    """Objects outside every section, the runs and what was set aside, by path below the archive."""
    top = list_folder(root)
    known = {*ItemKind, RUNS, ROTTEN}
    found = dict(top.objects)
    for name in top.folders:
        if name not in known:
            found |= _below(name, list_entries(join(root, name)))
        elif name in set(ItemKind) - {ItemKind.FRAMES}:
            found |= _outside_keys(root, name, list_folder(join(root, name)))
    return found


def read_section(root: str, section: Section) -> Holdings:
    """One listing of a section, sorted into what belongs together."""
    items: dict[str, dict[str, Entry]] = {}
    partial, strange, whole = {}, {}, set()
    for name, entry in list_entries(join(root, section.path)).items():
        path = f"{section.path}/{name}"
        item_id, is_metadata = _parse(section.kind, name)
        if is_partial(name):
            partial[path] = entry
        elif item_id is None:
            strange[path] = entry
        else:
            items.setdefault(item_id, {})[path] = entry
            if is_metadata:
                whole.add(item_id)
    torn = {
        path: entry for item, objects in items.items() if item not in whole for path, entry in objects.items()
    }
    return Holdings({item: items[item] for item in items if item in whole}, torn, partial, strange)


def object_paths(address: Address) -> tuple[str, ...]:
    """The objects of an item below the archive, metadata first."""
    if address.kind is ItemKind.SCORES:
        return (address.path,)
    chunk = ".".join(["c", *["0"] * _CHUNKS[address.kind]])
    return address.metadata_path, f"{address.path}/{chunk}"


def _parse(kind: ItemKind, name: str) -> tuple[str | None, bool]:
    """The item an object belongs to, if any, and whether it is the one that is written last."""
    if kind is ItemKind.SCORES:
        item_id, dot, _ = name.rpartition(".json")
        return (item_id, True) if dot and name.endswith(".json") and is_item_key(item_id) else (None, False)
    parts = _NAME.fullmatch(name)
    if parts is None or not is_item_key(parts["item"]):
        return None, False
    is_metadata = parts["object"] == "zarr.json"
    fits = is_metadata or parts["object"].count("0") == _CHUNKS[kind]
    return (parts["item"], is_metadata) if fits else (None, False)


def _outside_keys(root: str, kind: str, folder: Folder) -> dict[str, Entry]:
    found = _below(kind, folder.objects)
    for name in folder.folders:
        if not is_segment(name):
            found |= _below(f"{kind}/{name}", list_entries(join(root, kind, name)))
    return found


def _below(prefix: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {f"{prefix}/{name}": entry for name, entry in entries.items()}


def addresses_of(section: Section, holdings: Holdings) -> Iterator[Address]:
    """The addresses of the whole items of a section."""
    return (Address(section.kind, section.stage_key, item) for item in holdings.items)


def address_of(path: str) -> Address | None:
    """The item that lies at a path below an archive; None for a path of anything else."""
    name, _, rest = path.partition("/")
    if name not in set(ItemKind):
        return None
    kind = ItemKind(name)
    stage_key, _, item = ("", "", rest) if kind is ItemKind.FRAMES else rest.partition("/")
    return Address(kind, stage_key, item.removesuffix(".json") if kind is ItemKind.SCORES else item)
