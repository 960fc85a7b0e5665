"""Peak and colours through plans, workers and records: what stops a run, what frames say, versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from peak_samples import on_scale

from ldp_core.archive import Archive
from ldp_core.errors import PeakUnnamedError
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import PixelOptions
from tasks.batches import plan_run
from tasks.items import ItemResult, confirm_item, ingest_item
from tasks.pipeline import make_config
from tasks.plan import make_plan
from tasks.run import Run
from tasks.stage import PipelineConfig

PEAK = 4095


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Two pairs of 12 bit in 16-bit files, 2 % of them clipped."""
    for seed in range(2):
        pair = simulate_pair(seed, SimulationSettings(height=96, width=96))
        gain = 65535 / np.quantile(pair.left, 0.98)
        for view, pixels in pair.views.items():
            (tmp_path / "set" / view).mkdir(parents=True, exist_ok=True)
            full = np.clip(np.rint(pixels * gain), 0, 65535).astype(np.uint16)
            content = encode_image(on_scale(full, PEAK))
            (tmp_path / "set" / view / f"{seed}.png").write_bytes(content)
    return str(tmp_path / "set")


def configure(tmp_path: Path, *, peak: int | None = None, to_srgb: bool = False) -> PipelineConfig:
    return make_config(
        str(tmp_path / "archive"),
        estimator=("disparity", {}),
        deblurrer=("wiener", {}),
        pixels=PixelOptions(peak, to_srgb),
    )


def test_a_plan_reports_and_a_run_stops(tmp_path: Path, source: str) -> None:
    config = configure(tmp_path)
    kinds = {problem.kind for problem in make_plan(config, source, layout="folders").catalogue.problems}
    assert kinds == {"peak_unnamed"}
    with pytest.raises(PeakUnnamedError, match="4095") as caught:
        plan_run.fn(config, source, "folders", None)
    assert "--peak 4095" in caught.value.remedy
    plan_run.fn(configure(tmp_path, peak=PEAK), source, "folders", None)
    plan_run.fn(configure(tmp_path, peak=65535), source, "folders", None)


def test_frames_say_which_peak_they_had(tmp_path: Path, source: str) -> None:
    config = configure(tmp_path, peak=PEAK)
    item = make_plan(config, source, layout="folders").catalogue.items[0]
    assert isinstance(ingest_item(config, item), ItemResult)
    archive = Archive(config.archive)
    assert archive.read_attributes("frames", "", item.key)["peak"] == PEAK
    pair = archive.read_pair(item.key)
    assert (pair.source_peak, int(pair.left.max())) == (PEAK, 65535)


def test_frames_of_full_scale_say_nothing(tmp_path: Path, source: str) -> None:
    config = configure(tmp_path, peak=65535)
    item = make_plan(config, source, layout="folders").catalogue.items[0]
    assert isinstance(ingest_item(config, item), ItemResult)
    assert "peak" not in Archive(config.archive).read_attributes("frames", "", item.key)


def test_another_peak_is_noticed_though_no_byte_has_changed(tmp_path: Path, source: str) -> None:
    first, second = configure(tmp_path, peak=PEAK), configure(tmp_path, peak=8191)
    [item, _] = make_plan(first, source, layout="folders").catalogue.items
    [other, _] = make_plan(second, source, layout="folders").catalogue.items
    assert isinstance(ingest_item(first, item), ItemResult)
    again, otherwise = confirm_item(first, item), confirm_item(second, other)
    assert isinstance(again, ItemResult)
    assert (again.version, again.computed) == (1, ())
    assert isinstance(otherwise, ItemResult)
    assert (otherwise.version, otherwise.computed) == (2, ("ingest",))
    archive = Archive(first.archive)
    assert archive.read_attributes("frames", "", item.id)["peak"] == PEAK
    assert archive.read_attributes("frames", "", f"{item.id}@2")["peak"] == 8191


def test_a_run_remembers_how_pixels_were_read(tmp_path: Path, source: str) -> None:
    config = configure(tmp_path, peak=PEAK, to_srgb=True)
    plan = make_plan(config, source, layout="folders")
    run = Run.start(config, plan.catalogue, plan.pipelines)
    assert Run(config.archive, run.run_id).config.pixels == PixelOptions(PEAK, True)
    plain = Run.start(configure(tmp_path), plan.catalogue, plan.pipelines)
    record = json.loads(plain.read_file("run.json"))
    assert not {"peak", "to_srgb"} & record["job"].keys()
