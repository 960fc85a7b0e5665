"""A CLIP ready to compare pictures with sentences; kept for the life of the process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldp_core.blur.clip_card import ClipCard
from ldp_core.blur.clip_network import build_network, open_clip
from ldp_core.blur.clip_sources import card_of_architecture, fetch_clip, read_card
from ldp_core.devices import autocast
from ldp_core.weights import SHIPPED, open_weights


@dataclass(frozen=True, eq=False)
class ClipModel:
    """The two towers on their device, and the card of their weights."""

    network: nn.Module
    card: ClipCard
    trained: bool = True

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def visual(self) -> Any:
        """The image tower."""
        return self.network.visual

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the input the weights were trained for."""
        size = self.visual.image_size
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))

    @property
    def logit_scale(self) -> Tensor:
        scale: Tensor = self.network.logit_scale.exp()  # type: ignore[operator]
        return scale

    def normalise(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) in 0..1 -> as the weights were trained."""
        mean, std = (
            torch.tensor(values, device=images.device).view(3, 1, 1)
            for values in (self.card.image_mean, self.card.image_std)
        )
        return (images - mean) / std

    def encode_images(self, images: Tensor) -> Tensor:
        """Unit image features (n, d) float32 of normalised images of any size in whole patches."""
        with autocast(self.device):
            return F.normalize(call_resized(self.visual, images).float(), dim=-1)

    def logits(self, features: Tensor, text: Tensor) -> Tensor:
        """exp(logit_scale) * cosine, (n, p), of unit features."""
        return self.logit_scale * features @ text.T


def call_resized(visual: Any, images: Tensor) -> Tensor:
    """The image tower on inputs of any size, its position embeddings resized as open_clip does."""
    grid = images.shape[-2] // visual.patch_size[0], images.shape[-1] // visual.patch_size[1]
    if grid == tuple(visual.grid_size):
        own: Tensor = visual(images)
        return own
    resized = {"positional_embedding": resize_positions(visual, grid)}
    other: Tensor = torch.func.functional_call(visual, resized, (images,))
    return other


def resize_positions(visual: Any, grid: tuple[int, int]) -> Tensor:
    """Position embeddings (1 + rows * columns, width) for another grid of patches."""
    token, patches = visual.positional_embedding[:1], visual.positional_embedding[1:]
    square = patches.T.reshape(1, -1, *visual.grid_size)
    resized = F.interpolate(square, size=grid, mode="bicubic", antialias=True)
    return torch.cat([token, resized.flatten(2)[0].T])


@lru_cache(maxsize=64)
def encode_prompts(model: ClipModel, prompts: tuple[str, ...]) -> Tensor:
    """Unit text features (p, d) float32; a sentence is encoded once per process."""
    tokenizer = open_clip().SimpleTokenizer(context_length=model.network.context_length)
    with torch.inference_mode():
        features: Tensor = model.network.encode_text(tokenizer(list(prompts)).to(model.device))  # type: ignore[operator]
        return F.normalize(features.float(), dim=-1)


def load_clip(weights: str, *, sha256: str = "", architecture: str = "", device: str = "cpu") -> ClipModel:
    """A trained CLIP: by the name of a shipped model, an open_clip tag, or a pinned file; kept.

    Raises:
        WeightsError: there are no such weights; the text tells the ways out.
    """
    return _load(weights, sha256, architecture, device)


def random_clip(shape: str, *, seed: int, device: str = "cpu") -> ClipModel:
    """A CLIP that has learnt nothing, of the shape of a shipped model or of an open_clip architecture.

    Raises:
        WeightsError: nothing of that name is known.
    """
    return _make_random(shape, seed, device)


@lru_cache(maxsize=2)
def _load(weights: str, sha256: str, architecture: str, device: str) -> ClipModel:
    network, card = fetch_clip(weights, sha256=sha256, architecture=architecture)
    return ClipModel(network.to(device), card)


@lru_cache(maxsize=2)
def _make_random(shape: str, seed: int, device: str) -> ClipModel:
    if shape in SHIPPED:
        card = read_card(open_weights(shape).metadata, weights=shape)
    else:
        card = card_of_architecture(shape, where=f"random weights of shape '{shape}'")
    card = card.model_copy(update={"as_released": None, "thresholds": (), "name": f"random {shape}"})
    return ClipModel(build_network(card.model_cfg, where=shape, seed=seed).to(device), card, trained=False)
