"""A gated restoration through the stages of the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.deblur.gated import GateSettings, weigh_input
from ldp_core.deblur.gated import read_focus as focus_of
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from tasks.items import ItemResult, ingest_item, restore_item
from tasks.pipeline import make_config, pipeline_for


def test_gated_and_bare_results_lie_side_by_side(tmp_path: Path) -> None:
    pair = simulate_pair(3, SimulationSettings(height=64, width=96))
    for view, pixels in pair.views.items():
        (tmp_path / "set" / view).mkdir(parents=True)
        (tmp_path / "set" / view / "a.png").write_bytes(encode_image(pixels, "png"))
    [item] = read_catalogue(str(tmp_path / "set"), layout="folders").items
    archive = Archive(str(tmp_path / "archive"))
    restored = {}
    for name, settings in (("wiener", {}), ("gated", {"method": "wiener", "gate": {"tau_px": 3}})):
        config = make_config(archive.url, estimator=("disparity", {}), deblurrer=(name, settings))
        assert isinstance(ingest_item(config, item), ItemResult)
        assert isinstance(restore_item(config, item), ItemResult)
        keys = pipeline_for(config, item).keys
        restored[name] = archive.read_restored(keys["deblur"], item.id)
    assert keys["deblur"].startswith("gated-wiener-")
    weights = weigh_input(focus_of(archive.read_blur_map(keys["blur"], item.id), tau_px=3), GateSettings())
    kept, left = weights == 1, weights == 0
    assert kept.any()
    np.testing.assert_array_equal(restored["gated"][kept], input_image(pair)[kept])
    np.testing.assert_array_equal(restored["gated"][left], restored["wiener"][left])
