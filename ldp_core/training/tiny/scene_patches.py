"""Patches cut from layered scenes: depth edges, what they hide, large blur, kernels by place in the frame.

Scene number n of a seed is always the same, and so are the patches that are cut from it. Its kernels are
those of a broad mix, or those of a camera over its frame. All ranges are our own choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from ldp_core.optics.kernels import Kernel, disparity_per_coc
from ldp_core.optics.layered import KernelField
from ldp_core.settings import Settings
from ldp_core.training.frames import Bytes, compress, reduce_palette, to_bytes
from ldp_core.training.layered_scenes import (
    LayeredSettings,
    RenderedScene,
    draw_layered_scene,
    render_layered_scene,
)
from ldp_core.training.scenes import LensSettings, draw_window
from ldp_core.training.sources import Sources
from ldp_core.training.tiny.patches import PATCH_PX, Patch


class ScenePatchSettings(Settings):
    """What scenes are like, and what patches go through. Shares are probabilities per scene."""

    scene: LayeredSettings = LayeredSettings(
        height=192, width=288, field_share=0.5, slices=8, lens=LensSettings(fitted_share=0.25)
    )
    # 20 patches of 64 px cover one and a half times the scene they are cut from.
    patches_per_scene: int = Field(default=20, ge=1)
    palette_share: float = Field(default=0.1, ge=0, le=1)
    jpeg_share: float = Field(default=0.2, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """A scene as it is stored: `views` (2, h, w, 3) uint8, and what its patches are made from."""

    views: Bytes
    rendered: RenderedScene
    kernel: Kernel | KernelField

    def per_coc(self, rows: slice, columns: slice) -> float:
        """Pixels of disparity per pixel of circle of confusion in the middle of a window."""
        if not callable(self.kernel):
            return disparity_per_coc(self.kernel)
        height, width = self.rendered.coc_px.shape
        x, y = (columns.start + columns.stop) / width - 1, (rows.start + rows.stop - height) / width
        return disparity_per_coc(self.kernel(x, y))


class ScenePatchMaker:
    """Patches by number, several from one scene."""

    def __init__(self, sources: Sources, settings: ScenePatchSettings, *, seed: int) -> None:
        self.sources, self.settings, self.seed = sources, settings, seed
        self._open: tuple[int, _Cuts] | None = None

    def make(self, number: int) -> Patch:
        """Patch `number`; patches of one scene are made fastest one after the other."""
        scene = self._photograph(number // self.settings.patches_per_scene)
        rng = np.random.default_rng([self.seed, 1, number])
        rows, columns = draw_window(rng, scene.views.shape[1:3], (PATCH_PX, PATCH_PX))
        coc_px = scene.rendered.coc_px[rows, columns].numpy().astype(np.float16)
        return Patch(scene.views[:, rows, columns], coc_px, scene.per_coc(rows, columns))

    def _photograph(self, number: int) -> _Cuts:
        if self._open is None or self._open[0] != number:
            self._open = number, self._render(number)
        return self._open[1]

    def _render(self, number: int) -> _Cuts:
        rng = np.random.default_rng([self.seed, 0, number])
        scene = draw_layered_scene(rng, self.sources, self.settings.scene)
        rendered = render_layered_scene(scene, slices=self.settings.scene.slices)
        views = [to_bytes(view.permute(1, 2, 0).numpy()) for view in (rendered.left, rendered.right)]
        return _Cuts(np.stack(self._store(rng, views)), rendered, scene.kernel)

    def _store(self, rng: np.random.Generator, views: list[Bytes]) -> list[Bytes]:
        """As they are, in palettes, or as JPEG."""
        lot = rng.random()
        if lot < self.settings.palette_share:
            colours = int(rng.integers(96, 257))
            return [reduce_palette(view, colours=colours) for view in views]
        if lot < self.settings.palette_share + self.settings.jpeg_share:
            quality = int(rng.integers(60, 98))
            return [compress(view, quality=quality) for view in views]
        return views
