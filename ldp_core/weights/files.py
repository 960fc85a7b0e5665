"""Weights from files to networks: safetensors only, and only with the digest that was asked for.

The header of a file carries the settings of its network. Weights that come with the package are pinned by
their sha256.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ldp_core.errors import ObjectMissingError, WeightsError, suggest
from ldp_core.storage import read_bytes

N = TypeVar("N", bound=nn.Module)

_KEY: Final = "ldp"


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors by name, the text values of the file's header, and the sha256 of the file."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    sha256: str


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A file in `shipped/`; its model card lies beside it as `<stem>.json`."""

    file: str
    sha256: str

    @property
    def url(self) -> str:
        return str(resources.files("ldp_core.weights") / "shipped" / self.file)


SHIPPED: Final[Mapping[str, ShippedModel]] = MappingProxyType(
    {
        "bdir": ShippedModel(
            "bdir.safetensors", "cf27e7677ab27e07508e043c3e5ef6076d4d673b0a30c5da9bb03a5ef3be4858"
        ),
        "dbd": ShippedModel(
            "dbd.safetensors", "306e4cd971107cd514f13ac1502efe074c565d18b784dacac3dc497685d182c1"
        ),
        "ldp": ShippedModel(
            "ldp.safetensors", "b5771b26e9a85e782480dca584566b73c2396200824cb382498935b8632c43c8"
        ),
        "ldp-tiny": ShippedModel(
            "ldp-tiny.safetensors", "73a07ac327d4418941a36664da253911a1f20216d8183cea5907b2fc85cc7584"
        ),
    }
)
"""Shipped models by name."""


def open_weights(source: str, *, sha256: str = "") -> Weights:
    """Weights by the name of a shipped model, or by an address and the digest of what lies there.

    Raises:
        WeightsError: no such model, absent, altered, or not safetensors.
    """
    if source in SHIPPED:
        return read_weights(SHIPPED[source].url, sha256=SHIPPED[source].sha256)
    if not _is_address(source):
        raise WeightsError(
            "no weights of this name come with the package",
            where=source,
            expected=", ".join(SHIPPED),
            remedy=suggest(source, SHIPPED)
            or "train them (ldp train), or give the address of a .safetensors file",
        )
    return read_weights(source, sha256=sha256)


def digest_of(source: str, *, sha256: str = "") -> str:
    """The digest that `open_weights` would insist on; nothing is read."""
    return SHIPPED[source].sha256 if source in SHIPPED else sha256.lower()


def read_weights(url: str, *, sha256: str) -> Weights:
    """Weights of a local or remote safetensors file, checked before they are decoded.

    Raises:
        WeightsError: the file is absent, is not the one asked for, or is not safetensors.
    """
    content = _read(url)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise WeightsError(
            "these weights are not the ones asked for",
            where=url,
            expected=f"sha256 {sha256 or '(none given)'}",
            got=f"sha256 {found}",
            remedy="fetch the file again, or give the digest of the file you trust",
        )
    return Weights(*_decode(content, url=url), sha256=found)


def pack_weights(tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file; equal tensors and metadata give equal bytes.

    The metadata go under one key, because safetensors writes several in no fixed order.
    """
    plain = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    return bytes(save(plain, metadata={_KEY: json.dumps(dict(metadata), sort_keys=True)}))


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
    network: N = _load_network(kind, weights, sha256, device)
    return network


@lru_cache(maxsize=4)
def _load_network(kind: NetworkKind[Any], weights: str, sha256: str, device: str) -> Any:
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


def _read(url: str) -> bytes:
    try:
        return read_bytes(url)
    except ObjectMissingError as error:
        raise WeightsError(
            "there are no weights at this address",
            where=url,
            remedy="correct the address, or leave it out to use the weights that come with the package",
        ) from error


def _decode(content: bytes, *, url: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        tensors = load(content)
        length = struct.unpack("<Q", content[:8])[0]
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        own = json.loads(metadata.get(_KEY, "{}"))
    except (SafetensorError, ValueError, struct.error) as error:
        raise WeightsError(
            "not a safetensors file",
            where=url,
            expected="safetensors",
            got=str(error)[:200],
            remedy="convert the weights to safetensors; pickled files are never opened",
        ) from error
    return tensors, own or metadata


def _is_address(source: str) -> bool:
    return "/" in source or source.endswith(".safetensors")
