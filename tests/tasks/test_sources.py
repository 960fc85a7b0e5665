"""Sources that vanish or shrink, by catalogues and records alone: no pixel is decoded here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from run_samples import begin_run

from ldp_core.catalogue import read_catalogue
from ldp_core.errors import SettingsError, SourceShrunkError
from ldp_core.images import encode_image
from tasks.pipeline import make_config
from tasks.plan import make_plan
from tasks.run import Run
from tasks.sources import (
    PreviousSource,
    Sources,
    find_sources,
    require_no_shrinkage,
    runs_of,
    without_revisions,
)
from tasks.stage import PipelineConfig

FIRST, SECOND, THIRD = (f"2026010{n}t000000z-{n}{n}{n}{n}{n}{n}" for n in (1, 2, 3))
PICTURE = encode_image(np.full((8, 8, 3), 9, np.uint8), "png")


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    archive = str(tmp_path / "archive")
    return make_config(archive, estimator=("disparity", {}), deblurrer=("wiener", {}))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_source(tmp_path / "source", 20)


def make_source(folder: Path, count: int) -> Path:
    for number in range(count):
        for view in ("left", "right"):
            (folder / view).mkdir(parents=True, exist_ok=True)
            (folder / view / f"{number:03}.png").write_bytes(PICTURE)
    return folder


def remove(source: Path, *numbers: int) -> None:
    for number in numbers:
        for view in ("left", "right"):
            (source / view / f"{number:03}.png").unlink()


def sources_of(config: PipelineConfig, source: Path, *, dataset: str = "set") -> Sources:
    return make_plan(config, str(source), layout="folders", dataset=dataset).sources


def refuses(config: PipelineConfig, source: Path) -> bool:
    plan = make_plan(config, str(source), layout="folders", dataset="set")
    try:
        require_no_shrinkage(plan.catalogue, plan.sources)
    except SourceShrunkError:
        return True
    return False


@pytest.mark.parametrize(
    ("items", "gone", "stops"),
    [
        (1, 0, False),
        (3, 1, False),
        (3, 2, True),
        (20, 1, False),
        (20, 2, True),
        (39, 2, True),
        (40, 2, False),
        (1000, 50, False),
        (1000, 51, True),
    ],
)
def test_more_than_a_twentieth_and_more_than_one_may_not_be_gone(items: int, gone: int, stops: bool) -> None:
    assert PreviousSource(FIRST, items, tuple(map(str, range(gone)))).is_shrunk is stops


def test_what_is_gone_is_named_and_neither_new_nor_refused_pictures_count(
    config: PipelineConfig, source: Path
) -> None:
    assert sources_of(config, source) == Sources()
    begin_run(config, source, FIRST)
    assert sources_of(config, source).previous == PreviousSource(FIRST, 20)
    remove(source, 7)
    (source / "left" / "003.png").write_bytes(b"nothing")  # unreadable: a problem of its own
    (source / "right" / "004.png").unlink()  # a single view: a problem of its own
    for view in ("left", "right"):
        (source / view / "new.png").write_bytes(PICTURE)
    assert sources_of(config, source).vanished == ("set/007",)
    assert not refuses(config, source)


def test_a_source_that_shrank_is_refused_with_counts_and_folders(
    config: PipelineConfig, source: Path
) -> None:
    for number in range(20):
        if number >= 16:
            for view in ("left", "right"):
                (source / view / "late").mkdir(exist_ok=True)
                (source / view / f"{number:03}.png").rename(source / view / "late" / f"{number:03}.png")
    begin_run(config, source, FIRST)
    for view in ("left", "right"):
        shutil.rmtree(source / view / "late")
    remove(source, 0)
    plan = make_plan(config, str(source), layout="folders", dataset="set")
    with pytest.raises(SourceShrunkError) as caught:
        require_no_shrinkage(plan.catalogue, plan.sources)
    error = caught.value
    assert (error.kind, error.where) == ("source_shrunk", str(source))
    assert "20 items" in error.expected
    assert FIRST in error.expected
    assert "15 items; gone: 5, without their truths now: 0" in error.got
    assert "4 in left/late, 4 in right/late, 1 in left" in error.got
    assert "--allow-shrink" in error.remedy


@pytest.mark.parametrize(("lost", "stops"), [(1, False), (2, True), (20, True)])
def test_truths_that_are_gone_stop_a_run_as_items_do(
    config: PipelineConfig, source: Path, lost: int, stops: bool
) -> None:
    shutil.copytree(source / "left", source / "target")
    begin_run(config, source, FIRST)
    for number in range(lost):
        (source / "target" / f"{number:03}.png").unlink()
    if not stops:
        assert not refuses(config, source)
        return
    plan = make_plan(config, str(source), layout="folders", dataset="set")
    with pytest.raises(SourceShrunkError) as caught:
        require_no_shrinkage(plan.catalogue, plan.sources)
    assert f"gone: 0, without their truths now: {lost}; pictures: {lost} in target" in caught.value.got


def test_a_fall_that_was_allowed_is_not_told_again(config: PipelineConfig, source: Path) -> None:
    begin_run(config, source, FIRST)
    remove(source, 1, 2, 3)
    assert refuses(config, source)
    begin_run(config, source, SECOND)  # as with --allow-shrink
    assert sources_of(config, source).vanished == ()
    assert not refuses(config, source)


def test_other_datasets_sources_and_layouts_are_not_compared(
    config: PipelineConfig, source: Path, tmp_path: Path
) -> None:
    begin_run(config, source, FIRST)
    remove(source, 1, 2, 3)
    other = Path(shutil.copytree(source, tmp_path / "other"))
    assert sources_of(config, other).previous is None
    assert sources_of(config, source, dataset="other").previous is None
    single = make_plan(config, str(source), layout="single", dataset="set")
    assert single.sources.previous is None
    assert refuses(config, source)


def test_a_record_that_cannot_be_read_is_passed_over(config: PipelineConfig, source: Path) -> None:
    begin_run(config, source, FIRST)
    broken = begin_run(config, source, SECOND)
    catalogue = Path(broken.url) / "catalogue.jsonl"
    catalogue.write_bytes(catalogue.read_bytes()[:-40])
    begin_run(config, source, THIRD)
    (Path(config.archive) / "runs" / THIRD / "catalogue.jsonl").write_bytes(b"{")
    remove(source, 1, 2)
    found = sources_of(config, source).previous
    assert found is not None
    assert (found.run_id, found.vanished) == (FIRST, ("set/001", "set/002"))


def test_records_know_revisions_and_earlier_ones_do_not(config: PipelineConfig, source: Path) -> None:
    run = begin_run(config, source, FIRST)
    assert all(ref.revision for item in run.catalogue.items for ref in item.refs.values())
    catalogue = read_catalogue(str(source), layout="folders", dataset="set")
    assert Run(config.archive, FIRST).catalogue == catalogue
    plain = without_revisions(catalogue.items[0])
    assert not any(ref.revision for ref in plain.refs.values())
    assert plain.size_bytes == catalogue.items[0].size_bytes


def test_only_archived_items_can_be_suspect(config: PipelineConfig, source: Path) -> None:
    begin_run(config, source, FIRST)
    (source / "left" / "003.png").write_bytes(PICTURE)
    catalogue = read_catalogue(str(source), layout="folders", dataset="set")
    runs = [*runs_of(config.archive, catalogue.dataset, catalogue.source)]
    assert not find_sources(runs, catalogue, []).suspects
    assert not find_sources(runs, catalogue, ["set/001", "other/003"]).suspects
    assert find_sources(runs, catalogue, ["set/003"]).suspects == {"set/003": {1: ""}}
    several = find_sources(
        runs_of(config.archive, catalogue.dataset, catalogue.source),
        catalogue,
        ["set/001", "set/001@4", "set/002@2"],
    )
    assert several.suspects == {"set/001": {1: "", 4: ""}, "set/002": {2: ""}}
    assert several.versions == {"set/001": 4, "set/002": 2}
    assert set(find_sources(runs, catalogue, ["set/001"], verify=True).suspects) == {"set/001"}


def test_an_archive_is_not_its_own_source(tmp_path: Path) -> None:
    config = make_config(f"{tmp_path}/", estimator=("disparity", {}), deblurrer=("wiener", {}))
    with pytest.raises(SettingsError, match="the archive is the source itself"):
        make_plan(config, str(tmp_path), layout="folders")
