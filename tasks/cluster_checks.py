"""What is asked of a Dask cluster before work goes there: TLS, workers of this version, a resource."""

from __future__ import annotations

import ipaddress
from time import monotonic, sleep
from typing import Any, Final
from urllib.parse import urlsplit

from distributed import Client
from distributed.security import Security

from ldp_core import __version__
from ldp_core.errors import ClusterError

_ENCRYPTED: Final = frozenset({"tls", "wss"})


def check_address(address: str, *, insecure: bool = False, resource: str = "") -> None:
    """Refuse a scheduler on another host that is not reached by TLS, unless that is asked for.

    Raises:
        ClusterError: it is such a scheduler, TLS is asked for and not set up here, or a resource without a
            scheduler: workers on this machine have none.
    """
    scheme, _, rest = address.rpartition("://")
    if not address:
        if resource:
            raise _lacking(resource, "workers on this machine")
    elif scheme in _ENCRYPTED:
        _require_certificates(address)
    elif not (insecure or scheme == "inproc" or _is_loopback(rest)):
        raise ClusterError(
            "the Dask scheduler is reached without TLS",
            where=address,
            expected="tls://HOST:PORT, or an address of this machine's loopback",
            got=f"{scheme or 'tcp'}://, over which anybody on the network can run code as its user",
            remedy="set up TLS as the page on deploying shows; or, where the network itself is closed, give "
            "--insecure-cluster (insecure_cluster of a flow)",
        )


def _require_certificates(address: str) -> None:
    got = "no such settings"
    try:
        if Security().get_connection_args("client").get("ssl_context") is not None:
            return
    except OSError as error:
        got = f"{type(error).__name__}: {error}"
    raise ClusterError(
        "TLS is not set up here",
        where=address,
        expected="distributed.comm.tls.ca-file, client.cert and client.key in Dask's configuration",
        got=got,
        remedy="write them to ~/.config/dask/, as the page on deploying shows",
    )


def _is_loopback(host_and_port: str) -> bool:
    host = urlsplit(f"//{host_and_port}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def installed_version() -> str:
    """The version of this package where it is called, such as on a worker."""
    return __version__


def count_workers(client: Client, address: str, timeout_s: float) -> int:
    """How many workers a scheduler has, once it has any; all run this version.

    Raises:
        ClusterError: there is none in time, or one runs other code.
    """
    try:
        client.wait_for_workers(1, timeout=timeout_s)
        versions = client.run(installed_version)
    except TimeoutError as error:
        raise ClusterError(
            "the Dask scheduler has no workers", where=address, remedy="start workers and try again"
        ) from error
    except Exception as error:
        raise ClusterError(
            "the workers cannot import this package",
            where=address,
            got=f"{type(error).__name__}: {error}",
            remedy=f"install dual-pixel-ldp {__version__} where the workers run",
        ) from error
    if set(versions.values()) != {__version__}:
        raise ClusterError(
            "the workers run another version",
            where=address,
            expected=__version__,
            got=", ".join(sorted(set(versions.values()))),
            remedy="install the same version everywhere, so that stage keys agree",
        )
    return len(versions)


def await_resource(client: Client, address: str, timeout_s: float, resource: str) -> None:
    """Wait for the first worker that has a resource, where one is asked for.

    Raises:
        ClusterError: there is none in time.
    """
    end = monotonic() + timeout_s
    while not _workers_with(client, resource):
        if monotonic() > end:
            others = {name for worker in _workers_with(client, "") for name in worker["resources"]}
            raise _lacking(resource, address, got=", ".join(sorted(others)))
        sleep(0.2)


def _lacking(resource: str, where: str, *, got: str = "") -> ClusterError:
    return ClusterError(
        "no worker has the resource that is asked for",
        where=where,
        expected=resource,
        got=got or "workers without resources",
        remedy=f"name a --cluster with a worker started with `dask worker ... --resources {resource}=1`",
    )


def _workers_with(client: Client, resource: str) -> list[dict[str, Any]]:
    """What the scheduler says of workers that have a resource, or of all."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return [worker for worker in workers if not resource or worker["resources"].get(resource)]


def smallest_memory_bytes(client: Client, resource: str = "") -> int:
    """The memory limit of the smallest worker that has a resource, or of all; 0 where none has a limit."""
    limits = [worker["memory_limit"] for worker in _workers_with(client, resource)]
    return min(filter(None, limits), default=0)
