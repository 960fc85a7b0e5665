"""The flow run of a run, watched while it works: is it cancelled in Prefect, does the server still answer?

Prefect itself ends a run that one of its workers has started. One that a command started would go on though
it is cancelled, and would find out minutes later that the server has gone.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import UUID

from flows.exits import Cancelled, interrupt, patience_s, server_lost
from ldp_core.errors import LdpError, RunCancelledError
from ldp_core.settings import seconds_from_environment

_SILENCE_S: Final = 60.0
"""A server that is started again takes 10 to 30 s. Any answer counts, also that it is busy."""
_EVERY_S: Final = 5.0
_CANCELLED: Final = ("CANCELLING", "CANCELLED")
_BY_WORKER: Final = "PREFECT__FLOW_RUN_ID"
"""Set where a worker of Prefect has started the run."""


@contextmanager
def watching_flow_run() -> Iterator[None]:
    """End the block, within a flow, where its run is cancelled or the server is silent for too long.

    Raises:
        Cancelled: the flow run was cancelled.
        EngineError: the server has not answered for the seconds of LDP_PREFECT_TIMEOUT (60).
        SettingsError: that is no number of seconds.
    """
    from prefect.runtime import flow_run

    watch = _Watch(UUID(flow_run.id), seconds_from_environment("LDP_PREFECT_TIMEOUT", _SILENCE_S))
    context = contextvars.copy_context()  # which server, says the context
    threading.Thread(target=context.run, args=(watch.run,), name="flow-run-watch", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if watch.found is None:
            raise
        if isinstance(watch.found, RunCancelledError):
            raise Cancelled(watch.run_id) from None
        raise watch.found from None
    finally:
        watch.over.set()


def confirm_cancelled(run_id: UUID) -> None:
    """Say in Prefect that a run is cancelled; it calls one crashed that ends with an interruption."""
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled as CancelledState

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, CancelledState(message="what is archived is kept"), force=True)


class _Watch:
    """Asks a server for the state of a flow run. ``found`` has ended the run, if anything has."""

    def __init__(self, run_id: UUID, silence_s: float) -> None:
        self.run_id, self._silence_s = run_id, silence_s
        self.over = threading.Event()
        self.found: LdpError | None = None

    def run(self) -> None:
        from httpx import HTTPError, TransportError
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

        seen = time.monotonic()
        patient = {"timeout": self._silence_s}
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings=patient) as client,
        ):
            while not self.over.wait(min(_EVERY_S, self._silence_s / 4)):
                try:
                    state = client.read_flow_run(self.run_id).state
                    self._note_state(state.type.value if state else "")
                    seen = time.monotonic()
                except TransportError as error:
                    self._note_silence(time.monotonic() - seen, error)
                except HTTPError:  # an answer, such as that the server is busy
                    seen = time.monotonic()
                if self.found and not self.over.is_set():
                    interrupt(self.found)
                    self._confirm_late()
                    return

    def _note_state(self, state: str) -> None:
        if state in _CANCELLED and _BY_WORKER not in os.environ:
            again = "give the same command again to continue"
            self.found = RunCancelledError("the run was cancelled in Prefect", remedy=again)

    def _confirm_late(self) -> None:
        """Say in Prefect what was cancelled, where this process does not come to it: Prefect waits for the
        threads of its tasks first, and a process is ended when its patience ends."""
        if isinstance(self.found, RunCancelledError):
            time.sleep(patience_s() / 2)
            with suppress(Exception):  # the server may have ended with its run
                confirm_cancelled(self.run_id)

    def _note_silence(self, seconds: float, error: Exception) -> None:
        if seconds >= self._silence_s:
            self.found = server_lost(f"no answer for {seconds:.0f} s ({type(error).__name__})")
