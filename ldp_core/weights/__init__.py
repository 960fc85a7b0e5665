"""Model weights: how they are opened, and what is known of each."""

from ldp_core.weights.files import (
    SHIPPED,
    NetworkKind,
    ShippedModel,
    Weights,
    digest_of,
    load_network,
    open_weights,
    pack_weights,
    read_weights,
)

__all__ = [
    "SHIPPED",
    "NetworkKind",
    "ShippedModel",
    "Weights",
    "digest_of",
    "load_network",
    "open_weights",
    "pack_weights",
    "read_weights",
]
