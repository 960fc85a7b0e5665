#!/usr/bin/env bash
# torchmetrics: the binned AUROC of a map with values of exactly 1 is wrong, however many bins there are.
#
# Believed: `binary_auroc(..., thresholds=n)` approaches the exact area as n grows, and is exact for a map that holds
#   only 0 and 1, for every threshold tells those two apart.
# Seen: a curve over fixed thresholds ends where the map is >= 1, not at (0, 0), and the area from there to (0, 0) is
#   left out. Detectors of blur saturate: of a mask that finds 80 % of the sharp pixels and 30 % of the blurred ones
#   the area is .75; with 2, 50 or 1,000 thresholds it is .63, and a map of 1 everywhere gets 0, where .5 is right.
#   The same masks at .2 and .8 instead of 0 and 1 get .75.
# Versions: torchmetrics 1.9.0, torch 2.13.0, NumPy 2.4.6, Python 3.11.
# Source: run on 29 November 2026. The same gap was reported for another package: nci/scores, issue 857.
#
# Exits with another code than 0 once this is no longer what is seen. Installs torch: a large download.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cd "$folder"
env/bin/python -I - <<'PY'
import torch
from torchmetrics.functional.classification import binary_auroc

sharp = torch.arange(2000) < 1000
found = torch.cat([torch.arange(1000) < 800, torch.arange(1000) < 300]).float()
exact = float(binary_auroc(found, sharp.long()))
binned = [float(binary_auroc(found, sharp.long(), thresholds=n)) for n in (2, 50, 1000)]
inner = float(binary_auroc(0.2 + 0.6 * found, sharp.long(), thresholds=50))
constant = float(binary_auroc(torch.ones(2000), sharp.long(), thresholds=50))
print(f"exact {exact:.3f}; 2, 50, 1000 thresholds {[round(value, 3) for value in binned]}")
print(f"the same at .2 and .8, 50 thresholds: {inner:.3f}; 1 everywhere, 50 thresholds: {constant:.3f}")
seen = abs(exact - 0.75) < 1e-4 and max(abs(value - 0.63) for value in binned) < 1e-4
raise SystemExit(0 if seen and abs(inner - 0.75) < 1e-4 and constant == 0 else 1)
PY
