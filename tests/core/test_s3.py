"""Objects on a real S3 server: the same verbs as on disk, few requests, typed errors, bounded patience."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest
from fault_proxy import Fault, FaultProxy, Kind
from s3_server import S3Server, find_port, serve_s3
from s3fs import S3FileSystem

from ldp_core import storage
from ldp_core.errors import ObjectMissingError, StorageError
from ldp_core.s3 import ATTEMPTS, list_s3, list_s3_folder

VERBS: dict[str, Callable[[str], object]] = {
    "read": storage.read_bytes,
    "read a range": lambda url: storage.read_bytes(url, start=0, end=4),
    "write": lambda url: storage.write_bytes(url, b"1"),
    "list": storage.list_sizes,
    "size": storage.size_of,
}


def asked(proxy: FaultProxy, verb: Callable[[], object]) -> list[str]:
    """The methods of the requests that a verb makes."""
    proxy.forget()
    with suppress(ObjectMissingError):
        verb()
    return [method for method, _ in proxy.requests]


def refusals(url: str) -> list[StorageError]:
    """What every verb raises."""
    errors = []
    for name, verb in VERBS.items():
        with pytest.raises(StorageError) as caught:
            verb(url)
        assert caught.value.where == url, name
        errors.append(caught.value)
    return errors


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, proxied_s3: FaultProxy) -> FaultProxy:
    """The proxy, for a client whose user set a shorter silence."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 4}})
    return proxied_s3


@pytest.mark.parametrize("name", ["plain.bin", "with space/ü.png", "empty/"])
@pytest.mark.parametrize("content", [b"", b"0123456789"])
def test_what_is_written_is_read(s3: str, name: str, content: bytes) -> None:
    url = storage.join(s3, name.rstrip("/"))
    storage.write_bytes(url, b"something before")
    storage.write_bytes(url, content)
    assert storage.read_bytes(url) == content
    assert storage.size_of(url) == len(content)
    assert list(storage.list_sizes(s3).items()) == [(name.rstrip("/"), len(content))]
    storage.delete(url)
    assert not storage.exists(url)


def test_an_object_beyond_the_size_of_one_request_arrives_whole(s3: str, proxied_s3: FaultProxy) -> None:
    content = bytes(range(256)) * (110 * 2**12)
    url = storage.join(s3, "large.bin")
    storage.write_bytes(url, content)
    assert storage.read_bytes(url) == content
    assert sum(method == "PUT" for method, _ in proxied_s3.requests) > 1


def test_every_verb_makes_one_request(s3: str, proxied_s3: FaultProxy) -> None:
    url, missing = storage.join(s3, "a/one.png"), storage.join(s3, "a/none.png")
    assert asked(proxied_s3, lambda: storage.write_bytes(url, b"0123")) == ["PUT"]
    assert asked(proxied_s3, lambda: storage.read_bytes(url)) == ["GET"]
    assert asked(proxied_s3, lambda: storage.read_bytes(url, start=1, end=3)) == ["GET"]
    assert asked(proxied_s3, lambda: storage.read_bytes(missing)) == ["GET"]
    assert asked(proxied_s3, lambda: storage.size_of(url)) == ["HEAD"]
    assert asked(proxied_s3, lambda: storage.list_sizes(storage.join(s3, "a"))) == ["GET"]


def test_only_what_deletes_needs_the_right_to_delete(s3: str, proxied_s3: FaultProxy) -> None:
    """The table of rights: HEAD and GET need GetObject, a listing ListBucket, PUT PutObject."""
    url = storage.join(s3, "a/one.png")
    for verb in (*VERBS.values(), storage.exists, storage.list_entries, storage.list_folder):
        assert {*asked(proxied_s3, lambda verb=verb: verb(url))} <= {"GET", "HEAD", "PUT"}
    assert asked(proxied_s3, lambda: storage.delete(url)) == ["HEAD", "DELETE"]


def test_what_others_wrote_is_seen_at_once(s3: str, s3_server: S3Server) -> None:
    storage.write_bytes(storage.join(s3, "a/1"), b"1")
    assert list(storage.list_objects(storage.join(s3, "a"))) == ["1"]
    assert not storage.exists(storage.join(s3, "a/2"))
    s3_server.open().pipe_file(f"{s3}/a/2", b"22")
    assert storage.exists(storage.join(s3, "a/2"))
    assert storage.list_sizes(storage.join(s3, "a")) == {"1": 1, "2": 2}


def test_a_page_is_stored_as_one(s3: str, proxied_s3: FaultProxy) -> None:
    for name, kind in {"index.html": "text/html", "a.svg": "image/svg+xml", "a.png": "image/png"}.items():
        storage.write_bytes(storage.join(s3, name), b"<svg/>")
        head = fsspec.filesystem("s3").call_s3("head_object", Bucket=s3.removeprefix("s3://"), Key=name)
        assert head["ContentType"].partition(";")[0] == kind


def test_a_missing_bucket_is_no_missing_object(s3: str) -> None:
    for error in refusals("s3://no-such-bucket/a"):
        assert type(error) is StorageError
        assert error.what == "there is no such bucket"
        assert "AWS_ENDPOINT_URL" in error.remedy


@pytest.mark.parametrize("variable", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_said_to_be_wrong(
    s3: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "wrong")
    S3FileSystem.clear_instance_cache()
    for error in refusals(f"{s3}/a"):
        assert error.what == "the store refused access"
        assert "AWS_ACCESS_KEY_ID" in error.remedy


def test_credentials_that_are_renewed_while_a_run_works_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes the new ones alone, as when a session token has expired."""
    file, port = tmp_path / "credentials", find_port()

    def read_with(secret: str) -> bytes:
        file.write_text(f"[default]\naws_access_key_id = camera\naws_secret_access_key = {secret}\n")
        with serve_s3(tmp_path / "buckets", port=port, secret=secret):
            return storage.read_bytes("s3://one/a")

    (tmp_path / "buckets/one").mkdir(parents=True)
    (tmp_path / "buckets/one/a").write_bytes(b"1")
    for name, value in S3Server(port).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert [read_with(secret) for secret in ("first", "renewed", "renewed again")] == [b"1"] * 3


def test_absent_credentials_are_said_to_be_absent(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    S3FileSystem.clear_instance_cache()
    assert {error.what for error in refusals(f"{s3}/a")} == {"no credentials were found"}


def test_an_endpoint_where_nobody_listens_is_named(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{find_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    S3FileSystem.clear_instance_cache()
    for error in refusals(f"{s3}/a"):
        assert error.what == "the store does not answer"
        assert "AWS_ENDPOINT_URL" in error.remedy


@pytest.mark.parametrize(
    ("kind", "method"),
    [(kind, method) for kind in ("503", "reset") for method in ("GET", "PUT")] + [("cut", "GET")],
)
def test_a_passing_fault_is_outlived(s3: str, proxied_s3: FaultProxy, kind: Kind, method: str) -> None:
    check_outlived(storage.join(s3, "a.bin"), proxied_s3, Fault(kind, method, "a.bin", times=2))


def test_a_download_that_breaks_off_is_started_again(s3: str, proxied_s3: FaultProxy) -> None:
    check_outlived(storage.join(s3, "a.bin"), proxied_s3, Fault("cut", "GET", "a.bin", times=2))


def test_a_silent_server_is_asked_again(s3: str, impatient: FaultProxy) -> None:
    check_outlived(storage.join(s3, "a.bin"), impatient, Fault("stall", "GET", "a.bin"))


def check_outlived(url: str, proxy: FaultProxy, fault: Fault) -> None:
    content = b"0123456789" * 100
    proxy.faults = [fault]
    storage.write_bytes(url, content)
    assert storage.read_bytes(url) == content
    assert [kind for kind, _, _ in proxy.spoilt] == [fault.kind] * fault.times


def test_a_page_of_a_listing_that_fails_is_asked_for_again(s3: str, proxied_s3: FaultProxy) -> None:
    for n in range(3):
        storage.write_bytes(storage.join(s3, f"a/{n}"), b"1")
    proxied_s3.faults = [Fault("503", path="list-type", times=2)]
    assert list(storage.list_objects(s3)) == ["a/0", "a/1", "a/2"]
    assert len(proxied_s3.spoilt) == 2


@pytest.fixture(scope="module")
def long_folder(s3_server: S3Server) -> str:
    """The address of a bucket with more objects than one page of a listing, one in a folder of its own."""
    bucket, client = s3_server.make_bucket(), s3_server.open()
    client.pipe({f"{bucket}/a/{n:04}": b"1" for n in range(1003)} | {f"{bucket}/a/z/last": b"1"})
    return f"s3://{bucket}"


LISTINGS = [storage.list_sizes, storage.list_entries, storage.list_folder]


def test_a_listing_of_more_than_one_page_is_whole(long_folder: str, s3: str, proxied_s3: FaultProxy) -> None:
    assert len(storage.list_sizes(long_folder)) == 1004
    found = storage.list_folder(f"{long_folder}/a")
    assert (len(found.objects), found.folders) == (1003, ("z",))
    assert len(proxied_s3.requests) == 4


@pytest.mark.parametrize(
    ("kind", "listing"),
    [(kind, storage.list_sizes) for kind in ("403", "500", "reset", "cut", "no list", "same mark")]
    + [("403", storage.list_folder), ("no mark", storage.list_folder), ("no mark", storage.list_entries)],
)
def test_a_page_in_the_middle_that_fails_is_an_error(
    long_folder: str, s3: str, proxied_s3: FaultProxy, kind: Kind, listing: Callable[[str], object]
) -> None:
    """Never a shorter list: its items would lose views, or be taken for gone."""
    proxied_s3.faults = [Fault(kind, path="continuation-token", times=1000)]
    with pytest.raises(StorageError) as caught:
        listing(f"{long_folder}/a")
    assert not isinstance(caught.value, ObjectMissingError)
    assert proxied_s3.spoilt


@pytest.mark.parametrize("listing", LISTINGS)
def test_an_answer_that_is_no_listing_is_no_empty_one(
    s3: str, proxied_s3: FaultProxy, listing: Callable[[str], object]
) -> None:
    proxied_s3.faults = [Fault("no list", path="list-type", times=1000)]
    with pytest.raises(StorageError, match="page of a listing is missing"):
        listing(f"{s3}/a")


def test_marks_of_folders_are_no_objects(s3: str, s3_server: S3Server) -> None:
    """Consoles make objects named `left/` of no bytes."""
    rows = [{"Key": key, "Size": size} for key, size in (("a/", 0), ("a/left/", 0), ("a/left/1", 1))]
    page = {"IsTruncated": False, "Contents": rows}

    class Client:
        req_kw: dict[str, str] = {}  # noqa: RUF012
        split_path = staticmethod(lambda path: (*path.split("/", 1), None))
        call_s3 = staticmethod(lambda *_, **__: page)

    assert list(list_s3(Client(), "bucket/a")) == ["bucket/a/left/1"]
    assert list(list_s3_folder(Client(), "bucket/a")[1]) == ["1"]


@pytest.mark.parametrize("kind", ["503", "reset", "cut"])
def test_a_fault_that_stays_ends_after_few_requests(s3: str, proxied_s3: FaultProxy, kind: Kind) -> None:
    url = storage.join(s3, "a.bin")
    storage.write_bytes(url, b"0123456789")
    proxied_s3.forget()
    proxied_s3.faults = [Fault(kind, times=1000)]
    with pytest.raises(StorageError, match="busy or failing" if kind == "503" else "does not answer"):
        storage.read_bytes(url)
    # aiohttp repeats a GET by itself where a connection kept from before is dropped
    assert ATTEMPTS <= len(proxied_s3.requests) <= 2 * ATTEMPTS


def test_a_server_that_stays_silent_is_given_up(
    s3: str, impatient: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    impatient.faults = [Fault("stall", times=1000)]
    with pytest.raises(StorageError, match="does not answer"):
        storage.list_sizes(s3)
    assert len(impatient.requests) == 1
