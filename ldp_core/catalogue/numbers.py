"""Two photographs of one scene, taken one after the other: paired by camera number, or by sight.

Numbers decide where one way of pairing all photographs of a neighbourhood has a smaller sum of differences
than every other way. Where photographs are missing or two ways are as good, thumbnails decide, and
what they leave open stays unpaired and is named. A wrong pair that numbers allow is found when its
pixels are loaded (`ldp_core.catalogue.checking`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from ldp_core.catalogue.likeness import SAME_SCENE, Thumbnail, likeness, thumbnail
from ldp_core.errors import ImageError, StorageError
from ldp_core.images import read_image
from ldp_core.types import Problem

REACH: Final = 3
"""Largest difference of numbers between photographs of one scene; 2 is the largest known."""
MARGIN: Final = 0.02
"""By how much the best candidate must be more alike than the next."""

_OUT_OF_REACH: Final = 1e6
_NUMBER = re.compile(r"(.*?)(\d+)")

Steps = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A photograph by a name that ends in its camera number, and where it lies."""

    name: str
    url: str

    @property
    def place(self) -> tuple[str, int]:
        """What comes before the number, and the number; -1 where there is none."""
        found = _NUMBER.fullmatch(self.name)
        return (found[1], int(found[2])) if found else (self.name, -1)


@dataclass(frozen=True, slots=True)
class Matches:
    """Partner's URL by a scene's URL, and what stayed without one."""

    partners: dict[str, str]
    problems: tuple[Problem, ...] = ()


def match_numbers(scenes: Sequence[Numbered], candidates: Sequence[Numbered]) -> Matches:
    """The partner of each scene among the candidates; no candidate is given twice."""
    partners: dict[str, str] = {}
    for near, others in _neighbourhoods(scenes, candidates):
        partners |= _match_by_number(near, others) or _match_by_sight(near, others)
    taken = set(partners.values())
    problems = [_alone(scene, "target") for scene in scenes if scene.url not in partners]
    problems += [_alone(other, "source") for other in candidates if other.url not in taken]
    return Matches(partners, tuple(problems))


def _neighbourhoods(
    scenes: Sequence[Numbered], candidates: Sequence[Numbered]
) -> Iterator[tuple[list[Numbered], list[Numbered]]]:
    """Scenes and candidates that steps within reach link, where there are some of both."""
    if not scenes or not candidates:
        return
    linked = _steps(scenes, candidates) < _OUT_OF_REACH
    edges = np.pad(linked, ((0, len(candidates)), (len(scenes), 0)))
    count, labels = connected_components(edges, directed=False)
    for label in range(count):
        near = [scene for scene, at in zip(scenes, labels, strict=False) if at == label]
        others = [other for other, at in zip(candidates, labels[len(scenes) :], strict=True) if at == label]
        if near and others:
            yield near, others


def _steps(scenes: Sequence[Numbered], candidates: Sequence[Numbered]) -> Steps:
    """Differences of numbers ``(scenes, candidates)``; beyond reach a large constant."""
    steps = np.full((len(scenes), len(candidates)), _OUT_OF_REACH)
    places = [other.place for other in candidates]
    for row, scene in enumerate(scenes):
        before, number = scene.place
        for column, (other_before, other_number) in enumerate(places):
            if before == other_before and min(number, other_number) >= 0:
                step = abs(number - other_number)
                steps[row, column] = step if step <= REACH else _OUT_OF_REACH
    return steps


def _match_by_number(scenes: Sequence[Numbered], candidates: Sequence[Numbered]) -> dict[str, str]:
    """The one best way to pair all; empty where some stay over or another way is as good."""
    if len(scenes) != len(candidates):
        return {}
    steps = _steps(scenes, candidates)
    rows, columns = linear_sum_assignment(steps)
    best = float(steps[rows, columns].sum())
    chosen = list(zip(rows.tolist(), columns.tolist(), strict=True))
    if best >= _OUT_OF_REACH or min(_cost_without(steps, *pair) for pair in chosen) <= best:
        return {}
    return {scenes[row].url: candidates[column].url for row, column in chosen}


def _cost_without(steps: Steps, row: int, column: int) -> float:
    """Sum of differences of the best way that does not use one pair."""
    forbidden = steps.copy()
    forbidden[row, column] = _OUT_OF_REACH
    return float(forbidden[linear_sum_assignment(forbidden)].sum())


def _match_by_sight(scenes: Sequence[Numbered], candidates: Sequence[Numbered]) -> dict[str, str]:
    """Pairs alike enough, and by a margin more so than any other pair with one of the two."""
    alike = np.where(_steps(scenes, candidates) < _OUT_OF_REACH, _compare_all(scenes, candidates), -1.0)
    found = {}
    for row, column in zip(*np.nonzero(alike >= SAME_SCENE), strict=True):
        rivals = np.concatenate([np.delete(alike[row], column), np.delete(alike[:, column], row)])
        if alike[row, column] >= max(rivals, default=-1.0) + MARGIN:
            found[scenes[row].url] = candidates[column].url
    return found


def _compare_all(scenes: Sequence[Numbered], candidates: Sequence[Numbered]) -> NDArray[np.float64]:
    seen, others = ([_look(photo.url) for photo in photos] for photos in (scenes, candidates))
    return np.array([[_compare(first, second) for second in others] for first in seen])


def _look(url: str) -> Thumbnail | None:
    """None where it cannot be read: an item that needs it is refused by the picture's own error."""
    try:
        return thumbnail(read_image(url))
    except (ImageError, StorageError):
        return None


def _compare(first: Thumbnail | None, second: Thumbnail | None) -> float:
    found = None if first is None or second is None else likeness(first, second)
    return -1.0 if found is None else found


def _alone(photo: Numbered, lacking: str) -> Problem:
    return Problem(
        photo.url,
        f"missing_{lacking}",
        f"no {lacking} of '{photo.name}' was found: within {REACH} camera numbers none, or more than one "
        "that may show the same scene",
        "find the missing or misnamed file; the views are restored without a truth",
        refuses_item=False,
    )
