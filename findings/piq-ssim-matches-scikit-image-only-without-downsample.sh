#!/usr/bin/env bash
# piq: `ssim` matches scikit-image with downsample=False, not with the default, from 384 px on.
#
# Believed: "To match performance with skimage and tensorflow set 'downsample' = True", says the documentation of
#   `piq.ssim`, and True is the default.
# Seen: pictures with a shorter side of 384 px or more are averaged down first, by 2 here and by 4 at the 1120 px of
#   DPDD, and SSIM is of the small ones: .48 becomes .90 for a picture with noise. Up to 383 px both agree. With
#   downsample=False they agree at every size, to 1e-6 (Gaussian window, sigma 1.5, population covariance).
# Versions: piq 0.8.0, torch 2.13.0, torchvision 0.28.0, scikit-image 0.26.0, NumPy 2.4.6, Python 3.11.
# Source: run on 29 November 2026; docstring of `piq.ssim`.
#
# Exits with another code than 0 once this is no longer what is seen. Installs torch: a large download.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q torch==2.13.0 torchvision==0.28.0 piq==0.8.0 scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
env/bin/python -I - <<'PY'
import numpy as np
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # a torchvision for CUDA beside a torch for CPUs lacks two operators that nothing here calls
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import piq
from skimage.metrics import structural_similarity


def compare(height):
    y, x = np.mgrid[:height, :512]
    sharp = 0.5 + 0.2 * np.sin(x / 9) * np.cos(y / 7)
    noisy = np.clip(sharp + np.random.default_rng(0).normal(0, 0.05, sharp.shape), 0, 1)
    theirs = structural_similarity(
        sharp, noisy, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    tensors = [torch.from_numpy(picture)[None, None] for picture in (noisy, sharp)]
    return theirs, float(piq.ssim(*tensors)), float(piq.ssim(*tensors, downsample=False))


rows = {height: compare(height) for height in (383, 384, 512)}
for height, values in rows.items():
    print("{} px: scikit-image {:.4f}, piq {:.4f}, downsample=False {:.4f}".format(height, *values))
alike = all(abs(row[0] - row[2]) < 1e-5 for row in rows.values()) and abs(rows[383][0] - rows[383][1]) < 1e-5
raise SystemExit(0 if alike and min(rows[384][1] - rows[384][0], rows[512][1] - rows[512][0]) > 0.05 else 1)
PY
