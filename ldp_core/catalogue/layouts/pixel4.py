"""Pixel 4 scenes (Xin et al., ICCV 2021): ``NNN_{l,r,gt,defocus}.png``.

The measured defocus map is unsigned, at an unknown scale, 0 where unknown. The all-in-focus truth is
displaced by a few pixels in places, so these items are not aligned.
"""

from __future__ import annotations

from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, RIGHT, TARGET, ItemSpecs, pair_files, suffix_rule

_ROLES = {"l": LEFT, "r": RIGHT, "gt": TARGET, "defocus": BLUR_TRUTH}


def read_pixel4(source: str) -> ItemSpecs:
    """Pair the files of a folder; ``index.json`` may lie beside them."""
    return pair_files(source, suffix_rule(_ROLES), sidecars=("index.json",), aligned=False)
