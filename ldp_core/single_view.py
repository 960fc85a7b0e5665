"""One view of an item: what methods work from that need no second one."""

from __future__ import annotations

import numpy as np

from ldp_core.types import Pair, Pixels


def input_image(pair: Pair) -> Pixels:
    """``(L + R) / 2``, rounded half to even, (h, w, c) at the pair's depth; a single view as it is."""
    if pair.right is None:
        return pair.left
    total = pair.left.astype(np.uint32) + pair.right
    half = (total + (total >> 1 & 1)) >> 1
    return half.astype(np.uint8) if pair.bit_depth == 8 else half.astype(np.uint16)
