"""Where an item lies in an archive, and which names may be part of an address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ldp_core.errors import ItemIdError
from ldp_core.storage import join

TRUTH = "truth"
"""Stage key of the measured blur maps that came with a dataset."""

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_RESERVED = re.compile(r"c(\.0)+|.*\.json")
_LONGEST_ID = 600


class ItemKind(StrEnum):
    """The folders of an archive that hold one entry per item."""

    FRAMES = "frames"
    BLUR = "blur"
    CONFIDENCE = "confidence"
    RESTORED = "restored"
    SCORES = "scores"


@dataclass(frozen=True, slots=True)
class Address:
    """One item of one kind; ``stage_key`` is empty for frames and for nothing else.

    Raises:
        ItemIdError: the item id or the stage key is not valid.
    """

    kind: ItemKind
    stage_key: str
    item_id: str

    def __post_init__(self) -> None:
        check_item_id(self.item_id)
        check_stage_key(self.kind, self.stage_key)

    @property
    def path(self) -> str:
        """Path below the archive: a folder, or for scores a file."""
        return f"{folder_of(self.kind, self.stage_key)}/{self.item_id}{suffix_of(self.kind)}"

    @property
    def metadata_path(self) -> str:
        """The object that is written last and whose presence makes the item exist."""
        return self.path if self.kind is ItemKind.SCORES else f"{self.path}/zarr.json"


def folder_of(kind: ItemKind, stage_key: str) -> str:
    """The folder that holds all items of one kind and stage key."""
    check_stage_key(kind, stage_key)
    return join(kind.value, stage_key) if stage_key else kind.value


def suffix_of(kind: ItemKind) -> str:
    return ".json" if kind is ItemKind.SCORES else ""


def check_item_id(item_id: str) -> str:
    """The id itself, when it is segments of ``[a-z0-9][a-z0-9._-]*`` joined by ``/``.

    Raises:
        ItemIdError: it is not, is too long, or has a segment that names an object of the archive.
    """
    if not is_item_id(item_id):
        raise ItemIdError(
            "not a valid item id",
            got=repr(item_id),
            expected="segments of [a-z0-9][a-z0-9._-]* joined by '/', none ending in '.json'",
            remedy="name items in lower case, such as 'canon-dpdd/1p0a0984'",
        )
    return item_id


def is_item_id(item_id: str) -> bool:
    """Whether a text may name an item."""
    return len(item_id) <= _LONGEST_ID and all(_is_segment(part) for part in item_id.split("/"))


def check_stage_key(kind: ItemKind, stage_key: str) -> None:
    """Refuse a stage key where there must be none, and anything that is not one.

    Raises:
        ItemIdError: the key does not fit.
    """
    if kind is ItemKind.FRAMES and stage_key:
        raise ItemIdError("frames have no stage key", got=repr(stage_key), expected="an empty stage key")
    if kind is not ItemKind.FRAMES and not _is_segment(stage_key):
        raise ItemIdError(
            "not a valid stage key",
            where=kind.value,
            got=repr(stage_key),
            expected="[a-z0-9][a-z0-9._-]*",
            remedy="take the key from stage_key(spec)",
        )


def is_stage_key(text: str) -> bool:
    """Whether a text may be a stage key."""
    return _is_segment(text)


def check_run_id(run_id: str) -> str:
    """The run id itself, when it is one valid segment.

    Raises:
        ItemIdError: it is not.
    """
    if not _is_segment(run_id):
        raise ItemIdError("not a valid run id", got=repr(run_id), expected="[a-z0-9][a-z0-9._-]*")
    return run_id


def _is_segment(text: str) -> bool:
    return bool(_SEGMENT.fullmatch(text)) and not _RESERVED.fullmatch(text)
