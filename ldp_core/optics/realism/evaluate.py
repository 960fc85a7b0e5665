"""The table kernel family x camera: how well each family, fitted, turns sharp into what a camera saw.

A family's parameters are fitted on every second window and scored on the others; the circle of
confusion, unknown for either, is fitted on both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ldp_core.errors import MetricError, SettingsError, suggest
from ldp_core.optics.calibration import cell_at
from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.optics.realism.matching import (
    Calibration,
    Candidate,
    Match,
    Placed,
    compare,
    fit_coc,
    register,
    search,
    simulate_windows,
)
from ldp_core.optics.realism.photographs import (
    CALIBRATION,
    Window,
    Windows,
    read_canon,
    read_pixel4,
    require_photographs,
    stack_windows,
)
from ldp_core.storage import join

UNBLURRED = "unblurred"
MOST_MISMATCH = 0.2
"""Windows that a soft half disc leaves further off than this do not show the same thing sharp."""
# One parabola while parameters are searched; the diameter starts near its best.
_QUICK = (0.08,)
# Windows within a quarter of the half width from the middle count as the middle of the frame.
_SIDE = 0.25
# Every third of 48 cells while parameters are searched; all of them are scored.
_SEARCHED_CELLS = range(0, 48, 3)

# From no crosstalk to nearly no split; from nearly a knife edge to a ramp twice as wide as the disc.
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


@dataclass(frozen=True, slots=True)
class FamilyFit:
    """A family at one camera. Pairs are left and right view; `zncc_by_field` is that of the windows to
    the left, in the middle and to the right of the frame, absent where no window lies there."""

    camera: str
    family: str
    kernel: dict[str, Any]
    psnr_db: tuple[float, float]
    zncc: tuple[float, float]
    zncc_by_field: dict[str, tuple[float, float]]
    coc_px: dict[str, float]


@dataclass(frozen=True, slots=True)
class KernelCorrelation:
    """Pearson correlation of a family with the Pixel 4 calibration: per view, and of the worst kernel."""

    family: str
    kernel: dict[str, Any]
    correlation: tuple[float, float]
    least: float


@dataclass(frozen=True, slots=True)
class OpticsReport:
    """`windows` counts those of each camera, of which half are scored; `left_out` names those whose sharp
    picture does not belong to its views."""

    fits: tuple[FamilyFit, ...]
    correlations: tuple[KernelCorrelation, ...]
    windows: dict[str, int]
    left_out: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Registered:
    """Windows whose sharp pictures lie where their views do, and a first circle of confusion (g,)."""

    windows: Windows
    coc_px: Tensor
    left_out: tuple[str, ...] = ()

    def part(self, chosen: Sequence[int]) -> Registered:
        """Only the windows of these indices."""
        windows = self.windows.kept(chosen)
        coc_px = self.coc_px[[self.windows.groups.index(group) for group in windows.groups]]
        return replace(self, windows=windows, coc_px=coc_px)


def evaluate_optics(root: str, *, families: Sequence[str] = ()) -> OpticsReport:
    """Compare every kernel family, or those named, with both cameras below the folder or URL `root`.

    Raises:
        CatalogueError: the photographs are absent.
        MetricError: they hold too few windows that can be compared.
        SettingsError: there is no such family.
    """
    calibration = join(root, *CALIBRATION)
    chosen = _choose(candidates(calibration), families)
    require_photographs(root)
    cameras = {
        name: prepare_windows(read(root))
        for name, read in (("canon_r6m2", read_canon), ("pixel4", read_pixel4))
    }
    return OpticsReport(
        fits=tuple(fit for name, ready in cameras.items() for fit in fit_camera(name, ready, chosen)),
        correlations=tuple(_correlate_kernels(chosen, calibration)),
        windows={name: len(ready.windows) for name, ready in cameras.items()},
        left_out={name: ready.left_out for name, ready in cameras.items()},
    )


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


def prepare_windows(found: Sequence[Window]) -> Registered:
    """Register windows and leave out those whose sharp picture does not show what the views show."""
    windows, coc_px = register(stack_windows(found))
    _, least = fit_coc(windows, KernelSpec(), coc_px)
    matching = (least < MOST_MISMATCH)[windows.group_of].tolist()
    left_out = tuple(name for name, match in zip(windows.names, matching, strict=True) if not match)
    kept = [index for index, match in enumerate(matching) if match]
    return Registered(windows, coc_px, left_out).part(kept)


def fit_camera(camera: str, ready: Registered, chosen: Sequence[Candidate]) -> Iterator[FamilyFit]:
    """The unblurred picture, then each family with its best parameters.

    Raises:
        MetricError: there are not two windows, one to fit and one to score.
    """
    fitted, scored = _halves(camera, ready)
    none = Candidate(UNBLURRED, KernelSpec(), {})
    yield _row(camera, none, scored.windows, torch.zeros_like(scored.coc_px), KernelSpec())
    for candidate in chosen:
        spec, _ = search(candidate, partial(_least_mismatch, ready=fitted, placed=candidate.placed))
        coc_px, _ = fit_coc(scored.windows, spec, scored.coc_px, placed=candidate.placed)
        yield _row(camera, candidate, scored.windows, coc_px, spec)


def _halves(camera: str, ready: Registered) -> tuple[Registered, Registered]:
    count = len(ready.windows)
    if count < 2:
        raise MetricError(
            "too few windows to fit on one half and score on the other",
            where=camera,
            expected="2 or more whose sharp picture belongs to their views",
            got=str(count),
            remedy="check that pictures, defocus maps and their sizes belong together",
        )
    return ready.part(range(0, count, 2)), ready.part(range(1, count, 2))


def _least_mismatch(spec: KernelSpec, *, ready: Registered, placed: Placed | None) -> float:
    return float(fit_coc(ready.windows, spec, ready.coc_px, placed=placed, steps=_QUICK)[1].mean())


def _row(camera: str, candidate: Candidate, windows: Windows, coc_px: Tensor, spec: KernelSpec) -> FamilyFit:
    match = compare(simulate_windows(windows, spec, coc_px, placed=candidate.placed), windows.views)
    return FamilyFit(
        camera=camera,
        family=candidate.name,
        kernel=_parameters(candidate, spec),
        psnr_db=_pair(match.psnr_db),
        zncc=_pair(match.zncc),
        zncc_by_field=_by_field(match, windows),
        coc_px={name: round(value, 2) for name, value in zip(windows.groups, coc_px.tolist(), strict=True)},
    )


def _by_field(match: Match, windows: Windows) -> dict[str, tuple[float, float]]:
    x = torch.tensor([place[0] for place in windows.places])
    parts = {"left": x < -_SIDE, "middle": x.abs() <= _SIDE, "right": x > _SIDE}
    return {name: _pair(match.zncc[part]) for name, part in parts.items() if bool(part.any())}


def _correlate_kernels(chosen: Sequence[Candidate], folder: str) -> Iterator[KernelCorrelation]:
    some, every = Calibration(folder, cells=_SEARCHED_CELLS), Calibration(folder)
    for candidate in chosen:
        if candidate.placed is place_measured:
            continue
        spec, _ = search(candidate, partial(some.mismatch, placed=candidate.placed))
        found = every.correlations(
            spec, every.fit_coc(spec, placed=candidate.placed), placed=candidate.placed
        )
        least = round(float(found.min()), 4)
        yield KernelCorrelation(candidate.name, _parameters(candidate, spec), _pair(found), least)


def _parameters(candidate: Candidate, spec: KernelSpec) -> dict[str, Any]:
    return {name: round(getattr(spec, name), 4) for name in candidate.values}


def _pair(values: Tensor) -> tuple[float, float]:
    left, right = values.mean(0).tolist()
    return round(left, 4), round(right, 4)


def _choose(known: list[Candidate], names: Sequence[str]) -> list[Candidate]:
    unknown = set(names) - {candidate.name for candidate in known}
    if unknown:
        raise SettingsError(
            "there is no such kernel family",
            where="families",
            expected=", ".join(candidate.name for candidate in known),
            got=", ".join(sorted(unknown)),
            remedy=suggest(min(unknown), [candidate.name for candidate in known]),
        )
    return [candidate for candidate in known if not names or candidate.name in names]
