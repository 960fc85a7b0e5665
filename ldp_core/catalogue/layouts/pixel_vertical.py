"""The example of Google's dual-pixel release (Garg et al., ICCV 2019): a portrait of a Pixel phone.

    NAME_{left,right}Pd_POSITION.png   grey views, their dual-pixel axis vertical
    NAME_merged_depth_POSITION.png  NAME_scaled_image_POSITION.jpg   half the size; not read

Measured: in the right view, content behind the focal plane lies to +y of the left view's.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ldp_core.catalogue.pairing import LEFT, RIGHT, SIDECAR, ItemSpecs, pair_files
from ldp_core.types import DpAxis

_FILE = re.compile(r"([^/]+)_(leftPd|rightPd|merged_depth|scaled_image)_([^/_]+)\.(?:png|jpg)")
_ROLES = {"leftPd": LEFT, "rightPd": RIGHT, "merged_depth": SIDECAR, "scaled_image": SIDECAR}


def read_pixel_vertical(source: str) -> ItemSpecs:
    """Pair the files of a folder."""
    found = pair_files(source, _classify)
    return replace(found, items=tuple(replace(spec, dp_axis=DpAxis.Y) for spec in found.items))


def _classify(path: str) -> tuple[str, str] | None:
    file = _FILE.fullmatch(path)
    return (f"{file[1]}-{file[3]}", _ROLES[file[2]]) if file else None
