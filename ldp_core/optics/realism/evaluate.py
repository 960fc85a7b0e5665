"""The table kernel family x camera: how well each family, fitted, turns sharp into what a camera saw.

A family's parameters are fitted on every second window and scored on the others; the circle of
confusion, unknown for either, is fitted on both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ldp_core.errors import MetricError, SettingsError, suggest
from ldp_core.optics.kernels import KernelSpec
from ldp_core.optics.realism.cameras import CALIBRATION, read_canon, read_pixel4, require_photographs
from ldp_core.optics.realism.candidates import candidates, place_measured
from ldp_core.optics.realism.likeness import Calibration
from ldp_core.optics.realism.matching import (
    Match,
    Placed,
    compare,
    fit_coc,
    register,
    simulate_windows,
)
from ldp_core.optics.realism.search import Candidate, search
from ldp_core.optics.realism.windows import Window, Windows, stack_windows
from ldp_core.storage import join

UNBLURRED = "unblurred"
MOST_MISMATCH = 0.2
"""Windows that a soft half disc leaves further off than this do not show the same thing sharp."""
_QUICK = (0.08,)
_SIDE = 0.25
_SEARCHED_CELLS = range(0, 48, 3)


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
class KernelLikeness:
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
    likeness: tuple[KernelLikeness, ...]
    windows: dict[str, int]
    left_out: dict[str, tuple[str, ...]]


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
        likeness=tuple(_compare_kernels(chosen, calibration)),
        windows={name: len(ready.windows) for name, ready in cameras.items()},
        left_out={name: ready.left_out for name, ready in cameras.items()},
    )


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


def prepare_windows(found: Sequence[Window]) -> Registered:
    """Register windows and leave out those whose sharp picture does not show what the views show."""
    windows, coc_px = register(stack_windows(found))
    _, least = fit_coc(windows, KernelSpec(), coc_px)
    alike = (least < MOST_MISMATCH)[windows.group_of].tolist()
    left_out = tuple(name for name, like in zip(windows.names, alike, strict=True) if not like)
    kept = [index for index, like in enumerate(alike) if like]
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


def _compare_kernels(chosen: Sequence[Candidate], folder: str) -> Iterator[KernelLikeness]:
    some, every = Calibration(folder, cells=_SEARCHED_CELLS), Calibration(folder)
    for candidate in chosen:
        if candidate.placed is place_measured:
            continue
        spec, _ = search(candidate, partial(some.mismatch, placed=candidate.placed))
        found = every.likeness(spec, every.fit_coc(spec, placed=candidate.placed), placed=candidate.placed)
        least = round(float(found.min()), 4)
        yield KernelLikeness(candidate.name, _parameters(candidate, spec), _pair(found), least)


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
