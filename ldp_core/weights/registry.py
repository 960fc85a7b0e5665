"""Weights that come with the package, each pinned by its sha256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from ldp_core.errors import WeightsError
from ldp_core.weights.files import Weights, read_weights


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A file in `shipped/`; its model card lies beside it as `<stem>.json`."""

    file: str
    sha256: str

    @property
    def url(self) -> str:
        return str(resources.files("ldp_core.weights") / "shipped" / self.file)


SHIPPED: Mapping[str, ShippedModel] = MappingProxyType(
    {
        "bdir": ShippedModel(
            "bdir.safetensors", "cf27e7677ab27e07508e043c3e5ef6076d4d673b0a30c5da9bb03a5ef3be4858"
        ),
        "dbd": ShippedModel(
            "dbd.safetensors", "306e4cd971107cd514f13ac1502efe074c565d18b784dacac3dc497685d182c1"
        ),
        "ldp": ShippedModel(
            "ldp.safetensors", "c7be6b0a7e43f853412b21c79b767f665081282a8ab938a22f40375f410ab5d7"
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
            expected=", ".join(SHIPPED) or "an address, since none are shipped",
            remedy="train them (ldp train), or give the address of a .safetensors file",
        )
    return read_weights(source, sha256=sha256)


def digest_of(source: str, *, sha256: str = "") -> str:
    """The digest that `open_weights` would insist on; nothing is read."""
    return SHIPPED[source].sha256 if source in SHIPPED else sha256.lower()


def _is_address(source: str) -> bool:
    return "/" in source or source.endswith(".safetensors")
