"""Where things lie in an archive, and what a listing says of them: whole items, traces of writers, the rest.

    <kind>/<stage key>/<item key>/zarr.json, c.0...     arrays; frames have no stage key
    scores/<stage key>/<item key>.json                  documents
    <any folder of these>/zarr.json                     groups, for `zarr.open_group`; constant
    runs/<run id>/..., rotten/<when>/...                records of runs; corrupt objects that were moved away

An entry exists when its metadata object does, which is written last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ldp_core.errors import ArchiveError, ItemIdError, ObjectMissingError
from ldp_core.item_ids import check_item_id, check_item_key, is_item_key, is_segment, split_item_key
from ldp_core.storage import (
    Entry,
    Folder,
    exists,
    is_partial,
    join,
    list_entries,
    list_folder,
    list_folders_from,
    list_sizes,
    list_sizes_and_changes,
    read_bytes,
    write_bytes,
)

TRUTH = "truth"
"""Stage key of the measured blur maps that came with a dataset."""
RUNS = "runs"
CORRUPT = "rotten"
"""The folder for corrupt objects that were moved away; the name is that of all archives there are."""
METADATA_NAME = "zarr.json"
GROUP_METADATA = b'{"zarr_format": 3, "node_type": "group", "attributes": {}}\n'
"""The whole content of a group's object. It never changes, so writers cannot disagree about it."""

_OBJECT = re.compile(r"(?:(?P<node>.+)/)?(?P<object>zarr\.json|c(?:\.0)+)")


@dataclass(frozen=True, slots=True)
class ArchiveKind:
    """A folder of an archive that holds one entry per item.

    ``dimensions`` are those of its arrays; none where entries are JSON documents. A sidecar belongs to the
    entry of the kind ``owner`` under the same key, whose metadata hold its digest in ``digest_field``.
    """

    name: str
    dimensions: tuple[str, ...] = ()
    owner: str = ""
    digest_field: str = ""

    @property
    def is_document(self) -> bool:
        return not self.dimensions

    @property
    def chunk_name(self) -> str:
        """Name of the only chunk object of an array, such as ``c.0.0``."""
        return ".".join(["c", *["0"] * len(self.dimensions)])


FRAMES = ArchiveKind("frames", ("view", "y", "x", "channel"))
BLUR = ArchiveKind("blur", ("y", "x"))
CONFIDENCE = ArchiveKind("confidence", ("y", "x"), owner="blur", digest_field="confidence_sha256")
RESTORED = ArchiveKind("restored", ("y", "x", "channel"))
SCORES = ArchiveKind("scores")
KINDS = (FRAMES, BLUR, CONFIDENCE, RESTORED, SCORES)
"""What every archive holds. Functions that look through a whole archive take further kinds beside these."""


def find_kind(name: str, kinds: Iterable[ArchiveKind] = KINDS) -> ArchiveKind:
    """The kind of that name.

    Raises:
        ArchiveError: there is none.
    """
    named = {kind.name: kind for kind in kinds}
    if name not in named:
        raise ArchiveError(
            "the archive holds no such kind of item", expected=", ".join(named), got=repr(name)
        )
    return named[name]


@dataclass(frozen=True, slots=True)
class Section:
    """All entries of one kind and stage key; the key of frames is empty.

    Raises:
        ItemIdError: the stage key is not valid.
    """

    kind: ArchiveKind
    stage_key: str = ""

    def __post_init__(self) -> None:
        if self.kind == FRAMES and self.stage_key:
            raise ItemIdError(
                "frames have no stage key", got=repr(self.stage_key), expected="an empty stage key"
            )
        if self.kind != FRAMES and not is_segment(self.stage_key):
            raise ItemIdError(
                "not a valid stage key",
                where=self.kind.name,
                got=repr(self.stage_key),
                expected="[a-z0-9][a-z0-9._-]*",
                remedy="take the key from stage_key(spec)",
            )

    @property
    def path(self) -> str:
        """The folder below the archive."""
        return f"{self.kind.name}/{self.stage_key}" if self.stage_key else self.kind.name

    @property
    def is_result(self) -> bool:
        """Whether a stage made it: neither frames nor a measured map."""
        return self.kind != FRAMES and self.stage_key != TRUTH

    @property
    def owner(self) -> Section | None:
        """The section of the entries that these belong to, if they are sidecars."""
        if self == TRUTHS:
            return FRAME_SECTION
        return None if not self.kind.owner else Section(find_kind(self.kind.owner), self.stage_key)


FRAME_SECTION, TRUTHS = Section(FRAMES), Section(BLUR, TRUTH)
"""What no stage made: the views, and blur maps that were measured."""


@dataclass(frozen=True, slots=True)
class Address:
    """One entry: a section and an item key (an item id, or with a later version `ldp_core.item_ids`).

    Raises:
        ItemIdError: the item key is not valid.
    """

    section: Section
    item: str

    def __post_init__(self) -> None:
        check_item_key(self.item)

    @property
    def kind(self) -> ArchiveKind:
        return self.section.kind

    @property
    def stage_key(self) -> str:
        return self.section.stage_key

    @property
    def path(self) -> str:
        """Path below the archive: a folder, or of a document a file."""
        return f"{self.section.path}/{self.item}{'.json' if self.kind.is_document else ''}"

    @property
    def metadata_path(self) -> str:
        """The object that is written last and whose presence makes the entry exist."""
        return self.path if self.kind.is_document else f"{self.path}/{METADATA_NAME}"

    @property
    def chunk_path(self) -> str:
        """The only chunk object of an array."""
        return f"{self.path}/{self.kind.chunk_name}"

    @property
    def object_paths(self) -> tuple[str, ...]:
        """Its objects below the archive, metadata first."""
        return (self.path,) if self.kind.is_document else (self.metadata_path, self.chunk_path)

    def sidecar(self, kind: ArchiveKind) -> Address:
        """The sidecar of that kind, under the same key."""
        return Address(Section(kind, self.stage_key), self.item)


def address_of(path: str, kinds: Iterable[ArchiveKind] = KINDS) -> Address | None:
    """The entry that lies at a path below an archive; None for a path of anything else."""
    name, _, rest = path.partition("/")
    kind = next((kind for kind in kinds if kind.name == name), None)
    if kind is None:
        return None
    stage_key, _, item = ("", "", rest) if kind == FRAMES else rest.partition("/")
    item = item.removesuffix(".json") if kind.is_document else item
    return Address(Section(kind, stage_key), item) if is_item_key(item) else None


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects of a section. ``items``: by item key, those of whole entries by path below the archive.

    ``incomplete`` are chunks without metadata, ``partial`` temporary files of writers, ``groups`` the
    metadata of folders, all by path; the rest is ``unknown``.
    """

    items: Mapping[str, Mapping[str, Entry]]
    incomplete: Mapping[str, Entry] = field(default_factory=dict)
    partial: Mapping[str, Entry] = field(default_factory=dict)
    groups: Mapping[str, Entry] = field(default_factory=dict)
    unknown: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole entries."""
        return sum(entry.size_bytes for objects in self.items.values() for entry in objects.values())


def require_archive(root: str) -> None:
    """Refuse an address where no archive lies.

    Raises:
        ArchiveError: nothing of an archive is there.
    """
    names = [*(kind.name for kind in KINDS), RUNS]
    if not {*names} & {*list_folder(root).folders}:
        raise ArchiveError(
            "there is no archive at this address",
            where=root,
            expected=f"at least one of the folders {', '.join(names)}",
            remedy="check the address; `ldp restore` makes an archive",
        )


def list_sections(root: str, kinds: Iterable[ArchiveKind] = KINDS) -> list[Section]:
    """The sections of an archive, frames first, in the order of the kinds."""
    keyed = (kind for kind in kinds if kind != FRAMES)
    folders = ((kind, list_folder(join(root, kind.name)).folders) for kind in keyed)
    return [FRAME_SECTION, *(Section(kind, key) for kind, keys in folders for key in keys if is_segment(key))]


def list_unknown(root: str, kinds: Collection[ArchiveKind] = KINDS) -> dict[str, Entry]:
    """Objects outside every section, the runs and the corrupt ones moved away, by path below the archive."""
    top, named = list_folder(root), {kind.name: kind for kind in kinds}
    found = {name: entry for name, entry in top.objects.items() if name != METADATA_NAME}
    for name in top.folders:
        if name not in {*named, RUNS, CORRUPT}:
            found |= _below(name, list_entries(join(root, name)))
        elif name in named and named[name] != FRAMES:
            found |= _outside_keys(root, name, list_folder(join(root, name)))
    return found


def list_top_groups(root: str, kinds: Iterable[ArchiveKind] = KINDS) -> list[str]:
    """Paths of the groups above the sections: the archive itself, and kinds that have stage keys."""
    folders = ("", *(kind.name for kind in kinds if kind != FRAMES))
    paths = (f"{folder}/{METADATA_NAME}".lstrip("/") for folder in folders)
    return [path for path in paths if exists(join(root, path))]


def read_listing(root: str, section: Section) -> Listing:
    """One listing of a section, sorted into what belongs together."""
    entries: dict[str, dict[str, Entry]] = {}
    partial, unknown, metadata = {}, {}, {}
    for name, entry in list_entries(join(root, section.path)).items():
        path = f"{section.path}/{name}"
        node, is_metadata = _parse(section.kind, name)
        if is_partial(name):
            partial[path] = entry
        elif node is None:
            unknown[path] = entry
        else:
            entries.setdefault(node, {})[path] = entry
            if is_metadata:
                metadata[node] = entry
    groups = _find_groups(section.kind, entries, metadata)
    whole = metadata.keys() - groups
    return Listing(
        items={node: entries[node] for node in entries if node in whole},
        incomplete={p: e for node in entries if node not in metadata for p, e in entries[node].items()},
        partial=partial,
        groups={path: entry for node in groups for path, entry in entries[node].items()},
        unknown=unknown,
    )


def list_whole(root: str, section: Section) -> frozenset[str]:
    """Item keys of the whole entries of a section: one listing, of which only names and sizes are kept."""
    return _find_whole(section, list_sizes(join(root, section.path)))


def list_whole_and_changed(
    root: str, section: Section, since: datetime, *, dataset: str
) -> tuple[frozenset[str], frozenset[str]]:
    """As `list_whole`, and those whose metadata were written at that moment or later, or may have been.

    Of one dataset: what an archive holds of others is not listed.
    """
    listed, changed = list_sizes_and_changes(join(root, section.path, dataset), since)
    whole = _find_whole(section, {f"{dataset}/{name}": size for name, size in listed.items()})
    written = (f"{dataset}/{name}".removesuffix(_suffix_of(section)) for name in changed)
    return whole, frozenset(written) & whole


def _find_whole(section: Section, sizes: Mapping[str, int]) -> frozenset[str]:
    suffix = _suffix_of(section)
    found = {name.removesuffix(suffix): size for name, size in sizes.items() if name.endswith(suffix)}
    if not section.kind.is_document:
        groups = {parent for item in found for parent in _parents(item)}
        groups |= {item for item, size in found.items() if size == len(GROUP_METADATA)}
        found = {item: size for item, size in found.items() if item not in groups}
    return frozenset(filter(is_item_key, found))


def _suffix_of(section: Section) -> str:
    """How the name of an entry's metadata object ends, after its item key."""
    return ".json" if section.kind.is_document else f"/{METADATA_NAME}"


def list_versions(root: str, item_id: str) -> tuple[int, ...]:
    """The versions of an item whose frames are whole, in order."""
    folder = join(root, FRAME_SECTION.path, check_item_id(item_id))
    above = item_id.rpartition("/")[0]
    names = (f"{above}/{name}".lstrip("/") for name in list_folders_from(f"{folder}@"))
    keys = (item_id, *filter(is_item_key, names))
    whole = (key for key in keys if exists(join(root, Address(FRAME_SECTION, key).metadata_path)))
    return tuple(sorted(split_item_key(key)[1] for key in whole))


def write_groups(root: str, sections: Iterable[Section], items: Iterable[str]) -> None:
    """Make the folders above some entries Zarr groups, each unless it is one already.

    Documents have none: a group of theirs would make Zarr complain of every document.
    """
    parents = {"", *(parent for item in items for parent in _parents(item))}
    folders = {"", *(section.kind.name for section in sections if not section.kind.is_document)}
    folders |= {
        "/".join(filter(None, (section.path, parent)))
        for section in sections
        if not section.kind.is_document
        for parent in parents
    }
    for folder in sorted(folders):
        url = join(root, folder, METADATA_NAME) if folder else join(root, METADATA_NAME)
        if not _holds_group(url):
            write_bytes(url, GROUP_METADATA)


def _holds_group(url: str) -> bool:
    try:
        return read_bytes(url) == GROUP_METADATA
    except ObjectMissingError:
        return False


def _parents(item: str) -> Iterator[str]:
    """The folders above an item, such as ``set`` and ``set/day`` of ``set/day/photograph``."""
    parts = item.split("/")[:-1]
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))


def _find_groups(
    kind: ArchiveKind, entries: Mapping[str, Mapping[str, Entry]], metadata: Mapping[str, Entry]
) -> set[str]:
    """Nodes whose metadata are those of a group: other nodes lie below, or the size says so."""
    if kind.is_document:
        return set()
    above = {parent for node in entries if node for parent in ("", *_parents(node))}
    alone = {node for node, entry in metadata.items() if entry.size_bytes == len(GROUP_METADATA)}
    return {node for node in metadata if node in above or (node in alone and len(entries[node]) == 1)}


def _parse(kind: ArchiveKind, name: str) -> tuple[str | None, bool]:
    """The node an object belongs to, '' for the section itself, and whether it is its metadata."""
    if kind.is_document:
        item, dot, _ = name.rpartition(".json")
        return (item, True) if dot and name.endswith(".json") and is_item_key(item) else (None, False)
    parts = _OBJECT.fullmatch(name)
    if parts is None:
        return None, False
    node, is_metadata = parts["node"] or "", parts["object"] == METADATA_NAME
    fits = is_metadata or (node and parts["object"] == kind.chunk_name)
    return (node, is_metadata) if fits and (not node or is_item_key(node)) else (None, False)


def _outside_keys(root: str, kind: str, folder: Folder) -> dict[str, Entry]:
    found = _below(kind, {name: e for name, e in folder.objects.items() if name != METADATA_NAME})
    for name in folder.folders:
        if not is_segment(name):
            found |= _below(f"{kind}/{name}", list_entries(join(root, kind, name)))
    return found


def _below(prefix: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {f"{prefix}/{name}": entry for name, entry in entries.items()}
