"""Where an item lies in an archive, and which names may be part of an address."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ldp_core.errors import ItemIdError
from ldp_core.item_ids import check_item_key, is_segment
from ldp_core.storage import join

TRUTH = "truth"
"""Stage key of the measured blur maps that came with a dataset."""


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

    ``item_id`` is an item key: the id alone, or with a later version (`ldp_core.item_ids`).

    Raises:
        ItemIdError: the item id or the stage key is not valid.
    """

    kind: ItemKind
    stage_key: str
    item_id: str

    def __post_init__(self) -> None:
        check_item_key(self.item_id)
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


def check_stage_key(kind: ItemKind, stage_key: str) -> None:
    """Refuse a stage key where there must be none, and anything that is not one.

    Raises:
        ItemIdError: the key does not fit.
    """
    if kind is ItemKind.FRAMES and stage_key:
        raise ItemIdError("frames have no stage key", got=repr(stage_key), expected="an empty stage key")
    if kind is not ItemKind.FRAMES and not is_segment(stage_key):
        raise ItemIdError(
            "not a valid stage key",
            where=kind.value,
            got=repr(stage_key),
            expected="[a-z0-9][a-z0-9._-]*",
            remedy="take the key from stage_key(spec)",
        )
