"""Nothing that a run leaves or shows holds a password or a signature, at any level of logging."""

from __future__ import annotations

import base64
import csv
import json
import logging
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, get_current_settings
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.credentials import KEYRING, VARIABLE
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

PASSWORD, SIGNATURE = "Canary-Pa55word", "Canary-5ignature"
CANARIES = (
    PASSWORD,
    SIGNATURE,
    base64.b64encode(f"reader:{PASSWORD}".encode()).decode(),
)
VIEWS = ("left", "right")


class _Guarded(SimpleHTTPRequestHandler):
    """Gives files to who knows the password; below ``/signed/`` to who has the signature. Some break."""

    def send_head(self) -> Any:
        name, _, query = self.path.partition("?")
        said = base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
        allowed = (
            SIGNATURE in query if "/signed/" in name else self.headers["Authorization"] == f"Basic {said}"
        )
        if not allowed or "broken" in name:
            self.send_error(500 if allowed else 401)
            return None
        self.path = name
        return super().send_head()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def source(tmp_path: Path) -> Iterator[str]:
    """The address of a manifest: two items by password, one by signature, one that the server fails on."""
    folder = tmp_path / "served"
    rows = []
    for number in range(3):
        place = "signed" if number == 2 else "plain"
        (folder / place).mkdir(parents=True, exist_ok=True)
        pair = simulate_pair(number, SimulationSettings(height=96, width=128))
        for view in VIEWS:
            (folder / place / f"{view}{number}.png").write_bytes(encode_image(pair.views[view], format="png"))
        rows.append({view: f"{place}/{view}{number}.png" for view in VIEWS} | {"id": f"item {number}"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: _Guarded(*a, directory=str(folder)))
    host = f"127.0.0.1:{server.server_port}"
    signature = f"X-Amz-Date=20261129&X-Amz-Signature={SIGNATURE}"
    rows[2] |= {view: f"http://{host}/{rows[2][view]}?{signature}" for view in VIEWS}
    rows.append({view: f"plain/broken-{view}.png" for view in VIEWS} | {"id": "item 3"})
    with (folder / "set.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["left", "right", "id"])
        table.writeheader()
        table.writerows(rows)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://reader:{PASSWORD}@{host}/set.csv"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def keyring() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    yield
    forget()
    logging.setLogRecordFactory(factory)


def forget() -> None:
    KEYRING.users.clear()
    KEYRING.queries.clear()


def ldp(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--workers", "1", "--json"])


def find_canaries(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [f"{c} in {path}" for path in files for c in CANARIES if c.encode() in path.read_bytes()]


def test_nothing_of_a_run_holds_a_password_or_a_signature(
    source: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    prefect_server: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = tmp_path / "archive"
    restore = ("restore", source, "--layout", "manifest", "--archive", str(archive), "--max-bad", "0.5")
    restore += ("--deblurrer", "wiener", "--dataset", "set")
    with caplog.at_level(logging.DEBUG):
        for name in ("prefect", "distributed", "fsspec", "aiohttp", "asyncio"):
            caplog.set_level(logging.DEBUG, logger=name)
        done = ldp(*restore)
    assert done.exit_code == 3, done.output
    summary = json.loads(done.stdout)
    assert summary["items"]["computed"] == 3
    assert "@" not in summary["source"]
    shown = [done.stdout, done.stderr, caplog.text, *map(str, caplog.records)]
    assert "http://***@127.0.0.1" in caplog.text  # fsspec logs what it opens
    assert [c for c in CANARIES for text in shown if c in text] == []
    assert find_canaries(archive) == []
    database = PREFECT_API_DATABASE_CONNECTION_URL.value()
    kept = (
        Path(str(get_current_settings().home))
        if database is None
        else Path(str(database).partition("///")[2])
    )
    kept = kept if kept.is_dir() else kept.parent
    assert find_canaries_of_prefect(kept) == []

    # Another address of the same source, as with a signature that is made anew, is the same source.
    forget()
    again = json.loads(ldp(*restore).stdout)
    assert (again["items"]["computed"], again["items"]["skipped"]) == (0, 3)
    assert again["sources"]["changed"] == 0

    # Repair needs what the archive does not hold; the file that is named for it gives it.
    forget()
    chunk = next((archive / "frames/set/item-0").glob("c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    refused = ldp("verify", str(archive), "--repair")
    [row] = json.loads(refused.stdout)["corrupt"]
    assert (refused.exit_code, row["outcome"]) == (3, "not_repaired")
    assert VARIABLE in row["reason"]
    (tmp_path / "whole").write_text(source)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "whole"))
    [row] = json.loads(ldp("verify", str(archive), "--repair").stdout)["corrupt"]
    assert row["outcome"] == "identical"
    assert find_canaries(archive) == []


def find_canaries_of_prefect(folder: Path) -> list[str]:
    """The database of the server with what it has not yet written into it."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".db" in path.name]
    assert any(b"/set.csv" in path.read_bytes() for path in files)  # the parameters of the run are there
    return [f"{c} in {path}" for path in files for c in CANARIES if c.encode() in path.read_bytes()]


@pytest.mark.parametrize("command", ["plan", "catalogue", "restore"])
def test_refusals_name_the_address_without_it(command: str, tmp_path: Path) -> None:
    source = f"http://reader:{PASSWORD}@127.0.0.1:9/set.csv?sig={SIGNATURE}"
    done = CliRunner().invoke(app, [command, source, "--layout", "manifest"])
    assert done.exit_code == 1
    assert "http://127.0.0.1:9/set.csv" in done.stderr
    assert [c for c in CANARIES if c in done.output + done.stderr] == []
