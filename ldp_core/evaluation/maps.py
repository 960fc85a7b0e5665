"""How well estimators rank blur, on photographs with a measured truth and on simulated ones.

Each pair is scored by itself; a table holds means over pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ldp_core.blur import make_estimator
from ldp_core.errors import MetricError
from ldp_core.images import read_image
from ldp_core.metrics.blur_maps import ai1, ai2, auc, sample_blur, spearman
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair

ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "random CLIP": ("random-clip", {}),
    "1 - ZNCC": ("zncc", {}),
    "disparity": ("disparity", {}),
    "depth-distilled, one view": ("depth-distilled", {}),
    "LDP-tiny, as released": ("clip", {}),
    "LDP-tiny, ensemble": ("clip", {"mode": "ensemble"}),
    "LDP-tiny, signed": ("clip", {"mode": "signed"}),
}
"""Rows of the table: an estimator and its settings."""

_EVERY = (slice(2, None, 4), slice(2, None, 4))

Table = dict[str, dict[str, float | None]]
"""Mean of each measure by row; None where no pair has it."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How one map follows its truth, without its sign and, where it has one, with it.

    `rho` is Spearman's correlation with |CoC|, `rho_signed` with the signed CoC; `ai1` and `ai2` are
    for the unsigned map, in px against a simulated truth, in fractions of the largest against a
    measured one.
    """

    auc: float
    rho: float
    rho_signed: float
    ai1: float
    ai2: float


def rank(blur_map: BlurMap, pair: Pair) -> Ranking:
    """Compare a map with its pair's truth at every 4th row and column; what cannot be computed is nan.

    Raises:
        MetricError: the pair has no truth.
    """
    if pair.blur_truth is None:
        raise MetricError("a pair without a truth ranks nothing", where=pair.id)
    thinned = BlurMap(blur_map.values[_EVERY], blur_map.kind)
    samples = sample_blur(thinned, pair.blur_truth[_EVERY], kind=pair.blur_truth_kind)
    amount, truth = samples.amount, np.abs(samples.truth)
    both = bool(samples.blurred.any()) and not samples.blurred.all()
    has_sign = blur_map.kind is BlurMapKind.SIGNED_COC_PX
    signed_truth = pair.blur_truth_kind is BlurTruthKind.SIGNED_COC_PX
    return Ranking(
        auc=auc(amount, samples.blurred) if both else np.nan,
        rho=spearman(amount, truth),
        rho_signed=spearman(samples.estimate, samples.truth) if has_sign and signed_truth else np.nan,
        ai1=ai1(amount, truth),
        ai2=ai2(amount, truth),
    )


def read_measured(folder: Path) -> Iterator[Pair]:
    """Pairs `NAME_l.png`, `NAME_r.png` with a measured unsigned truth `NAME_defocus.png`, 0 = unknown."""
    for path in sorted(folder.glob("*_defocus.png")):
        name = path.name.removesuffix("_defocus.png")
        left, right = (read_image(str(folder / f"{name}_{view}.png")) for view in "lr")
        truth = read_image(str(path))[..., 0].astype(np.float32)
        yield Pair(name, left, right, blur_truth=truth, blur_truth_kind=BlurTruthKind.UNSIGNED)


def simulate_pairs(count: int, *, seed: int) -> Iterator[Pair]:
    """Photographs of procedural scenes that vary in blur, with their signed circle of confusion."""
    settings = SimulationSettings(seed=seed, sharp_share=0, blurred_share=0)
    return (simulate_pair(number, settings) for number in range(count))


def tabulate(pairs: Iterable[Pair], *, clip: Mapping[str, Any]) -> Table:
    """Mean ranking of each of `ROWS`; `clip` are settings of all rows named clip."""
    rows: dict[str, list[Ranking]] = {name: [] for name in ROWS}
    for pair in pairs:
        for name, (estimator, settings) in ROWS.items():
            chosen = {**settings, **clip} if estimator == "clip" else settings
            rows[name].append(rank(make_estimator(estimator, chosen).estimate(pair), pair))
    return {name: _mean(rankings) for name, rankings in rows.items()}


def _mean(rankings: list[Ranking]) -> dict[str, float | None]:
    columns = {key: [asdict(ranking)[key] for ranking in rankings] for key in asdict(rankings[0])}
    return {key: _mean_known(values) for key, values in columns.items()}


def _mean_known(values: list[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return round(float(np.mean(known)), 4) if known else None
