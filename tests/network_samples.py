"""Weights files of untrained networks and the settings that name them; small frames to train on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import nn

from ldp_core.deblur.ldp_network import NetworkSettings
from ldp_core.settings import Settings
from ldp_core.training.frames import FrameCache, FrameSettings
from ldp_core.training.ldp import LdpBatchSettings
from ldp_core.training.scenes import SceneSettings
from ldp_core.training.sources import Sources
from ldp_core.weights import pack_weights

TINY = NetworkSettings(width=8, encoder=(1, 1), middle=1, decoder=(1, 1), stem=2)
SCENES = SceneSettings(height=64, width=96, slices=6)
FRAMES = FrameSettings(scene=SCENES)
BATCHES = LdpBatchSettings(batch=2, crop_px=32)


def write_network(folder: Path, network: nn.Module, settings: Settings) -> dict[str, Any]:
    """Write a network's weights as `ldp train` does, and return what opens them."""
    header = {"network": json.dumps(settings.model_dump(mode="json"))}
    content = pack_weights(network.state_dict(), metadata=header)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{digest[:12]}.safetensors"
    path.write_bytes(content)
    return {"weights": str(path), "sha256": digest}


def render_frames(folder: Path, *, count: int, seed: int = 5) -> FrameCache:
    """A cache of so many procedural frames of 64 x 96 px."""
    cache = FrameCache.create(folder, capacity=count, seed=seed, settings=FRAMES, sources=Sources())
    assert list(cache.fill(Sources())) == [*range(count)]
    return cache
