"""Objects by URL: whole or absent, errors of our own, the same on disk and in memory."""

from __future__ import annotations

import errno
import importlib.util
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

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


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("listing", [storage.list_sizes, storage.list_entries, storage.list_folder])
@pytest.mark.parametrize("place", ["x", "x/deep"])
def test_a_folder_that_cannot_be_listed_is_no_empty_one(
    code: int, listing: Any, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a listing that fails, as the superuser may list every folder."""
    if listing is storage.list_folder and place != "x":
        pytest.skip("it lists one folder only")
    (tmp_path / "x" / "deep").mkdir(parents=True)
    (tmp_path / "x" / "1").write_bytes(b"..")
    scan = os.scandir

    def fail(path: Any) -> Any:
        if Path(path).samefile(tmp_path / place):
            raise OSError(code, os.strerror(code), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(StorageError, match=place) as caught:
        listing(str(tmp_path / "x"))
    assert not isinstance(caught.value, ObjectMissingError)


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    for name in ("elsewhere/deep/1", "x/own/2", "x/file"):
        storage.write_bytes(str(tmp_path / name), b"..")
    links: dict[str, str | Path] = {
        "linked": tmp_path / "elsewhere",
        "own/up": "..",
        "self": ".",
        "gone": "nowhere",
        "round": "round",
    }
    for name, target in links.items():
        (tmp_path / "x" / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "x")
    (tmp_path / "x" / "same").symlink_to("file")
    expected = {"file": 2, "gone": 0, "linked/deep/1": 2, "own/2": 2, "round": 0, "same": 2}
    assert storage.list_sizes(str(tmp_path / "x")) == expected
    entries = storage.list_entries(str(tmp_path / "x"))
    assert {name: entry.size_bytes for name, entry in entries.items()} == expected
    (tmp_path / "link").symlink_to("x")
    assert storage.list_sizes(str(tmp_path / "link")) == expected
    assert storage.list_folder(str(tmp_path / "x")).folders == ("linked", "own", "self")


@pytest.mark.parametrize("count", [2, 10])
def test_folders_with_links_to_each_other_are_listed_once_per_way_or_refused(
    count: int, tmp_path: Path
) -> None:
    """Ten of them lead to each other in ten million ways."""
    for here in range(count):
        storage.write_bytes(str(tmp_path / f"{here}" / "a"), b"..")
        for other in {*range(count)} - {here}:
            (tmp_path / f"{here}" / f"to{other}").symlink_to(f"../{other}")
    if count == 2:
        assert list(storage.list_sizes(str(tmp_path))) == ["0/a", "0/to1/a", "1/a", "1/to0/a"]
        return
    begin = perf_counter()
    with pytest.raises(StorageError, match="again and again"):
        storage.list_sizes(str(tmp_path))
    assert perf_counter() - begin < 20


def test_one_folder_may_be_linked_from_many(tmp_path: Path) -> None:
    for number in range(8):
        storage.write_bytes(str(tmp_path / "white" / f"{number}" / "a"), b"..")
    for number in range(300):
        (tmp_path / f"scene{number}").mkdir()
        (tmp_path / f"scene{number}" / "white").symlink_to("../white")
    assert len(storage.list_sizes(str(tmp_path))) == 8 * 301


def test_links_that_lead_nowhere_say_so(tmp_path: Path) -> None:
    storage.write_bytes(str(tmp_path / "file"), b"..")
    for name, target in {"gone": "nowhere", "round": "round", "through": "file/below"}.items():
        (tmp_path / name).symlink_to(target)
        entry = storage.list_entries(str(tmp_path))[name]
        assert (entry.size_bytes, entry.size_known) == (0, False)
        for verb in (storage.read_bytes, storage.size_of):
            with pytest.raises(ObjectMissingError) as caught:
                verb(str(tmp_path / name))
            assert caught.value.got == f"a symbolic link to '{target}', where nothing is"
    assert storage.list_entries(str(tmp_path))["file"].size_known


class FaultyServer(SimpleHTTPRequestHandler):
    """Serves a folder, and fails where it is told to: with a status, or by closing the connection."""

    fault: tuple[str, int] = ("", 0)

    def do_GET(self) -> None:
        if not self._fails():
            super().do_GET()

    def do_HEAD(self) -> None:
        if not self._fails():
            super().do_HEAD()

    def _fails(self) -> bool:
        place, status = self.fault
        fails = bool(place) and place in self.path
        if fails and status:
            self.send_error(status)
        elif fails:
            self.close_connection = True
        return fails

    def log_message(self, *arguments: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(FaultyServer, "fault", ("", 0))
    for name in ("top", "x/1", "x/deep/2"):
        storage.write_bytes(str(tmp_path / name), b"..")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(FaultyServer, directory=str(tmp_path))) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_folders_of_an_http_server_are_listed(served: str) -> None:
    assert list(storage.list_sizes(served)) == ["top", "x/1", "x/deep/2"]
    assert not any(entry.size_known for entry in storage.list_entries(served).values())
    assert list(storage.list_sizes(f"{served}/nowhere")) == []


@pytest.mark.parametrize("status", [401, 403, 404, 500, 0])
def test_a_folder_of_an_http_server_that_cannot_be_listed_is_an_error(
    served: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaultyServer, "fault", ("/x/deep", status))
    with pytest.raises(StorageError) as caught:
        storage.list_sizes(served)
    assert not isinstance(caught.value, ObjectMissingError)


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (401, "refused access"),
        (403, "refused access"),
        (500, "store"),
        (503, "store"),
        (0, "does not answer"),
    ],
)
def test_a_fault_of_an_http_server_is_no_absence(
    served: str, status: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec reports whatever happens when it asks for a size as a file that is not there."""
    monkeypatch.setattr(FaultyServer, "fault", ("/x/1", status))
    for ask in (storage.entry_of, storage.size_of):
        with pytest.raises(StorageError, match=what) as caught:
            ask(f"{served}/x/1")
        assert not isinstance(caught.value, ObjectMissingError)


@pytest.mark.parametrize("status", [404, 410])
def test_what_an_http_server_has_not_is_absent(
    served: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaultyServer, "fault", ("/x/1", status))
    with pytest.raises(ObjectMissingError):
        storage.entry_of(f"{served}/x/1")


def test_a_listing_that_breaks_off_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a network file system whose server goes away between two entries."""
    storage.write_bytes(str(tmp_path / "1"), b"..")
    scan = os.scandir

    @contextmanager
    def break_off(path: Any) -> Iterator[Any]:
        def entries(found: Any) -> Iterator[Any]:
            yield next(found)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

        with scan(path) as found:
            yield entries(found)

    monkeypatch.setattr(os, "scandir", break_off)
    for listing in (storage.list_sizes, storage.list_entries):
        with pytest.raises(StorageError):
            listing(str(tmp_path))


def test_a_file_holds_no_objects(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"..")
    for url in (tmp_path / "file", tmp_path / "file" / "below"):
        assert storage.list_sizes(str(url)) == {}
        assert storage.list_entries(str(url)) == {}


@pytest.fixture
def without_ranges(tmp_path: Path) -> Iterator[str]:
    """The address of an HTTP server that sends whole objects whatever range is asked."""
    pytest.importorskip("aiohttp")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_ranges_from_a_server_that_ignores_them(without_ranges: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    url = storage.join(without_ranges, "a.bin")
    assert storage.read_bytes(url) == b"0123456789"
    assert storage.read_bytes(url, start=2, end=5) == b"234"
    assert storage.read_bytes(url, start=0, end=10) == b"0123456789"


@pytest.mark.parametrize(("start", "end"), [(None, None), (0, 4), (3, 100), (2, None), (10, 12), (4, 4)])
def test_ranges_of_a_file_are_those_of_other_stores(
    tmp_path: Path, start: int | None, end: int | None
) -> None:
    content = b"0123456789"
    url, other = str(tmp_path / "a"), "memory://ranges/a"
    for place in (url, other):
        storage.write_bytes(place, content)
    assert storage.read_bytes(url, start=start, end=end) == content[slice(start, end)]
    assert storage.read_bytes(other, start=start, end=end) == content[slice(start, end)]


class TestKindsOfAddresses:
    @pytest.mark.parametrize(("url", "package"), [("gs://b/x", "gcsfs"), ("sftp://h/x", "paramiko")])
    def test_one_whose_package_is_not_installed_names_it(self, url: str, package: str) -> None:
        if importlib.util.find_spec(package):
            pytest.skip(f"{package} is installed")
        with pytest.raises(StorageError, match="need a package that is not installed") as caught:
            storage.exists(url)
        assert package in caught.value.got

    def test_one_that_is_not_known_is_told_with_what_was_meant(self) -> None:
        with pytest.raises(StorageError, match="this kind of address is not known") as caught:
            storage.read_bytes("sfpt://h/x")
        assert (caught.value.got, caught.value.remedy) == ("sfpt://", "did you mean 'sftp'?")
        assert storage.list_sizes("memory://nothing/here") == {}
