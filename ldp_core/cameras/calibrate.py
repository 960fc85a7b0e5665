"""Camera profiles from data: measured kernels.

What the data do not hold is said in the card.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from ldp_core.cameras.grid_fit import FREE, fit_grid
from ldp_core.cameras.kernel_fields import GridKernels, KernelsModel, PupilKernels, read_grid
from ldp_core.cameras.profile import CameraProfile, SensorFrame
from ldp_core.errors import SettingsError
from ldp_core.storage import exists, join, read_bytes, write_bytes

__all__ = ["Calibration", "GridSource", "calibrate_from_grid", "write_profile"]

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
        """Whether the folder holds measured kernels."""
        return all(exists(join(self.folder, name)) for name in _SIDES)

    def read(self) -> Tensor:
        """(n, 2, k, k) float64, each summing to 1.

        Raises:
            ObjectMissingError: a file is absent.
            SettingsError: a file is no such array.
        """
        sides = [self._read_side(name) for name in _SIDES]
        return torch.stack(sides, 1)

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


def write_profile(calibration: Calibration, url: str) -> None:
    """Write a profile as JSON, and its arrays beside it.

    Raises:
        SettingsError: the address does not end in `.json`.
        StorageError: the store refused or could not be reached.
    """
    if not url.endswith(".json"):
        raise SettingsError(
            "a camera profile is a JSON file", where=url, expected="an address that ends in .json"
        )
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
