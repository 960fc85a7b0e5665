"""Every score of one item: which subjects, which metrics, under which protocol.

Subjects are ``input`` (the mean of the views, or the only view), ``restored``, each baseline and external
result by its name, and ``blur_map``. A metric that an item cannot have (no target, no truth, a truth without
spread, a map without sign, no second view to blur again) gives no score: never a zero.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import EntryPoint
from math import isfinite
from typing import Any, Final

from ldp_core.axis_adapter import align_axis, transpose, transpose_map
from ldp_core.cameras import Camera
from ldp_core.errors import MetricError
from ldp_core.methods import EntryRegistry
from ldp_core.metrics import blur_maps, fidelity
from ldp_core.metrics.blur_maps import (
    LEAST_CONFIDENCE,
    BlurSamples,
    agree_where_known,
    ai1,
    ai2,
    auc,
    network_tau_px,
    one_minus_rho,
    sample_blur,
)
from ldp_core.metrics.fidelity import PSNR_CEILING_DB, Fidelity, Picture, mae, psnr_db, require_finite, ssim
from ldp_core.metrics.named import score_named
from ldp_core.metrics.reblur import reblur_psnr_db
from ldp_core.optics.kernels import DEFAULT_KERNEL, KernelSpec
from ldp_core.protocols import USUAL_SCORES, ScoringOptions
from ldp_core.single_view import input_image
from ldp_core.types import (
    BlurMap,
    BlurMapKind,
    Mask,
    Pair,
    Pixels,
    Region,
    Score,
    ScoringProtocol,
    StageSpec,
)

_OTHERS = ("reblur_psnr_db", "ai1", "ai2", "one_minus_rho", "auc")
AGREEMENT: Final[Mapping[str, str]] = {
    "agreement_auc": "auroc",
    "agreement_iou": "iou",
    "agreement_balanced": "balanced",
    "disagreement": "disagreeing",
}
"""Metrics of an in-focus probability beside a measured map, and what they are called in `Agreement`."""


class FidelityRegistry(EntryRegistry[Fidelity]):
    """Metrics that compare a picture with the target, by name, in the order of tables.

    A package adds one, a function with the signature of `psnr_db`, by an entry point:

        [project.entry-points."ldp.metrics"]
        gradient_mae = "my_package.gradients:gradient_mae"

    One that takes ``mask`` (h, w) as well scores items that have one, too.
    """

    def __iter__(self) -> Iterator[str]:
        return iter([*self.shipped, *self._installed])

    def _load(self, point: EntryPoint) -> Fidelity:
        metric: Any = super()._load(point)
        if not callable(metric):
            expected = "a function with the signature of psnr_db"
            raise self._refuse(point, expected=expected, got=type(metric).__name__)
        found: Fidelity = metric
        return found


FIDELITY: Final = FidelityRegistry(
    "metric",
    "ldp.metrics",
    {
        "psnr_db": psnr_db,
        "ssim": ssim,
        "mae": mae,
    },
    reserved=(*_OTHERS, *AGREEMENT),
)
"""Every picture gets each of them."""

SUBJECTS = INPUT, RESTORED, BLUR_MAP = "input", "restored", "blur_map"
_VERSION = "2"


def metric_names(*, agreement: bool = True) -> tuple[str, ...]:
    """Every metric that ``score_item`` can give, in the order of tables; agreement needs a measured map.

    Raises:
        SettingsError: the metric of an installed package cannot be used.
    """
    # All are loaded here, so that a run is refused before its first item rather than at each.
    return (*dict(FIDELITY), *_OTHERS, *(AGREEMENT if agreement else ()))


def score_spec(
    kernel: KernelSpec = DEFAULT_KERNEL,
    *,
    baselines: Mapping[str, str] | None = None,
    measured_key: str = "",
    camera: Camera | None = None,
    options: ScoringOptions = USUAL_SCORES,
) -> StageSpec:
    """All that the scores of an item depend on besides the item, its map and its restoration.

    ``baselines`` are the stage keys, by name, of the other restorations that are scored beside it;
    ``measured_key`` is that of the signed map that ``score_item`` gets as ``measured``, if any. With the
    profile of a ``camera``, its kernels stand in for ``kernel``. ``options`` may ask for further protocols.
    """
    beside: dict[str, Any] = {"baselines": dict(baselines)} if baselines else {}
    if measured_key:
        beside |= {"measured_map": measured_key, "least_confidence": LEAST_CONFIDENCE}
    if camera is not None:
        beside |= {"camera": camera.reference}
    beside |= options.settings
    return StageSpec(
        stage="score",
        method="full-reference, blur map, reblur",
        version=_VERSION,
        settings={
            "metrics": list(metric_names(agreement=bool(measured_key))),
            "psnr_ceiling_db": PSNR_CEILING_DB,
            "shift_reach_px": fidelity.REACH_PX,
            "fit_rounds": blur_maps.FIT_ROUNDS,
            "out_of_focus_px": blur_maps.OUT_OF_FOCUS_PX,
            "middle_of_percentiles": list(blur_maps.MIDDLE_OF_PERCENTILES),
            "reblur_kernel": kernel.model_dump(mode="json"),
            **beside,
        },
    )


def score_item(
    pair: Pair,
    *,
    restored: Pixels | None,
    blur_map: BlurMap | None,
    baselines: Mapping[str, Pixels] | None = None,
    kernel: KernelSpec = DEFAULT_KERNEL,
    measured: BlurMap | None = None,
    camera: Camera | None = None,
    options: ScoringOptions = USUAL_SCORES,
) -> list[Score]:
    """The scores of one item. ``kernel``, or the kernels of ``camera``, are what the reblur score blurs with.

    ``baselines`` are restorations of the item by other methods, by the name they are scored under.
    ``measured`` is a signed circle of confusion of the same item: where ``blur_map`` is an in-focus
    probability, how the two agree is scored as well. ``options`` may ask for further protocols.

    Raises:
        BlurMapError: ``measured`` is beside an in-focus probability and is not signed.
        MetricError: a subject or a map does not fit the pair, or the region is too small.
        SettingsError, WeightsError: what a protocol needs is not installed, or absent.
    """
    pictures = _pictures(pair, restored, baselines or {})
    return [
        *_score_fidelity(pair, pictures),
        *_score_blur_map(pair, blur_map),
        *_score_agreement(pair, blur_map, measured),
        *_score_reblur(pair, pictures, blur_map=blur_map, kernel=kernel, camera=camera),
        *score_named(pair, pictures, options),
    ]


def _pictures(pair: Pair, restored: Pixels | None, baselines: Mapping[str, Pixels]) -> dict[str, Pixels]:
    reserved = {*SUBJECTS, *baselines} & set(pair.external)
    if reserved:
        raise MetricError(
            "an external result has a reserved name",
            where=pair.id,
            got=", ".join(sorted(reserved)),
            remedy="give it another name; those of subjects and of baselines are taken",
        )
    ours = {} if restored is None else {RESTORED: restored}
    return {INPUT: input_image(pair), **ours, **baselines, **pair.external}


def _score_fidelity(pair: Pair, pictures: Mapping[str, Pixels]) -> Iterator[Score]:
    if pair.target is None:
        return
    for subject, picture in pictures.items():
        protocol = _protocol(pair, bit_depth=picture.dtype.itemsize * 8)
        yield from _compare(
            pair, subject, picture, pair.target, protocol, region=pair.score_region, mask=pair.mask
        )
        if not pair.aligned:
            crops = fidelity.align(picture, pair.target, region=pair.score_region)
            protocol = _protocol(pair, bit_depth=protocol.bit_depth, alignment=fidelity.ALIGNMENT)
            inside = fidelity.crop_aligned(pair.mask, region=pair.score_region)
            yield from _compare(pair, subject, *crops, protocol, region=Region(), mask=inside)


def _compare(
    pair: Pair,
    subject: str,
    picture: Picture,
    target: Picture,
    protocol: ScoringProtocol,
    *,
    region: Region,
    mask: Mask | None,
) -> Iterator[Score]:
    for metric, compare in FIDELITY.items():
        # Metrics of other packages may know no masks: they would score what is not to be scored.
        if mask is not None and "mask" not in inspect.signature(compare).parameters:
            continue
        masked: dict[str, Any] = {} if mask is None else {"mask": mask}
        value = float(compare(picture, target, region=region, **masked))
        if metric.endswith("_db"):
            value = _finite(value)
        remedy = "correct the metric, or remove the package it comes from"
        require_finite(value, where=pair.id, what=f"{metric} of {subject}", remedy=remedy)
        yield Score(pair.id, metric, subject, protocol, value)


def _score_blur_map(pair: Pair, blur_map: BlurMap | None) -> Iterator[Score]:
    if pair.blur_truth is None or blur_map is None:
        return
    samples = sample_blur(
        blur_map, pair.blur_truth, kind=pair.blur_truth_kind, region=pair.score_region, mask=pair.mask
    )
    if not samples.informative:
        return
    for metric, (value, variant) in _blur_values(samples).items():
        yield Score(pair.id, metric, BLUR_MAP, _protocol(pair, variant=variant), value)


def _blur_values(samples: BlurSamples) -> dict[str, tuple[float, str]]:
    fits = {metric.__name__: metric for metric in (ai1, ai2, one_minus_rho)}
    values = {name: (fit(samples.estimate, samples.truth), samples.unit) for name, fit in fits.items()}
    if samples.blurred.any() and not samples.blurred.all():
        values["auc"] = auc(samples.amount, samples.blurred), samples.label_rule
    return values


def _score_agreement(pair: Pair, blur_map: BlurMap | None, measured: BlurMap | None) -> Iterator[Score]:
    if blur_map is None or measured is None or blur_map.kind is not BlurMapKind.IN_FOCUS_PROBABILITY:
        return
    tau_px = network_tau_px(*pair.left.shape[:2])
    agreement = agree_where_known(blur_map, measured, tau_px=tau_px, region=pair.score_region, mask=pair.mask)
    if agreement is None:
        return
    protocol = _protocol(pair, variant=f"in focus: |coc| <= {tau_px:.3g} px measured")
    values = asdict(agreement)
    for metric, name in AGREEMENT.items():
        if isfinite(values[name]):
            yield Score(pair.id, metric, BLUR_MAP, protocol, values[name])


def _score_reblur(
    pair: Pair,
    pictures: Mapping[str, Pixels],
    *,
    blur_map: BlurMap | None,
    kernel: KernelSpec,
    camera: Camera | None,
) -> Iterator[Score]:
    if blur_map is None or blur_map.kind is not BlurMapKind.SIGNED_COC_PX or not pair.has_both_views:
        return
    protocol = _protocol(pair, variant=_name_kernel(kernel) if camera is None else f"{camera.name} kernels")
    along_x, aligned_map = align_axis(pair), transpose_map(blur_map, pair.dp_axis)
    blurred = {
        subject: transpose(pictures[subject], pair.dp_axis)
        for subject in (INPUT, RESTORED)
        if subject in pictures
    }
    values = reblur_psnr_db(blurred, along_x, blur_map=aligned_map, kernel=kernel, camera=camera)
    for subject, value in values.items():
        yield Score(pair.id, "reblur_psnr_db", subject, protocol, _finite(value))


def _name_kernel(kernel: KernelSpec) -> str:
    """The family and whatever is not its default: kernels of two names are two protocols."""
    changed = kernel.model_dump(mode="json", exclude_defaults=True, exclude={"family", "measured_path"})
    return ", ".join([f"{kernel.family.value} kernel", *(f"{name} {changed[name]}" for name in changed)])


def _finite(decibels: float) -> float:
    return min(decibels, PSNR_CEILING_DB)


def _protocol(
    pair: Pair, *, bit_depth: int | None = None, alignment: str = "none", variant: str = ""
) -> ScoringProtocol:
    height, width, channels = pair.left.shape
    return ScoringProtocol(
        bit_depth=bit_depth or pair.bit_depth,
        size=f"{width}x{height}",
        region=pair.scored,
        colour=("rgb" if channels == 3 else "grey") + (f" in {pair.colour}" if pair.colour else ""),
        alignment=alignment,
        variant=variant,
    )
