"""How metrics and subjects are printed and ordered; what they mean in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from ldp_core.errors import count_of

Family = Literal["fidelity", "reblur", "blur_map", "agreement", "other"]
FAMILIES: Final[tuple[Family, ...]] = ("fidelity", "reblur", "blur_map", "agreement", "other")
SUBJECTS: Final = {"input": "Input", "restored": "Restored", "blur_map": "Blur map"}
MINUS: Final = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric for people: its label, unit, digits after the point, and which way is better.

    One whose ``better`` is empty is never compared or ranked.
    """

    name: str
    label: str
    unit: str = ""
    digits: int = 4
    better: Literal["higher", "lower", ""] = ""
    family: Family = "other"
    meaning: str = ""

    @property
    def full_name(self) -> str:
        """The label, with the unit where there is one."""
        return f"{self.label} in {self.unit}" if self.unit else self.label

    def show(self, value: float) -> str:
        """A value as tables print it, without the unit."""
        return f"{value:.{self.digits}f}".replace("-", MINUS) if math.isfinite(value) else "∞"

    def show_gain(self, gain: float) -> str:
        """A difference, always with its sign."""
        return f"{gain:+.{self.digits}f}".replace("-", MINUS)

    def gain(self, value: float, *, over: float) -> float:
        """How much better ``value`` is than ``over``; positive is better whichever way that is."""
        return over - value if self.better == "lower" else value - over


_MEASURES: Final = (
    Measure("psnr_db", "PSNR", "dB", 2, "higher", "fidelity",
            "Peak signal-to-noise ratio to the target; identical pictures count 100 dB."),
    Measure("ssim", "SSIM", "", 4, "higher", "fidelity",
            "Structural similarity to the target, 7×7 uniform window."),
    Measure("mae", "MAE", "", 4, "lower", "fidelity",
            "Mean absolute difference to the target, pixels as 0 to 1."),
    Measure("lpips", "LPIPS", "", 4, "lower", "fidelity",
            "Learned perceptual distance to the target."),
    Measure("ms_ssim", "MS-SSIM", "", 4, "higher", "fidelity",
            "Multi-scale structural similarity to the target, five scales."),
    Measure("blur_effect", "Blur effect", "", 4, "lower", "fidelity",
            "How blurred the picture looks by itself, 0 to 1; needs no target."),
    Measure("reblur_psnr_db", "Reblur PSNR", "dB", 2, "higher", "reblur",
            "The picture blurred again with the estimated map, compared with both views. Needs no target; "
            "it does not prove sharpness."),
    Measure("ai1", "AI(1)", "", 4, "lower", "blur_map",
            "Mean absolute error to the true map after a robust affine fit."),
    Measure("ai2", "AI(2)", "", 4, "lower", "blur_map",
            "Root mean square error to the true map after an affine fit."),
    Measure("one_minus_rho", f"1 {MINUS} |ρ|", "", 4, "lower", "blur_map",
            "One minus the absolute rank correlation with the true map."),
    Measure("auc", "AUC", "", 4, "higher", "blur_map",
            "Probability that a blurred pixel is rated above a sharp one; 0.5 is random."),
    Measure("agreement_auc", "Agreement, AUC", "", 4, "higher", "agreement",
            "Probability that a pixel measured sharp is rated above one measured blurred; 0.5 is random. "
            "Neither the detected nor the measured map is a ground truth."),
    Measure("agreement_iou", "Agreement, IoU", "", 4, "higher", "agreement",
            "Intersection over union of the areas that are detected and measured as in focus."),
    Measure("agreement_balanced", "Agreement, balanced", "", 4, "higher", "agreement",
            "Share of pixels that both classify alike, mean of those measured sharp and blurred."),
    Measure("disagreement", "Disagreement", "", 4, "lower", "agreement",
            "Share of pixels that detection and measurement classify differently."),
)  # fmt: skip
_BY_NAME: Final = {measure.name: measure for measure in _MEASURES}
_ORDER: Final = list(_BY_NAME)


def measure_of(metric: str) -> Measure:
    """How a metric is shown. One that is not known keeps its name."""
    return _BY_NAME.get(metric) or Measure(metric, metric.replace("_", " "))


def order_of_metric(metric: str) -> tuple[int, int, str]:
    """Sort key: families in order, metrics as listed here, others by name."""
    place = _ORDER.index(metric) if metric in _ORDER else len(_ORDER)
    return FAMILIES.index(measure_of(metric).family), place, metric


def order_of_subject(subject: str) -> tuple[int, str]:
    """Sort key: input, restored, blur map, then external results by name."""
    subjects = list(SUBJECTS)
    return subjects.index(subject) if subject in subjects else len(subjects), subject


def name_subject(subject: str) -> str:
    """A subject as tables print it; an external result keeps its own name."""
    return SUBJECTS.get(subject, subject)


def count_items(n: int) -> str:
    """``1 item``, ``6 items``."""
    return count_of(n, "item")
