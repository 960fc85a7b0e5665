"""Restoration by kernel family: the same simulated scenes through lenses of every form.

Wiener inverts one form only, and networks have seen some more often than others; this shows what that
costs. The scenes are procedural and of other seeds than any training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from types import MappingProxyType

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.metrics.fidelity import psnr_db, ssim
from ldp_core.optics.kernels import FITTED_KERNELS, KernelFamily, KernelSpec
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from ldp_core.types import Pair, Pixels

FAMILIES: Mapping[str, KernelSpec] = MappingProxyType(
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
SEED = 70_000
_SIZE = {"height": 320, "width": 480}


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
