"""What the items of a run tell without a truth: blur maps, confidence, reblur and no-reference scores."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import Final

import numpy as np

from ldp_core.archive import Archive
from ldp_core.archive.run_files import list_runs
from ldp_core.errors import ItemDamagedError, ItemMissingError
from ldp_core.metrics.drift import FEWEST_ITEMS
from ldp_core.types import BlurMap, BlurMapKind
from tasks.heartbeat import RunState
from tasks.run import Run, RunItem, require_restored
from tasks.stage import PAIR
from tasks.stages import BLUR

ALL: Final = "all items"
"""The group of every item."""
CAMERA_COLUMNS: Final = ("camera", "model")
"""Metadata that tell the camera: its profile, or the model that EXIF names."""
_READERS: Final = 8
_UNITS: Final = {
    BlurMapKind.SIGNED_COC_PX: "blur_px",
    BlurMapKind.SIMILARITY: "dissimilarity",
    BlurMapKind.IN_FOCUS_PROBABILITY: "in_focus",
}

Signals = dict[str, dict[str, float]]
"""Values by item id, by signal."""


def choose_runs(archive: str, run_id: str | None, against: str | None) -> tuple[Run, Run]:
    """The earlier run and the one that is judged: as named, else the newest and the one before it.

    Raises:
        ItemMissingError: a run is not there, did not come to its end or restored nothing, or there is no
            earlier one of the same dataset.
    """
    named = [Run(archive, one) for one in (against, run_id) if one]
    for run in named:
        require_restored(run.summary)
    newest = next(_finished(archive, dataset=None, before=None), None) if run_id is None else None
    judged = newest if run_id is None else named[-1]
    if judged is None:
        raise ItemMissingError("the archive holds no run that restored and came to its end", where=archive)
    if against is not None:
        return named[0], judged
    earlier = next(_finished(archive, dataset=judged.header.dataset, before=judged.run_id), None)
    if earlier is None:
        raise ItemMissingError(
            "there is no earlier run of this dataset to compare with",
            where=judged.run_id,
            expected=f"a finished run of '{judged.header.dataset}' before it",
            remedy="name a run of another dataset with --against, or wait for the next run",
        )
    return earlier, judged


def list_history(earlier: Run, judged: Run, *, most: int) -> list[Run]:
    """The newest ``most`` runs of the judged run's dataset before it, and the earlier one; oldest first."""
    found = {earlier.run_id: earlier}
    for run in _finished(judged.archive, dataset=judged.header.dataset, before=judged.run_id):
        if len(found) >= most:
            break
        found.setdefault(run.run_id, run)
    return [found[run_id] for run_id in sorted(found)]


def choose_judged(earlier: Run, judged: Run) -> tuple[list[RunItem], bool]:
    """The items of a run that the earlier one did not have, and True; all, where these are too few."""
    new = [item for item in judged.items if earlier.found.get(item.id) != (item.version, item.digest)]
    enough = FEWEST_ITEMS <= len(new) < len(judged.items)
    return (new, True) if enough else (list(judged.items), False)


def draw_sample(items: Collection[RunItem], most: int) -> list[RunItem]:
    """At most so many of the items, by chance; the same of the same items."""
    ordered = sorted(items, key=lambda item: item.id)
    return ordered if len(ordered) <= most else random.Random(0).sample(ordered, most)


def read_signals(run: Run, items: Collection[RunItem]) -> Signals:
    """Every signal of these items of a run. Blur maps that are gone or damaged are left out."""
    signals: Signals = {}
    for item in items:
        for name, value in _from_scores(item):
            signals.setdefault(name, {})[item.id] = value
    archive, pipelines = Archive(run.archive), {i: name for name, ids in run.listed.items() for i in ids}

    def read(item: RunItem) -> dict[str, float]:
        key = run.key_of(BLUR, pipelines.get(item.id, PAIR))
        try:
            return describe_map(archive.read_blur_map(key, item.key))
        except (ItemMissingError, ItemDamagedError):
            return {}

    with ThreadPoolExecutor(_READERS) as readers:
        for item, values in zip(items, readers.map(read, items), strict=True):
            for name, value in values.items():
                signals.setdefault(name, {})[item.id] = value
    return dict(sorted(signals.items()))


def describe_map(blur_map: BlurMap) -> dict[str, float]:
    """A blur map in a few numbers: its middle, its far end, which side of the focal plane, how sure it is."""
    values, unit = blur_map.values, _UNITS[blur_map.kind]
    signed = blur_map.kind is BlurMapKind.SIGNED_COC_PX
    amount = np.abs(values) if signed else values
    median, far = (float(value) for value in np.percentile(amount, (50, 90)))
    found = {f"{unit}_median": median, f"{unit}_p90": far}
    if signed:
        found["behind_share"] = float((values > 0).mean())
    if blur_map.confidence is not None:
        found["confidence_mean"] = float(blur_map.confidence.mean(dtype=np.float64))
    return found


def group_signals(
    signals: Signals,
    metadata: Mapping[str, Mapping[str, object]],
    by: Collection[str],
    *,
    per: str = "",
) -> dict[tuple[str, str], list[float]]:
    """Values by signal and group: of all items, and of each value of the columns ``by``.

    ``per`` names a column whose items, such as those of a scene, have one value together, their mean.
    """
    grouped: dict[tuple[str, str], dict[object, list[float]]] = {}
    for signal, values in signals.items():
        for item, value in values.items():
            known = metadata.get(item, {})
            groups = [f"{column}: {known[column]}" for column in by if column in known]
            unit = ("of", known[per]) if per in known else item
            for group in (ALL, *groups):
                grouped.setdefault((signal, group), {}).setdefault(unit, []).append(value)
    ordered = sorted(grouped.items(), key=lambda one: (one[0][1] != ALL, one[0][1], one[0][0]))
    return {key: [fmean(one) for one in units.values()] for key, units in ordered}


def _from_scores(item: RunItem) -> Iterator[tuple[str, float]]:
    """Scores that need no target. An item has each of them once, whatever its size and kernels are called."""
    for score in item.scores:
        if score.metric == "reblur_psnr_db" or score.protocol.variant == "no-reference":
            yield f"{score.metric} of {score.subject}", score.value


def _finished(archive: str, *, dataset: str | None, before: str | None) -> Iterator[Run]:
    """Finished runs that restored, the newest first."""
    for run_id in list_runs(archive):
        if before is not None and run_id >= before:
            continue
        run = Run(archive, run_id)
        if not run.is_finished or run.state is not RunState.FINISHED or not run.specs:
            continue
        if dataset is None or run.header.dataset == dataset:
            yield run
