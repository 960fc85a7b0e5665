"""The two towers as open_clip builds them, with the numbers of a file or with random ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ldp_core.blur.torchvision_shim import make_torchvision_importable
from ldp_core.errors import WeightsError

WAYS_OUT = (
    "with a network, set weights to an open_clip tag such as ViT-B-16-quickgelu/openai, which open_clip "
    "fetches; without one, set weights to the address of a .safetensors file of an open_clip CLIP, "
    "sha256 to its digest, and architecture where the file names none"
)
_EXTRAS = ("input_resolution", "context_length", "vocab_size")
"""What OpenAI's own files hold besides."""


def open_clip() -> Any:
    """The open_clip package, imported at first use."""
    make_torchvision_importable()
    import open_clip as package

    return package


def build_network(model_cfg: Mapping[str, Any], *, where: str, seed: int = 0) -> nn.Module:
    """An open_clip CLIP with random weights, the same for the same seed; evaluation mode, CPU.

    Raises:
        WeightsError: open_clip cannot build it.
    """
    clip = open_clip().CLIP
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = freeze(clip(**model_cfg))
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError) as error:
        raise WeightsError(
            "open_clip cannot build this network",
            where=where,
            expected="a configuration of open_clip.CLIP: embed_dim, vision_cfg, text_cfg",
            got=f"{type(error).__name__}: {error}"[:300],
            remedy="give weights of a CLIP with two transformer towers",
        ) from error
    return network


def freeze(network: nn.Module) -> nn.Module:
    """Evaluation mode, no gradients; raises TypeError for towers that do not look at patches."""
    if not hasattr(network.visual, "positional_embedding"):
        raise TypeError("the image tower is not a vision transformer")
    return network.eval().requires_grad_(requires_grad=False)


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Fill a network with the tensors of a file.

    Raises:
        WeightsError: they are of another network.
    """
    try:
        network.load_state_dict({k: v.float() for k, v in tensors.items() if k not in _EXTRAS})
    except RuntimeError as error:
        raise WeightsError(
            "these weights are not of this CLIP",
            where=where,
            expected="the state of an open_clip CLIP of the named architecture",
            got=str(error)[:300],
            remedy=WAYS_OUT,
        ) from error
