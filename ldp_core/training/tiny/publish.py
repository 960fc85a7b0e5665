"""`ldp train ldp-tiny`: patches, training, and the file that ships: thresholds, sentences, model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from ldp_core.blur.clip import calibrate
from ldp_core.blur.clip_model import ClipModel, build_network
from ldp_core.blur.clip_settings import RELEASED_PROMPT, CellFormat, ClipCard
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.scenes import SceneKind, make_scene
from ldp_core.training.entry import ModelCard, RunOptions, to_command, train, write_card, write_weights
from ldp_core.training.options import ARGUMENT, Command, CommandOptions
from ldp_core.training.registry import Commands
from ldp_core.training.session import RunFolder
from ldp_core.training.sources import Sources, find_sources
from ldp_core.training.tiny.model import (
    IMAGE_MEAN,
    IMAGE_STD,
    TinyFitSettings,
    TinySettings,
    TinyTask,
    model_of,
)
from ldp_core.training.tiny.patches import CellSettings, Maker, PatchMaker, PatchPool, PatchSettings
from ldp_core.training.tiny.scene_patches import ScenePatchMaker, ScenePatchSettings
from ldp_core.training.tiny.sentences import SHIFTS_PX, shift_sentences
from ldp_core.training.trainer import join_processes

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
    settings = TinySettings.parse(state["network_settings"])
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
        "signed": {"prompts": shift_sentences(), "disparity_px": SHIFTS_PX, "formats": [CellFormat.WIDE]},
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
    settings = TinySettings.parse(state["network_settings"])
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
            "cells": state["batch_settings"],
            "patches": state.get("patches") or PatchSettings().model_dump(mode="json"),
            "begin": state.get("begin", ""),
        },
        notes=notes,
        sources=("Kodak Lossless True Color Image Suite, 24 photographs", "procedural pictures"),
        source_licences="the photographs were released by Kodak for unrestricted use",
        not_trained_on=("pixel4", "simulated scenes of ldp_core.optics"),
        scores=scores,
        licence="Apache-2.0, as the code",
    )


class PatchOptions(CommandOptions):
    """`ldp train ldp-tiny patches`."""

    heading = "Patches"

    scenes: Literal["planes", "layered"] = "planes"
    """Cut from pictures at one distance or two; or from scenes of things one behind another, with kernels by
    place in the frame and circles of confusion to 40 px."""
    photos: tuple[Path, ...] = ()
    """Folder of sharp photographs; may be repeated. Without any, pictures are procedural."""
    soft_photos: tuple[Path, ...] = ()
    """Folder of photographs that are not quite sharp, drawn a seventh as often, for layered scenes; may be
    repeated."""
    registered: tuple[Path, ...] = ()
    """Folder of sharp photographs with a map of their own, for layered scenes; may be repeated."""
    layouts: tuple[Path, ...] = ()
    """Folder of disparity maps, for layered scenes; may be repeated."""
    count: int = Field(default=10_000, ge=1)
    """How many patches are made."""
    seed: int = Field(default=11, ge=0)
    """Patches of another seed are other patches."""


class FitOptions(TinyFitSettings, RunOptions):
    """`ldp train ldp-tiny fit`."""

    heading = "Run"

    patches: Path
    """Folder of patches that `ldp train ldp-tiny patches` made."""
    batch: int = Field(default=64, ge=2)
    """Cells of a batch."""
    begin: str = ""
    """Shipped model to begin from; without one, from random weights."""


class ExportOptions(CommandOptions):
    """`ldp train ldp-tiny export`."""

    weights: Annotated[Path, ARGUMENT]
    """File of weights to write."""


class CardOptions(CommandOptions):
    """`ldp train ldp-tiny card`."""

    heading = "Card"

    weights: Annotated[Path, ARGUMENT]
    """What was exported from the run."""
    scores: Path
    """What `ldp evaluate maps --json` printed."""
    note: tuple[str, ...] = ()
    """A sentence for the card that the settings do not tell; may be repeated."""


def _make_patches(options: PatchOptions) -> Iterator[str]:
    maker, sources = _open_maker(options)
    origin = {
        "scenes": options.scenes,
        "seed": options.seed,
        "sources": sources.names,
        "settings": maker.settings.model_dump(mode="json"),
    }
    for complete in PatchPool.create(options.folder, capacity=options.count, origin=origin).fill(maker):
        yield f"{complete:,} patches"


def _open_maker(options: PatchOptions) -> tuple[Maker, Sources]:
    sources = find_sources(
        photos=options.photos,
        soft_photos=options.soft_photos,
        registered=options.registered,
        layouts=options.layouts,
    )
    if options.scenes == "layered":
        return ScenePatchMaker(sources, ScenePatchSettings(), seed=options.seed), sources
    return PatchMaker(sources.photos, PatchSettings(), seed=options.seed), sources


def _fit(options: FitOptions) -> Iterator[str]:
    fit, pool = options.pick(TinyFitSettings), PatchPool(options.patches)
    task = TinyTask(TinySettings(), fit, pool, CellSettings(batch=options.batch), begin=options.begin)
    with join_processes(options.device) as group:
        command = to_command("ldp-tiny fit", options)
        yield from train(task, fit, options, group=group, command=command)


def _export(options: ExportOptions) -> Iterator[str]:
    yield export_weights(RunFolder(options.folder).load(), options.weights)


def _describe_weights(options: CardOptions) -> Iterator[str]:
    path = options.weights.with_suffix(".json")
    digest = hashlib.sha256(options.weights.read_bytes()).hexdigest()
    scores = json.loads(options.scores.read_text())
    card = describe_run(RunFolder(options.folder).load(), scores=scores, notes=options.note)
    write_card(path, card, sha256=digest)
    yield str(path)


COMMANDS: dict[str, Commands] = {
    "ldp-tiny": {
        "patches": Command(PatchOptions, _make_patches, "Make a pool of patches in a folder, or go on."),
        "fit": Command(FitOptions, _fit, "Train on patches, or go on training."),
        "export": Command(ExportOptions, _export, "Write the model of a run as safetensors."),
        "card": Command(CardOptions, _describe_weights, "Write the model card beside the weights."),
    }
}
