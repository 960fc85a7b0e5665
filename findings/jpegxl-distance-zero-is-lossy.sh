#!/usr/bin/env bash
# imagecodecs: jpegxl_encode(distance=0) is lossy; only lossless=True, or no argument at all, keeps 16-bit pictures.
#
# Believed: a distance of 0 is mathematically lossless, as in cjxl, libjxl's own tool (`-d 0`), and as archives of
#   16-bit pictures that were made this way take for granted (openclimatefix-archives/Satip, issue 67).
# Seen: values of a 16-bit picture with noise come back up to hundreds of levels away, without a word. `level=100`
#   does the same. With lossless=True, with both arguments, and with none, every value is kept. 8 bit likewise.
# Versions: imagecodecs 2026.3.6 (libjxl 0.11.2), NumPy 2.4.6, Python 3.11.
# Source: run on 29 November 2026; the function's docstring does not say what `distance` or `lossless` do.
#
# Exits with another code than 0 once this is no longer what is seen.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
env/bin/python -I - <<'PY'
import imagecodecs
import numpy as np

rng = np.random.default_rng(0)
ramp = np.add.outer(np.arange(256), np.arange(256)) * 100
picture = np.clip(ramp[..., None] + rng.integers(-500, 500, (256, 256, 3)), 0, 65535).astype(np.uint16)


def error(values, **options):
    decoded = imagecodecs.jpegxl_decode(imagecodecs.jpegxl_encode(values, **options))
    return int(np.abs(decoded.astype(int) - values).max())


lossy = [error(picture, distance=0), error(picture, level=100), error((picture >> 8).astype(np.uint8), distance=0)]
exact = [error(picture, lossless=True), error(picture, distance=0, lossless=True), error(picture)]
print("largest error: distance=0, level=100, distance=0 of 8 bit:", lossy)
print("largest error: lossless=True, both, no argument:", exact)
raise SystemExit(0 if min(lossy) > 0 and max(exact) == 0 else 1)
PY
