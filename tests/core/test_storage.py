"""Objects by URL: whole or absent, errors of our own, the same on disk and in memory."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from ldp_core import storage
from ldp_core.errors import ObjectMissingError, SettingsError, StorageError


@pytest.fixture(params=["disk", "file-url", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    names = {"disk": str(tmp_path), "file-url": f"file://{tmp_path}", "memory": f"memory://{uuid.uuid4()}"}
    return names[request.param]


def test_what_is_written_is_read(root: str) -> None:
    url = storage.join(root, "a", "b c.bin")
    storage.write_bytes(url, b"first")
    storage.write_bytes(url, b"0123456789")
    assert storage.read_bytes(url) == b"0123456789"
    assert storage.read_bytes(url, start=2, end=5) == b"234"
    assert storage.size_of(url) == 10
    assert storage.exists(url)


def test_a_listing_names_all_objects_below_a_folder_and_no_others(root: str) -> None:
    for name in ("x/1", "x/deep/2", "xy/3"):
        storage.write_bytes(storage.join(root, name), b"..")
    assert list(storage.list_objects(storage.join(root, "x"))) == ["1", "deep/2"]
    assert list(storage.list_objects(storage.join(root, "nothing"))) == []


def test_missing_objects_are_named(root: str) -> None:
    url = storage.join(root, "nothing")
    with pytest.raises(ObjectMissingError) as caught:
        storage.read_bytes(url)
    assert caught.value.where == url
    with pytest.raises(ObjectMissingError):
        storage.size_of(url)


def test_deleting_twice_is_no_error(root: str) -> None:
    url = storage.join(root, "a")
    storage.write_bytes(url, b"1")
    storage.delete(url)
    storage.delete(url)
    assert not storage.exists(url)


def test_a_write_that_fails_leaves_nothing_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "a")
    storage.write_bytes(url, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError, match="cannot be used"):
        storage.write_bytes(url, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert storage.read_bytes(url) == b"old"


def test_an_unknown_protocol_is_a_storage_error() -> None:
    with pytest.raises(StorageError):
        storage.read_bytes("carrier-pigeon://coop/1")


def test_an_empty_address_is_not_the_current_folder() -> None:
    with pytest.raises(SettingsError, match="address is empty"):
        storage.absolute_url("")
