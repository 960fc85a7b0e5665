"""An item to its pixels; circles of confusion as 16-bit grey pictures, masks as black and white ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.catalogue.agreement import find_disagreements
from ldp_core.catalogue.checking import check_pair
from ldp_core.catalogue.layouts import DEVELOPMENTS
from ldp_core.catalogue.pairing import LEFT, RIGHT, TARGET
from ldp_core.catalogue.peaks import ceiling_remedy, describe_ceiling, find_unnamed_ceiling
from ldp_core.errors import (
    CatalogueError,
    ImageFormatError,
    MaskError,
    PairMismatchError,
    PeakUnnamedError,
)
from ldp_core.images import (
    DEFAULT_LIMITS,
    ImageLimits,
    Picture,
    PictureTraits,
    read_picture,
    to_full_scale,
)
from ldp_core.images.colour import convert_to_srgb
from ldp_core.images.scale import peak_below_full_scale
from ldp_core.types import BlurTruthKind, FloatMap, ImageRef, Item, Mask, Pair, Pixels

# 16 bit hold -256 .. 255.99 px in steps of 1/128 px, well below what any estimator resolves.
_STEPS_PER_PX: Final = 128
_ZERO: Final = 32768
# Lossy coding moves values of a mask by some levels of 255; what lies farther from both ends is no answer.
_MASK_SHARE: Final = 1 / 16


def load_pair(item: Item, *, limits: ImageLimits = DEFAULT_LIMITS) -> Pair:
    """Decode every picture of an item, develop what is no view yet, and check that all belong together.

    Pixels are scaled to full range where the item has a peak of its own, and converted to sRGB where it asks.

    ``blur_truth`` becomes ``(h, w)`` float32: of the stored values, unscaled, where it is unsigned, else
    of px (`decode_coc_px`).

    Raises:
        PairMismatchError: a picture is not what the catalogue says, does not fit the left view, or
            cannot belong to it (``ldp_core.catalogue.checking``); it is turned, coloured or scaled
            otherwise (``ldp_core.catalogue.agreement``), or values exceed the peak.
        MaskError: a mask is not black and white, or scores no pixel.
        PeakUnnamedError: all values of both views end at 2^k - 1 and pile up there, and no peak is named.
        ImageError: a picture is missing, damaged, of a kind that is not read, or larger than allowed.
        StorageError: the store refused or could not be reached.
    """
    stored = _load_stored(item, limits=limits)
    external = {name: stored.pop(name) for name in item.external}
    views = _develop(item, stored)
    truth = _load_truth(item.blur_truth, item.blur_truth_kind, limits) if item.blur_truth else None
    mask = decode_mask(_load(item.mask, limits=limits), where=item.mask.uri) if item.mask else None
    _require_one_size(item, views[LEFT], external=external, truth=truth, mask=mask)
    pair = Pair(
        id=item.id,
        left=views[LEFT],
        right=views.get(RIGHT),
        target=views.get(TARGET),
        blur_truth=truth,
        external=external,
        score_region=item.score_region,
        aligned=item.aligned,
        blur_truth_kind=item.blur_truth_kind,
        dp_axis=item.dp_axis,
        version=item.version,
        source_peak=peak_below_full_scale(item.peak),
        colour="" if item.to_srgb else item.colour,
        mask=mask,
    )
    return replace(pair, doubts=check_pair(pair))


def encode_coc_px(coc_px: FloatMap) -> NDArray[np.uint16]:
    """``(h, w)`` px to ``(h, w, 1)`` uint16, ``px = (value - 32768) / 128``.

    Rounded to 1/128 px and clipped to what 16 bit hold, -256 .. 255.99 px.
    """
    values = np.rint(coc_px.astype(np.float64) * _STEPS_PER_PX) + _ZERO
    stored: NDArray[np.uint16] = np.clip(values, 0, 65535).astype(np.uint16)[..., None]
    return stored


def decode_coc_px(stored: Pixels, *, where: str) -> FloatMap:
    """``(h, w, 1)`` uint16 to ``(h, w)`` float32 px.

    Raises:
        ImageFormatError: the picture is not 16-bit grey.
    """
    if stored.dtype != np.uint16 or stored.shape[2] != 1:
        raise ImageFormatError(
            "a map of circles of confusion must be 16-bit grey",
            where=where,
            expected="(h, w, 1) uint16, px = (value - 32768) / 128",
            got=f"{stored.shape} {stored.dtype}",
            remedy="write it with ldp_core.catalogue.encode_coc_px, or leave the folder coc/ out",
        )
    return ((stored[..., 0].astype(np.float32) - _ZERO) / _STEPS_PER_PX).astype(np.float32)


def decode_mask(stored: Pixels, *, where: str) -> Mask:
    """``(h, w, c)`` black and white to ``(h, w)``, True where it is white in all channels.

    Raises:
        MaskError: values lie between 0 and the largest value of the pixel type.
    """
    peak = int(np.iinfo(stored.dtype).max)
    white, black = stored >= peak * (1 - _MASK_SHARE), stored <= peak * _MASK_SHARE
    mask: Mask = np.asarray(white.all(axis=2))
    if not (mask | black.all(axis=2)).all():
        raise MaskError(
            "this mask is not black and white",
            where=where,
            expected=f"0 where a pixel is not scored, {peak} where it is",
            got=f"values {', '.join(map(str, np.unique(stored)[:6]))}",
            remedy="write it with these two values",
        )
    if not mask.any():
        raise MaskError(
            "this mask scores no pixel",
            where=where,
            expected=f"{peak} where a pixel is scored",
            got=f"values up to {stored.max()}",
            remedy=f"write {peak} where a pixel is scored, or leave the mask out",
        )
    return mask


def _load_stored(item: Item, *, limits: ImageLimits) -> dict[str, Pixels]:
    """Every picture but the blur truth by role, at full range and in the colours that are asked for."""
    known = {LEFT: item.left, RIGHT: item.right, TARGET: item.target, **item.external}
    refs = {role: ref for role, ref in known.items() if ref is not None}
    pictures = {role: _load_picture(ref, limits=limits) for role, ref in refs.items()}
    _require_agreement(item, refs, {role: picture.traits for role, picture in pictures.items()})
    if not item.development:
        _require_named_peak(item, pictures)
    stored: dict[str, Pixels] = {}
    for role in refs:
        picture = pictures.pop(role)  # one at a time, so that no second copy of all of them is held
        pixels = to_full_scale(picture.pixels, item.peak, where=refs[role].uri)
        profile = picture.traits.profile
        stored[role] = convert_to_srgb(pixels, profile, where=refs[role].uri) if item.to_srgb else pixels
    return stored | {role: _load(ref, limits=limits) for role, ref in item.auxiliary.items()}


def _require_agreement(item: Item, refs: Mapping[str, ImageRef], traits: Mapping[str, PictureTraits]) -> None:
    for one in find_disagreements(
        traits, channels=refs[LEFT].channels, to_srgb=item.to_srgb, named_peak=True
    ):
        raise one.error(
            one.what, where=refs[one.role].uri, expected=one.expected, got=one.got, remedy=one.remedy
        )


def _require_named_peak(item: Item, pictures: Mapping[str, Picture]) -> None:
    """A plan looks at a few items; here each is asked, and one that cannot be read rightly is refused."""
    views = [pictures[role] for role in (LEFT, RIGHT) if role in pictures]
    if item.peak is not None or any(v.pixels.dtype != np.uint16 or v.traits.peak for v in views):
        return
    ceiling = find_unnamed_ceiling(view.pixels for view in views)
    if ceiling is not None:
        raise PeakUnnamedError(describe_ceiling(ceiling), where=item.left.uri, remedy=ceiling_remedy(ceiling))


def _develop(item: Item, stored: dict[str, Pixels]) -> dict[str, Pixels]:
    if not item.development:
        return stored
    if item.development not in DEVELOPMENTS:
        raise CatalogueError(
            "this item is developed by an unknown rule",
            where=item.id,
            expected=", ".join(DEVELOPMENTS),
            got=item.development,
            remedy="read the catalogue again with this version",
        )
    return DEVELOPMENTS[item.development](stored)


def _load(ref: ImageRef, *, limits: ImageLimits) -> Pixels:
    """At full range, as far as the file itself says what that is."""
    picture = _load_picture(ref, limits=limits)
    return to_full_scale(picture.pixels, picture.traits.peak, where=ref.uri)


def _load_picture(ref: ImageRef, *, limits: ImageLimits) -> Picture:
    picture = read_picture(ref.uri, limits=limits, size_bytes=ref.size_bytes)
    pixels = picture.pixels
    expected = (ref.height, ref.width, ref.channels), ref.bit_depth
    if (pixels.shape, pixels.dtype.itemsize * 8) != expected:
        raise PairMismatchError(
            "the picture is not what the catalogue says",
            where=ref.uri,
            expected=_describe(ref),
            got=f"{pixels.shape} {pixels.dtype}",
            remedy="it was changed since: read the catalogue again",
        )
    return picture


def _load_truth(ref: ImageRef, kind: BlurTruthKind, limits: ImageLimits) -> FloatMap:
    stored = _load(ref, limits=limits)
    signed = kind is BlurTruthKind.SIGNED_COC_PX
    return decode_coc_px(stored, where=ref.uri) if signed else stored[..., 0].astype(np.float32)


def _require_one_size(
    item: Item,
    left: Pixels,
    *,
    external: dict[str, Pixels],
    truth: FloatMap | None,
    mask: Mask | None,
) -> None:
    """Views are compared by `Pair` itself; this is for the pictures beside them."""
    found = [(item.external[name], picture.shape, left.shape) for name, picture in external.items()]
    if item.blur_truth and truth is not None:
        found.append((item.blur_truth, (*truth.shape, item.blur_truth.channels), (*left.shape[:2], 1)))
    if item.mask and mask is not None:
        shape = (*mask.shape, item.mask.channels)
        found.append((item.mask, shape, (*left.shape[:2], item.mask.channels)))
    for ref, shape, wanted in found:
        if shape != wanted:
            raise PairMismatchError(
                "the picture does not fit the left view of its item",
                where=ref.uri,
                expected=str(wanted),
                got=_describe(ref),
                remedy="read the catalogue again; it leaves such items out",
            )


def _describe(ref: ImageRef) -> str:
    return f"({ref.height}, {ref.width}, {ref.channels}) uint{ref.bit_depth}"
