"""An item to its pixels."""

from __future__ import annotations

import numpy as np

from ldp_core.catalogue.coc_px import decode_coc_px
from ldp_core.errors import PairMismatchError
from ldp_core.images import DEFAULT_LIMITS, ImageLimits, read_image
from ldp_core.types import BlurTruthKind, FloatMap, ImageRef, Item, Pair, Pixels


def load_pair(item: Item, *, limits: ImageLimits = DEFAULT_LIMITS) -> Pair:
    """Decode every picture of an item.

    ``blur_truth`` becomes ``(h, w)`` float32: of the stored values, unscaled, where it is unsigned, else
    of px (``ldp_core.catalogue.coc_px``).

    Raises:
        PairMismatchError: a picture is not what the catalogue says, or does not fit the left view.
        ImageError: a picture is missing, damaged, of a kind that is not read, or larger than allowed.
        StorageError: the store refused or could not be reached.
    """
    _require_one_size(item)
    return Pair(
        id=item.id,
        left=_load(item.left, limits=limits),
        right=_load(item.right, limits=limits),
        target=_load(item.target, limits=limits) if item.target else None,
        blur_truth=_load_truth(item.blur_truth, item.blur_truth_kind, limits) if item.blur_truth else None,
        peers={name: _load(ref, limits=limits) for name, ref in item.peers.items()},
        score_region=item.score_region,
        aligned=item.aligned,
        blur_truth_kind=item.blur_truth_kind,
    )


def _load(ref: ImageRef, *, limits: ImageLimits) -> Pixels:
    pixels = read_image(ref.uri, limits=limits, size_bytes=ref.size_bytes)
    expected = (ref.height, ref.width, ref.channels), ref.bit_depth
    if (pixels.shape, pixels.dtype.itemsize * 8) != expected:
        raise PairMismatchError(
            "the picture is not what the catalogue says",
            where=ref.uri,
            expected=_describe(ref),
            got=f"{pixels.shape} {pixels.dtype}",
            remedy="it was changed since: read the catalogue again",
        )
    return pixels


def _load_truth(ref: ImageRef, kind: BlurTruthKind, limits: ImageLimits) -> FloatMap:
    stored = _load(ref, limits=limits)
    signed = kind is BlurTruthKind.SIGNED_COC_PX
    return decode_coc_px(stored, where=ref.uri) if signed else stored[..., 0].astype(np.float32)


def _require_one_size(item: Item) -> None:
    """Views are compared by `Pair` itself; this is for the pictures beside them."""
    left = (item.left.height, item.left.width, item.left.channels)
    wanted = [(ref, left) for ref in item.peers.values()]
    if item.blur_truth:
        wanted.append((item.blur_truth, (*left[:2], 1)))
    for ref, shape in wanted:
        if (ref.height, ref.width, ref.channels) != shape:
            raise PairMismatchError(
                "the picture does not fit the left view of its item",
                where=ref.uri,
                expected=str(shape),
                got=_describe(ref),
                remedy="read the catalogue again; it leaves such items out",
            )


def _describe(ref: ImageRef) -> str:
    return f"({ref.height}, {ref.width}, {ref.channels}) uint{ref.bit_depth}"
