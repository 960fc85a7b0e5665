"""Items of an earlier catalogue whose pictures a listing shows unchanged: they need not be probed."""

from __future__ import annotations

from collections.abc import Mapping

from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, MASK, RIGHT, TARGET, ItemSpec, ItemSpecs
from ldp_core.images.traits import SHOT_NAMES
from ldp_core.types import GENERIC_CAMERA, ImageRef, Item, PixelOptions


def is_known(earlier: Item, spec: ItemSpec, found: ItemSpecs, pixels: PixelOptions) -> bool:
    """Whether probing the pictures of an item would give the item of the earlier catalogue again.

    Address, size and revision of all pictures are those of then, and it is read and scored alike. Full scale
    of 16 bit is looked for in headers and pixels, and conversion depends on profiles: such items are probed.
    """
    plain = earlier.left.bit_depth == 8 or earlier.development != ""
    read_alike = earlier.peak is pixels.peak is spec.peak is None and not (earlier.to_srgb or pixels.to_srgb)
    return (
        plain
        and read_alike
        and earlier.camera == spec.camera == GENERIC_CAMERA
        and _scoring(earlier) == _scoring(spec)
        and _own_metadata(earlier, spec) == spec.metadata
        and _are_listed(_pictures_of(earlier), spec.pictures, found)
        and _are_listed(earlier.auxiliary, spec.auxiliary, found)
    )


def _scoring(item: Item | ItemSpec) -> tuple[object, ...]:
    scoring = item.score_region, item.aligned, item.blur_truth_kind, item.dp_axis
    return *scoring, item.development


def _own_metadata(item: Item, spec: ItemSpec) -> dict[str, object]:
    """The metadata of an item without what the EXIF of its picture, which is unchanged, told."""
    return {name: v for name, v in item.metadata.items() if name in spec.metadata or name not in SHOT_NAMES}


def _pictures_of(item: Item) -> dict[str, ImageRef]:
    named = {LEFT: item.left, RIGHT: item.right, TARGET: item.target, BLUR_TRUTH: item.blur_truth}
    named |= {MASK: item.mask}
    return {role: ref for role, ref in (named | dict(item.external)).items() if ref is not None}


def _are_listed(refs: Mapping[str, ImageRef], urls: Mapping[str, str], found: ItemSpecs) -> bool:
    return refs.keys() == urls.keys() and all(_is_listed(refs[role], urls[role], found) for role in urls)


def _is_listed(ref: ImageRef, url: str, found: ItemSpecs) -> bool:
    listed = found.sizes_bytes.get(url), found.revisions.get(url)
    return ref.revision != "" and (ref.uri, ref.size_bytes, ref.revision) == (url, *listed)
