"""What the trivial answers score on the CUHK training split's validation photographs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ldp_core.masked import iterate_masked
from ldp_core.metrics import mean_interval
from ldp_core.metrics.detection import TRIVIAL_BASELINES, score_at_half

pytestmark = pytest.mark.real

EXPECTED = {
    "all blurred": {"mae": 0.35341, "f_blur": 0.69692, "iou_blur": 0.64659, "f_focus": 0.0},
    "all in focus": {"mae": 0.64659, "f_blur": 0.0, "iou_focus": 0.35341, "f_focus": 0.40669},
}


def test_floors(real_data: Path) -> None:
    photographs = list(iterate_masked(real_data / "dbd" / "cuhk_train_320", split="validation"))
    assert len(photographs) == 60
    for name, floor in TRIVIAL_BASELINES.items():
        scores = [score_at_half(floor(p.in_focus), p.in_focus) for p in photographs]
        for measure, expected in EXPECTED[name].items():
            assert mean_interval([s[measure] for s in scores]).mean == pytest.approx(expected, abs=1e-5)
