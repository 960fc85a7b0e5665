"""What the reliability gate is worth: how often it accepts, and how much better the accepted maps are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ldp_core.blur.reliability import Reliability, rate_reliability
from ldp_core.masked import Masked
from ldp_core.metrics.blur_maps import network_tau_px
from ldp_core.metrics.bootstrap import Interval, mean_interval
from ldp_core.metrics.detection import Mask, Probability, rank_pixels
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image

_SIMULATED = SimulationSettings(seed=95_000, height=320, width=480)


@dataclass(frozen=True, slots=True)
class Judged:
    """One map: what the gate says, and how good it is; `auroc` is nan where the truth is of one class."""

    reliability: Reliability
    mae: float
    auroc: float


@dataclass(frozen=True, slots=True)
class GateGroup:
    """Maps that were accepted, or rejected; None where there is nothing to average."""

    n: int
    mae: Interval | None
    auroc: Interval | None


@dataclass(frozen=True, slots=True)
class GateSet:
    """The gate over one set; `failed` counts how often each of its conditions rejected a map."""

    accepted: GateGroup
    rejected: GateGroup
    failed: Mapping[str, int]


def judge(in_focus: Probability, truth: Mask) -> Judged:
    """Rate one map (h, w), and measure it against its truth.

    Raises:
        BlurMapError: the map is not a probability.
    """
    mae = float(np.abs(in_focus - truth).mean(dtype=np.float64))
    return Judged(rate_reliability(in_focus), mae, rank_pixels(in_focus, truth).auroc)


def summarise_gate(judged: Sequence[Judged]) -> GateSet:
    """The accepted beside the rejected."""
    accepted, rejected = ([j for j in judged if j.reliability.accepted is kept] for kept in (True, False))
    conditions = Counter(name for j in rejected for name in j.reliability.reasons)
    return GateSet(_group(accepted), _group(rejected), dict(sorted(conditions.items())))


def simulate_masked(count: int) -> Iterator[Masked]:
    """Simulated photographs, the mean of the views; in focus up to 1 px of the detector's input."""
    for number in range(count):
        pair = simulate_pair(number, _SIMULATED)
        assert pair.blur_truth is not None
        in_focus = np.abs(pair.blur_truth) <= network_tau_px(*pair.blur_truth.shape)
        yield Masked(f"simulated {number}", input_image(pair).astype(np.uint8), in_focus)


def _group(judged: Sequence[Judged]) -> GateGroup:
    return GateGroup(len(judged), _mean([j.mae for j in judged]), _mean([j.auroc for j in judged]))


def _mean(values: Sequence[float]) -> Interval | None:
    known = [value for value in values if np.isfinite(value)]
    return mean_interval(known) if known else None
