"""A pool of patches in a folder: made once, read by every step.

A training run repeats itself exactly only on a pool that no longer grows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from ldp_core.errors import SettingsError
from ldp_core.storage import write_bytes
from ldp_core.training.tiny.patches import PATCH_PX, Patch, PatchMaker

_HEADER = "pool.json"
_REPORT_EVERY = 100


class PatchPool:
    """Patches of a folder, in order of their numbers."""

    def __init__(self, folder: Path, *, mode: Literal["r", "r+"] = "r") -> None:
        if not (folder / _HEADER).is_file():
            raise SettingsError(
                "there is no pool of patches",
                where=str(folder),
                expected=f"a folder with {_HEADER}",
                remedy="make one first: python -m ldp_core.training.tiny patches FOLDER",
            )
        self.folder = folder
        self._views, self._coc, self._per_coc = (
            np.load(folder / f"{name}.npy", mmap_mode=mode) for name in ("views", "coc", "per_coc")
        )

    @classmethod
    def create(cls, folder: Path, *, capacity: int) -> PatchPool:
        """An empty pool for `capacity` patches, or the one already there."""
        if not (folder / _HEADER).exists():
            folder.mkdir(parents=True, exist_ok=True)
            _reserve(folder / "views.npy", np.uint8, (capacity, 2, PATCH_PX, PATCH_PX, 3))
            _reserve(folder / "coc.npy", np.float16, (capacity, PATCH_PX, PATCH_PX))
            _reserve(folder / "per_coc.npy", np.float32, (capacity,))
            _write_count(folder, 0)
        return cls(folder, mode="r+")

    def __len__(self) -> int:
        """Patches that are complete now."""
        return int(json.loads((self.folder / _HEADER).read_text())["complete"])

    def __getitem__(self, number: int) -> Patch:
        return Patch(self._views[number], self._coc[number], float(self._per_coc[number]))

    def fill(self, maker: PatchMaker) -> Iterator[int]:
        """Make what is missing, and yield how many are complete now and then."""
        for number in range(len(self), len(self._views)):
            patch = maker.make(number)
            self._views[number], self._coc[number] = patch.views, patch.coc_px
            self._per_coc[number] = patch.disparity_per_coc
            if (number + 1) % _REPORT_EVERY == 0 or number + 1 == len(self._views):
                _write_count(self.folder, number + 1)
                yield number + 1


def _reserve(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()


def _write_count(folder: Path, complete: int) -> None:
    write_bytes(str(folder / _HEADER), json.dumps({"complete": complete}).encode())
