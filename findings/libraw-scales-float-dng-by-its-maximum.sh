#!/usr/bin/env bash
# rawpy (LibRaw): a floating-point DNG is divided by its own largest value, whatever its WhiteLevel says.
#
# Believed: WhiteLevel says which value is white, so the two views of a dual-pixel photograph, developed one by one with
#   the same fixed options, keep their brightness to each other. `adjust_maximum_thr=0` forbids a scale from the data.
# Seen: as long as no value exceeds 1, all is well. One pixel of 4.0 anywhere, a highlight, makes all others four times
#   darker, with WhiteLevel 1 and adjust_maximum_thr 0. The same for mosaics and for linear RGB.
# Versions: rawpy 0.28.0 (LibRaw 0.22.2), tifffile 2026.3.3, NumPy 2.4.6, Python 3.11.
# Source: run on 29 November 2026; letmaik/rawpy, issue 70, says that floating-point data is converted by default.
#
# Exits with another code than 0 once this is no longer what is seen.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q rawpy==0.28.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
env/bin/python -I - <<'PY'
import io

import numpy as np
import rawpy
import tifffile

IDENTITY = [number for cell in np.eye(3, dtype=int).ravel().tolist() for number in (cell, 1)]


def make_dng(values):
    mosaic = values.ndim == 2
    samples = 1 if mosaic else 3
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50707, "B", 4, (1, 4, 0, 0), True),  # DNGBackwardVersion
        (50708, "s", 0, "Test Camera", True),  # UniqueCameraModel
        (50717, "I", samples, 1 if mosaic else (1, 1, 1), True),  # WhiteLevel
        (50721, "2i", 9, IDENTITY, True),  # ColorMatrix1
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1
    ]
    if mosaic:
        tags += [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True), (50710, "B", 3, (0, 1, 2), True)]
    options = {"photometric": 32803} if mosaic else {"photometric": 34892, "planarconfig": "contig"}
    file = io.BytesIO()
    tifffile.imwrite(file, values, extratags=tags, metadata=None, **options)
    return file.getvalue()


def develop(values):
    with rawpy.imread(io.BytesIO(make_dng(values))) as raw:
        picture = raw.postprocess(
            output_bps=16, gamma=(1, 1), no_auto_bright=True, adjust_maximum_thr=0.0, use_camera_wb=True,
            user_flip=0, output_color=rawpy.ColorSpace.raw,
        )
    return float(picture[8:24, 8:24].mean() / 65535)


ratios = []
for shape in ((64, 96), (64, 96, 3)):
    plain = np.full(shape, 0.5, np.float32)
    highlight = plain.copy()
    highlight[50, 80] = 4.0
    grey, darker = develop(plain), develop(highlight)
    ratios.append(grey / darker)
    print(f"{shape}: .5 becomes {grey:.3f}, and {darker:.3f} where one far pixel is 4.0")
raise SystemExit(0 if all(abs(ratio - 4) < 0.05 for ratio in ratios) else 1)
PY
