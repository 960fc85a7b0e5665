"""Canon R6 Mark II pairs of Sdirt (He et al., ICCV 2025): RF 50 mm, focus at 1 m.

    box/NNN/{l,r,d}.png  casual/{iphone,orbbec}/NNN/{l,r,d}.png  flat/NNN/DISTANCE/{f4,f20}/{l,r}.png

``d`` is depth, at another scale in each folder, and no blur map: it is not read. Of a flat chart the
blurred views are those at f/4; the mean of the views at f/20 is its nearly sharp target, scored with a
shift search as it was taken at another aperture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ldp_core.catalogue.pairing import LEFT, RIGHT, SIDECAR, TARGET, ItemSpec, ItemSpecs, pair_files
from ldp_core.errors import PairMismatchError
from ldp_core.types import Pixels, Problem

MEAN_TARGET: Final = "mean-target"
_OTHER_TARGET: Final = "target_right"

_SCENE = re.compile(r"((?:box|casual/(?:iphone|orbbec))/[^/]+)/([lrd])\.png")
_CHART = re.compile(r"(flat/[^/]+/[^/]+)/(f4|f20)/([lr])\.png")
_SCENE_ROLES = {"l": LEFT, "r": RIGHT, "d": SIDECAR}
_CHART_ROLES = {
    ("f4", "l"): LEFT,
    ("f4", "r"): RIGHT,
    ("f20", "l"): TARGET,
    ("f20", "r"): _OTHER_TARGET,
}


def read_canon_r6m2(source: str) -> ItemSpecs:
    """Pair the files of the three trees."""
    found = pair_files(source, _classify)
    items, problems = [], list(found.problems)
    for spec in found.items:
        targets = {TARGET, _OTHER_TARGET} & spec.pictures.keys()
        if len(targets) == 1:
            problems.append(_half_a_target(spec))
        else:
            marked = _mark_chart(spec) if targets else spec
            items.append(replace(marked, truth_expected=spec.name.startswith("flat/")))
    return replace(found, items=tuple(items), problems=tuple(problems))


def average_target(stored: Mapping[str, Pixels]) -> dict[str, Pixels]:
    """Views as they are; the target the mean of its own two views, rounded half to even."""
    first, second = stored[TARGET], stored[_OTHER_TARGET]
    if first.shape != second.shape:
        raise PairMismatchError(
            "the two views of the target differ in size", expected=str(first.shape), got=str(second.shape)
        )
    mean = np.rint((first.astype(np.float64) + second) / 2)
    target: Pixels = mean.astype(np.uint8) if first.dtype == np.uint8 else mean.astype(np.uint16)
    views = {role: stored[role] for role in (LEFT, RIGHT) if role in stored}
    return {**views, TARGET: target}


def _classify(path: str) -> tuple[str, str] | None:
    if scene := _SCENE.fullmatch(path):
        return scene[1], _SCENE_ROLES[scene[2]]
    if chart := _CHART.fullmatch(path):
        return chart[1], _CHART_ROLES[chart[2], chart[3]]
    return None


def _mark_chart(spec: ItemSpec) -> ItemSpec:
    pictures = dict(spec.pictures)
    auxiliary = {_OTHER_TARGET: pictures.pop(_OTHER_TARGET)}
    return replace(spec, pictures=pictures, auxiliary=auxiliary, development=MEAN_TARGET, aligned=False)


def _half_a_target(spec: ItemSpec) -> Problem:
    return Problem(
        spec.where,
        "missing_partner",
        f"item '{spec.name}' has only one of the two views at f/20",
        "add the other one, or remove both",
    )
