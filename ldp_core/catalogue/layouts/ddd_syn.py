"""Synthetic NYU pairs of DDDNet (Pan et al., CVPR 2021), as their published simulator writes them.

    [SET/]dp/NNNN_{l,r}.png  [SET/]gt/NNNN_m.png  [SET/]disp/NNNN_{dm,dl}.pfm

SET is ``training``, ``testing`` or ``testing1``; the source may also be one of these folders. Scale and sign
of the disparities are not published (the simulator's core is compiled), so they are not read, and
neither the sign between the views nor its agreement with real sensors has been verified.
"""

from __future__ import annotations

import re

from ldp_core.catalogue.pairing import LEFT, RIGHT, SIDECAR, TARGET, ItemSpecs, pair_files

_FILE = re.compile(r"((?:[^/]+/)?)(dp/[^/]+_[lr]\.png|gt/[^/]+_m\.png|disp/[^/]+_d[ml]\.pfm)")
_ROLES = {"l": LEFT, "r": RIGHT, "m": TARGET, "dm": SIDECAR, "dl": SIDECAR}


def read_ddd_syn(source: str) -> ItemSpecs:
    """Pair the files below the folders."""
    return pair_files(source, _classify)


def _classify(path: str) -> tuple[str, str] | None:
    file = _FILE.fullmatch(path)
    if file is None:
        return None
    number, _, suffix = file[2].split("/")[1].rpartition(".")[0].rpartition("_")
    return file[1] + number, _ROLES[suffix]
