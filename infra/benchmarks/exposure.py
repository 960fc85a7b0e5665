"""How much of the distance to a truth is exposure: PSNR as it is, and after one gain for the whole picture.

    python infra/benchmarks/exposure.py ../shared/data/dp/canon_dpdd

DPDD's truths were taken at f/22 and its blurred views at f/4, and are brighter by up to a quarter in
linear light, more so towards the edges. A network trained on that camera learns the difference; the
others can be compared with it after the gain, least squares on stored values, that favours each most.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import imageio.v3 as iio
import numpy as np

from ldp_core.blur import make_estimator
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.metrics import psnr_db
from ldp_core.single_view import input_image
from ldp_core.types import Pair, Pixels

OVERLAY_ROWS = 44


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="NAME_{l,r,gt,dpdnet}.png")
    options = parser.parse_args()
    scores: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(options.folder.glob("*_gt.png")):
        name = path.name.removesuffix("_gt.png")
        target = iio.imread(path)[OVERLAY_ROWS:]
        for subject, picture in restore(options.folder, name).items():
            scores.setdefault(subject, []).append(compare(picture[OVERLAY_ROWS:], target))
    for subject, values in scores.items():
        plain, gained = (mean(column) for column in zip(*values, strict=True))
        print(f"| {subject} | {plain:.2f} | {gained:.2f} |")


def restore(folder: Path, name: str) -> dict[str, Pixels]:
    left, right, peer = (iio.imread(folder / f"{name}_{view}.png") for view in ("l", "r", "dpdnet"))
    pair = Pair(f"dpdd/{name}", left, right)
    blur_map = make_estimator("disparity").estimate(pair)
    restored = {method: make_deblurrer(method).restore(pair, blur_map) for method in DEBLURRERS}
    return {"input": input_image(pair), "DPDNet": peer, **restored}


def compare(picture: Pixels, target: Pixels) -> tuple[float, float]:
    """PSNR in dB as it is, and after the best gain."""
    image, truth = picture / 255, target / 255
    gain = float((image * truth).sum() / np.square(image).sum())
    return psnr_db(image, truth), psnr_db((image * gain).clip(0, 1), truth)


if __name__ == "__main__":
    main()
