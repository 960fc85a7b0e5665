"""Draw before-after.jpg of the README: a photograph, its blur map, and its restoration.

    python infra/images/before_after.py

The photograph is `skimage.data.coffee` (CC0). Its table lies slanted before the camera: the views are blurred
as a dual-pixel sensor would see it, focused on the cup, with sensor noise.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.optics import render_views
from ldp_core.report import render_pictures
from ldp_core.types import Pair

NEAR_PX, FAR_PX = -9.0, 15.0
NOISE = 0.006
PANELS = ("input.jpg", "blur_map.png", "restored.jpg")
GAP_PX = 8
OUTPUT = Path(__file__).with_name("before-after.jpg")


def main() -> None:
    sharp = torch.from_numpy(data.coffee().astype(np.float32) / 255).permute(2, 0, 1)[None]
    height, width = sharp.shape[-2:]
    coc_px = torch.linspace(FAR_PX, NEAR_PX, height)[:, None].expand(height, width)[None]
    views = render_views(sharp, coc_px.contiguous(), slices=24)
    rng = torch.Generator().manual_seed(0)
    left, right = (to_pixels(view + NOISE * torch.randn(view.shape, generator=rng)) for view in views)
    pair = Pair("coffee", left, right)
    blur_map = make_estimator("disparity").estimate(pair)
    restored = make_deblurrer("ldp").restore(pair, blur_map)
    files = render_pictures(pair, blur_map=blur_map, restored=restored)
    panels = [Image.open(io.BytesIO(files[name])) for name in PANELS]
    joined = Image.new("RGB", (len(panels) * width + GAP_PX * (len(panels) - 1), height), "white")
    for number, panel in enumerate(panels):
        joined.paste(panel.convert("RGB"), (number * (width + GAP_PX), 0))
    joined.save(OUTPUT, quality=88)


def to_pixels(view: torch.Tensor) -> np.ndarray:
    return (view[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


if __name__ == "__main__":
    main()
