"""The dataset card: what a run was given, in words."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rich.filesize import decimal

from ldp_core.types import BlurTruthKind, Catalogue, ImageRef, Item

MOST_VALUES: Final = 4
TRUTHS: Final[Mapping[BlurTruthKind, str]] = {
    BlurTruthKind.UNSIGNED: "amount of blur, no sign",
    BlurTruthKind.SIGNED_COC_PX: "signed circle of confusion, px",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the card; ``code`` where the text is an address or a digest."""

    name: str
    text: str
    code: bool = False


def describe_dataset(catalogue: Catalogue, digests: Mapping[str, str] | None = None) -> list[Fact]:
    """What a dataset is: where from, how many items of which kind, what truth comes with them.

    ``digests``: the digest of the archived pixels of each item that came through.
    """
    items = catalogue.items
    facts = [
        Fact("Source", catalogue.source, code=True),
        Fact("Layout", catalogue.layout),
        Fact("Pairs", _count_pairs(catalogue)),
        Fact("Single views", f"{_count_singles(items):,}" if _count_singles(items) else ""),
        Fact("Size", _list_sizes(items)),
        Fact("Pixels", _list_values(_name_pixels(item.left) for item in items)),
        Fact("Target", _share(items, [item for item in items if item.target], detail=_note_shift(items))),
        Fact("Blur truth", _share(items, [i for i in items if i.blur_truth], detail=_name_truths(items))),
        Fact("Other methods", _list_values(name for item in items for name in sorted(item.external))),
        Fact("Scored region", _list_values(item.score_region.name for item in items)),
        Fact("Encoded size", decimal(sum(item.size_bytes for item in items))),
        Fact("Digest of the pixels", _digest(digests or {}, total=len(items)), code=True),
    ]
    return [fact for fact in facts if fact.text]


def digest_items(digests: Mapping[str, str]) -> str:
    """SHA-256 of the lines ``<item id> <digest of its pixels>`` in id order: the same for the same
    pixels under the same ids, wherever they lie."""
    lines = (f"{item} {digest}\n" for item, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _count_pairs(catalogue: Catalogue) -> str:
    refused = sum(problem.refuses_item for problem in catalogue.problems)
    pairs = len(catalogue.items) - _count_singles(catalogue.items)
    return f"{pairs:,}" + (f", {refused:,} more refused" if refused else "")


def _count_singles(items: Iterable[Item]) -> int:
    return sum(not item.has_both_views for item in items)


def _list_sizes(items: Iterable[Item]) -> str:
    sizes = sorted(((i.left.width, i.left.height) for i in items), key=lambda size: size[0] * size[1])
    if len(set(sizes)) <= MOST_VALUES:
        return _list_values(f"{width} x {height} px" for width, height in sizes)
    (width, height), (widest, highest) = sizes[0], sizes[-1]
    return f"{len(set(sizes))} sizes, {width} x {height} to {widest} x {highest} px"


def _name_pixels(ref: ImageRef) -> str:
    return f"{ref.bit_depth} bit {'grey' if ref.channels == 1 else 'RGB'}"


def _list_values(values: Iterable[str]) -> str:
    """Distinct values, the most frequent first, counted where there are several."""
    counts = Counter(values).most_common()
    if len(counts) <= 1:
        return "".join(value for value, _ in counts)
    named = [f"{value} ({count:,})" for value, count in counts[:MOST_VALUES]]
    return ", ".join(named) + (" and others" if len(counts) > MOST_VALUES else "")


def _share(items: Collection[Item], having: Collection[Item], *, detail: str) -> str:
    """How many of the items have something, as ``all``, ``none`` or a count."""
    total, count = len(items), len(having)
    what = "items" if _count_singles(items) else "pairs"
    text = "none" if not count else f"all {what}" if count == total else f"{count:,} of {total:,} {what}"
    return f"{text}; {detail}" if count and detail else text


def _note_shift(items: Iterable[Item]) -> str:
    shifted = sum(not item.aligned for item in items if item.target)
    return f"displaced in {shifted:,}" if shifted else ""


def _name_truths(items: Iterable[Item]) -> str:
    return _list_values(TRUTHS[item.blur_truth_kind] for item in items if item.blur_truth)


def _digest(digests: Mapping[str, str], *, total: int) -> str:
    partial = "" if len(digests) == total else f" ({len(digests):,} items)"
    return digest_items(digests) + partial if digests else ""
