"""The main job with source, archive and report on S3: what it leaves, its mistakes, its faults."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy
from s3_server import S3Server, find_port, serve_s3
from s3fs import S3FileSystem
from typer.testing import CliRunner

from flows.archives import collect_garbage, describe_archive, verify
from flows.cli import app
from flows.report import report_dataset
from flows.restore import restore_dataset
from ldp_core import storage
from ldp_core.archive import Archive
from ldp_core.errors import StorageError

PAIRS = 3
OPTIONS = ("--workers", 1, "--deblurrer", "wiener")
METHODS: dict[str, Any] = {"dataset": "sim", "deblurrer": "wiener", "processes": 1}


def upload(folder: Path, url: str) -> None:
    for path in storage.list_objects(str(folder)):
        storage.write_bytes(storage.join(url, path), (folder / path).read_bytes())


def read_objects(archive: str) -> dict[str, bytes]:
    """Objects of the items of an archive, less what says where their source lay."""
    paths = [path for path in storage.list_objects(archive) if not path.startswith("runs/")]
    kept = [path for path in paths if not re.fullmatch(r"frames/.*/zarr\.json", path)]
    return {path: storage.read_bytes(storage.join(archive, path)) for path in kept}


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prefect_server")
class TestRun:
    def test_a_run_on_s3_is_a_run_on_disk(self, s3: str, dataset: Path, tmp_path: Path) -> None:
        source, archive = f"{s3}/pairs", f"{s3}/deep/archive"
        upload(dataset, source)
        local = restore_dataset(str(dataset), "folders", str(tmp_path / "archive"), **METHODS)
        remote = restore_dataset(source, "folders", archive, **METHODS)

        assert remote["items"] == {"total": PAIRS, "computed": PAIRS, "skipped": 0, "quarantined": 0}
        assert remote["metrics"] == local["metrics"]
        assert read_objects(archive) == read_objects(str(tmp_path / "archive"))
        assert len(Archive(archive).list_items("frames")) == PAIRS
        self.check_report_made_again(archive, remote)
        self.check_second_run(source, archive, remote)
        self.check_verbs(archive)

    def check_verbs(self, archive: str) -> None:
        """Runs are listed, damage is found and repaired, nothing that runs refer to is garbage."""
        assert [run["state"] for run in describe_archive(archive)["runs"]] == ["finished", "finished"]
        assert verify(archive, processes=1)["whole"]
        [chunk, *_] = [path for path in storage.list_objects(archive) if re.match(r"restored/.*/c\.0", path)]
        before = storage.read_bytes(storage.join(archive, chunk))
        storage.write_bytes(storage.join(archive, chunk), before[:-9])
        repaired = verify(archive, repair=True, processes=1)
        assert [row["outcome"] for row in repaired["corrupt"]] == ["identical"]
        assert storage.read_bytes(storage.join(archive, chunk)) == before
        garbage = collect_garbage(archive, delete=False, grace_hours=0)
        assert garbage["size_bytes"] == 0

    def check_report_made_again(self, archive: str, summary: dict[str, Any]) -> None:
        page = storage.read_bytes(summary["report"])
        storage.delete(summary["report"])
        assert report_dataset(archive, summary["run_id"], processes=1) == summary["report"]
        assert storage.read_bytes(summary["report"]) == page

    def check_second_run(self, source: str, archive: str, first: dict[str, Any]) -> None:
        before = read_objects(archive)
        again = restore_dataset(source, "folders", archive, **METHODS)
        assert again["items"] == {"total": PAIRS, "computed": 0, "skipped": PAIRS, "quarantined": 0}
        assert again["metrics"] == first["metrics"]
        assert read_objects(archive) == before

    def test_a_run_through_faults_loses_nothing(
        self, s3: str, dataset: Path, tmp_path: Path, proxied_s3: FaultProxy
    ) -> None:
        upload(dataset, f"{s3}/pairs")
        local = restore_dataset(str(dataset), "folders", str(tmp_path / "archive"), **METHODS)
        proxied_s3.faults = [
            Fault("503", "GET|PUT|HEAD", every=7),
            Fault("reset", "GET|PUT", every=11),
            Fault("cut", "GET", "frames|left|right", every=5),
        ]
        remote = restore_dataset(f"{s3}/pairs", "folders", f"{s3}/archive", **METHODS)
        assert {kind for kind, _, _ in proxied_s3.spoilt} == {"503", "reset", "cut"}
        proxied_s3.faults = []

        assert remote["items"] == {"total": PAIRS, "computed": PAIRS, "skipped": 0, "quarantined": 0}
        assert remote["metrics"] == local["metrics"]
        assert read_objects(f"{s3}/archive") == read_objects(str(tmp_path / "archive"))

    def test_an_archive_that_workers_cannot_see_is_refused(self, dataset: Path) -> None:
        with pytest.raises(StorageError, match="do not see this place"):
            restore_dataset(str(dataset), "folders", "memory://archive", **METHODS)


@pytest.mark.usefixtures("prefect_server")
def test_the_report_opens_from_a_public_bucket(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything the page names lies beside it, and is sent as what it is."""
    with serve_s3(tmp_path / "buckets", public=True) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        bucket = server.make_bucket()
        summary = restore_dataset(str(dataset), "folders", f"s3://{bucket}/archive", **METHODS)
        page_path = "/" + summary["report"].removeprefix("s3://")
        kind, page = fetch(server, page_path)
        assert kind == "text/html"
        named = {"icon.svg", *list_pictures(page.decode())}
        assert len(named) > 5 * PAIRS
        kinds = {"jpg": "image/jpeg", "png": "image/png", "svg": "image/svg+xml"}
        for address in named:
            kind, content = fetch(server, f"{page_path.rpartition('/')[0]}/{address}")
            assert kind == kinds[address.rpartition(".")[2]]
            assert content
    S3FileSystem.clear_instance_cache()


def list_pictures(page: str) -> list[str]:
    """Addresses, relative to the page, of all pictures that its script shows."""
    [content] = re.findall(
        r'<script type="application/json" id="viewer-items">(.*?)</script>', page, re.DOTALL
    )
    items = json.loads(content)["items"]
    return [item["at"].removeprefix("./") + name for item in items for name in item["files"] + item["thumbs"]]


def fetch(server: S3Server, path: str) -> tuple[str, bytes]:
    """Type and content of an object as a browser gets it, without credentials."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, path
        return response.headers["Content-Type"].partition(";")[0], response.read()
    finally:
        connection.close()


NOWHERE = f"http://127.0.0.1:{find_port()}"
MISTAKES: dict[str, tuple[dict[str, str], str, str]] = {
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "{s3}", "the store refused access"),
    "no such bucket": ({}, "s3://no-such-bucket", "there is no such bucket"),
    "nobody listens": ({"AWS_ENDPOINT_URL": NOWHERE}, "{s3}", "the store does not answer"),
}


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", ["plan", "restore"])
def test_mistakes_are_explained_not_traced(
    s3: str, dataset: Path, monkeypatch: pytest.MonkeyPatch, mistake: str, command: str
) -> None:
    """An archive that cannot be used: exit code 1, and what, where, got and a way out."""
    variables, bucket, message = MISTAKES[mistake]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    archive = f"{bucket.format(s3=s3)}/archive"
    code, _, err = run(command, dataset, "--archive", archive, *OPTIONS)
    assert code == 1
    assert err.startswith(f"ldp: [storage] {message}\n  where: {archive}")
    assert "  got: " in err
    assert "  do: " in err
    assert "Traceback" not in err


def test_a_source_in_no_bucket_is_refused_the_same_way(s3: str, tmp_path: Path) -> None:
    code, _, err = run("plan", "s3://no-such-bucket/pairs", "--archive", tmp_path, *OPTIONS)
    assert code == 1
    assert err.startswith("ldp: [storage] there is no such bucket")


def test_plan_reads_headers_and_listings_only(s3: str, dataset: Path, proxied_s3: FaultProxy) -> None:
    upload(dataset, f"{s3}/pairs")
    proxied_s3.forget()
    _, out, _ = run("plan", f"{s3}/pairs", "--archive", f"{s3}/archive", "--json", *OPTIONS)
    assert json.loads(out)["pairs"] == PAIRS
    listings = sum("list-type" in path for _, path in proxied_s3.requests)
    assert listings <= 1 + 4 * 2
    assert len(proxied_s3.requests) - listings <= 3 * PAIRS + 4


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr
