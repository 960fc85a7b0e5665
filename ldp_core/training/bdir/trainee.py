"""`ldp train bdir`: restoration from one view."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ldp_core.deblur.bdir_network import LIGHT, SMALL, BdirSettings, from_ldp
from ldp_core.training.bdir.batches import BdirBatchSettings, MeanViews
from ldp_core.training.bdir.course import BdirCourse, BdirLossSettings
from ldp_core.training.bdir.trials import read_single, simulated_trials
from ldp_core.training.card import SOURCE_LICENCES
from ldp_core.training.frames import FrameCache
from ldp_core.training.run import Origin
from ldp_core.training.trainer import FitSettings
from ldp_core.weights import open_weights

SIZES = {"light": LIGHT, "small": SMALL}


class BdirTrainee:
    """BDIR (roles from the paper, layers ours), on single views of frames that `ldp train cache` rendered."""

    name = "bdir"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        batch, loss = BdirBatchSettings(), BdirLossSettings()
        parser.add_argument(
            "--cache", type=Path, action="append", required=True, help="folder of frames; may be repeated"
        )
        parser.add_argument("--size", choices=SIZES, default="light")
        parser.add_argument("--begin", default="", help="weights of an LDP network to begin with")
        parser.add_argument("--begin-sha256", default="", help="digest of that file, where it is one")
        parser.add_argument("--plain", action="store_true", help="without SAID and SAIR")
        parser.add_argument("--batch", type=int, default=batch.batch)
        parser.add_argument("--sharp", type=int, default=batch.sharp, help="of them also seen unblurred")
        parser.add_argument("--crop", type=int, default=batch.crop_px)
        parser.add_argument("--contrast", type=float, default=loss.contrast, help="weight of the latents")
        parser.add_argument("--hold-out", type=Path, action="append", default=[], metavar="CACHE")
        parser.add_argument(
            "--measure",
            action="append",
            default=[],
            metavar="INPUTS:TRUTHS[:TOP]",
            help="real pictures to measure on, as globs of equal order; never trained on",
        )

    def open_course(self, options: Namespace, fit: FitSettings) -> BdirCourse:
        caches = [FrameCache(folder) for folder in options.cache]
        form = {**SIZES[options.size].model_dump(), "interference": not options.plain}
        settings = BdirSettings.parse(form)
        trials = {folder.name: simulated_trials(FrameCache(folder)) for folder in options.hold_out}
        return BdirCourse(
            settings,
            BdirBatchSettings(crop_px=options.crop, batch=options.batch, sharp=options.sharp),
            BdirLossSettings(contrast=options.contrast),
            MeanViews(caches),
            trials | dict(read_single(text) for text in options.measure),
            fit.seed,
            {
                "sources": _merge([cache.source_names for cache in caches]),
                "frames": [{"count": len(cache), "seed": cache.seed} for cache in caches],
                "begun_with": options.begin or "nothing",
            },
            begin=_open_ldp(options, settings) if options.begin else {},
        )

    def describe(self, state: Mapping[str, Any]) -> Origin:
        return Origin(
            summary="BDIR (roles from the paper, layers ours): deblurs one view; trained on simulation.",
            sources=[path for paths in state["sources"].values() for path in paths],
            source_licences=SOURCE_LICENCES,
            not_trained_on=["every set under scores"],
        )


def _open_ldp(options: Namespace, settings: BdirSettings) -> dict[str, Tensor]:
    opened = open_weights(options.begin, sha256=options.begin_sha256)
    return from_ldp(opened.tensors, settings)


def _merge(named: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    kinds = sorted({kind for names in named for kind in names})
    return {kind: sorted({path for names in named for path in names.get(kind, ())}) for kind in kinds}


TRAINEE = BdirTrainee()
