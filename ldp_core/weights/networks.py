"""From a file of weights to a network that is ready to run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from ldp_core.errors import WeightsError
from ldp_core.weights.registry import open_weights

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class NetworkKind(Generic[N]):
    """A network by its name, and how it is built from the settings in the header of its weights."""

    name: str
    build: Callable[[Mapping[str, Any]], N]


def load_network(kind: NetworkKind[N], weights: str, *, sha256: str = "", device: str = "cpu") -> N:
    """The network of a weights file, in evaluation mode; kept for the life of the process.

    Args:
        weights: name of a shipped model, or the address of a .safetensors file with `sha256`.

    Raises:
        WeightsError: the weights are absent, altered, or of another network.
    """
    network: N = _load(kind, weights, sha256, device)
    return network


@lru_cache(maxsize=4)
def _load(kind: NetworkKind[Any], weights: str, sha256: str, device: str) -> Any:
    opened = open_weights(weights, sha256=sha256)
    try:
        network = kind.build(json.loads(opened.metadata["network"]))
        network.load_state_dict(
            {name: x.float() if x.is_floating_point() else x for name, x in opened.tensors.items()}
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"these weights are not of the network '{kind.name}'",
            where=weights,
            expected=f"tensors of {kind.name}, and its settings under 'network' in the header",
            got=str(error)[:200],
            remedy=f"give weights that `ldp train {kind.name}` wrote",
        ) from error
    return network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
