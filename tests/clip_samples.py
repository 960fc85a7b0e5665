"""Small CLIP weights that have learnt nothing, and pairs to show them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldp_core.blur.clip_model import build_network
from ldp_core.types import Pair
from ldp_core.weights import pack_weights

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 64, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16}
CONFIG = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True}


def write_clip(
    folder: Path, *, config: Mapping[str, Any] = CONFIG, card: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Settings that name a weights file of random numbers with this card; {} writes none."""
    network = build_network(config, where="test", seed=1)
    values = {"model_cfg": config} if card is None else dict(card)
    content = pack_weights(
        network.state_dict(), metadata={"clip": json.dumps(values)} if values else {"note": "none"}
    )
    path = folder / f"{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    path.write_bytes(content)
    return {"weights": str(path), "sha256": hashlib.sha256(content).hexdigest()}


def draw_pair(height: int, width: int, *, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> Pair:
    """Views of smooth random colours; the right one lags behind the left one."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 3 + 4, width // 3 + 6, channels))
    fine = coarse.repeat(3, 0).repeat(3, 1)[: height + 2]
    left, right = (_quantise(fine[:height, shift : shift + width], dtype) for shift in (0, 2))
    return Pair("test/pair", left, right)


def _quantise(view: NDArray[np.float64], dtype: Any) -> Any:
    return np.ascontiguousarray(np.rint(view * np.iinfo(dtype).max).astype(dtype))
