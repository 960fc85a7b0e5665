"""Schedulers and workers of Dask as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Dask, which finds the modules that this process finds."""
    command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments, "--no-dashboard"]
    path = os.pathsep.join(filter(None, sys.path))
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, stdout=quiet, stderr=quiet
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def slowly(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    """What a function returns, after a pause."""
    time.sleep(seconds)
    return function(*arguments)
