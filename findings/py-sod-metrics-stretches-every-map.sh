#!/usr/bin/env bash
# py_sod_metrics: "MAE" is of each map stretched to 0..1, so sure and unsure detectors score alike.
#
# Believed: the mean absolute error of a defocus or saliency map is the mean of |map - mask| (Perazzi et al., CVPR 2012).
# Seen: by default every map is stretched between its own smallest and largest value first. A detector that says .45 and
#   .55 gets 0, as one that says 0 and 1 does; a map of one grey is left as it is; and one stray pixel changes the
#   stretch, and with it the score, of the whole map. `normalize=False` with floats in 0..1 gives the mean of |map - mask|.
# Versions: pysodmetrics 1.6.2, NumPy 2.3.4, opencv-python-headless 4.14.0.94, scikit-image 0.25.2, Python 3.11.
# Source: run on 29 November 2026; of the stretch, `MAE.step` says only that it can "normalize the input data".
#
# Exits with another code than 0 once this is no longer what is seen.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q pysodmetrics==1.6.2 numpy==2.3.4 scikit-image==0.25.2 \
  opencv-python-headless==4.14.0.94
cd "$folder"
env/bin/python -I - <<'PY'
import numpy as np
from py_sod_metrics import MAE

mask = np.zeros((64, 64), np.uint8)
mask[:, :32] = 255


def score(values, truth, **options):
    measure = MAE()
    measure.step(values, truth, **options)
    return float(measure.get_results()["mae"])


unsure = np.where(mask > 0, 140, 115).astype(np.uint8)
stray = unsure.copy()
stray[0, 0], stray[-1, -1] = 255, 0
by_default = [score(mask, mask), score(unsure, mask), score(stray, mask)]
as_defined = [score(v / 255, mask > 0, normalize=False) for v in (mask, unsure, stray)]
print("sure, unsure, unsure with two right pixels of 255 and 0")
print("by default:     ", [round(value, 3) for value in by_default])
print("normalize=False:", [round(value, 3) for value in as_defined])
seen = by_default[:2] == [0, 0] and by_default[2] > 0.4 and 0.44 < as_defined[1] < 0.46
raise SystemExit(0 if seen else 1)
PY
