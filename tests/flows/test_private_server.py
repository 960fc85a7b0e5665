"""The Prefect server of one run: only for that run, and gone with it however it ends."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL
from prefect_service import wait_until

from flows import private_server as module
from flows.private_server import private_server, remove_leftovers

OLD = module._JUST_MADE_S + 10
COORDINATOR = """
import sys, time
from flows.private_server import private_server
with private_server(on_death=print):
    print("ready", flush=True)
    time.sleep(600)
"""


def servers_of(parent: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(parent).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [child] if module.__file__ in child.cmdline() else []
    return found


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[queue.Queue[int]]:
    deaths: queue.Queue[int] = queue.Queue()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))
        with private_server(on_death=deaths.put):
            yield deaths


def test_nobody_without_the_password_is_answered(serving: queue.Queue[int]) -> None:
    url, auth = PREFECT_API_URL.value(), PREFECT_API_AUTH_STRING.value()
    assert url
    assert len(auth) > 30
    ask = f"{url}/flows/filter"
    name, _, password = auth.partition(":")
    for given, status in ((None, 401), ((name, password[:-1]), 401), ((name, password), 200)):
        assert httpx.post(ask, json={}, auth=given).status_code == status


def test_it_listens_on_loopback_only(serving: queue.Queue[int]) -> None:
    [server] = servers_of(os.getpid())
    listening = [c.laddr.ip for c in server.net_connections("all") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_its_password_is_not_in_its_command_line(serving: queue.Queue[int]) -> None:
    [server] = servers_of(os.getpid())
    assert PREFECT_API_AUTH_STRING.value() not in " ".join(server.cmdline())


def test_its_folder_is_readable_by_its_user_alone_and_is_not_taken_for_a_leftover(
    serving: queue.Queue[int],
) -> None:
    [server] = servers_of(os.getpid())
    home = Path(server.cwd())
    assert home.stat().st_mode & 0o077 == 0
    make_old(home)
    remove_leftovers(home.parent)
    assert home.exists()


def test_its_death_is_told(serving: queue.Queue[int]) -> None:
    """The last test of this server."""
    [server] = servers_of(os.getpid())
    server.kill()
    assert serving.get(timeout=30) == -signal.SIGKILL


def test_a_run_that_is_killed_takes_its_server_with_it_and_the_next_one_clears_up(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", COORDINATOR], env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        [server] = servers_of(run.pid)
        run.kill()
        run.wait()
    wait_until(lambda: not server.is_running(), "the server is gone")
    [left] = tmp_path.glob("ldp-server-*")
    remove_leftovers(tmp_path)
    assert left.exists()  # it may have just been made, by a run that has not locked it yet
    make_old(left)
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_what_others_own_or_made_is_left_alone(tmp_path: Path) -> None:
    """A link is not followed, and no other name is touched."""
    target, other = tmp_path / "target", tmp_path / "ldp-serving"
    for folder in (target, other):
        folder.mkdir()
        (folder / "kept").touch()
        make_old(folder)
    link = tmp_path / "ldp-server-link"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    remove_leftovers(tmp_path)
    assert (target / "kept").exists()
    assert (other / "kept").exists()


def make_old(folder: Path) -> None:
    moment = folder.stat().st_mtime - OLD
    os.utime(folder, (moment, moment))
