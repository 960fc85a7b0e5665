"""From drafts to items: every header is read, and pictures that do not fit together are named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

from ldp_core.catalogue.drafts import BLUR_TRUTH, LEFT, RIGHT, TARGET, Draft
from ldp_core.errors import ImageError, StorageError
from ldp_core.images import probe_image
from ldp_core.types import ImageRef, Item, Problem

_THREADS = 16
_BATCH_ITEMS = 1024

Outcome = Item | tuple[Problem, ...]


def probe_drafts(drafts: Mapping[str, Draft], *, sizes_bytes: Mapping[str, int]) -> Iterator[Outcome]:
    """For each draft, by item id, the item or the problems that keep it out, in the order given."""

    def probe(entry: tuple[str, Draft]) -> Outcome:
        return _probe_draft(*entry, sizes_bytes=sizes_bytes)

    entries = iter(drafts.items())
    with ThreadPoolExecutor(_THREADS) as threads:
        while batch := list(islice(entries, _BATCH_ITEMS)):
            yield from threads.map(probe, batch)


def _probe_draft(item_id: str, draft: Draft, *, sizes_bytes: Mapping[str, int]) -> Outcome:
    refs: dict[str, ImageRef] = {}
    problems: list[Problem] = []
    for role, url in (*draft.pictures.items(), *draft.auxiliary.items()):
        try:
            refs[role] = probe_image(url, size_bytes=sizes_bytes.get(url))
        except (ImageError, StorageError) as error:
            message = f"the {role} picture of item '{draft.name}' cannot be read: {error.what}"
            got = f" ({error.got})" if error.got else ""
            problems.append(Problem(url, error.kind, message + got, error.remedy))
    return _refusing_once(problems or _find_mismatches(draft, refs)) or _make_item(item_id, draft, refs)


def _refusing_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems of one item, of which only the first counts as refusing it."""
    return tuple(replace(problem, refuses_item=index == 0) for index, problem in enumerate(problems))


def _find_mismatches(draft: Draft, refs: Mapping[str, ImageRef]) -> list[Problem]:
    left = refs[LEFT]
    return [
        Problem(
            ref.uri,
            "size_mismatch",
            f"the {role} picture of item '{draft.name}' is {_describe(ref)}, the left one {_describe(left)}",
            "give all pictures of an item the same size, channels and bit depth, or remove this one",
        )
        for role, ref in refs.items()
        if not _fits(role, ref, left, draft=draft)
    ]


def _fits(role: str, ref: ImageRef, left: ImageRef, *, draft: Draft) -> bool:
    """A development may cut the views to their truth, so what it makes is compared when it is made."""
    if role in (TARGET, BLUR_TRUTH) and draft.development:
        return True
    return _is_map_for(ref, left) if role == BLUR_TRUTH else _is_alike(ref, left)


def _is_alike(ref: ImageRef, left: ImageRef) -> bool:
    return _shape(ref) == _shape(left) and ref.bit_depth == left.bit_depth


def _is_map_for(ref: ImageRef, left: ImageRef) -> bool:
    return _shape(ref) == (left.height, left.width, 1)


def _shape(ref: ImageRef) -> tuple[int, int, int]:
    return ref.height, ref.width, ref.channels


def _describe(ref: ImageRef) -> str:
    colour = "grey" if ref.channels == 1 else "RGB"
    return f"{ref.width} x {ref.height} {colour}, {ref.bit_depth} bit"


def _make_item(item_id: str, draft: Draft, refs: Mapping[str, ImageRef]) -> Item:
    return Item(
        id=item_id,
        left=refs[LEFT],
        right=refs.get(RIGHT),
        target=refs.get(TARGET),
        blur_truth=refs.get(BLUR_TRUTH),
        external={r: refs[r] for r in draft.pictures if r not in (LEFT, RIGHT, TARGET, BLUR_TRUTH)},
        score_region=draft.score_region,
        aligned=draft.aligned,
        blur_truth_kind=draft.blur_truth_kind,
        dp_axis=draft.dp_axis,
        development=draft.development,
        auxiliary={role: refs[role] for role in draft.auxiliary},
    )
