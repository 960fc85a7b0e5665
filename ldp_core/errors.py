"""Typed errors: what happened, where, what was expected, what was found, what to do.

    LdpError
    ├── SettingsError            a setting or option is not valid
    ├── CatalogueError           a source cannot be read as a dataset
    │   ├── IncompleteSourceError    whole folders of it have lost pictures that others have
    │   ├── PairingError         views that do not pair one to one
    │   ├── PeakUnnamedError     values end at 2^k - 1 of 16 bit, and nobody says whether that is full scale
    │   └── SourceShrunkError    many items of the run before are gone from the source
    ├── ImageError               a picture cannot be used
    │   ├── ImageMissingError    no such object
    │   ├── ImageFormatError     not a picture, or a kind we do not read
    │   ├── ImageTooLargeError   its header announces more than the limits allow
    │   ├── ImageSupportError    its decoder is not installed
    │   └── PairMismatchError    views of one item differ in size, depth or channels
    │       ├── SceneMismatchError   pictures of one item show different scenes
    │       ├── SameViewsError       left and right are the same pixels
    │       ├── SwappedViewsError    the views contradict the sign of the item's own blur truth
    │       ├── PeakMismatchError    values above full scale, or pictures of different full scales
    │       ├── OrientationMismatchError  EXIF turns some pictures of one item and not others
    │       ├── ColourMismatchError  colour profiles of one item differ
    │       └── MaskError            a mask that scores no pixel, or says of some neither yes nor no
    ├── ArchiveError             the Zarr archive
    │   ├── ItemMissingError     no such item
    │   ├── ItemDamagedError     chunk missing, cut or altered; digest differs
    │   ├── ItemConflictError    the same id is archived with other content
    │   └── ItemIdError          not a valid item id or stage key
    ├── StorageError             object storage refused or cannot be reached
    │   └── ObjectMissingError   no object at that address
    ├── WeightsError             model weights absent, altered or of another shape
    ├── SecondViewMissingError   a method that compares two views met an item with one
    ├── BlurMapError             a map of the wrong kind or shape for what is asked
    ├── MetricError              a score that cannot be computed as asked
    └── ExecutionError           the run itself
        ├── EngineError          Prefect's server cannot be used
        ├── RunCancelledError    somebody has cancelled it in Prefect
        ├── ClusterError         workers cannot be reached or cannot do what is asked
        ├── MemoryShortError     items need more memory than a worker has
        └── TooManyBadItemsError more items failed than the run allows

Every class has a stable ``kind``; it is what quarantine records and reports carry.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar, Final

from ldp_core.credentials import redact

_LONGEST: Final = 2_000
"""Letters of a fact of an error: ten lists of all methods, and less than two screens."""


class LdpError(Exception):
    """Base of all errors raised on purpose. Survives pickling, so it may cross process borders."""

    kind: ClassVar[str] = "ldp"

    def __init__(
        self, what: str, *, where: str = "", expected: str = "", got: str = "", remedy: str = ""
    ) -> None:
        self.what = _escape(what)
        super().__init__(self.what)
        self.where = _escape(where)
        self.expected = _escape(expected)
        self.got = _escape(got)
        self.remedy = _escape(remedy)

    def __str__(self) -> str:
        facts = [("where", self.where), ("expected", self.expected), ("got", self.got), ("do", self.remedy)]
        return self.what + "".join(f"\n  {name}: {text}" for name, text in facts if text)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.expected, self.got, self.remedy)


def _escape(text: str) -> str:
    """What is no Unicode as escapes, for names of files may be raw bytes and texts of errors become JSON;
    no passwords, keys and signatures of addresses; long ones cut."""
    return cut(redact(text.encode("utf-8", "backslashreplace").decode()))


def cut(text: str) -> str:
    """A text that people can read: of one longer than 2,000 letters, such as a file given for a number, the
    beginning, the end, and how long it is."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} ... ({len(text):,} letters) ... {text[-_LONGEST // 4 :]}"


def _rebuild(cls: type[LdpError], what: str, where: str, expected: str, got: str, remedy: str) -> LdpError:
    return cls(what, where=where, expected=expected, got=got, remedy=remedy)


def suggest(name: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt name, such as ``did you mean 'wiener'?``; empty where nothing is near."""
    found = get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""


def count_of(count: int, noun: str, plural: str = "") -> str:
    """``1 item``, ``1,200 items``; ``plural`` where it is more than an ``s``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


class SettingsError(LdpError):
    kind = "settings"


class CatalogueError(LdpError):
    kind = "catalogue"


class PairingError(CatalogueError):
    kind = "pairing"


class PeakUnnamedError(CatalogueError):
    kind = "peak_unnamed"


class IncompleteSourceError(CatalogueError):
    kind = "incomplete_source"


class SourceShrunkError(CatalogueError):
    kind = "source_shrunk"


class ImageError(LdpError):
    kind = "image"


class ImageMissingError(ImageError):
    kind = "image_missing"


class ImageFormatError(ImageError):
    kind = "image_format"


class ImageTooLargeError(ImageError):
    kind = "image_too_large"


class ImageSupportError(ImageError):
    kind = "image_support"


class PairMismatchError(ImageError):
    kind = "pair_mismatch"


class SceneMismatchError(PairMismatchError):
    kind = "scene_mismatch"


class SameViewsError(PairMismatchError):
    kind = "same_views"


class SwappedViewsError(PairMismatchError):
    kind = "swapped_views"


class PeakMismatchError(PairMismatchError):
    kind = "peak_mismatch"


class OrientationMismatchError(PairMismatchError):
    kind = "orientation_mismatch"


class ColourMismatchError(PairMismatchError):
    kind = "colour_mismatch"


class MaskError(PairMismatchError):
    kind = "mask"


class ArchiveError(LdpError):
    kind = "archive"


class ItemMissingError(ArchiveError):
    kind = "item_missing"


class ItemDamagedError(ArchiveError):
    kind = "item_damaged"


class ItemConflictError(ArchiveError):
    kind = "item_conflict"


class ItemIdError(ArchiveError):
    kind = "item_id"


class StorageError(LdpError):
    kind = "storage"


class ObjectMissingError(StorageError):
    kind = "object_missing"


class WeightsError(LdpError):
    kind = "weights"


class SecondViewMissingError(LdpError):
    kind = "second_view_missing"

    @classmethod
    def of(cls, item: str, *, needed_by: str = "what is to be computed") -> SecondViewMissingError:
        """The error of an item with one view; ``needed_by`` is what compares two."""
        return cls(
            f"{needed_by} compares the two views of a pair, and the second one is missing",
            where=item,
            expected="left and right",
            got="one view",
            remedy="add the right view, or take methods that work on one: the estimator "
            "'depth-distilled', the deblurrer 'bdir'",
        )


class BlurMapError(LdpError):
    kind = "blur_map"


class MetricError(LdpError):
    kind = "metric"


class ExecutionError(LdpError):
    kind = "execution"


class EngineError(ExecutionError):
    kind = "engine"


class RunCancelledError(ExecutionError):
    kind = "cancelled"


class ClusterError(ExecutionError):
    kind = "cluster"


class MemoryShortError(ExecutionError):
    kind = "memory_short"


class TooManyBadItemsError(ExecutionError):
    kind = "too_many_bad_items"
