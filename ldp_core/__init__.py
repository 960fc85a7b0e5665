"""Dual-pixel imaging: catalogue, archive, optics, blur maps, deblurring, metrics, report.

    import ldp_core

    sharp = ldp_core.restore(left, right)
    blur_map = ldp_core.estimate(left, right)
    scores = ldp_core.score(sharp, target)
    archive = ldp_core.open_archive("s3://bucket/archive")
    ldp_core.show(left, blur_map, sharp)

What stands in ``__all__`` is loaded when it is first used: importing the package takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ldp_core.api import estimate, open_archive, restore, score
    from ldp_core.errors import LdpError
    from ldp_core.showing import show
    from ldp_core.types import BlurMap, BlurMapKind

__version__ = "0.1.0"

__all__ = [
    "BlurMap",
    "BlurMapKind",
    "LdpError",
    "estimate",
    "open_archive",
    "restore",
    "score",
    "show",
]

_MODULES = {"BlurMap": "types", "BlurMapKind": "types", "LdpError": "errors", "show": "showing"}
"""Modules of the names that are not in `ldp_core.api`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ldp_core' has no attribute '{name}'")
    value = getattr(import_module(f"ldp_core.{_MODULES.get(name, 'api')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
