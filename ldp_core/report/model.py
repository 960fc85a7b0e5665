"""What the report knows of one item: its scores, where its pictures lie, how blurred it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Score

Status = Literal["computed", "skipped"]

COC_STEP_PX = 0.5
UNIT_STEP = 0.05
THUMBS = ("input", "blur_map", "restored")
"""The pictures that the table shows small, in its order."""


@dataclass(frozen=True, slots=True)
class BlurDigest:
    """How the values of one blur map are spread, small enough to travel with the scores.

    ``limit`` is the end of the colour scale of its picture; ``p05``, ``p50``, ``p95`` are
    percentiles. ``shares[n]`` is the share of pixels whose value rounds to ``n * step``, 0..1.
    Values are px of CoC diameter for a signed map, else 0..1.
    """

    kind: BlurMapKind
    limit: float
    step: float
    p05: float
    p50: float
    p95: float
    shares: Mapping[int, float]

    def to_json(self) -> bytes:
        """The digest as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes | str) -> BlurDigest:
        """A digest from what :meth:`to_json` wrote."""
        fields = json.loads(text)
        shares = {int(bin_): float(share) for bin_, share in fields.pop("shares").items()}
        return cls(**(fields | {"kind": BlurMapKind(fields["kind"]), "shares": shares}))


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One item as the report shows it.

    ``pictures`` gives the address, relative to the report, of each file that
    :func:`ldp_core.report.render_pictures` made, by file name, all in one folder:
    ``left``, ``right``, ``input``, ``blur_map``, ``restored``, ``target``, ``blur_truth``,
    ``peer-<name>``, and some of them with ``-thumb``. Where ``blur`` is None, it is read from the
    ``blur.json`` among them. ``single_view``: its second view is missing.
    """

    id: str
    status: Status
    scores: Sequence[Score] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    blur: BlurDigest | None = None
    single_view: bool = False


def digest_blur(blur_map: BlurMap) -> BlurDigest:
    """The spread of a blur map's values; pixels that are not finite are left out."""
    values = blur_map.values[np.isfinite(blur_map.values)]
    if values.size == 0:
        values = np.zeros(1, np.float32)
    p05, p50, p95 = (round(float(p), 4) for p in np.percentile(values, (5, 50, 95)))
    step = COC_STEP_PX if blur_map.kind is BlurMapKind.SIGNED_COC_PX else UNIT_STEP
    limit = colour_limit(blur_map)
    return BlurDigest(blur_map.kind, limit, step, p05, p50, p95, _shares(values, step))


def colour_limit(blur_map: BlurMap) -> float:
    """Where the colour scale of a blur map ends: 1 for maps of 0..1; for a signed map the next of
    1, 2, 5, 10, 20, 50 ... px above the 99.5th percentile of its size, so that scales compare."""
    if blur_map.kind is not BlurMapKind.SIGNED_COC_PX:
        return 1.0
    sizes = np.abs(blur_map.values[np.isfinite(blur_map.values)])
    reach = float(np.percentile(sizes, 99.5)) if sizes.size else 0.0
    limit, factors = 1.0, (2.0, 2.5, 2.0)
    for n in range(30):
        if limit >= reach:
            break
        limit *= factors[n % 3]
    return limit


def _shares(values: FloatMap, step: float) -> dict[int, float]:
    bins, counts = np.unique(np.rint(values / step).astype(np.int64), return_counts=True)
    return {int(b): round(float(n) / values.size, 6) for b, n in zip(bins, counts, strict=True)}
