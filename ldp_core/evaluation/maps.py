"""How well estimators rank blur, on photographs with a measured truth and on simulated ones.

Each pair is scored by itself; a table holds means over pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from ldp_core.blur import ESTIMATORS, make_estimator
from ldp_core.errors import MetricError
from ldp_core.images import read_image
from ldp_core.metrics.blur_maps import ai1, ai2, auc, sample_blur, spearman
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair

NAMED_ROWS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = MappingProxyType(
    {
        "random CLIP": ("random-clip", {}),
        "1 - ZNCC": ("zncc", {}),
        "disparity": ("disparity", {}),
        "depth-distilled, one view": ("depth-distilled", {}),
        "LDP-tiny, as released": ("clip", {}),
        "LDP-tiny, ensemble, cells alone": ("clip", {"mode": "ensemble", "spread": False}),
        "LDP-tiny, ensemble": ("clip", {"mode": "ensemble"}),
        "LDP-tiny, signed, cells alone": ("clip", {"mode": "signed", "spread": False}),
        "LDP-tiny, signed": ("clip", {"mode": "signed"}),
        "LDP-tiny, signed, overlapping cells": ("clip", {"mode": "signed", "stride_px": 20}),
    }
)
"""Rows whose titles say more than the estimator's name, controls first: the estimator and its settings."""

# A sixteenth of the pixels: ranks of neighbours say the same again.
_EVERY: Final = (slice(2, None, 4), slice(2, None, 4))

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


def choose_rows(estimators: Collection[str] = ()) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Rows of the table: of the named estimators, or of all that are registered.

    An estimator that `NAMED_ROWS` does not know has one row under its own name, with its default settings.

    Raises:
        SettingsError: there is no such estimator.
    """
    for name in estimators:
        ESTIMATORS[name]
    titled = {estimator for estimator, _ in NAMED_ROWS.values()}
    others = {name: (name, dict[str, Any]()) for name in ESTIMATORS if name not in titled}
    rows = {**NAMED_ROWS, **others}
    return {title: row for title, row in rows.items() if not estimators or row[0] in estimators}


def tabulate(pairs: Iterable[Pair], *, clip: Mapping[str, Any], estimators: Collection[str] = ()) -> Table:
    """Mean ranking of each row over pairs; `clip` are settings of all rows of the estimator `clip`.

    Raises:
        MetricError: there is no pair.
        SettingsError: there is no such estimator.
    """
    chosen = choose_rows(estimators)
    found: dict[str, list[Ranking]] = {title: [] for title in chosen}
    for pair in pairs:
        for title, (estimator, settings) in chosen.items():
            asked = {**settings, **clip} if estimator == "clip" else settings
            found[title].append(rank(make_estimator(estimator, asked).estimate(pair), pair))
    return {title: _mean(rankings) for title, rankings in found.items()}


def _mean(rankings: list[Ranking]) -> dict[str, float | None]:
    if not rankings:
        raise MetricError(
            "there is no pair to compare blur maps on",
            expected="NAME_l.png, NAME_r.png and NAME_defocus.png, or simulated pairs",
            remedy="name another folder, or simulate pairs",
        )
    columns = {key: [asdict(ranking)[key] for ranking in rankings] for key in asdict(rankings[0])}
    return {key: _mean_known(values) for key, values in columns.items()}


def _mean_known(values: list[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return round(float(np.mean(known)), 4) if known else None
