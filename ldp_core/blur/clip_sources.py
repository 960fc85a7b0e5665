"""Where CLIP weights come from: the package, a pinned file, or an open_clip tag. Never from chance."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError
from torch import nn

from ldp_core.blur.clip_card import OPENAI_MEAN, OPENAI_STD, ClipCard
from ldp_core.blur.clip_network import WAYS_OUT, build_network, freeze, load_tensors, open_clip
from ldp_core.errors import WeightsError
from ldp_core.weights import SHIPPED, open_weights


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
