"""Camera profiles from data: measured kernels, pairs with a truth, or pairs alone.

What the data do not hold is said in the card.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from ldp_core.axis_adapter import align_axis
from ldp_core.cameras.grid_fit import FREE, fit_grid
from ldp_core.cameras.kernel_fields import GridKernels, KernelsModel, PupilKernels, read_grid
from ldp_core.cameras.pair_fit import PairFit, fit_pairs
from ldp_core.cameras.profile import CameraProfile, SensorFrame
from ldp_core.cameras.windows import Windows, cut_windows
from ldp_core.catalogue import load_pair
from ldp_core.errors import ImageError, SettingsError, count_of
from ldp_core.storage import exists, join, read_bytes, write_bytes
from ldp_core.tensors import to_grey
from ldp_core.types import Item, Pair

__all__ = [
    "Calibration",
    "GridSource",
    "calibrate_from_grid",
    "calibrate_from_pairs",
    "require_profile_address",
    "write_profile",
]

# Evenly chosen of a larger dataset: more take longer and change nothing beyond the interval.
_MOST_PAIRS: Final = 200
_SIDES: Final = ("blur_kernels_left.npy", "blur_kernels_right.npy")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A profile, and the arrays that are to lie beside it, by file name."""

    profile: CameraProfile
    arrays: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class GridSource:
    """Where measured kernels lie: a folder with a file (n, k, k) for each view; n = rows * columns cells."""

    folder: str
    rows: int
    columns: int

    @property
    def is_there(self) -> bool:
        """Whether the folder holds measured kernels, be it of one view."""
        return any(exists(join(self.folder, name)) for name in _SIDES)

    def read(self) -> Tensor:
        """(n, 2, k, k) float64, each summing to 1.

        Raises:
            ObjectMissingError: a file is absent.
            SettingsError: a file is no such array, or the two differ in shape.
        """
        left, right = (self._read_side(name) for name in _SIDES)
        if left.shape != right.shape:
            raise SettingsError(
                "the kernels of the two views differ in size",
                where=join(self.folder, _SIDES[1]),
                expected=f"{tuple(left.shape)}, as in {_SIDES[0]}",
                got=str(tuple(right.shape)),
            )
        return torch.stack([left, right], 1)

    def _read_side(self, name: str) -> Tensor:
        content = read_bytes(join(self.folder, name))
        return read_grid(content, cells=self.rows * self.columns, name=name, views=1)[:, 0]


def calibrate_from_grid(
    source: GridSource,
    *,
    name: str,
    frame: SensorFrame,
    kernels: Literal["lens", "grid"] = "lens",
) -> Calibration:
    """A profile from kernels that were measured over the frame.

    Args:
        kernels: ``lens`` fits a lens model, which knows no noise and holds between and beyond the cells;
            ``grid`` keeps the measured kernels in a file beside the profile.

    Raises:
        ObjectMissingError: the kernels are absent.
        SettingsError: a file is no such array, or its kernels show no disparity.
    """
    measured = source.read()
    fit = fit_grid(measured, rows=source.rows, columns=source.columns, aspect=frame.height / frame.width)
    card: dict[str, Any] = {
        "summary": f"Kernels over the frame from {len(measured)} measured ones.",
        "data": f"measured kernels, {source.rows} x {source.columns} cells of {measured.shape[-1]} px",
        "method": "least squares of both views' kernels, each as large as its disparity asks for",
        "licence": "as of the data",
        "residuals": fit.residuals,
    }
    model: KernelsModel = PupilKernels(pupil=fit.model)
    arrays: dict[str, bytes] = {}
    if kernels == "grid":
        content = _to_npy(measured)
        digest = hashlib.sha256(content).hexdigest()
        file = f"{name}.npy"
        model = GridKernels(rows=source.rows, columns=source.columns, file=file, sha256=digest)
        arrays[file] = content
        card |= {"method": "the measured kernels, mixed linearly between the middles of their cells"}
        card |= {"licence": "as of the data", "lens_model": {n: getattr(fit.model, n) for n in FREE}}
    profile = CameraProfile.parse({"name": name, "kernels": model, "frame": frame, "card": card})
    return Calibration(profile, arrays)


def calibrate_from_pairs(
    items: Sequence[Item], *, name: str, frame: SensorFrame, use: Literal["views", "truths"] = "views"
) -> Calibration:
    """A profile from a dataset that one camera has taken.

    Args:
        items: pairs that cannot be read, and single views, are left out and counted in the card.
        use: ``views`` compares the views of every pair with each other. It cannot see a blur common to
            both, so that the rim stays that of the generic lens. ``truths`` compares each view with the
            truth, which may be displaced, of another gain and, in places, of another magnification.

    Raises:
        SettingsError: too few windows have texture and are out of focus, there is no pair (with a truth), or
            a picture is larger than the frame.
    """
    chosen = [item for item in items if item.right is not None]
    chosen = [item for item in chosen if item.target is not None] if use == "truths" else chosen
    if not chosen:
        raise SettingsError(
            "there is nothing to fit a camera to",
            where="SOURCE",
            expected="pairs of views" + (" with a truth" if use == "truths" else ""),
            got=f"{count_of(len(items), 'item')} without",
            remedy="name another dataset or --layout" + (", or use --fit views" if use == "truths" else ""),
        )
    kept = np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_PAIRS)).astype(int)
    cut, unread = _cut_all([chosen[index] for index in kept], frame, use)
    fit = fit_pairs(Windows.join(cut)) if cut else None
    if fit is None:
        raise SettingsError("no pair can be read", where="SOURCE", got=count_of(unread, "pair"))
    profile = {"kernels": PupilKernels(pupil=fit.model), "frame": frame, "card": _describe(fit, use, unread)}
    return Calibration(CameraProfile.parse({"name": name, **profile}), {})


def _cut_all(items: Iterable[Item], frame: SensorFrame, use: str) -> tuple[list[Windows], int]:
    """Windows by pair, and how many pairs cannot be read."""
    cut, unread = [], 0
    for number, item in enumerate(items):
        try:
            pair = align_axis(load_pair(item))
        except ImageError:
            unread += 1
            continue
        cut.append(_cut(pair, frame, number, use))
    return cut, unread


def _cut(pair: Pair, frame: SensorFrame, number: int, use: str) -> Windows:
    left, right = (to_grey(view, peak=pair.peak) for view in pair.both_views)
    target = pair.target if use == "truths" else None
    truth = None if target is None else to_grey(target, peak=pair.peak)
    return cut_windows(left, right, frame, picture=number, truth=truth)


def _describe(fit: PairFit, use: str, unread: int) -> dict[str, Any]:
    """The card of a profile from pairs."""
    source = {"views": "views alone", "truths": "views and truths"}[use]
    limits = "A blur common to both views cannot be seen in them: the rim is that of the generic lens. "
    return {
        "summary": f"A lens model over the frame, from the {source} of {count_of(fit.pictures, 'pair')}.",
        "data": f"{count_of(fit.windows, 'window')} of {count_of(fit.pictures, 'pair')}"
        + (f", {unread} not read" if unread else ""),
        "method": "least share of the views that no sharp picture explains"
        if use == "views"
        else "least share of the views that the blurred truth does not explain",
        "limits": (limits if use == "views" else "The rim is that of the generic lens. ")
        + "What the pairs do not tell stays near the generic lens (`told`, 0 to 1).",
        "licence": "as of the data",
        "residuals": {
            "unexplained_generic": fit.unexplained_before,
            "unexplained": fit.unexplained_after,
        },
        "parameters": {name: asdict(estimate) for name, estimate in fit.estimates.items()},
    }


def require_profile_address(url: str) -> None:
    """Refuse an address that names no JSON file.

    Raises:
        SettingsError: the address does not end in `.json`.
    """
    if not url.endswith(".json"):
        raise SettingsError(
            "a camera profile is a JSON file", where=url, expected="an address that ends in .json"
        )


def write_profile(calibration: Calibration, url: str) -> None:
    """Write a profile as JSON, and its arrays beside it.

    Raises:
        SettingsError: the address does not end in `.json`.
        StorageError: the store refused or could not be reached.
    """
    require_profile_address(url)
    for name, content in calibration.arrays.items():
        write_bytes(join(url.rpartition("/")[0], name) if "/" in url else name, content)
    values = calibration.profile.model_dump(mode="json", exclude_defaults=True)
    profile = calibration.profile
    head = {"format": profile.format, "version": profile.version, "name": profile.name}
    kernels = {"kernels": profile.kernels.model_dump(mode="json")}
    write_bytes(url, (json.dumps(head | values | kernels, indent=2) + "\n").encode())


def _to_npy(kernels: Tensor) -> bytes:
    file = io.BytesIO()
    np.save(file, kernels.numpy().astype(np.float32))
    return file.getvalue()
