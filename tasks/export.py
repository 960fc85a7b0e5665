"""The results of a run as picture files, under the names that their source has.

    TO/restored/NAME.png      and input/
    TO/blur/NAME.tif          32-bit values, and NAME.png with a colour bar; likewise confidence/
    TO/export.json            what this is an export of

Files are whole or absent (`ldp_core.storage.write_bytes`): an export that was stopped goes on where it was.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from toolz import partition_all

from ldp_core.archive import Archive, Section
from ldp_core.archive.layout import RESTORED, list_whole_and_changed
from ldp_core.errors import LdpError, ObjectMissingError, SettingsError, StorageError
from ldp_core.images.metadata import (
    NO_METADATA,
    Metadata,
    encode_with_metadata,
    read_metadata,
    write_float_tiff,
)
from ldp_core.report.colour_bar import draw_with_bar
from ldp_core.report.model import BLUR_PICTURES, CONFIDENCE
from ldp_core.report.pictures import to_eight_bit
from ldp_core.single_view import input_image
from ldp_core.storage import absolute_url, join, list_sizes, read_bytes, write_bytes
from ldp_core.types import BlurMap, Item, Pixels, QuarantineRecord
from tasks.items import quarantined
from tasks.progress import advance, expect
from tasks.run import Run
from tasks.stage import ItemTraits
from tasks.stages import BLUR, DEBLUR

_PICTURES: Final = {"restored", "input"}
PRODUCTS: Final = ("restored", "blur", "confidence", "input")
EXTENSIONS: Final[Mapping[str, str]] = {"png": "png", "tiff": "tif", "jpeg": "jpg", "npy": "npy"}
"""Formats that are written, and the endings of their files."""
RECORD: Final = "export.json"
_WRITTEN, _SKIPPED, _BARE = "written", "skipped", "without metadata"
_BATCH_ITEMS: Final = 256  # futures held at once


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What is exported and how. The record of an export holds them: one folder has one kind of files.

    Raises:
        SettingsError: a product or a format is not known.
    """

    what: tuple[str, ...] = ("restored",)
    format: str = "png"
    keep_all_metadata: bool = False

    def __post_init__(self) -> None:
        for name in self.what:
            if name not in PRODUCTS:
                raise SettingsError(
                    "there is no such product", where="--what", expected=", ".join(PRODUCTS), got=name
                )
        if self.format not in EXTENSIONS:
            raise SettingsError(
                "this format is not written",
                where="--format",
                expected=", ".join(EXTENSIONS),
                got=self.format,
            )


@dataclass(frozen=True, slots=True)
class ExportResult:
    """How many items were written, were there already, and could not be; which had no metadata to carry."""

    written: int
    skipped: int
    failed: tuple[QuarantineRecord, ...]
    without_metadata: int


def export_run(
    run: Run, to: str, settings: ExportSettings, items: Sequence[Item], *, threads: int
) -> ExportResult:
    """Write the results of some items of a run below a URL; files that are there are not written again.

    Raises:
        SettingsError: another run, or the same in another format, is exported there.
        StorageError: the place cannot be written.
    """
    _claim(run, to, settings)
    there = frozenset(list_sizes(to))
    expect("export", len(items))
    failed: list[QuarantineRecord] = []
    counts = Counter[str]()
    work = partial(_export_item, run, to, settings, there)
    with ThreadPoolExecutor(threads) as pool:
        for batch in partition_all(_BATCH_ITEMS, items):
            for outcome in pool.map(work, batch):
                failed += [outcome] if isinstance(outcome, QuarantineRecord) else []
                counts.update(() if isinstance(outcome, QuarantineRecord) else outcome)
                advance("export", bad=isinstance(outcome, QuarantineRecord))
    return ExportResult(counts[_WRITTEN], counts[_SKIPPED], tuple(failed), counts[_BARE])


def list_restored_since(run: Run, items: Iterable[Item], since: datetime) -> list[str]:
    """Ids of the items whose restored pictures were archived at that moment or later, or may have been."""
    changed: dict[str, frozenset[str]] = {}
    for name in run.stages:
        section = Section(RESTORED, run.key_of(DEBLUR, name))
        changed[name] = list_whole_and_changed(run.archive, section, since, dataset=run.header.dataset)[1]
    return [item.id for item in items if item.key in changed[ItemTraits.of(item).name]]


def name_file(item: Item) -> str:
    """The path of an item's files without ending: its name in the source where that can be a path, else its
    id without the dataset."""
    plain = item.id.partition("/")[2]
    odd = any(part in ("", ".", "..") or part != part.strip() for part in item.title.split("/"))
    return plain if odd or "\\" in item.title or not item.title.isprintable() else item.title


def _claim(run: Run, to: str, settings: ExportSettings) -> None:
    """Leave the record of an export, or make sure that the one there is of the same kind.

    An archive holds what runs write and nothing else: no export may lie in it.
    """
    if f"{absolute_url(to)}/".startswith(f"{run.archive.rstrip('/')}/"):
        raise SettingsError(
            "an export may not lie in an archive", where=to, remedy=f"name a folder outside {run.archive}"
        )
    kind = {"run_id": run.run_id, **asdict(settings), "what": None}
    record = {**kind, "archive": run.archive, "layout": "<product>/<name>"}
    try:
        found = json.loads(read_bytes(join(to, RECORD)))
        same = isinstance(found, dict) and all(found.get(name) == kind[name] for name in kind)
    except ObjectMissingError:
        write_bytes(join(to, RECORD), (json.dumps(record, indent=2) + "\n").encode())
        return
    except ValueError:
        found, same = {}, False
    if not same:
        raise SettingsError(
            "this folder holds another export",
            where=join(to, RECORD),
            expected=_describe(kind),
            got=_describe(found if isinstance(found, dict) else {}),
            remedy="name another folder, or empty this one",
        )


def _describe(kind: Mapping[str, Any]) -> str:
    more = ", all metadata" if kind.get("keep_all_metadata") else ""
    return f"run {kind.get('run_id', '?')} as {kind.get('format', '?')}{more}"


def _export_item(
    run: Run, to: str, settings: ExportSettings, there: frozenset[str], item: Item
) -> tuple[str, ...] | QuarantineRecord:
    """What became of an item, or why it failed."""
    try:
        missing = {name: _list_files(name, item, settings) for name in settings.what}
        missing = {name: files for name, files in missing.items() if not there.issuperset(files)}
        if not missing:
            return (_SKIPPED,)
        pictures = bool(_PICTURES & missing.keys()) and settings.format != "npy"
        metadata = _metadata_for(item, settings) if pictures else NO_METADATA
        for name, files in missing.items():
            for file, content in zip(files, _make(run, name, item, settings, metadata), strict=False):
                write_bytes(join(to, file), content)
        return (_WRITTEN, _BARE) if pictures and metadata == NO_METADATA else (_WRITTEN,)
    except StorageError:
        raise
    except LdpError as error:
        return quarantined(item.id, "export", error).record


def _list_files(product: str, item: Item, settings: ExportSettings) -> list[str]:
    """Files of a product of an item, relative to the export; the values of a map come first."""
    name = f"{product}/{name_file(item)}"
    if product in _PICTURES:
        return [f"{name}.{EXTENSIONS[settings.format]}"]
    return [f"{name}.{'npy' if settings.format == 'npy' else 'tif'}", f"{name}.png"]


def _metadata_for(item: Item, settings: ExportSettings) -> Metadata:
    """Those of the left view. Developed and converted pictures have other colours than their file says."""
    found = read_metadata(item.left.uri, size_bytes=item.left.size_bytes, keep_all=settings.keep_all_metadata)
    if item.development or item.to_srgb:
        return Metadata(b"", found.picture, found.exposure, found.position)
    return found


def _make(
    run: Run, product: str, item: Item, settings: ExportSettings, metadata: Metadata
) -> Iterable[bytes]:
    """The contents of the files of a product. A map without confidence has none."""
    archive, pipeline = Archive(run.archive), ItemTraits.of(item).name
    if product == "restored":
        pixels = archive.read_restored(run.key_of(DEBLUR, pipeline), item.key)
        return [_encode(pixels, settings.format, metadata)]
    if product == "input":
        return [_encode(input_image(archive.read_pair(item.key)), settings.format, metadata)]
    found = archive.read_blur_map(run.key_of(BLUR, pipeline), item.key)
    return _encode_map(found, product, settings.format)


def _encode(pixels: Pixels, format: str, metadata: Metadata) -> bytes:  # noqa: A002
    if format == "npy":
        return _npy(pixels)
    return encode_with_metadata(to_eight_bit(pixels) if format == "jpeg" else pixels, format, metadata)


def _encode_map(found: BlurMap, product: str, format: str) -> list[bytes]:  # noqa: A002
    spec = BLUR_PICTURES[found.kind] if product == "blur" else CONFIDENCE
    values = found.values if product == "blur" else found.confidence
    if values is None:
        return []
    described = f"{found.kind.value if product == 'blur' else 'confidence'}: {spec.meaning}"
    stored = _npy(values) if format == "npy" else write_float_tiff(values, described)
    return [stored, draw_with_bar(values, spec)]


def _npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()
