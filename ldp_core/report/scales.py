"""One colour scale for all maps of a kind in a report, so that the pictures of different items compare.

Maps are drawn item by item, each on the scale that fits it, as PNG with a palette whose entries stand for
values. Once all are drawn the common scale is known, and only the palettes are written anew: no value is
lost, and no pixel is encoded again.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

import numpy as np

from ldp_core.report.model import BLUR_TRUTH, MapDigest, PictureSpec, ReportItem
from ldp_core.report.pictures import STEPS, UNKNOWN_COLOUR, colour_at, palette_of

COVERED: Final = 0.95
"""Share of the items whose own scale the common one holds: one map of enormous values does not make all the
others pale. Up to 20 items that is the widest of all."""
_PALETTE: Final = b"PLTE"

Limits = Mapping[str, float]
"""Where a colour scale ends, by its name."""


def find_limits(items: Iterable[ReportItem]) -> Limits:
    """The end of the common scale of every kind of map that the items have."""
    limits: dict[str, list[float]] = defaultdict(list)
    for digest in chain.from_iterable(item.digests.values() for item in items):
        limits[digest.kind].append(digest.limit)
    return {name: _cover(found) for name, found in limits.items()}


def list_maps(item: ReportItem, pictures: Iterable[PictureSpec]) -> dict[str, tuple[PictureSpec, MapDigest]]:
    """The files of an item whose colours follow a scale, each with its description and its digest.

    A blur truth is among them: :func:`rescale_png` leaves it alone where it is on no scale of the estimate.
    """
    found: dict[str, tuple[PictureSpec, MapDigest]] = {}
    for spec in pictures:
        digest = item.digests.get(spec.name)
        if spec.is_map and digest is not None and digest.kind == spec.scale:
            names = (f"{spec.name}.png", f"{spec.name}-thumb.png", f"{BLUR_TRUTH}.png")
            found |= {name: (spec, digest) for name in names if name in item.pictures}
    return found


def rescale_png(png: bytes, spec: PictureSpec, *, own: float, common: float) -> bytes:
    """A map that was drawn on a scale up to ``own``, in the colours of the scale up to ``common``.

    A picture with another palette than that of its own scale comes back as it is.
    """
    start = png.find(_PALETTE)
    before = palette_of(spec).tobytes()
    if own == common or start < 0 or png[start + 4 : start + 4 + len(before)] != before:
        return png
    chunk = _PALETTE + _spread(spec, own=own, common=common)
    checksum = zlib.crc32(chunk).to_bytes(4, "big")
    return png[:start] + chunk + checksum + png[start + len(chunk) + 4 :]


def _cover(limits: list[float]) -> float:
    return sorted(limits)[math.ceil(COVERED * len(limits)) - 1]


def _spread(spec: PictureSpec, *, own: float, common: float) -> bytes:
    """The palette whose entries have the colours that their values have on the common scale."""
    shares = np.linspace(0, 1, STEPS)
    shares = (shares - 0.5) * (own / common) + 0.5 if spec.is_signed else shares * (own / common)
    colours = (*(colour_at(float(share), spec) for share in shares), UNKNOWN_COLOUR)
    return b"".join(bytes.fromhex(colour[1:]) for colour in colours)
