"""Deblurrers side by side: on a dataset with truths, and on simulated scenes by kernel family.

On a dataset the figures are those of `ldp restore`, without archive or workers, and one more: PSNR after one
gain for the whole picture, least squares on stored values. DPDD's truths were taken at f/22 and its blurred
views at f/4, and are brighter by up to a quarter in linear light; a network trained on that camera learns the
difference, others cannot.

By family the same scenes are seen through lenses of every form. Wiener inverts one form only, and networks
have seen some more often than others; this shows what that costs. The scenes are procedural and of other
seeds than any training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from types import MappingProxyType
from typing import Final

from ldp_core.blur import ESTIMATORS, make_estimator
from ldp_core.cameras.matching import assign_cameras
from ldp_core.catalogue import load_pair, read_catalogue, require_named_peak
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.errors import CatalogueError
from ldp_core.methods import M, Registry
from ldp_core.metrics import psnr_db, score_item, ssim, summarise
from ldp_core.metrics.fidelity import crop_mask, to_unit
from ldp_core.metrics.named import apply_gain
from ldp_core.optics.kernels import FITTED_KERNELS, KernelFamily, KernelSpec
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from ldp_core.types import AS_STORED, GENERIC_CAMERA, Item, MeanScore, Pair, PixelOptions, Pixels, Score

GAIN_METRIC: Final = "psnr_gain_db"
FAMILIES: Final[Mapping[str, KernelSpec]] = MappingProxyType(
    {
        "half-disc, fitted": KernelSpec(),
        "half-disc, hard edge": KernelSpec(softness=0.3),
        "half-disc, crosstalk": KernelSpec(softness=0.5, crosstalk=0.2),
        "Butterworth, order 3": KernelSpec(family=KernelFamily.BUTTERWORTH, order=3, beta=0.2),
        "Butterworth, order 9": KernelSpec(family=KernelFamily.BUTTERWORTH, order=9, beta=0.1),
        "translating disc": KernelSpec(family=KernelFamily.TRANSLATING_DISC),
        "off-axis, as the Pixel 4": FITTED_KERNELS["pixel4"].model_copy(update={"field_x": 0.4}),
    }
)
SEED: Final = 70_000
_SIZE: Final = {"height": 320, "width": 480}


def evaluate_restoration(
    source: str,
    *,
    layout: str,
    deblurrers: Sequence[str],
    estimator: str = "disparity",
    pixels: PixelOptions = AS_STORED,
    camera: str = GENERIC_CAMERA,
) -> tuple[MeanScore, ...]:
    """Means of every measure, of the input, of external results, and of every deblurrer.

    Items of a single view are restored by the methods that need no second one. ``camera`` is the profile of
    their camera, by name or address, or ``auto``.

    Raises:
        CatalogueError: the source has no item with a truth.
        SettingsError: there is no such method.
    """
    catalogue = assign_cameras(read_catalogue(source, layout=layout, pixels=pixels), camera)
    require_named_peak(catalogue)
    items = [item for item in catalogue.items if item.target is not None]
    if not items:
        raise CatalogueError(
            "nothing here can be measured",
            where=source,
            expected="items with an all-in-focus picture",
            remedy="name a dataset that has truths, or another --layout",
        )
    return summarise([score for item in items for score in _score(item, deblurrers, estimator)])


def _score(item: Item, deblurrers: Sequence[str], estimator: str) -> Iterator[Score]:
    pair = load_pair(item)
    blur_map = _for_camera(ESTIMATORS, estimator, item).estimate(pair) if pair.has_both_views else None
    able = [name for name in deblurrers if pair.has_both_views or DEBLURRERS[name].views == 1]
    restored = {name: _for_camera(DEBLURRERS, name, item).restore(pair, blur_map) for name in able}
    shown = replace(pair, external={**pair.external, **restored})
    scores = score_item(shown, restored=None, blur_map=None)
    yield from scores
    for score in scores:
        if score.metric == "psnr_db" and score.protocol.alignment == "none" and pair.target is not None:
            picture = input_image(pair) if score.subject == "input" else shown.external[score.subject]
            value = psnr_after_gain_db(picture, pair.target, pair=pair)
            yield replace(score, metric=GAIN_METRIC, value=value)


def _for_camera(methods: Registry[M], name: str, item: Item) -> M:
    """A method with the profile of the item's camera, if it takes one."""
    return methods.make(name, methods[name].for_camera({}, item.camera))


def psnr_after_gain_db(picture: Pixels, target: Pixels, *, pair: Pair) -> float:
    """PSNR in dB over the pair's region, after the gain that favours the picture most."""
    window = pair.score_region.slices
    image, truth = to_unit(picture[window]), to_unit(target[window])
    inside = crop_mask(pair.mask, pair.score_region)
    return psnr_db(apply_gain(image, truth, mask=inside), truth, mask=inside)


@dataclass(frozen=True, slots=True)
class FamilyScore:
    """Means over the scenes of one family; `subject` is `input` or the name of a deblurrer."""

    family: str
    subject: str
    scenes: int
    psnr_db: float
    ssim: float


def evaluate_families(
    deblurrers: Sequence[str], *, scenes: int, families: Mapping[str, KernelSpec] = FAMILIES
) -> Iterator[FamilyScore]:
    """Scores by family, one at a time as they are known; maps are of the disparity estimator.

    Raises:
        SettingsError: there is no such deblurrer.
        WeightsError: a deblurrer's weights are absent.
    """
    for name in deblurrers:
        make_deblurrer(name)
    for family, kernel in families.items():
        settings = SimulationSettings.parse({"kernels": (kernel,), "seed": SEED, **_SIZE})
        pairs = [simulate_pair(number, settings, item_id=f"{SEED}/{number}") for number in range(scenes)]
        pictures = [_restore(pair, deblurrers) for pair in pairs]
        for subject in ("input", *deblurrers):
            scored = [(pair.target, shown[subject]) for pair, shown in zip(pairs, pictures, strict=True)]
            targets = [(image, target) for target, image in scored if target is not None]
            yield FamilyScore(
                family,
                subject,
                scenes,
                psnr_db=mean(psnr_db(image, target) for image, target in targets),
                ssim=mean(ssim(image, target) for image, target in targets),
            )


def _restore(pair: Pair, deblurrers: Sequence[str]) -> dict[str, Pixels]:
    blur_map = make_estimator("disparity").estimate(pair)
    restored = {name: make_deblurrer(name).restore(pair, blur_map) for name in deblurrers}
    return {"input": input_image(pair), **restored}
