"""A Prefect server for one run: on loopback, behind a random password, gone when its run is gone.

It is a process in a session of its own, so that a signal to the run's group does not end it before the run
has told it of its end. It lives as long as the pipe from the run does, however the run ends. Its folder is
locked by the run for as long as that lives; folders of dead runs are removed at the next start.

Run as a program, this file is the server: it prints its port and serves until its input ends.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "ldp-server-"
_JUST_MADE_S: Final = 60
"""A folder of this age may not be locked yet."""
_STOP_S: Final = 5
_LOOPBACK: Final = "127.0.0.1"
_ENVIRONMENT: Final = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


@contextmanager
def private_server(*, on_death: Callable[[int], None]) -> Iterator[None]:
    """Serve flows of this process while the block runs; ``on_death`` hears from a thread if it ends before.

    Raises:
        EngineError: it did not start within PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS (120 here).
    """
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    with _locked_folder() as home, temporary_settings(_settings(home)):
        environment = get_current_settings().to_environment_variables(exclude_unset=True)
        server = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT | environment,
            cwd=home,
            start_new_session=True,
        )
        over = threading.Event()
        try:
            url = _await_start(server)
            threading.Thread(target=_watch, args=(server, over, on_death), daemon=True).start()
            with temporary_settings({PREFECT_API_URL: url}):
                yield
        finally:
            over.set()
            _stop(server)


def remove_leftovers(folder: Path) -> None:
    """Remove the folders of runs that are dead; those of live ones are locked."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > _JUST_MADE_S:
                with _lock(path):
                    shutil.rmtree(path, ignore_errors=True)


def _settings(home: Path) -> dict[object, object]:
    import prefect.settings as of

    auth = f"ldp:{secrets.token_urlsafe(32)}"
    patience = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
    return {
        of.PREFECT_HOME: home,
        of.PREFECT_SERVER_API_AUTH_STRING: auth,
        of.PREFECT_API_AUTH_STRING: auth,
        of.PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: int(os.environ.get(patience, 120)),
        of.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }


@contextmanager
def _locked_folder() -> Iterator[Path]:
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with _lock(home):
            yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold a folder; the system lets go of it when this process ends.

    Raises:
        OSError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _await_start(server: subprocess.Popen[bytes]) -> str:
    """The address of the API, once it answers."""
    from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS

    from ldp_core.errors import EngineError

    assert server.stdout is not None
    patience = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    end = time.monotonic() + patience
    port = server.stdout.readline().decode().strip()
    url = f"http://{_LOOPBACK}:{port}/api"
    while server.poll() is None and time.monotonic() < end:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            return url
        time.sleep(0.05)
    ended = "" if server.poll() is None else f"it ended with exit code {server.returncode}"
    raise EngineError(
        "Prefect's server did not start",
        expected=f"an answer within {patience:g} s",
        got=ended or "none",
        remedy="see what it says with PREFECT_SERVER_LOGGING_LEVEL=DEBUG, or name a server of your own in "
        "PREFECT_API_URL",
    )


def _watch(server: subprocess.Popen[bytes], over: threading.Event, on_death: Callable[[int], None]) -> None:
    code = server.wait()
    if not over.is_set():
        on_death(code)


def _stop(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.close()
    server.stdout.close()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _serve() -> None:
    """Be the server."""
    threading.Thread(target=_end_with_run, daemon=True).start()
    listener = socket.create_server((_LOOPBACK, 0))
    print(listener.getsockname()[1], flush=True)

    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])


def _end_with_run() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _serve()
