"""Digests that any language can compute: of pixels and pairs, of a stage's specification, of a JSON text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import ItemDamagedError, SettingsError
from ldp_core.types import DpAxis, Mask, Pair, Pixels, StageSpec

CHECKSUM_FIELD = "seal_sha256"
"""The field of a text that holds the sha256 of the text; the name is that of all archives there are."""
BLANK_CHECKSUM = "0" * 64
WRITE_AGAIN = "write the item again (a damaged item is replaced), or copy it from an intact archive"

_FIELD = re.compile(rb'"seal_sha256": "([0-9a-f]{64})"')
_EXTERNAL = "peer:"
MASK = "mask"
_KEY_DIGITS = 20
"""Hex digits of a stage key: 80 bits, so that even 10^9 keys collide with a chance below 10^-6."""


def stage_key(spec: StageSpec) -> str:
    """``<method>-<20 hex digits>``: the method, readable, and a sha256 of the whole specification.

    Equal specifications have equal keys on every machine; mappings count as equal whatever the order
    of their names, and sequences whatever their type.

    Raises:
        SettingsError: the settings are not plain JSON (numbers must be finite).
    """
    digest = hashlib.sha256(plain_json(spec_values(spec), where=f"stage '{spec.stage}'").encode())
    readable = re.sub(r"[^a-z0-9]+", "-", spec.method.lower()).strip("-")[:60] or "stage"
    return f"{readable}-{digest.hexdigest()[:_KEY_DIGITS]}"


def spec_values(spec: StageSpec) -> dict[str, Any]:
    """The fields of a specification by name."""
    return {field.name: getattr(spec, field.name) for field in fields(spec)}


def plain_json(value: object, *, where: str) -> str:
    """Canonical JSON: names sorted, no spaces, ASCII only.

    Raises:
        SettingsError: the value is not plain JSON.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_as_dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(
            "these values are not plain JSON",
            where=where,
            expected="text, finite numbers, true, false, null, and lists and mappings of them",
            got=str(error),
        ) from error


def _as_dict(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__}: {value!r}")


@dataclass(frozen=True, slots=True)
class PairDigests:
    """sha256 of each view by name, of the blur truth, and of the pair as a whole."""

    views: Mapping[str, str]
    blur_truth: str | None
    pair: str


def pixel_sha256(pixels: NDArray[Any]) -> str:
    """sha256 of a line ``<dtype> <n>,<n>,...`` and the array's little-endian bytes in C order.

    For example ``uint16 1120,1680,3`` and a line feed, then 11,289,600 bytes.
    """
    shape = ",".join(str(n) for n in pixels.shape)
    digest = hashlib.sha256(f"{pixels.dtype.name} {shape}\n".encode())
    digest.update(np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def pair_digest(pair: Pair) -> str:
    """sha256 over everything a pair holds except its id: views, blur truth, and how it is to be scored."""
    return digest_pair(pair).pair


def digest_pair(pair: Pair) -> PairDigests:
    """Digests of a pair and of its parts."""
    views = {name: pixel_sha256(view) for name, view in named_views(pair).items()}
    truth = None if pair.blur_truth is None else pixel_sha256(pair.blur_truth)
    content = {"views": views, "blur_truth": truth, **scoring_facts(pair)}
    whole = hashlib.sha256(plain_json(content, where=pair.id).encode()).hexdigest()
    return PairDigests(views=views, blur_truth=truth, pair=whole)


def scoring_facts(pair: Pair) -> dict[str, Any]:
    """What a pair says of how it is to be read and scored, as plain JSON.

    ``dp_axis`` only where it is y, ``peak`` where its source had another full scale than the pixel type,
    ``colour`` where it is not sRGB.
    """
    particular: dict[str, Any] = {} if pair.dp_axis is DpAxis.X else {"dp_axis": pair.dp_axis.value}
    particular |= {} if pair.source_peak is None else {"peak": pair.source_peak}
    particular |= {"colour": pair.colour} if pair.colour else {}
    return {
        "score_region": asdict(pair.score_region),
        "aligned": pair.aligned,
        "blur_truth_kind": pair.blur_truth_kind.value,
        **particular,
    }


def named_views(pair: Pair) -> dict[str, Pixels]:
    """All pictures of one shape: ``left``, maybe ``right``, ``target``, ``mask``, then ``peer:<name>``.

    The mask is white, the largest value in all channels, where pixels are scored, and 0 elsewhere.
    """
    mask = {} if pair.mask is None else {MASK: _draw_mask(pair.mask, like=pair.left)}
    return pair.views | mask | {_EXTERNAL + name: pair.external[name] for name in sorted(pair.external)}


def mask_among(views: Mapping[str, Pixels]) -> Mask | None:
    """The mask among named views."""
    return views[MASK][..., 0] > 0 if MASK in views else None


def _draw_mask(mask: Mask, *, like: Pixels) -> Pixels:
    drawn: Pixels = np.zeros_like(like)
    drawn[mask] = np.iinfo(like.dtype).max
    return drawn


def external_among(views: Mapping[str, Pixels]) -> dict[str, Pixels]:
    """External results among named views, by their own names."""
    return {name.removeprefix(_EXTERNAL): view for name, view in views.items() if name.startswith(_EXTERNAL)}


def write_checksummed(document: dict[str, Any], *, where: str) -> bytes:
    """JSON text of a document whose blank checksum field is filled in with the sha256 of the text.

    The digest is taken over the very bytes, with the 64 digits of the field read as zeros, so any
    language can check it and no byte is outside it.

    Raises:
        SettingsError: the document uses the name of the field for something else.
    """
    text = json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"
    found = list(_FIELD.finditer(text))
    if len(found) != 1 or found[0][1] != BLANK_CHECKSUM.encode():
        raise SettingsError(
            f"the name '{CHECKSUM_FIELD}' is reserved", where=where, remedy="use another name"
        )
    return _fill_in(text, found[0], hashlib.sha256(text).hexdigest())


def read_checksummed(text: bytes, *, where: str) -> dict[str, Any]:
    """The document in a checksummed text.

    Raises:
        ItemDamagedError: not one byte may differ from what was written.
    """
    found = list(_FIELD.finditer(text))
    if len(found) != 1:
        raise _altered(where, got=f"{len(found)} checksums", expected="one checksum of the whole text")
    digest = hashlib.sha256(_fill_in(text, found[0], BLANK_CHECKSUM)).hexdigest()
    if digest.encode() != found[0][1]:
        raise _altered(where, got=digest, expected=found[0][1].decode())
    document: dict[str, Any] = json.loads(text)
    return document


def find_checksum(text: bytes) -> bytes:
    """The checksum in a text, 64 hex digits."""
    return next(_FIELD.finditer(text))[1]


def _fill_in(text: bytes, field: re.Match[bytes], checksum: str) -> bytes:
    return text[: field.start(1)] + checksum.encode() + text[field.end(1) :]


def _altered(where: str, *, got: str, expected: str) -> ItemDamagedError:
    return ItemDamagedError(
        "the metadata was altered or cut", where=where, expected=expected, got=got, remedy=WRITE_AGAIN
    )
