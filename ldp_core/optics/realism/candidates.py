"""The kernel families that are compared, and the ranges their parameters are searched over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ldp_core.optics.calibration import cell_at
from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.optics.realism.search import Candidate

_CROSSTALK = (0.0, 0.1, 0.2, 0.3, 0.4)
_SOFTNESS = (0.2, 0.5, 0.8, 1.1, 1.5, 2.0)

_OFF_AXIS_VALUES: Mapping[str, Sequence[float]] = {
    "softness": _SOFTNESS,
    "crosstalk": _CROSSTALK,
    "rim": (0.0, 0.06, 0.12, 0.18, 0.25),
    "coma": (-0.5, 0.0, 0.5, 1.0, 1.5, 2.0),
    "stretch": (0.0, 0.2, 0.4, 0.6, 0.8),
    "ring": (-0.5, 0.0, 0.5),
}


def candidates(measured_path: str) -> list[Candidate]:
    """Every family with the ranges it is searched over; measured kernels where there is a calibration."""
    found = [
        Candidate("disc", KernelSpec(family=KernelFamily.DISC), {}),
        Candidate("gaussian", KernelSpec(family=KernelFamily.GAUSSIAN), {}),
        Candidate("half_disc", KernelSpec(), {"softness": _SOFTNESS, "crosstalk": _CROSSTALK}),
        Candidate(
            "butterworth",
            KernelSpec(family=KernelFamily.BUTTERWORTH, beta=0.4),
            {
                "beta": (0.1, 0.2, 0.4, 0.7, 1.0),
                "crosstalk": _CROSSTALK,
                "order": (1, 3, 6, 9),
                "cutoff": (2.0, 2.5),
                "smoothing": (4.0, 7.0),
            },
        ),
        Candidate(
            "translating_disc", KernelSpec(family=KernelFamily.TRANSLATING_DISC), {"crosstalk": _CROSSTALK}
        ),
        Candidate("off_axis", KernelSpec(family=KernelFamily.OFF_AXIS), _OFF_AXIS_VALUES, placed=place_lens),
    ]
    measured = KernelSpec(family=KernelFamily.MEASURED, measured_path=measured_path)
    return [
        *found,
        Candidate("measured", measured, {"crosstalk": _CROSSTALK}),
        Candidate("measured_at_place", measured, {"crosstalk": _CROSSTALK}, placed=place_measured),
    ]


def place_lens(spec: KernelSpec, x: float, y: float) -> KernelSpec:
    """The off-axis lens looked through at a place of the frame."""
    return spec.model_copy(update={"field_x": x, "field_y": y})


def place_measured(spec: KernelSpec, x: float, y: float) -> KernelSpec:
    """The calibrated kernel at a place of the frame."""
    return spec.model_copy(update={"measured_cell": cell_at(x, y)})
