"""The stages of one item, without a cluster: what they leave, pass on, repair and quarantine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image, read_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Item
from tasks.items import (
    DrawnItem,
    Failed,
    ItemResult,
    confirm_item,
    draw_item,
    ingest_item,
    load_archived,
    restore_item,
)
from tasks.pipeline import pipeline_of
from tasks.stage import ItemTraits, PipelineConfig

LABELS = ("blur", "deblur", "score")


@pytest.fixture
def item(tmp_path: Path) -> Item:
    pair = simulate_pair(3, SimulationSettings(height=96, width=96))
    for view, pixels in pair.views.items():
        (tmp_path / "set" / view).mkdir(parents=True)
        (tmp_path / "set" / view / "a.png").write_bytes(encode_image(pixels, "png"))
    [found] = read_catalogue(str(tmp_path / "set"), layout="folders").items
    return found


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    return PipelineConfig(str(tmp_path / "archive"))


@pytest.fixture
def outcome(config: PipelineConfig, item: Item) -> ItemResult:
    assert isinstance(ingest_item(config, item), ItemResult)
    done = restore_item(config, item)
    assert isinstance(done, ItemResult)
    return done


def keys_of(config: PipelineConfig) -> dict[str, str]:
    return pipeline_of(config, ItemTraits()).keys


def damage(config: PipelineConfig, kind: str) -> None:
    [chunk] = [p for p in Path(config.archive).glob(f"{kind}/**/c.*") if p.is_file()]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)


def test_an_item_leaves_a_result_of_every_stage(
    config: PipelineConfig, item: Item, outcome: ItemResult
) -> None:
    archive, keys = Archive(config.archive), keys_of(config)
    assert outcome.computed == LABELS
    assert archive.read_blur_map(keys["blur"], item.id).values.shape == (96, 96)
    assert archive.read_restored(keys["deblur"], item.id).shape == (96, 96, 3)
    assert tuple(archive.read_scores(keys["score"], item.id)) == outcome.scores


def test_what_is_archived_is_read_not_computed(
    config: PipelineConfig, item: Item, outcome: ItemResult
) -> None:
    again = restore_item(config, item, ["blur"])
    assert isinstance(again, ItemResult)
    assert again.computed == ("deblur", "score")
    assert load_archived(config, item) == ItemResult(item.id, (), outcome.scores, {}, digest=outcome.digest)


@pytest.mark.parametrize("kind", ["frames", "blur", "restored"])
def test_damage_is_repaired_where_it_is_met(
    config: PipelineConfig, item: Item, outcome: ItemResult, kind: str
) -> None:
    before = Archive(config.archive).read_restored(keys_of(config)["deblur"], item.id)
    damage(config, kind)
    again = restore_item(config, item, LABELS)
    assert isinstance(again, ItemResult)
    assert again.computed == {"frames": (), "blur": ("blur",), "restored": ("deblur",)}[kind]
    Archive(config.archive).read_pair(item.id)
    assert np.array_equal(Archive(config.archive).read_restored(keys_of(config)["deblur"], item.id), before)


def test_a_report_is_drawn_from_repaired_results(
    config: PipelineConfig, item: Item, outcome: ItemResult, tmp_path: Path
) -> None:
    damage(config, "restored")
    drawn = draw_item(config, str(tmp_path / "report"), item)
    assert isinstance(drawn, DrawnItem)
    assert all((tmp_path / "report" / path).stat().st_size for path in drawn.pictures.values())


def test_a_fault_becomes_a_record_with_its_stage(config: PipelineConfig, item: Item) -> None:
    failed = restore_item(config, item)
    assert isinstance(failed, Failed)
    assert (failed.record.stage, failed.record.kind) == ("load", "item_missing")
    assert failed.record.remedy


def test_an_item_that_is_no_picture_fails_at_ingest(config: PipelineConfig, item: Item) -> None:
    Path(item.left.uri).write_bytes(b"nothing")
    failed = ingest_item(config, item)
    assert isinstance(failed, Failed)
    assert failed.record.stage == "ingest"


def test_a_source_of_another_address_or_size_is_told_by_its_pixels(
    config: PipelineConfig, item: Item, outcome: ItemResult, tmp_path: Path
) -> None:
    kept = confirm_item(config, item)
    assert isinstance(kept, ItemResult)
    assert (kept.computed, kept.version, kept.digest) == ((), 1, outcome.digest)
    moved = Path(item.left.uri).rename(tmp_path / "moved.png")
    same = confirm_item(config, replace(item, left=replace(item.left, uri=str(moved))))
    assert isinstance(same, ItemResult)
    assert (same.computed, same.version) == ((), 1)

    pixels = read_image(str(moved))
    pixels[0, 0] ^= 1
    moved.write_bytes(encode_image(pixels, "png"))
    changed = replace(item, left=replace(item.left, uri=str(moved), size_bytes=moved.stat().st_size))
    other = confirm_item(config, changed)
    assert isinstance(other, ItemResult)
    assert (other.computed, other.version) == (("ingest",), 2)
    assert Archive(config.archive).read_digest(item.id) == outcome.digest
    assert Archive(config.archive).read_digest(f"{item.id}@2") == other.digest != outcome.digest
