"""Results of stages in an archive: blur maps with their confidence, restored pictures, scores.

Every ``write_*`` returns False, and writes nothing, where an intact result is there that was made from the
same pair; errors of ``read_*`` are those of `ldp_core.archive.arrays.read_array`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldp_core.archive.arrays import (
    damage_named,
    fetch_record,
    read_array,
    read_document,
    read_sidecar,
    reads_back,
    write_array,
    write_document,
    write_until_whole,
)
from ldp_core.archive.checksums import pixel_sha256
from ldp_core.archive.layout import CONFIDENCE, TRUTH, Address
from ldp_core.errors import ArchiveError, BlurMapError, ItemIdError
from ldp_core.storage import join
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pixels, Score, ScoringProtocol

Origin = Mapping[str, Any]
"""What made a result: `ldp_core.archive.arrays.origin_facts`."""


def write_result(root: str, address: Address, pixels: NDArray[Any], *, origin: Origin) -> bool:
    """Archive an array of any kind."""
    if reads_back(lambda: read_array(root, address, input_digest=str(origin["input"]))):
        return False
    return write_array(root, address, pixels, facts={"pixels_sha256": [pixel_sha256(pixels)], **origin})


def write_blur_map(root: str, address: Address, blur_map: BlurMap, *, origin: Origin) -> bool:
    """Archive a blur map, its confidence first.

    Raises:
        BlurMapError: the maps are not ``(h, w)`` float32 of one shape.
        ItemConflictError: one is there that was made from other pixels.
    """
    if address.stage_key == TRUTH:
        raise ItemIdError(
            "this stage key is reserved for measured maps", got=TRUTH, expected="stage_key(spec)"
        )
    _check_maps(blur_map, where=address.path)
    if reads_back(lambda: read_blur_map(root, address, input_digest=str(origin["input"]))):
        return False
    sidecar = address.sidecar(CONFIDENCE)
    sha256 = None if blur_map.confidence is None else pixel_sha256(blur_map.confidence)
    facts = {
        "pixels_sha256": [pixel_sha256(blur_map.values)],
        "blur_kind": blur_map.kind.value,
        "confidence_sha256": sha256,
        **origin,
    }

    def write() -> bool:
        write_confidence(root, sidecar, blur_map.confidence, origin=origin)
        return write_array(root, address, blur_map.values, facts=facts)

    return write_until_whole(
        write,
        is_ours=lambda: sha256 is None or fetch_record(root, sidecar)["pixels_sha256"] == [sha256],
        read=lambda: read_blur_map(root, address),
        where=join(root, address.path),
    )


def read_blur_map(root: str, address: Address, *, input_digest: str = "") -> BlurMap:
    """A blur map with its confidence.

    Raises:
        BlurMapError: a measured map, which is on no known scale.
    """
    stored = read_array(root, address, input_digest=input_digest)
    where = join(root, address.path)
    with damage_named(where):
        kind = _estimated_kind(stored.record["blur_kind"], where=where)
        sha256 = stored.record["confidence_sha256"]
        confidence = read_sidecar(root, address.sidecar(CONFIDENCE), sha256=sha256)
        return BlurMap(values=stored.pixels, kind=kind, confidence=confidence)


def write_confidence(root: str, address: Address, confidence: FloatMap | None, *, origin: Origin) -> None:
    """Put a confidence, if there is one, whatever was there."""
    if confidence is not None:
        facts = {"pixels_sha256": [pixel_sha256(confidence)], **origin}
        write_array(root, address, confidence, facts=facts)


def write_restored(root: str, address: Address, restored: Pixels, *, origin: Origin) -> bool:
    """Archive a restored picture ``(h, w, c)`` uint8 or uint16.

    Raises:
        ArchiveError: it is of another shape or type.
    """
    if restored.ndim != 3 or restored.dtype not in (np.uint8, np.uint16):
        raise ArchiveError(
            "this is no picture",
            where=address.path,
            expected="(h, w, c) uint8 or uint16",
            got=f"{restored.shape} {restored.dtype}",
        )
    return write_result(root, address, restored, origin=origin)


def write_scores(root: str, address: Address, scores: Sequence[Score], *, origin: Origin) -> bool:
    """Archive the scores of an item; values that are not finite as the texts ``nan``, ``inf``, ``-inf``."""
    if reads_back(lambda: read_scores(root, address, input_digest=str(origin["input"]))):
        return False
    rows = [asdict(score) | {"value": _json_number(score.value)} for score in scores]
    write_document(root, address, {"scores": rows}, facts=origin)
    return True


def read_scores(root: str, address: Address, *, input_digest: str = "") -> list[Score]:
    """The scores of an item in the order in which they were written, bit for bit."""
    document = read_document(root, address, input_digest=input_digest)
    with damage_named(join(root, address.path)):
        return parse_scores(document)


def parse_scores(document: Mapping[str, Any]) -> list[Score]:
    """The scores in a document that was read."""
    return [
        Score(**{**row, "protocol": ScoringProtocol(**row["protocol"]), "value": float(row["value"])})
        for row in document["scores"]
    ]


def _json_number(value: float) -> float | str:
    number = float(value)
    return number if abs(number) < float("inf") else str(number)


def _estimated_kind(name: str, *, where: str) -> BlurMapKind:
    if name == TRUTH:
        raise BlurMapError(
            "a measured blur map is on no known scale",
            where=where,
            remedy="read it as the blur_truth of its pair",
        )
    return BlurMapKind(name)


def _check_maps(blur_map: BlurMap, *, where: str) -> None:
    values = blur_map.values
    maps = [values] if blur_map.confidence is None else [values, blur_map.confidence]
    if any(m.ndim != 2 or m.dtype != np.float32 or m.shape != values.shape for m in maps):
        raise BlurMapError(
            "a blur map cannot be archived as it is",
            where=where,
            expected="(h, w) float32, values and confidence of one shape",
            got=", ".join(f"{m.shape} {m.dtype}" for m in maps),
        )
