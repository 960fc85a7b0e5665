"""What can be wrong with something in an archive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Damage(StrEnum):
    """What is wrong with something in an archive."""

    MISSING = "missing"
    """A record says that it is there."""
    METADATA = "metadata_altered"
    """Its checksum is wrong: flipped, cut or formatted."""
    MISPLACED = "misplaced"
    """The metadata of another item lies here."""
    VERSION = "other_version"
    """Written in another version of the format; it cannot be checked."""
    CHUNK_MISSING = "chunk_missing"
    UNDECODABLE = "undecodable"
    """A checksum or a codec refuses its chunk, or the content is not of its kind."""
    PIXELS = "pixels_altered"
    """The chunk decodes, to other pixels than recorded."""
    OTHER_INPUT = "made_from_other_frames"
    """A result of other frames than the ones archived."""
    SIDECAR = "belongs_to_another"
    """A confidence or blur truth other than the one its item recorded."""
    RECORD = "record_altered"
    """A file of a run's record."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """Something corrupt: its path below the archive, what is wrong, and digests where they are known."""

    path: str
    damage: Damage
    expected: str = ""
    got: str = ""
