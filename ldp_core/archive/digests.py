"""Digests of pixels and of whole pairs, defined so that any language can compute them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldp_core.archive.keys import plain_json
from ldp_core.types import DpAxis, Pair, Pixels

_EXTERNAL = "peer:"


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
    """What a pair says of how it is to be read and scored, as plain JSON; ``dp_axis`` only where it is y."""
    axis = {} if pair.dp_axis is DpAxis.X else {"dp_axis": pair.dp_axis.value}
    return {
        "score_region": asdict(pair.score_region),
        "aligned": pair.aligned,
        "blur_truth_kind": pair.blur_truth_kind.value,
        **axis,
    }


def named_views(pair: Pair) -> dict[str, Pixels]:
    """All pictures of one shape: ``left``, maybe ``right`` and ``target``, then ``peer:<name>`` by name."""
    return pair.views | {_EXTERNAL + name: pair.external[name] for name in sorted(pair.external)}


def external_among(views: Mapping[str, Pixels]) -> dict[str, Pixels]:
    """External results among named views, by their own names."""
    return {name.removeprefix(_EXTERNAL): view for name, view in views.items() if name.startswith(_EXTERNAL)}
