"""A CLIP ready to compare pictures with sentences: from the package, a pinned file, or an open_clip tag.

Random weights never stand in for absent ones: that is an error, which tells the ways out. Models are kept for
the life of the process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from ldp_core.blur.clip_settings import OPENAI_MEAN, OPENAI_STD, ClipCard
from ldp_core.blur.torchvision_shim import make_torchvision_importable
from ldp_core.errors import WeightsError
from ldp_core.tensors import autocast
from ldp_core.weights import SHIPPED, open_weights

WAYS_OUT: Final = (
    "with a network, set weights to an open_clip tag such as ViT-B-16-quickgelu/openai, which open_clip "
    "fetches; without one, set weights to the address of a .safetensors file of an open_clip CLIP, "
    "sha256 to its digest, and architecture where the file names none"
)
_EXTRAS: Final = ("input_resolution", "context_length", "vocab_size")
"""What OpenAI's own files hold besides."""


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


def fetch_clip(weights: str, *, sha256: str, architecture: str) -> tuple[nn.Module, ClipCard]:
    """A CLIP with trained weights, in evaluation mode on the CPU, and its card.

    Raises:
        WeightsError: there are none, they are not the ones asked for, or they are not of a CLIP.
    """
    if _is_tag(weights):
        return _fetch_tag(weights, sha256=sha256)
    try:
        opened = open_weights(weights, sha256=sha256)
    except WeightsError as error:
        raise WeightsError(
            error.what,
            where=error.where,
            expected=error.expected,
            got=error.got,
            remedy=f"{error.remedy}; or {WAYS_OUT}",
        ) from error
    card = read_card(opened.metadata, weights=weights, architecture=architecture)
    network = build_network(card.model_cfg, where=weights)
    load_tensors(network, opened.tensors, where=weights)
    return network, card


def read_card(metadata: Mapping[str, str], *, weights: str, architecture: str = "") -> ClipCard:
    """The card of a weights file, or, for a file without one, that of the named architecture.

    Raises:
        WeightsError: there is neither, or the card cannot be read.
    """
    if "clip" not in metadata:
        return card_of_architecture(architecture, where=weights)
    try:
        return ClipCard.model_validate(json.loads(metadata["clip"]))
    except (ValidationError, ValueError) as error:
        raise WeightsError(
            "the card of these CLIP weights cannot be read",
            where=weights,
            expected="JSON under 'clip' in the header, with model_cfg as open_clip writes it",
            got=str(error)[:300],
            remedy="write the file again, or give weights of another model",
        ) from error


def card_of_architecture(architecture: str, *, where: str) -> ClipCard:
    """The card of an architecture that open_clip knows, with OpenAI's normalisation.

    Raises:
        WeightsError: open_clip knows none of that name.
    """
    config = open_clip().get_model_config(architecture) if architecture else None
    if config is None:
        raise WeightsError(
            "it is not known which network these weights belong to",
            where=where,
            expected="a card in the file, or an architecture of open_clip",
            got=architecture or "neither",
            remedy="set architecture, for OpenAI's ViT-B/16 to ViT-B-16-quickgelu",
        )
    return ClipCard(model_cfg=config, name=architecture)


def _is_tag(weights: str) -> bool:
    """`ARCHITECTURE/TAG`, as open_clip knows them."""
    if weights in SHIPPED or weights.endswith(".safetensors") or weights.count("/") != 1:
        return False
    return weights.split("/")[0] in open_clip().list_models()


def _fetch_tag(weights: str, *, sha256: str) -> tuple[nn.Module, ClipCard]:
    architecture, tag = weights.split("/")
    card = card_of_architecture(architecture, where=weights)
    _require_tag(architecture, tag, card, sha256=sha256)
    try:
        network = freeze(open_clip().create_model(architecture, pretrained=tag, require_pretrained=True))
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise WeightsError(
            "open_clip could not fetch these weights",
            where=weights,
            got=f"{type(error).__name__}: {error}"[:300],
            remedy=WAYS_OUT,
        ) from error
    mean, std = (
        getattr(network.visual, name, None) or openai
        for name, openai in (("image_mean", OPENAI_MEAN), ("image_std", OPENAI_STD))
    )
    return network, card.model_copy(
        update={"image_mean": tuple(mean), "image_std": tuple(std), "name": weights}
    )


def _require_tag(architecture: str, tag: str, card: ClipCard, *, sha256: str) -> None:
    published = open_clip().get_pretrained_cfg(architecture, tag)
    if not published:
        raise WeightsError(
            "open_clip knows no such tag",
            where=f"{architecture}/{tag}",
            expected=", ".join(open_clip().list_pretrained_tags_by_model(architecture)),
            got=tag,
            remedy=WAYS_OUT,
        )
    if sha256 or bool(published.get("quick_gelu")) != bool(card.model_cfg.get("quick_gelu")):
        raise WeightsError(
            "a tag names its own file, and the activation it was trained with",
            where=f"{architecture}/{tag}",
            expected="no sha256, and for weights of OpenAI an architecture that ends in -quickgelu",
            got=f"sha256 '{sha256}', architecture {architecture}",
            remedy="use ViT-B-16-quickgelu/openai, or pin a .safetensors file by its sha256",
        )


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
