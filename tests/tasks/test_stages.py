"""The stages of one item, without a cluster: what they leave, pass on, mend and set aside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Item
from tasks.job import STAGES, Job, keys_of
from tasks.stages import (
    CHAIN,
    Drawn,
    Failed,
    Outcome,
    Work,
    confirm_item,
    draw_item,
    ingest_item,
    recall_item,
    restore_item,
)


@pytest.fixture
def item(tmp_path: Path) -> Item:
    pair = simulate_pair(3, SimulationSettings(height=96, width=96))
    for view, pixels in pair.views.items():
        (tmp_path / "set" / view).mkdir(parents=True)
        (tmp_path / "set" / view / "a.png").write_bytes(encode_image(pixels, "png"))
    [found] = read_catalogue(str(tmp_path / "set"), layout="folders").items
    return found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(str(tmp_path / "archive"))


@pytest.fixture
def outcome(job: Job, item: Item) -> Outcome:
    assert isinstance(ingest_item(job, item), Outcome)
    done = restore_item(job, Work(item))
    assert isinstance(done, Outcome)
    return done


def damage(job: Job, kind: str) -> None:
    [chunk] = [p for p in Path(job.archive).glob(f"{kind}/**/c.*") if p.is_file()]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)


def test_an_item_leaves_a_result_of_every_stage(job: Job, item: Item, outcome: Outcome) -> None:
    archive, keys = Archive(job.archive), keys_of(job)
    assert outcome.computed == STAGES
    assert archive.read_blur_map(keys.blur, item.id).values.shape == (96, 96)
    assert archive.read_restored(keys.restored, item.id).shape == (96, 96, 3)
    assert tuple(archive.read_scores(keys.scores, item.id)) == outcome.scores


def test_what_is_archived_is_read_not_computed(job: Job, item: Item, outcome: Outcome) -> None:
    again = restore_item(job, Work(item, frozenset(("blur",))))
    assert isinstance(again, Outcome)
    assert again.computed == ("deblur", "score")
    assert recall_item(job, item) == Outcome(item.id, (), outcome.scores, {}, digest=outcome.digest)


@pytest.mark.parametrize("kind", ["frames", "blur", "restored"])
def test_damage_is_mended_where_it_is_met(job: Job, item: Item, outcome: Outcome, kind: str) -> None:
    before = Archive(job.archive).read_restored(keys_of(job).restored, item.id)
    damage(job, kind)
    again = restore_item(job, Work(item, frozenset(STAGES)))
    assert isinstance(again, Outcome)
    assert again.computed == {"frames": (), "blur": ("blur",), "restored": ("deblur",)}[kind]
    Archive(job.archive).read_pair(item.id)
    assert np.array_equal(Archive(job.archive).read_restored(keys_of(job).restored, item.id), before)


def test_a_report_is_drawn_from_mended_results(
    job: Job, item: Item, outcome: Outcome, tmp_path: Path
) -> None:
    damage(job, "restored")
    drawn = draw_item(job, str(tmp_path / "report"), item)
    assert isinstance(drawn, Drawn)
    assert all((tmp_path / "report" / path).stat().st_size for path in drawn.pictures.values())


def test_a_fault_becomes_a_record_and_passes_through_the_chain(job: Job, item: Item) -> None:
    work: Work | Failed = Work(item)
    for stage in CHAIN:
        work = stage(job, work)
    assert isinstance(work, Failed)
    assert (work.record.stage, work.record.kind) == ("load", "item_missing")
    assert work.record.remedy


def test_an_item_that_is_no_picture_fails_at_ingest(job: Job, item: Item) -> None:
    Path(item.left.uri).write_bytes(b"nothing")
    failed = ingest_item(job, item)
    assert isinstance(failed, Failed)
    assert failed.record.stage == "ingest"


def test_a_source_of_another_size_is_a_conflict(job: Job, item: Item, outcome: Outcome) -> None:
    assert isinstance(confirm_item(job, item), Outcome)
    changed = replace(item, left=replace(item.left, size_bytes=item.left.size_bytes + 1))
    failed = confirm_item(job, changed)
    assert isinstance(failed, Failed)
    assert failed.record.kind == "item_conflict"
