"""Doubts about a pair refuse nothing; they are listed by the run that archives it and by every later one."""

from __future__ import annotations

from pathlib import Path

from ldp_core.archive import Archive
from ldp_core.catalogue import encode_coc_px, read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from tasks.items import Failed, confirm_item, ingest_item
from tasks.pipeline import make_config
from tasks.run_stats import RunStats
from tasks.work import BatchResult


def test_a_doubt_is_listed_by_every_run(tmp_path: Path) -> None:
    """Exchanged views of a scene that lies behind the focal plane."""
    pair = simulate_pair(0, SimulationSettings(height=120, width=180, seed=1))
    left, right = pair.both_views
    assert pair.blur_truth is not None
    for folder, pixels in {"left": right, "right": left, "coc": encode_coc_px(pair.blur_truth)}.items():
        (tmp_path / "set" / folder).mkdir(parents=True)
        (tmp_path / "set" / folder / "a.png").write_bytes(encode_image(pixels))
    catalogue = read_catalogue(str(tmp_path / "set"), layout="folders")
    config = make_config(str(tmp_path / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}))
    (item,) = catalogue.items
    for work in (ingest_item, confirm_item):
        result = work(config, item)
        assert not isinstance(result, Failed)
        assert [problem.kind for problem in result.problems] == ["swapped_views"]
        stats = RunStats(catalogue, max_bad=0)
        for _ in range(2):  # ingest and restore both report an item
            stats.add(BatchResult([result]))
        assert stats.summarise("run", {}, seconds=1).problems == result.problems
        assert stats.counts.quarantined == 0
    assert Archive(config.archive).read_pair(item.key).right is not None
