"""Writers that are killed at any moment, and writers that meet: no half item, never wrong pixels."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from archive_samples import KEY, assert_same_fields, make_map, make_pair

from ldp_core.archive import Archive
from ldp_core.errors import ItemConflictError

KILLS = 20


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start in milliseconds: forks of a server that has imported this module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        ensure_running()
    return context


def write_until_killed(url: str, generation: int, started: Connection) -> None:
    archive = Archive(url)
    for n in count():
        item_id = f"set/{generation}-{n}"
        archive.write_pair(make_pair(item_id, seed=n), provenance={})
        archive.write_blur_map(KEY, item_id, make_map(seed=n))
        if n == 0:
            started.send("writing")


def kill_a_writer(processes: ForkServerContext, url: str, *, generation: int, after_s: float) -> None:
    receiver, sender = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_until_killed, args=(url, generation, sender))
    writer.start()
    sender.close()
    assert receiver.recv() == "writing"
    time.sleep(after_s)
    writer.kill()
    writer.join()
    receiver.close()
    assert writer.exitcode == -9
    writer.close()


def test_no_half_item_after_twenty_kills(processes: ForkServerContext, tmp_path: Path) -> None:
    archive, chance = Archive(str(tmp_path)), random.Random(20)
    for generation in range(KILLS):
        after_s = chance.uniform(0, 0.2)
        kill_a_writer(processes, archive.url, generation=generation, after_s=after_s)
    frames, blur = archive.list_items("frames"), archive.list_items("blur", KEY)
    assert len(frames) > KILLS
    assert blur <= frames
    for item_id in frames:
        seed = int(item_id.rpartition("-")[2])
        assert_same_fields(archive.read_pair(item_id), make_pair(item_id, seed=seed))
    for item_id in blur:
        seed = int(item_id.rpartition("-")[2])
        assert_same_fields(archive.read_blur_map(KEY, item_id), make_map(seed=seed))
    unfinished = frames - blur
    for item_id in unfinished:
        assert archive.write_blur_map(KEY, item_id, make_map())
    assert archive.list_items("blur", KEY) == frames


def write_once(url: str, gate: Any, written: Any) -> None:
    archive = Archive(url)
    for n in range(5):
        gate.wait(60)
        fresh = archive.write_pair(make_pair(f"set/{n}", seed=n), provenance={})
        archive.write_blur_map(KEY, f"set/{n}", make_map(seed=n))
        written.put(fresh)


def test_processes_that_write_the_same_items_do_no_harm(processes: ForkServerContext, tmp_path: Path) -> None:
    gate, written = processes.Barrier(3), processes.Queue()
    writers = [processes.Process(target=write_once, args=(str(tmp_path), gate, written)) for _ in range(3)]
    for writer in writers:
        writer.start()
    fresh = [written.get(timeout=60) for _ in range(15)]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
        writer.close()
    assert sum(fresh) >= 5
    for n in range(5):
        assert_same_fields(Archive(str(tmp_path)).read_pair(f"set/{n}"), make_pair(f"set/{n}", seed=n))
        assert_same_fields(Archive(str(tmp_path)).read_blur_map(KEY, f"set/{n}"), make_map(seed=n))


def test_writers_that_disagree_leave_one_item_whole(tmp_path: Path) -> None:
    """Of two contents one stays; a writer who sees that another came before is told."""
    archive, gate = Archive(str(tmp_path)), Barrier(2)
    refused = 0
    for n in range(15):
        rivals = [make_pair(f"set/{n}", seed=seed) for seed in (1, 2)]

        def write(pair: Any) -> bool:
            gate.wait()
            try:
                archive.write_pair(pair, provenance={})
            except ItemConflictError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            written = list(pool.map(write, rivals))
        refused += written.count(False)
        assert is_one_of(archive.read_pair(f"set/{n}"), rivals)
    assert refused


def nearly(blur_map: Any, writer: int) -> Any:
    """The map with another last bit for every writer, as other instruction sets leave it."""
    return replace(
        blur_map,
        values=np.nextafter(blur_map.values, np.float32(writer * 1e9), dtype=np.float32),
        confidence=np.nextafter(blur_map.confidence, np.float32(-writer), dtype=np.float32),
    )


def test_writers_of_other_last_bits_leave_one_item_whole(tmp_path: Path) -> None:
    archive, writers = Archive(str(tmp_path)), 4
    gate = Barrier(writers)
    for n in range(25):
        maps = [nearly(make_map(seed=n), writer) for writer in range(1, writers + 1)]

        def write(blur_map: Any, item: str = f"set/{n}") -> None:
            gate.wait()
            archive.write_blur_map(KEY, item, blur_map)

        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(write, maps))
        found = archive.read_blur_map(KEY, f"set/{n}")
        assert any(
            np.array_equal(found.values, one.values) and np.array_equal(found.confidence, one.confidence)
            for one in maps
        )


def is_one_of(pair: Any, rivals: list[Any]) -> bool:
    return any(
        np.array_equal(pair.left, rival.left) and np.array_equal(pair.right, rival.right) for rival in rivals
    )
