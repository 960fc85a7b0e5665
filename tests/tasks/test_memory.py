"""Memory declared before a run: it covers what is taken, and plans that do not fit are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ldp_core.catalogue import read_catalogue
from ldp_core.errors import MemoryShortError
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import ImageRef, Item
from tasks.capacity import usable_bytes
from tasks.cluster import Workers
from tasks.needs import declare_memory, require_memory
from tasks.stage import PipelineConfig

CONFIG = PipelineConfig("archive")
WATCH = """
import sys
import distributed
from ldp_core.catalogue import read_catalogue
from tasks.items import DrawnItem, ItemResult, draw_item, ingest_item, restore_item
from tasks.stage import PipelineConfig

source, archive = sys.argv[1:]
[item] = read_catalogue(source, layout="folders").items
config = PipelineConfig(archive)
assert isinstance(ingest_item(config, item), ItemResult)
assert isinstance(restore_item(config, item), ItemResult)
assert isinstance(draw_item(config, archive + "/report", item), DrawnItem)
[line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(line.split()[1]) * 1024)
"""


def make_item(name: str = "set/a", *, width: int = 1680, height: int = 1120, **changes: Any) -> Item:
    ref = ImageRef("a.png", height, width, 3, 8, 1000)
    return replace(Item(name, ref, ref), **changes)


def workers(memory_bytes: int, *, processes: int = 2, embedded: bool = True) -> Workers:
    client: Any = None
    return Workers(client, processes, embedded, memory_bytes)


def needed(*items: Item) -> int:
    return declare_memory(items, CONFIG)[0].bytes


def test_more_pixels_pictures_and_bits_need_more() -> None:
    sizes = [needed(make_item(width=width)) for width in (400, 800, 1600, 3200, 6400)]
    assert sizes == sorted(set(sizes))
    plain = make_item()
    assert needed(make_item(target=plain.left)) > needed(plain)
    assert needed(make_item(left=replace(plain.left, bit_depth=16))) > needed(plain)
    assert needed(make_item(aligned=False, width=6000, height=4000)) > needed(
        make_item(width=6000, height=4000)
    )


def test_the_largest_comes_first_and_counts_beside_the_others() -> None:
    small, large = make_item("set/small", width=200, height=200), make_item("set/large")
    first, second = declare_memory([small, large], CONFIG)
    assert (first.item_id, second.item_id) == ("set/large", "set/small")
    assert (first.width, first.height) == (1680, 1120)
    assert second.bytes > needed(small)


def test_no_items_need_nothing() -> None:
    assert declare_memory([], CONFIG) == ()
    require_memory((), workers(1))


def test_what_fits_or_has_no_limit_passes() -> None:
    needs = declare_memory([make_item()], CONFIG)
    require_memory(needs, workers(0))
    enough = next(gib * 2**30 for gib in range(1, 64) if usable_bytes(gib * 2**30) >= needs[0].bytes)
    require_memory(needs, workers(enough))


def test_what_does_not_fit_is_named_with_a_way_out() -> None:
    needs = declare_memory([make_item(f"set/{n}") for n in range(5)], CONFIG)
    half = int(0.7 * needs[0].bytes)
    with pytest.raises(MemoryShortError, match="too large for the memory of a worker: 5 items") as caught:
        require_memory(needs, workers(half, processes=2))
    assert caught.value.where == "set/0 (1680x1120), set/1 (1680x1120), set/2 (1680x1120) ..."
    assert f"{needs[0].bytes / 1e9:.1f} GB" in caught.value.got
    assert f"{half / 1e9:.1f} GB of a worker" in caught.value.expected
    assert "--workers 1" in caught.value.remedy

    with pytest.raises(MemoryShortError) as alone:
        require_memory(needs, workers(half, processes=1))
    assert "a machine with more memory" in alone.value.remedy
    with pytest.raises(MemoryShortError) as theirs:
        require_memory(needs, workers(half, processes=8, embedded=False))
    assert "--memory-limit" in theirs.value.remedy


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_what_is_taken_stays_below_what_is_declared(tmp_path: Path) -> None:
    """All stages of a pair of about a megapixel, in a process that imports what a worker imports."""
    pair = simulate_pair(1, SimulationSettings(width=1200, height=800))
    for view, pixels in pair.views.items():
        (tmp_path / view).mkdir()
        (tmp_path / view / "a.png").write_bytes(encode_image(pixels, format="png"))
    [item] = read_catalogue(str(tmp_path), layout="folders").items
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(tmp_path), str(tmp_path / "archive")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    declared = needed(item)
    assert declared / 3 < int(done.stdout) < declared
