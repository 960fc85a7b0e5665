"""Methods by name: a registry says where a method lies, and it is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load_later(module: str, method: str, settings: str) -> Callable[[Mapping[str, Any]], Any]:
    """A factory of ``method``, made with ``settings`` parsed from plain values; both names of ``module``.

    ``settings`` names a class of ``ldp_core.settings.Settings``: the factory raises its SettingsError.
    """

    def make(values: Mapping[str, Any]) -> Any:
        found = import_module(module)
        return getattr(found, method)(getattr(found, settings).parse(values))

    return make
