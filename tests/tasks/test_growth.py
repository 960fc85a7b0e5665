"""What grows with the items and runs of an archive grows no faster than they do: operations are counted."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, begin_run, complete_run, make_dataset, start_run

from ldp_core import storage
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image, probe_image
from ldp_core.images.files import RangeReader
from tasks import collect, status
from tasks.pipeline import make_config
from tasks.plan import make_plan
from tasks.run import Run

RUNS = 12


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of many runs, all copies of one that has begun."""
    folder = tmp_path_factory.mktemp("growth")
    start_run(folder / "archive", make_dataset(folder / "dataset", 2), FIRST)
    for number in range(1, RUNS):
        run = folder / "archive" / "runs" / FIRST
        shutil.copytree(run, run.with_name(FIRST.replace("aaaaaa", f"{number:06x}")))
    return folder / "archive"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each object is read."""
    asked: Counter[str] = Counter()
    read_local = storage._read_local

    def count(path: str, start: int, end: int | None) -> bytes:
        asked[path] += 1
        return read_local(path, start, end)

    monkeypatch.setattr(storage, "_read_local", count)
    return asked


def test_a_catalogue_asks_once_for_every_picture(tmp_path: Path, read: Counter[str]) -> None:
    catalogue = read_catalogue(str(make_dataset(tmp_path / "set", 5)), layout="folders")
    pictures = [ref.uri for item in catalogue.items for ref in item.refs.values()]
    assert len(pictures) == 5 * 4
    assert read == dict.fromkeys(pictures, 1)


def test_a_header_longer_than_the_first_block_does_not_ask_for_that_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    plain = encode_image(np.zeros((40, 60, 3), np.uint8), format="jpeg")
    notes = b"\xff\xe1" + (20_000).to_bytes(2, "big") + bytes(19_998)
    picture = tmp_path / "noted.jpg"
    picture.write_bytes(plain[:2] + notes + plain[2:])
    asked: list[tuple[int, int | None]] = []
    read_bytes = storage.read_bytes

    def note(url: str, *, start: int = 0, end: int | None = None) -> bytes:
        asked.append((start, end))
        return read_bytes(url, start=start, end=end)

    monkeypatch.setattr(storage, "read_bytes", note)
    found = probe_image(str(picture))
    assert (found.width, found.height) == (60, 40)
    assert [start for start, _ in asked].count(0) == 1
    assert len(asked) == 2


def test_what_is_known_of_the_start_is_read_from_there(tmp_path: Path, read: Counter[str]) -> None:
    content = bytes(range(200))
    (tmp_path / "some").write_bytes(content)
    reader = RangeReader(str(tmp_path / "some"), 200, content[:64])
    assert reader.read(64) == content[:64]
    assert not read
    assert reader.read(100) == content[64:164]
    reader.seek(60)
    assert reader.read(4) == content[60:64]
    assert read.total() == 1


def test_collection_of_cycles_is_as_before_once_a_catalogue_is_read(tmp_path: Path) -> None:
    source = str(make_dataset(tmp_path / "set", 1))
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            read_catalogue(source, layout="folders")
            assert gc.isenabled() == enabled
        finally:
            gc.enable()


def test_the_status_of_many_runs_lists_them_once(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    list_runs = status.list_runs
    monkeypatch.setattr(status, "list_runs", lambda root: asked.append(root) or list_runs(root))
    assert len(status.describe_runs(str(archive))) == RUNS
    assert len(asked) == 1


def test_a_plan_does_not_list_what_the_archive_holds_of_other_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, archive, names = make_dataset(tmp_path / "dataset", 2), tmp_path / "archive", ("a", "b")
    configs = [make_config(str(archive), estimator=("disparity", {}), deblurrer=("wiener", {}))] * 2
    for config, name in zip(configs, names, strict=True):
        complete_run(begin_run(config, source, FIRST.replace("aaaaaa", name), dataset=name))
    seen: Counter[str] = Counter()
    walk = storage.walk_local

    def note(root: str) -> Any:
        for path, row in walk(root):
            seen[f"{root}/{path}"] += 1
            yield path, row

    monkeypatch.setattr(storage, "walk_local", note)
    plan = make_plan(configs[0], str(source), layout="folders", dataset="a")
    assert not plan.to_do
    archived = [path for path in seen if path.startswith(str(archive))]
    assert len(archived) >= 2 * 7
    assert all("/a/" in path for path in archived)
    assert set(seen.values()) == {1}


def test_of_many_runs_one_catalogue_at_a_time_is_held(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Run] = weakref.WeakSet()
    most = 0

    class Watched(Run):
        @property
        def listed_items(self) -> Any:
            nonlocal most
            alive.add(self)
            most = max(most, len(alive))
            return super().listed_items

    monkeypatch.setattr(collect, "Run", Watched)
    held = collect.read_references(str(archive))
    assert len(held.runs) == RUNS
    assert held.items.ids == {"set/0", "set/1"}
    assert most <= 2
