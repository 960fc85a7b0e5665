"""Restoration: a dual-pixel pair and its blur map in, one all-in-focus picture out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from ldp_core.errors import SettingsError
from ldp_core.methods import load_later
from ldp_core.turning import TurningDeblurrer
from ldp_core.types import BlurMap, Pair, Pixels, StageSpec

__all__ = ["DEBLURRERS", "ONE_VIEW", "Deblurrer", "make_deblurrer"]


ONE_VIEW: Final = frozenset({"bdir"})
"""Restoration methods that look at one picture, and so serve items whose second view is missing."""


class Deblurrer(Protocol):
    """Restores pairs; `spec` holds all that its results depend on besides the pair and the map."""

    @property
    def spec(self) -> StageSpec: ...

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The all-in-focus picture, (h, w, c) of the pair's dtype, gamma-encoded like its views.

        Raises:
            BlurMapError: the map is missing, of another size, or of a kind this method cannot use.
        """
        ...


def make_deblurrer(name: str, settings: Mapping[str, Any] | None = None) -> Deblurrer:
    """A restoration method by name, with its settings as plain values.

    Raises:
        SettingsError: there is no such method, or it has no such setting.
    """
    if name not in DEBLURRERS:
        raise SettingsError(
            "there is no such deblurrer",
            where="deblurrer",
            expected=", ".join(DEBLURRERS),
            got=name,
            remedy="choose one of the names",
        )
    return TurningDeblurrer(DEBLURRERS[name](settings or {}), needs_both_views=name not in ONE_VIEW)


DEBLURRERS: Mapping[str, Callable[[Mapping[str, Any]], Deblurrer]] = MappingProxyType(
    {
        "bdir": load_later("ldp_core.deblur.bdir", "BdirDeblurrer", "BdirDeblurSettings"),
        "wiener": load_later("ldp_core.deblur.wiener", "WienerDeblurrer", "WienerSettings"),
        "ldp": load_later("ldp_core.deblur.ldp", "LdpDeblurrer", "LdpSettings"),
        "gated": load_later("ldp_core.deblur.gated", "GatedDeblurrer", "GatedSettings"),
    }
)
"""Restoration methods by name; each makes a deblurrer from plain settings and imports late."""
