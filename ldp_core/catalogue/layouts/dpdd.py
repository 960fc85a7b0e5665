"""The official tree of DPDD (Abuolaim and Brown, ECCV 2020), folder ``dd_dp_dataset_canon``, 8 or 16 bit.

    {train,val,test}_l/source/1P0A0917_L.png   left
    {train,val,test}_r/source/1P0A0917_R.png   right
    {train,val,test}_c/source/1P0A0917.png     combined
    {train,val,test}_c/target/1P0A0916.png     all in focus

The suffixes ``_L`` and ``_R`` may be missing. Targets of single views are not read. The all-in-focus picture
is a photograph of its own: its camera number lies one or two beside that of its source, before or after it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from ldp_core.catalogue.checking import SAME_SCENE, Thumbnail, thumbnail, thumbnail_correlation
from ldp_core.catalogue.pairing import LEFT, RIGHT, SIDECAR, TARGET, ItemSpec, ItemSpecs, pair_files
from ldp_core.errors import ImageError, StorageError, count_of
from ldp_core.images import read_image
from ldp_core.storage import absolute_url
from ldp_core.types import Problem

OFFICIAL: Final = {"train": 350, "val": 74, "test": 76}
"""Scenes of each split."""

_COMBINED: Final = "combined"
_FILE = re.compile(r"(train|val|test)_([clr])/(source|target)/([^/]+)\.(?:png|PNG|tif|TIF|tiff)")
_SUFFIX = re.compile(r"(.+?)_([LR])")
_ROLES: Final = {"l": LEFT, "r": RIGHT, "c": _COMBINED}
_NUMBER = re.compile(r"(.*?)(\d+)")

_MAX_DIFFERENCE: Final = 3  # of numbers within a scene: 2 is the largest known, and more link more scenes
_MARGIN: Final = 0.02  # of correlation to the next candidate; below it two photographs of one scene may swap
_OUT_OF_REACH: Final = 1e6

Differences = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph by a name that ends in its camera number, and where it lies."""

    name: str
    url: str

    @property
    def numbered(self) -> tuple[str, int]:
        """What comes before the number, and the number; -1 where there is none."""
        found = _NUMBER.fullmatch(self.name)
        return (found[1], int(found[2])) if found else (self.name, -1)


def read_dpdd(source: str) -> ItemSpecs:
    """Pair the files below the folders; pictures are looked at only where numbers leave a choice."""
    root = absolute_url(source)
    found = pair_files(root, _classify)
    scenes = [Photo(spec.name, spec.where) for spec in found.items]
    targets = list(_find_targets(found.sizes_bytes, root=root))
    chosen = _match_targets(scenes, targets)
    items = (_add_target(spec, chosen.get(spec.where)) for spec in found.items)
    unmatched = [_unmatched(scene, "target") for scene in scenes if scene.url not in chosen]
    taken = set(chosen.values())
    unmatched += [_unmatched(target, "source") for target in targets if target.url not in taken]
    problems = (*found.problems, *unmatched, *_count_scenes(found.items, root=root))
    return replace(found, items=tuple(items), problems=problems)


def _classify(path: str) -> tuple[str, str] | None:
    file = _FILE.fullmatch(path)
    if file is None:
        return None
    split, view, folder, stem = file.groups()
    marked = _SUFFIX.fullmatch(stem)
    if marked and marked[2].lower() != view:
        return None
    if folder == "target":
        return "", SIDECAR
    return f"{split}/{marked[1] if marked else stem}", _ROLES[view]


def _find_targets(urls: Iterable[str], *, root: str) -> Iterator[Photo]:
    for url in urls:
        file = _FILE.fullmatch(url.removeprefix(root).lstrip("/"))
        if file and (file[2], file[3]) == ("c", "target"):
            yield Photo(f"{file[1]}/{file[4]}", url)


def _add_target(spec: ItemSpec, url: str | None) -> ItemSpec:
    return spec if url is None else replace(spec, pictures={**spec.pictures, TARGET: url})


def _match_targets(scenes: Sequence[Photo], targets: Sequence[Photo]) -> dict[str, str]:
    """The target's URL by its scene's URL; no target is given twice.

    Numbers decide where one way of pairing all photographs of a group has a smaller sum of differences than
    every other way. Where photographs are missing or two ways are as good, thumbnails decide, and what they
    leave open stays unpaired. A wrong pair that numbers allow is found when its pixels are loaded
    (`ldp_core.catalogue.checking`).
    """
    chosen: dict[str, str] = {}
    for near, candidates in _groups_within_reach(scenes, targets):
        chosen |= _match_by_number(near, candidates) or _match_by_thumbnail(near, candidates)
    return chosen


def _groups_within_reach(
    scenes: Sequence[Photo], targets: Sequence[Photo]
) -> Iterator[tuple[list[Photo], list[Photo]]]:
    """Scenes and targets that small differences of numbers link, where there are some of both."""
    if not scenes or not targets:
        return
    linked = _number_differences(scenes, targets) < _OUT_OF_REACH
    edges = np.pad(linked, ((0, len(targets)), (len(scenes), 0)))
    count, labels = connected_components(edges, directed=False)
    for label in range(count):
        near = [scene for scene, at in zip(scenes, labels, strict=False) if at == label]
        others = [target for target, at in zip(targets, labels[len(scenes) :], strict=True) if at == label]
        if near and others:
            yield near, others


def _number_differences(scenes: Sequence[Photo], targets: Sequence[Photo]) -> Differences:
    """``(scenes, targets)``; a large constant where they are too far apart or named differently."""
    differences = np.full((len(scenes), len(targets)), _OUT_OF_REACH)
    numbered = [target.numbered for target in targets]
    for row, scene in enumerate(scenes):
        prefix, number = scene.numbered
        for column, (other_prefix, other_number) in enumerate(numbered):
            if prefix == other_prefix and min(number, other_number) >= 0:
                difference = abs(number - other_number)
                differences[row, column] = difference if difference <= _MAX_DIFFERENCE else _OUT_OF_REACH
    return differences


def _match_by_number(scenes: Sequence[Photo], targets: Sequence[Photo]) -> dict[str, str]:
    """The one best way to pair all; empty where some stay over or another way is as good."""
    if len(scenes) != len(targets):
        return {}
    differences = _number_differences(scenes, targets)
    rows, columns = linear_sum_assignment(differences)
    best = float(differences[rows, columns].sum())
    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    if best >= _OUT_OF_REACH or min(_sum_without(differences, *pair) for pair in pairs) <= best:
        return {}
    return {scenes[row].url: targets[column].url for row, column in pairs}


def _sum_without(differences: Differences, row: int, column: int) -> float:
    """Sum of differences of the best way that does not use one pair."""
    forbidden = differences.copy()
    forbidden[row, column] = _OUT_OF_REACH
    return float(forbidden[linear_sum_assignment(forbidden)].sum())


def _match_by_thumbnail(scenes: Sequence[Photo], targets: Sequence[Photo]) -> dict[str, str]:
    """Pairs alike enough, and by a margin more so than any other pair with one of the two."""
    near = _number_differences(scenes, targets) < _OUT_OF_REACH
    alike = np.where(near, _correlate_all(scenes, targets), -1.0)
    found = {}
    for row, column in zip(*np.nonzero(alike >= SAME_SCENE), strict=True):
        rivals = np.concatenate([np.delete(alike[row], column), np.delete(alike[:, column], row)])
        if alike[row, column] >= max(rivals, default=-1.0) + _MARGIN:
            found[scenes[row].url] = targets[column].url
    return found


def _correlate_all(scenes: Sequence[Photo], targets: Sequence[Photo]) -> NDArray[np.float64]:
    seen, others = ([_read_thumbnail(photo.url) for photo in photos] for photos in (scenes, targets))
    return np.array([[_correlate(first, second) for second in others] for first in seen])


def _read_thumbnail(url: str) -> Thumbnail | None:
    """None where it cannot be read: an item that needs it is refused by the picture's own error."""
    try:
        return thumbnail(read_image(url))
    except (ImageError, StorageError):
        return None


def _correlate(first: Thumbnail | None, second: Thumbnail | None) -> float:
    found = None if first is None or second is None else thumbnail_correlation(first, second)
    return -1.0 if found is None else found


def _unmatched(photo: Photo, lacking: str) -> Problem:
    return Problem(
        photo.url,
        f"missing_{lacking}",
        f"no {lacking} of '{photo.name}' was found: within {_MAX_DIFFERENCE} camera numbers none, or "
        "more than one that may show the same scene",
        "find the missing or misnamed file; the views are restored without a truth",
        refuses_item=False,
    )


def _count_scenes(scenes: Iterable[ItemSpec], *, root: str) -> list[Problem]:
    counts = Counter(spec.name.partition("/")[0] for spec in scenes)
    return [
        Problem(
            root,
            "unofficial_split",
            f"'{split}' holds {count_of(count, 'paired scene')}; the official split has {OFFICIAL[split]}",
            "scores over it are not comparable with published ones",
            refuses_item=False,
        )
        for split, count in sorted(counts.items())
        if count != OFFICIAL[split]
    ]
