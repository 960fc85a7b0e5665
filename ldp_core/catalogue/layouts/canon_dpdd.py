"""Canon scenes of DPDD (Abuolaim and Brown, ECCV 2020): ``ID_{l,r,gt,c,dpdnet}.png``.

``c`` is the camera's own combined picture and ``dpdnet`` is DPDNet's restoration; both are peers. The
latter carries a text overlay in rows 0-43, so scores are taken from row 44 on.
"""

from __future__ import annotations

from ldp_core.catalogue.drafts import LEFT, RIGHT, TARGET, Drafts
from ldp_core.catalogue.pairing import pair_files, suffix_rule
from ldp_core.types import Region

_ROLES = {"l": LEFT, "r": RIGHT, "gt": TARGET, "c": "combined", "dpdnet": "dpdnet"}
_OVERLAY_ROWS = 44


def read_canon_dpdd(source: str) -> Drafts:
    """Pair the files of a folder."""
    region = Region(top=_OVERLAY_ROWS)
    return pair_files(source, suffix_rule(_ROLES), score_region=region)
