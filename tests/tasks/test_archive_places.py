"""An item goes through all stages in one process: the archive is the same on disk, in memory and on S3."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from fault_proxy import FaultProxy

from ldp_core import storage
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Item
from tasks.items import DrawnItem, ItemResult, draw_item, ingest_item, load_archived, restore_item
from tasks.pipeline import make_config


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> Item:
    folder = tmp_path_factory.mktemp("source")
    for view, pixels in simulate_pair(3, SimulationSettings(height=96, width=96)).views.items():
        (folder / view).mkdir()
        (folder / view / "a.png").write_bytes(encode_image(pixels, "png"))
    [found] = read_catalogue(str(folder), layout="folders", dataset="set").items
    return found


def complete(archive: str, item: Item) -> dict[str, bytes]:
    """Every object of an archive after all stages of an item and its pictures."""
    config = make_config(archive, estimator=("disparity", {}), deblurrer=("wiener", {}))
    assert isinstance(ingest_item(config, item), ItemResult)
    first = restore_item(config, item)
    assert isinstance(first, ItemResult)
    assert first.computed == ("blur", "deblur", "score")
    again = load_archived(config, item)
    assert isinstance(again, ItemResult)
    assert (again.computed, again.scores) == ((), first.scores)
    assert isinstance(draw_item(config, storage.join(archive, "runs/one/report"), item), DrawnItem)
    return {path: storage.read_bytes(storage.join(archive, path)) for path in storage.list_objects(archive)}


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory, item: Item) -> dict[str, bytes]:
    return complete(str(tmp_path_factory.mktemp("archive")), item)


def count(proxy: FaultProxy) -> Counter[str]:
    counted = Counter(method for method, _ in proxy.requests)
    proxy.forget()
    return counted


def test_requests_per_item(proxied_s3: FaultProxy, s3: str, item: Item) -> None:
    """The figures of infra/docs/object-storage.md."""
    for ref in (item.left, item.right, item.target):
        assert ref is not None
        storage.write_bytes(f"{s3}/pairs/{ref.uri.split('/')[-2]}/a.png", storage.read_bytes(ref.uri))
    proxied_s3.forget()
    [remote] = read_catalogue(f"{s3}/pairs", layout="folders", dataset="set").items
    assert count(proxied_s3) == {"GET": 1 + 3}
    config = make_config(f"{s3}/archive", estimator=("disparity", {}), deblurrer=("wiener", {}))
    assert isinstance(ingest_item(config, remote), ItemResult)
    assert count(proxied_s3) == {"GET": 3 + 1, "PUT": 2, "HEAD": 1}
    assert isinstance(restore_item(config, remote), ItemResult)
    assert count(proxied_s3) == {"GET": 2 + 3 + 1, "PUT": 7, "HEAD": 3}
    assert isinstance(load_archived(config, remote), ItemResult)
    assert count(proxied_s3) == {"GET": 2}


def test_in_memory_as_on_disk(item: Item, on_disk: dict[str, bytes]) -> None:
    assert complete(f"memory://{uuid.uuid4()}", item) == on_disk


def test_on_s3_as_on_disk(s3: str, item: Item, on_disk: dict[str, bytes]) -> None:
    assert complete(f"{s3}/archive", item) == on_disk
