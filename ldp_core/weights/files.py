"""Weights as they lie in a file: safetensors, whose header carries the settings of the network."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ldp_core.errors import ObjectMissingError, WeightsError
from ldp_core.storage import read_bytes

_KEY = "ldp"


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors by name, the text values of the file's header, and the sha256 of the file."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    sha256: str


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
