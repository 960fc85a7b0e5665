"""Chunks of calls: none is lost, none is large, and a worker that dies of one item takes no other with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldp_core.types import ImageRef, Item
from tasks import batches
from tasks.items import ItemResult, confirm_item, load_archived, restore_item
from tasks.progress import listening
from tasks.stage import PipelineConfig
from tasks.work import Call, cost_of, item_of, make_batches, make_chunks

CONFIG = PipelineConfig("memory://archive")
LARGEST = 500_000


def make_item(number: int, side: int) -> Item:
    ref = ImageRef(f"memory://{number}.png", side, side, 3, 8, 100)
    return Item(f"set/{number:04}", ref, ref)


@given(
    st.lists(st.tuples(st.sampled_from([confirm_item, load_archived, restore_item]), st.integers(8, 2000))),
    st.integers(1, 40),
)
def test_chunks_hold_all_calls_in_order_and_only_one_may_be_large(
    made: list[tuple[Any, int]], most: int
) -> None:
    calls: list[Call] = [(work, CONFIG, make_item(n, side)) for n, (work, side) in enumerate(made)]
    chunks = list(make_chunks(calls, most=most))
    assert [call for chunk in chunks for call in chunk] == calls
    for chunk in chunks:
        assert 1 <= len(chunk) <= most
        assert sum(map(cost_of, chunk[:-1])) < LARGEST


def test_hundreds_of_finished_items_or_one_photograph_are_a_chunk() -> None:
    finished = [(load_archived, CONFIG, make_item(n, 64)) for n in range(1000)]
    tiny = [(restore_item, CONFIG, make_item(n, 64)) for n in range(1000)]
    photographs = [(restore_item, CONFIG, make_item(n, 700)) for n in range(10)]
    sizes = [len(next(make_chunks(calls, most=1000))) for calls in (finished, tiny, photographs)]
    assert sizes == [250, 12, 1]


@given(st.integers(0, 5000), st.integers(1, 65), st.sampled_from([64, 840, 5000]))
def test_batches_are_few_and_hold_all_items(count: int, at_once: int, side: int) -> None:
    items = [make_item(number, side) for number in range(count)]
    found = make_batches(items, at_once=at_once)
    assert [item for batch in found for item in batch] == items
    assert len(found) <= 100


def test_the_one_item_that_kills_workers_is_quarantined_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Call] = [(restore_item, CONFIG, make_item(n, 64)) for n in range(30)]
    deadly = item_of(calls[17]).id

    def stream(
        chunks: Iterable[tuple[Call, ...]], in_flight: int, resource: str
    ) -> Iterator[tuple[tuple[Call, ...], Any]]:
        for chunk in chunks:
            ids = [item_of(call).id for call in chunk]
            died = RuntimeError("the worker died")
            yield chunk, died if deadly in ids else [ItemResult(i, (), (), {}) for i in ids]

    progress: list[tuple[int, int]] = []
    listener = SimpleNamespace(advance=lambda stage, done, bad, skipped: progress.append((done, bad)))
    monkeypatch.setattr(batches, "_stream", stream)
    with listening(listener):
        found = batches._run("restore", calls, 3, len(calls))
    [record] = found.quarantine
    assert (record.item, record.kind, record.stage) == (deadly, "worker_lost", "restore")
    assert {one.item_id for one in found.results} == {item_of(call).id for call in calls} - {deadly}
    assert (sum(done for done, _ in progress), sum(bad for _, bad in progress)) == (30, 1)
