"""Items of a single view, and small networks of random weights for the methods that serve them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ldp_core.blur.dd_network import DdNetwork, DdSettings, EncoderName
from ldp_core.deblur.bdir_network import BdirNetwork, BdirSettings
from ldp_core.settings import Settings
from ldp_core.weights import pack_weights

_BDIR = BdirSettings(width=4)
_DBD = DdSettings(encoder=EncoderName.LITE, taps=(8,) * 5, hidden=(8,) * 5, last=8, fields=0)


def write_bdir(folder: Path) -> dict[str, Any]:
    """Settings of a `bdir` whose random weights lie in a folder."""
    return _write(folder / "bdir.safetensors", BdirNetwork, _BDIR)


def write_dbd(folder: Path) -> dict[str, Any]:
    """Settings of a `depth-distilled` whose random weights lie in a folder."""
    return _write(folder / "dbd.safetensors", DdNetwork, _DBD)


def _write(path: Path, network: type[nn.Module], settings: Settings) -> dict[str, Any]:
    torch.manual_seed(0)
    tensors = network(settings).state_dict()  # type: ignore[call-arg]
    content = pack_weights(tensors, metadata={"network": settings.model_dump_json()})
    path.write_bytes(content)
    return {"weights": str(path), "sha256": hashlib.sha256(content).hexdigest()}
