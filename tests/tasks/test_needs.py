"""What is known of workers without Dask agrees with Dask; the time of a run follows from what is to do."""

from __future__ import annotations

import os
from dataclasses import replace

import dask
import pytest
from distributed.system import MEMORY_LIMIT

from ldp_core.methods import MethodDef
from ldp_core.types import Catalogue, ImageRef, Item
from tasks import capacity, needs
from tasks.capacity import cores, embedded_memory_bytes, usable_bytes
from tasks.needs import crowding, estimate_seconds
from tasks.pipeline import make_config, pipelines_for
from tasks.plan import Completed, Plan


def test_memory_is_what_dask_would_give() -> None:
    assert embedded_memory_bytes(1) == MEMORY_LIMIT
    assert embedded_memory_bytes() == MEMORY_LIMIT // cores()
    assert dask.config.get("distributed.worker.memory.pause") == capacity._PAUSE
    assert usable_bytes(1000) == 800
    with dask.config.set({"distributed.worker.memory.pause": 0.5}):
        assert usable_bytes(1000) == 500
    with dask.config.set({"distributed.worker.memory.pause": False}):
        assert usable_bytes(1000) == 1000


def make_plan(count: int, *, side: int = 500, deblurrer: str = "wiener") -> Plan:
    ref = ImageRef("memory://a.png", side, side, 3, 8, 100)
    items = tuple(Item(f"set/{number}", ref, ref) for number in range(count))
    config = make_config("memory://archive", estimator=("disparity", {}), deblurrer=(deblurrer, {}))
    catalogue = Catalogue("set", "folders", "memory://", items, ())
    return Plan(catalogue, config, pipelines_for(config, items), Completed(frozenset(), {}))


class TestTime:
    @pytest.fixture(autouse=True)
    def _reference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(needs, "time_machine", lambda: needs._REFERENCE_S)
        monkeypatch.setattr(needs, "crowding", lambda processes: 1.0)

    def test_it_grows_with_items_and_pixels_and_falls_with_workers(self) -> None:
        start = needs._START_S
        once, twice = (estimate_seconds(make_plan(n), processes=1) - start for n in (10, 20))
        assert twice == pytest.approx(2 * once)
        assert estimate_seconds(make_plan(10), processes=2) - start == pytest.approx(once / 2)
        assert estimate_seconds(make_plan(10, side=1000), processes=1) - start > 2 * once
        assert estimate_seconds(make_plan(10, deblurrer="ldp"), processes=1) - start > once

    def test_nothing_to_do_takes_no_time(self) -> None:
        assert estimate_seconds(make_plan(0), processes=1) == 0

    def test_a_slow_machine_takes_longer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = estimate_seconds(make_plan(10), processes=1)
        monkeypatch.setattr(needs, "time_machine", lambda: 3 * needs._REFERENCE_S)
        assert estimate_seconds(make_plan(10), processes=1) == pytest.approx(3 * before)

    def test_a_machine_that_others_use_takes_longer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(needs, "cores", lambda: 4)
        monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.0, 9.0))
        assert [crowding(processes) for processes in (1, 4, 8)] == [1, 1, 2]
        monkeypatch.setattr(os, "getloadavg", lambda: (8.0, 0.0, 0.0))
        assert [crowding(processes) for processes in (1, 4)] == [2.25, 3]
        monkeypatch.setattr(needs, "time_machine", lambda: needs._REFERENCE_S)
        assert estimate_seconds(make_plan(0), processes=1) == 0
        once = estimate_seconds(make_plan(10), processes=4)
        monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
        assert estimate_seconds(make_plan(10), processes=4) == pytest.approx(once / 3)

    def test_a_method_that_declares_nothing_is_timed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from ldp_core.deblur import DEBLURRERS

        known = DEBLURRERS["wiener"]
        assert isinstance(known, MethodDef)
        shipped = {**DEBLURRERS.shipped, "wiener": replace(known, seconds=None)}
        declared = estimate_seconds(make_plan(10, side=64), processes=1)
        monkeypatch.setattr("tasks.stages.DEBLURRERS", replace(DEBLURRERS, shipped=shipped))
        timed = estimate_seconds(make_plan(10, side=64), processes=1)
        assert timed > 0
        assert timed != declared
