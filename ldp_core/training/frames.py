"""A cache of rendered frames: rendered once, cropped again and again.

Rendering a frame on a CPU costs as much as training on it several times over, so frames are kept in
two memory-mapped files beside a JSON that says how many are complete. Training may begin before the
cache is full; a run repeats itself exactly only on a cache that no longer grows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.storage import write_bytes
from ldp_core.training.degrade import reduce_palette
from ldp_core.training.scenes import SceneSettings, draw_scene, render_scene
from ldp_core.training.sources import Sources

VIEWS = ("left", "right", "sharp", "left_palette", "right_palette")
_COC_STEP_PX = 0.25


@dataclass(frozen=True, slots=True)
class Frame:
    """A rendered scene: `views` (5, h, w, 3) uint8 in the order of `VIEWS`; `coc_px` (h, w) float32."""

    views: NDArray[np.uint8]
    coc_px: NDArray[np.float32]


def render_frame(
    index: int, *, seed: int, sources: Sources, settings: SceneSettings, device: str = "cpu"
) -> Frame:
    """Frame number `index` of the endless sequence that `seed` stands for."""
    rng = np.random.default_rng([seed, index])
    scene = draw_scene(rng, sources, settings)
    rendered = render_scene(scene, slices=settings.slices, device=device)
    left, right, sharp = (_to_bytes(view) for view in (*rendered, scene.sharp))
    colours = int(rng.integers(96, 257))
    palettes = [reduce_palette(view, colours=colours) for view in (left, right)]
    return Frame(views=np.stack([left, right, sharp, *palettes]), coc_px=scene.coc_px.numpy())


def _to_bytes(view: Tensor) -> NDArray[np.uint8]:
    return (view.permute(1, 2, 0).clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()


class FrameCache:
    """Frames in a folder, in order of their index."""

    def __init__(self, folder: Path, *, mode: Literal["r", "r+"] = "r") -> None:
        self.folder = folder
        header = self._read_header()
        self.settings = SceneSettings.parse(header["settings"])
        self.seed: int = header["seed"]
        shape = (header["capacity"], self.settings.height, self.settings.width)
        views_shape = (shape[0], len(VIEWS), *shape[1:], 3)
        self._views = np.memmap(folder / "views.u8", dtype=np.uint8, mode=mode, shape=views_shape)
        self._coc = np.memmap(folder / "coc.i8", dtype=np.int8, mode=mode, shape=shape)

    @classmethod
    def create(cls, folder: Path, *, capacity: int, seed: int, settings: SceneSettings) -> FrameCache:
        """An empty cache for `capacity` frames, or the one already there."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "cache.json").exists():
            frame_px = settings.height * settings.width
            _reserve(folder / "views.u8", capacity * len(VIEWS) * frame_px * 3)
            _reserve(folder / "coc.i8", capacity * frame_px)
            header = {"capacity": capacity, "seed": seed, "settings": settings.model_dump(mode="json")}
            _write_json(folder / "cache.json", {**header, "complete": 0})
        return cls(folder, mode="r+")

    def __len__(self) -> int:
        """Frames that are complete now; another process may be adding more."""
        return int(self._read_header()["complete"])

    def __getitem__(self, index: int) -> Frame:
        return Frame(self._views[index], self._coc[index].astype(np.float32) * _COC_STEP_PX)

    def fill(self, sources: Sources, *, device: str = "cpu") -> Iterator[int]:
        """Render what is missing, and yield each index when its frame is complete."""
        header = self._read_header()
        for index in range(len(self), header["capacity"]):
            frame = render_frame(
                index, seed=self.seed, sources=sources, settings=self.settings, device=device
            )
            self._views[index] = frame.views
            self._coc[index] = np.clip(np.rint(frame.coc_px / _COC_STEP_PX), -127, 127)
            _write_json(self.folder / "cache.json", {**header, "complete": index + 1})
            yield index

    def _read_header(self) -> dict[str, Any]:
        path = self.folder / "cache.json"
        if not path.is_file():
            raise SettingsError(
                "there is no cache of frames",
                where=str(self.folder),
                expected="a folder with cache.json, views.u8 and coc.i8",
                remedy="render one first: python -m ldp_core.training cache FOLDER",
            )
        header: dict[str, Any] = json.loads(path.read_text())
        return header


def _reserve(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _write_json(path: Path, content: object) -> None:
    write_bytes(str(path), json.dumps(content, indent=1).encode())
