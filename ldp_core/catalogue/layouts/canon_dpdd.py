"""Canon scenes of DPDD (Abuolaim and Brown, ECCV 2020): ``ID_{l,r,gt,c,dpdnet}.png``.

``c`` is the camera's own combined picture and ``dpdnet`` is DPDNet's restoration; both are external. The
latter carries a text overlay in rows 0-43, so scores are taken from row 44 on.

Read as ``canon-dpdd-combined``, the camera's combined picture is a single view; items are named
``ID-combined``, so that both may lie in one archive.
"""

from __future__ import annotations

from dataclasses import replace

from ldp_core.catalogue.pairing import LEFT, RIGHT, SIDECAR, TARGET, ItemSpecs, pair_files, suffix_rule
from ldp_core.types import Region

_ROLES = {"l": LEFT, "r": RIGHT, "gt": TARGET, "c": "combined", "dpdnet": "dpdnet"}
_COMBINED_ROLES = {**_ROLES, "l": SIDECAR, "r": SIDECAR, "c": LEFT}
_OVERLAY_ROWS = 44


def read_canon_dpdd(source: str) -> ItemSpecs:
    """Pair the files of a folder."""
    region = Region(top=_OVERLAY_ROWS)
    return pair_files(source, suffix_rule(_ROLES), score_region=region)


def read_canon_dpdd_combined(source: str) -> ItemSpecs:
    """The combined pictures of a folder as single views, beside their truths."""
    region = Region(top=_OVERLAY_ROWS)
    found = pair_files(source, suffix_rule(_COMBINED_ROLES), score_region=region, views="one")
    return replace(found, items=tuple(replace(d, name=f"{d.name}-combined") for d in found.items))
