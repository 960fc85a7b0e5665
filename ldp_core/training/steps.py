"""The steps of training: render frames, fit a network to them, export its weights."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from torch import Tensor

from ldp_core.blur.clip_model import load_clip
from ldp_core.deblur.ldp_network import LIGHT, PUBLISHED, SMALL, LdpNetwork, NetworkSettings
from ldp_core.training.balance import Balance
from ldp_core.training.batches import BatchSettings
from ldp_core.training.card import average_weights, describe_run, write_card, write_weights
from ldp_core.training.fit import LdpCourse, LdpFitSettings
from ldp_core.training.folder import RunFolder
from ldp_core.training.frames import FrameCache, FrameSettings
from ldp_core.training.run import follow
from ldp_core.training.sources import Sources, find_sources
from ldp_core.training.validate import Trial, frame_trials, mean_floors, measure, read_trials
from ldp_core.types import Region

SIZES = {"light": LIGHT, "small": SMALL, "large": NetworkSettings(), "published": PUBLISHED}
_FIT_OPTIONS = ("steps", "learning_rate", "blur_weight", "reblur_weight", "balance_weight", "seed")
HOLD_OUT_FRAMES = 12
HOLD_OUT_SEED = 1_000_003


def train(options: Namespace) -> Iterator[str]:
    """All of it in one folder: frames, a hold-out of other frames, the fit, weights with their card."""
    sources = _find(options)
    options.cache = options.folder / "frames"
    hold_out = options.folder / "hold-out"
    yield from _render(hold_out, sources, options, frames=HOLD_OUT_FRAMES, seed=HOLD_OUT_SEED)
    yield from _render(options.cache, sources, options, frames=options.frames, seed=options.seed)
    options.hold_out.append(hold_out)
    yield from fit(options)
    yield _export([RunFolder(options.folder)], options.folder / "ldp.safetensors", options)


def fill_cache(options: Namespace) -> Iterator[str]:
    yield from _render(options.folder, _find(options), options, frames=options.frames, seed=options.seed)


def fit(options: Namespace) -> Iterator[str]:
    course = open_course(options)
    for name, trials in course.trials.items():
        yield f"{name}: { ({trial.name: trial.floors for trial in trials}) }"
    yield from follow(course, course.fit, options)


def export(options: Namespace) -> Iterator[str]:
    runs = [RunFolder(folder) for folder in (options.folder, *options.also)]
    yield _export(runs, options.weights, options)


def open_course(options: Namespace) -> LdpCourse:
    chosen = {name: getattr(options, name) for name in ("bpa", "residual") if getattr(options, name)}
    return LdpCourse(
        NetworkSettings.parse({**SIZES[options.size].model_dump(), **chosen}),
        LdpFitSettings.parse({name: getattr(options, name) for name in _FIT_OPTIONS}),
        FrameCache(options.cache),
        BatchSettings(batch=options.batch, crop_px=options.crop, map_source=options.map),
        trials=open_trials(options),
        balance=open_balance(options) if options.balance_weight else None,
    )


def open_balance(options: Namespace) -> Balance:
    model = load_clip(
        options.balance_clip,
        sha256=options.balance_sha256,
        architecture=options.balance_architecture,
        device=options.device,
    )
    return Balance(model)


def open_trials(options: Namespace) -> dict[str, list[Trial]]:
    """The sets to measure on, by name."""
    simulated = {folder.name: frame_trials(FrameCache(folder)) for folder in options.hold_out}
    return dict(read_set(text) for text in options.measure) | simulated


def read_set(text: str) -> tuple[str, list[Trial]]:
    """Trials of `FOLDER`, `FOLDER:TOP` (first row that counts) or `FOLDER:TOP:SHIFT` (pixels forgiven)."""
    folder, _, rest = text.partition(":")
    top, _, shift = rest.partition(":")
    trials = read_trials(Path(folder), region=Region(top=int(top or 0)), shift_px=int(shift or 0))
    return Path(folder).name, trials


def _find(options: Namespace) -> Sources:
    return find_sources(photos=options.photos, registered=options.registered, layouts=options.layouts)


def _render(folder: Path, sources: Sources, options: Namespace, *, frames: int, seed: int) -> Iterator[str]:
    lens = {
        "mix": options.lenses,
        "families": options.family,
        "largest_crosstalk": options.crosstalk,
    }
    scene = {"height": options.height, "width": options.width, "lens": lens}
    settings = FrameSettings.parse({"scene": scene})
    cache = FrameCache.create(folder, capacity=frames, seed=seed, settings=settings, sources=sources)
    for index in cache.fill(sources, device=options.device):
        if (index + 1) % 100 == 0:
            yield f"{index + 1} frames"


def _export(runs: Sequence[RunFolder], weights: Path, options: Namespace) -> str:
    states = [run.load() for run in runs]
    tensors = average_weights(states, half=not options.full)
    settings = states[0]["network_settings"]
    digest = write_weights(weights, tensors, metadata={"network": json.dumps(settings)})
    shapes = {str(network.model_dump(mode="json")): size for size, network in SIZES.items()}
    card = describe_run(
        states[0],
        name=weights.stem,
        size=shapes.get(str(settings), "small"),
        scores=score_weights(tensors, settings, open_trials(options)),
        notes=options.note,
    )
    write_card(weights.with_suffix(".json"), card, sha256=digest)
    return f"{weights}: sha256 {digest}"


def score_weights(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], trials: Mapping[str, Sequence[Trial]]
) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB by set: of the input, of wiener, and restored with these weights."""
    network = LdpNetwork(NetworkSettings.parse(settings))
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return {
        name: {**mean_floors(kept), "restored": mean(measure(network, kept).values())}
        for name, kept in trials.items()
    }
