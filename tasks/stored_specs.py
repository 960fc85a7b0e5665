"""Specifications of shipped methods, kept between commands, so that a plan need not import what computes.

To know its specification a method is made, which takes seconds of imports. Within `stored_specs` it is read
from a file instead, once it was made with the same installation: the file is named by path, size and time of
the last change of all files of the packages that make results. Outside of it nothing is kept or read.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import ldp_core
from ldp_core.types import StageSpec

_in_use: ContextVar[bool] = ContextVar("stored_specs", default=False)


@contextmanager
def stored_specs() -> Iterator[None]:
    """Take specifications from earlier commands, and keep those that are made, while the block runs."""
    token = _in_use.set(True)
    try:
        yield
    finally:
        _in_use.reset(token)


def spec_of(name: tuple[Any, ...], make: Callable[[], StageSpec]) -> StageSpec:
    """A specification by all that it depends on besides the installation.

    Settings with texts may name files, which change: these are always made.
    """
    if not _in_use.get() or _may_name_files(name):
        return make()
    key = json.dumps(name)
    kept = _read_kept()
    if key not in kept:
        kept[key] = asdict(make())
        _keep(kept)
    return StageSpec(**kept[key])


def cache_folder() -> Path:
    """Where files lie that can be made again: ``$XDG_CACHE_HOME/ldp``, else ``~/.cache/ldp``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ldp"


def _may_name_files(name: tuple[Any, ...]) -> bool:
    """Whether the settings of a method hold texts."""
    settings = json.loads(name[2]) if name[0] != "score" else {}
    return any(not isinstance(value, bool | int | float | None) for value in settings.values())


def _read_kept() -> dict[str, Any]:
    try:
        kept = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep(specs: dict[str, Any]) -> None:
    """Replace the file; where that cannot be, the next command makes them again."""
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=_file().parent, delete=False) as partial:
            json.dump(specs, partial)
        Path(partial.name).replace(_file())


@cache
def _file() -> Path:
    """Named by the installation."""
    folders = (Path(ldp_core.__file__).parent, Path(__file__).parent)
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    facts = [(str(file), stat.st_size, stat.st_mtime_ns) for file in files if (stat := file.stat())]
    facts = [fact for fact in facts if "__pycache__" not in fact[0]]
    return cache_folder() / f"specs-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]}.json"
