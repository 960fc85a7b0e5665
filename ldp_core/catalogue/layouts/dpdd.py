"""The official tree of DPDD (Abuolaim and Brown, ECCV 2020), folder ``dd_dp_dataset_canon``, 8 or 16 bit.

    {train,val,test}_l/source/1P0A0917_L.png   left
    {train,val,test}_r/source/1P0A0917_R.png   right
    {train,val,test}_c/source/1P0A0917.png     combined
    {train,val,test}_c/target/1P0A0916.png     all in focus

The suffixes ``_L`` and ``_R`` may be missing. The all-in-focus picture is a photograph of its own: its
camera number lies one or two beside that of its source, before or after it. Targets are found by
`ldp_core.catalogue.numbers`, never by sorted order. Targets of single views are not read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ldp_core.catalogue.drafts import COMPANION, LEFT, RIGHT, TARGET, Draft, Drafts
from ldp_core.catalogue.numbers import Numbered, match_numbers
from ldp_core.catalogue.pairing import pair_files
from ldp_core.storage import absolute_url
from ldp_core.types import Problem

OFFICIAL: Final = {"train": 350, "val": 74, "test": 76}
"""Scenes of each split."""

_COMBINED = "combined"
_FILE = re.compile(r"(train|val|test)_([clr])/(source|target)/([^/]+)\.(?:png|PNG|tif|TIF|tiff)")
_SUFFIX = re.compile(r"(.+?)_([LR])")
_ROLES = {"l": LEFT, "r": RIGHT, "c": _COMBINED}


def read_dpdd(source: str) -> Drafts:
    """Pair the files below the folders; pictures are looked at only where numbers leave a choice."""
    root = absolute_url(source)
    found = pair_files(root, _classify)
    scenes = [Numbered(draft.name, draft.where) for draft in found.drafts]
    matches = match_numbers(scenes, list(_find_targets(found.sizes_bytes, root=root)))
    drafts = (_add_target(draft, matches.partners.get(draft.where)) for draft in found.drafts)
    problems = (*found.problems, *matches.problems, *_count_scenes(found.drafts, root=root))
    return replace(found, drafts=tuple(drafts), problems=problems)


def _classify(path: str) -> tuple[str, str] | None:
    file = _FILE.fullmatch(path)
    if file is None:
        return None
    split, view, folder, stem = file.groups()
    marked = _SUFFIX.fullmatch(stem)
    if marked and marked[2].lower() != view:
        return None
    if folder == "target":
        return "", COMPANION
    return f"{split}/{marked[1] if marked else stem}", _ROLES[view]


def _find_targets(urls: Iterable[str], *, root: str) -> Iterator[Numbered]:
    for url in urls:
        file = _FILE.fullmatch(url.removeprefix(root).lstrip("/"))
        if file and (file[2], file[3]) == ("c", "target"):
            yield Numbered(f"{file[1]}/{file[4]}", url)


def _add_target(draft: Draft, url: str | None) -> Draft:
    return draft if url is None else replace(draft, pictures={**draft.pictures, TARGET: url})


def _count_scenes(scenes: Iterable[Draft], *, root: str) -> list[Problem]:
    counts = Counter(draft.name.partition("/")[0] for draft in scenes)
    return [
        Problem(
            root,
            "unofficial_split",
            f"'{split}' holds {count} paired scenes; the official split has {OFFICIAL[split]}",
            "scores over it are not comparable with published ones",
            refuses_item=False,
        )
        for split, count in sorted(counts.items())
        if count != OFFICIAL[split]
    ]
