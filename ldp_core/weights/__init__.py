"""The one door to model weights: safetensors only, and only with the digest that was asked for."""

from ldp_core.weights.files import Weights, pack_weights, read_weights
from ldp_core.weights.registry import SHIPPED, ShippedModel, digest_of, open_weights

__all__ = ["SHIPPED", "ShippedModel", "Weights", "digest_of", "open_weights", "pack_weights", "read_weights"]
