"""Blur detection over masked photographs: the whole protocol, trivial baselines, the reliability gate.

One photograph is in memory at a time. The trivial baselines, which say the same of every pixel, are scored
with the same code and stand in every table. The gate is worth what the maps that it accepts are better than
those that it rejects.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ldp_core.blur.depth_distilled import (
    DepthDistilledEstimator,
    DepthDistilledSettings,
    Reliability,
    rate_reliability,
)
from ldp_core.errors import MetricError
from ldp_core.masked import Masked
from ldp_core.metrics.blur_maps import network_tau_px
from ldp_core.metrics.bootstrap import Interval, mean_interval
from ldp_core.metrics.detection import (
    CLASSES,
    MEASURES,
    TRIVIAL_BASELINES,
    FocusClass,
    Mask,
    Probability,
    RuleSample,
    ThresholdRule,
    rank_pixels,
    sample_rules,
    score_detection,
    summarise_rules,
)
from ldp_core.metrics.saliency import SaliencySample, sample_saliency, summarise_saliency
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from ldp_core.types import FloatMap, Pixels

Detect = Callable[[Pixels], FloatMap]
"""From a picture (h, w, 3) to its probability of being in focus, (h, w) float32 in 0..1."""

Scales = Literal["one", "several", "around"]
"""A picture is seen whole only; again in tiles at finer scales; and at .8 and 1.25 times each of them."""

DETECTOR: Final = "detector"

PUBLISHED: Final[Mapping[str, tuple[float, float, float]]] = MappingProxyType(
    {
        "HiFST": (0.223, 0.803, 0.743),
        "CENet": (0.061, 0.945, 0.932),
        "BR2Net": (0.059, 0.966, 0.927),
        "DD": (0.045, 0.966, 0.941),
        "DFFNet": (0.039, 0.971, 0.947),
        "D-DFFNet": (0.036, 0.973, 0.951),
    }
)
"""MAE, F (rule P3) and IoU of the blur class on the CUHK test split, as D-DFFNet's authors evaluated them."""

_SIMULATED: Final = SimulationSettings(seed=95_000, height=320, width=480)
"""Scenes of other seeds than any training."""


@dataclass(frozen=True, slots=True)
class MethodScores:
    """One method over all images: means, F by class and rule, and in how many images each could be taken.

    A measure that no image has (AUROC where every truth is of one class) is None. `emptied` counts the
    truths that P1 as published empties, by class.
    """

    means: Mapping[str, Interval | None]
    n: Mapping[str, int]
    rules: Mapping[FocusClass, Mapping[ThresholdRule, Interval]]
    emptied: Mapping[FocusClass, int]


@dataclass(frozen=True, slots=True)
class RatedMap:
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


@dataclass(frozen=True, slots=True)
class DetectionReport:
    """A detector over a set of photographs.

    `correlation` is Pearson's over all pixels of all maps and truths, or None where either is constant;
    `gate` tells what the reliability gate accepted, by set; `saliency` has the measures of the protocol
    `pysodmetrics` by method, where they were asked for.
    """

    images: int
    images_per_second: float
    correlation: float | None
    methods: Mapping[str, MethodScores]
    gate: Mapping[str, GateSet]
    saliency: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    @property
    def upside_down(self) -> bool:
        """Whether maps contradict the truths on the whole: most often, white means the other thing."""
        return self.correlation is not None and self.correlation < 0

    def to_plain(self) -> dict[str, Any]:
        """The report as plain values for JSON; rules go by their short names, such as `P1`."""
        values = {**_plain(self), "upside_down": self.upside_down}
        return values if self.saliency else {n: v for n, v in values.items() if n != "saliency"}


@dataclass
class _Samples:
    """What each image gave, of one method."""

    scores: list[Mapping[str, float]] = field(default_factory=list)
    rules: list[dict[FocusClass, RuleSample]] = field(default_factory=list)
    saliency: list[SaliencySample] = field(default_factory=list)

    def add(self, in_focus: Probability, truth: Mask, *, saliency: bool) -> None:
        self.scores.append(score_detection(in_focus, truth))
        self.rules.append(sample_rules(in_focus, truth))
        self.saliency += [sample_saliency(in_focus, truth)] if saliency else []

    def summarise(self) -> MethodScores:
        known = {name: [s[name] for s in self.scores if np.isfinite(s[name])] for name in MEASURES}
        by_class = {name: [rules[name] for rules in self.rules] for name in CLASSES}
        return MethodScores(
            means={name: mean_interval(values) if values else None for name, values in known.items()},
            n={name: len(values) for name, values in known.items()},
            rules={name: summarise_rules(samples) for name, samples in by_class.items()},
            emptied={name: sum(s.emptied for s in samples) for name, samples in by_class.items()},
        )


@dataclass
class _Moments:
    """Running sums of maps and truths over pixels."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))

    def add(self, in_focus: Probability, truth: Mask) -> None:
        p = in_focus.astype(np.float64).ravel()
        g = truth.ravel()
        self.sums += np.array([p.size, p.sum(), g.sum(), float(p @ p), p[g].sum()], np.float64)

    @property
    def correlation(self) -> float | None:
        n, p, g, pp, pg = self.sums
        spread = (n * pp - p * p) * (n * g - g * g)
        return float((n * pg - p * g) / np.sqrt(spread)) if spread > 0 else None


def load_detector(
    *, weights: str = "", sha256: str = "", scales: Scales = "several", flip: bool = False
) -> Detect:
    """The depth-distilled detector, its network loaded, so that it is not timed with the first picture.

    Args:
        weights: name of a shipped model, or the address of a .safetensors file; the default, if empty.
        flip: average with what is found in the mirrored picture.

    Raises:
        WeightsError: the weights are absent, altered, or of another network.
    """
    default = DepthDistilledSettings()
    settings = DepthDistilledSettings(
        weights=weights or default.weights,
        sha256=sha256,
        finest_px=default.side_px if scales == "one" else default.finest_px,
        around=scales == "around",
        flip=flip,
    )
    detect = DepthDistilledEstimator(settings).detect
    detect(np.zeros((default.side_px, default.side_px, 3), np.uint8))
    return detect


def evaluate_detection(
    photographs: Iterable[Masked],
    detect: Detect,
    *,
    also_gated: Mapping[str, Iterable[Masked]] = MappingProxyType({}),
    saliency: bool = False,
) -> DetectionReport:
    """Score a detector and the trivial baselines over photographs of any size.

    Args:
        also_gated: further sets, by name, over which the reliability gate is tried as well.
        saliency: measure by the protocol ``pysodmetrics``, too.

    Raises:
        MetricError: there is no photograph, or what the detector gives does not fit one.
    """
    methods = {name: _Samples() for name in (DETECTOR, *TRIVIAL_BASELINES)}
    moments, rated, seconds = _Moments(), list[RatedMap](), 0.0
    for photograph in photographs:
        start = time.perf_counter()
        in_focus = detect(photograph.image)
        seconds += time.perf_counter() - start
        truth = photograph.in_focus
        methods[DETECTOR].add(in_focus, truth, saliency=saliency)
        for name, answer in TRIVIAL_BASELINES.items():
            methods[name].add(answer(truth), truth, saliency=saliency)
        moments.add(in_focus, truth)
        rated.append(rate_map(in_focus, truth))
    if not rated:
        raise MetricError("there is no photograph to detect blur in", got="0 photographs")
    return DetectionReport(
        images=len(rated),
        images_per_second=len(rated) / max(seconds, 1e-9),
        correlation=moments.correlation,
        methods={name: samples.summarise() for name, samples in methods.items()},
        gate={"photographs": summarise_gate(rated), **_gate_others(also_gated, detect)},
        saliency={name: summarise_saliency(s.saliency) for name, s in methods.items() if s.saliency},
    )


def rate_map(in_focus: Probability, truth: Mask) -> RatedMap:
    """Rate one map (h, w), and measure it against its truth.

    Raises:
        BlurMapError: the map is not a probability.
    """
    mae = float(np.abs(in_focus - truth).mean(dtype=np.float64))
    return RatedMap(rate_reliability(in_focus), mae, rank_pixels(in_focus, truth).auroc)


def summarise_gate(rated: Sequence[RatedMap]) -> GateSet:
    """The accepted beside the rejected."""
    accepted, rejected = ([j for j in rated if j.reliability.accepted is kept] for kept in (True, False))
    conditions = Counter(name for j in rejected for name in j.reliability.reasons)
    return GateSet(_group(accepted), _group(rejected), dict(sorted(conditions.items())))


def simulate_masked(count: int) -> Iterator[Masked]:
    """Simulated photographs, the mean of the views; in focus up to 1 px of the detector's input."""
    for number in range(count):
        pair = simulate_pair(number, _SIMULATED)
        assert pair.blur_truth is not None
        in_focus = np.abs(pair.blur_truth) <= network_tau_px(*pair.blur_truth.shape)
        yield Masked(f"simulated {number}", input_image(pair).astype(np.uint8), in_focus)


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value._asdict()
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {key.name if isinstance(key, Enum) else key: _plain(part) for key, part in value.items()}
    return value


def _gate_others(sets: Mapping[str, Iterable[Masked]], detect: Detect) -> dict[str, GateSet]:
    found: dict[str, Sequence[RatedMap]] = {
        name: [rate_map(detect(photograph.image), photograph.in_focus) for photograph in photographs]
        for name, photographs in sets.items()
    }
    return {name: summarise_gate(rated) for name, rated in found.items() if rated}


def _group(rated: Sequence[RatedMap]) -> GateGroup:
    return GateGroup(len(rated), _mean([j.mae for j in rated]), _mean([j.auroc for j in rated]))


def _mean(values: Sequence[float]) -> Interval | None:
    known = [value for value in values if np.isfinite(value)]
    return mean_interval(known) if known else None
