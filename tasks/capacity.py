"""What a worker is and may take of its machine; known without importing Dask's workers."""

from __future__ import annotations

import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

THREADS_PER_WORKER = 3
"""One computes; the others read and write meanwhile."""
_PAUSE = 0.8
"""Dask's default of the share of its memory at which a worker takes no more work."""


def embedded_memory_bytes(processes: int | None = None) -> int:
    """Memory limit of each worker of an embedded cluster: a share of the machine's memory."""
    return int(_machine_bytes() // (processes or cores()))


def usable_bytes(memory_bytes: int) -> int:
    """What a worker may hold of its memory limit: beyond it Dask gives it no more work."""
    share = _read_pause()
    return int(memory_bytes * share) if share else memory_bytes


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read_pause() -> float | None:
    """Dask's setting; where nothing sets any, its default: importing Dask takes a quarter of a second."""
    folders = (Path("/etc/dask"), Path(sys.prefix, "etc/dask"), Path.home() / ".config/dask")
    named = any(name.startswith("DASK_") for name in os.environ)
    if not (named or "dask" in sys.modules or any(folder.exists() for folder in folders)):
        return _PAUSE
    import dask.config

    share: float | None = dask.config.get("distributed.worker.memory.pause", _PAUSE)
    return share


def _machine_bytes() -> int:
    """`distributed.system.memory_limit`: that one module, for the whole package takes a second to import."""
    package = find_spec("distributed")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("distributed")
    found: int = runpy.run_path(str(Path(package.origin).with_name("system.py")))["MEMORY_LIMIT"]
    return found
