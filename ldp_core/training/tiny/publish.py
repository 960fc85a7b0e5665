"""From a checkpoint to the file that is shipped: half precision, thresholds, sentences, model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ldp_core.blur.clip import calibrate
from ldp_core.blur.clip_model import ClipModel, build_network
from ldp_core.blur.clip_settings import RELEASED_PROMPT, CellFormat, ClipCard
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.scenes import SceneKind, make_scene
from ldp_core.training.card import ModelCard, write_weights
from ldp_core.training.tiny.cells import CellSettings
from ldp_core.training.tiny.fit import model_of
from ldp_core.training.tiny.model import IMAGE_MEAN, IMAGE_STD, TinySettings
from ldp_core.training.tiny.patches import PatchSettings
from ldp_core.training.tiny.sentences import SHIFTS_PX, say_ladder

NAME = "ldp-tiny"
LARGEST_BYTES = 8 * 2**20
BLURRED_COC_PX = 32.0
"""What counts as fully blurred: the largest circle of confusion it was trained on."""
SINGLE_PROMPTS = (
    RELEASED_PROMPT,
    "The image is symmetric",
    "The left view and the right view are the same",
    "A sharp image in focus",
)
ANTONYMS = (
    (RELEASED_PROMPT, "An asymmetric image at pixel level"),
    ("A sharp image", "A blurry image"),
)
_SUMMARY = (
    "Two towers in open_clip's format that tell of a 40 x 40 px cell of both views how far the right one "
    "is shifted, and whether it is in focus; trained on simulated cells against sentences."
)
_COMMANDS = (
    "ldp train ldp-tiny patches POOL --photos KODAK24 --count 10000 --seed 11",
    "ldp train ldp-tiny fit RUN --patches POOL --steps 5200 --seed 7",
    "ldp train ldp-tiny export RUN ldp-tiny.safetensors",
    "ldp evaluate maps PIXEL4 --weights ldp-tiny.safetensors --sha256 DIGEST --json > SCORES",
    "ldp train ldp-tiny card RUN ldp-tiny.safetensors --scores SCORES",
)
_PICTURES = ((SceneKind.LEAVES, 0), (SceneKind.CHART, 1), (SceneKind.ROOM, 2))
_PICTURE_SIZE = (240, 320)


def export_weights(state: Mapping[str, Any], path: Path) -> str:
    """Write the model of a checkpoint as safetensors with its settings, and return the file's sha256.

    Raises:
        WeightsError: the file would exceed 8 MiB.
    """
    tensors = {name: value.half() for name, value in model_of(state).items()}
    settings = TinySettings.parse(state["model_settings"])
    metadata = {"clip": json.dumps(describe(tensors, settings))}
    return write_weights(path, tensors, metadata=metadata, largest_bytes=LARGEST_BYTES)


def describe(tensors: Mapping[str, Tensor], settings: TinySettings) -> dict[str, Any]:
    """What the estimator must know of the weights: architecture, sentences, thresholds.

    All formats that show the whole strip are one on an input of the strip's own size.
    """
    card = {
        "name": NAME,
        "model_cfg": settings.model_cfg,
        "image_mean": IMAGE_MEAN,
        "image_std": IMAGE_STD,
        "format": CellFormat.WIDE,
        "signed": {"prompts": say_ladder(), "disparity_px": SHIFTS_PX, "formats": [CellFormat.WIDE]},
        "ensemble": {"formats": [CellFormat.WIDE], "prompts": [*SINGLE_PROMPTS, *ANTONYMS]},
    }
    network = build_network(settings.model_cfg, where=NAME)
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    model = ClipModel(network, ClipCard.model_validate(card))
    pictures = [make_scene(seed, size=_PICTURE_SIZE, kind=kind).sharp for kind, seed in _PICTURES]
    limits = {prompt: _fit_thresholds(model, prompt, pictures) for prompt in SINGLE_PROMPTS}
    thresholds = [{"format": CellFormat.WIDE, "prompt": prompt, **limit} for prompt, limit in limits.items()]
    return {**card, "as_released": limits[RELEASED_PROMPT], "thresholds": thresholds}


def _fit_thresholds(model: ClipModel, prompt: str, pictures: Sequence[Tensor]) -> dict[str, float]:
    limits = calibrate(
        model,
        pictures,
        prompt=prompt,
        layout=CellFormat.WIDE,
        kernel=DEFAULT_KERNEL,
        coc_px=BLURRED_COC_PX,
    )
    return {"A": round(limits.sharp_logit, 4), "B": round(limits.blurred_logit, 4)}


def describe_run(
    state: Mapping[str, Any], *, scores: Mapping[str, Any], notes: Sequence[str] = ()
) -> ModelCard:
    """The card of a checkpoint's model; `scores` are the tables of `ldp evaluate maps`."""
    settings = TinySettings.parse(state["model_settings"])
    return ModelCard(
        name=NAME,
        summary=_SUMMARY,
        commands=_COMMANDS,
        seed=int(state["fit_settings"]["seed"]),
        steps=int(state["step"]),
        network=settings.model_cfg,
        parameters=sum(value.numel() for value in model_of(state).values()),
        training={
            "fit": state["fit_settings"],
            "cells": CellSettings().model_dump(mode="json"),
            "patches": PatchSettings().model_dump(mode="json"),
        },
        notes=notes,
        sources=("Kodak Lossless True Color Image Suite, 24 photographs", "procedural pictures"),
        source_licences="the photographs were released by Kodak for unrestricted use",
        not_trained_on=("pixel4", "simulated scenes of ldp_core.optics"),
        scores=scores,
        licence="Apache-2.0, as the code",
    )
