"""`ldp train dbd`: depth-distilled defocus blur detection."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldp_core.blur.dd_network import LIGHT, PUBLISHED, EncoderName
from ldp_core.masked import split_masked
from ldp_core.training.dbd.batches import DbdBatchSettings
from ldp_core.training.dbd.course import DbdCourse, DbdLossSettings
from ldp_core.training.dbd.encoder_weights import read_encoder_weights
from ldp_core.training.frames import FrameCache
from ldp_core.training.run import Origin
from ldp_core.training.trainer import FitSettings

SIZES = {"light": LIGHT, "published": PUBLISHED}


class DbdTrainee:
    """Depth-distilled blur detection, on masked photographs and on frames that `ldp train cache` rendered."""

    name = "dbd"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        batch, loss = DbdBatchSettings(), DbdLossSettings()
        parser.add_argument("--masked", type=Path, required=True, help="folder with image/ and in_focus/")
        parser.add_argument("--cache", type=Path, help="folder of frames; without one, --simulated 0")
        parser.add_argument("--size", choices=SIZES, default="light")
        parser.add_argument("--encoder", type=Path, help="file of encoder weights to begin with")
        parser.add_argument("--encoder-name", default="", help="what the card should call them")
        parser.add_argument("--photographs", type=int, default=batch.photographs, help="of a batch")
        parser.add_argument("--simulated", type=int, default=batch.simulated, help="of a batch")
        parser.add_argument("--side", type=int, default=batch.side_px, help="of images, in pixels")
        parser.add_argument("--late-side", type=int, default=batch.late_px, help="of images, at the end")
        parser.add_argument("--late-share", type=float, default=batch.late_share, help="of the steps")
        parser.add_argument("--teacher", choices=("depth", "coc"), default=batch.teacher)
        parser.add_argument("--gamma", type=float, default=loss.gamma, help="weight of the depth branch")
        parser.add_argument("--overlap", type=float, default=loss.overlap, help="weight of 1 - soft IoU")

    def open_course(self, options: Namespace, fit: FitSettings) -> DbdCourse:
        settings = SIZES[options.size]
        photographs, validation = split_masked(options.masked)
        batch = DbdBatchSettings.parse(
            {
                "photographs": options.photographs,
                "simulated": options.simulated if options.cache else 0,
                "side_px": options.side,
                "late_px": options.late_side,
                "late_share": options.late_share,
                "teacher": options.teacher,
            }
        )
        encoder = read_encoder_weights(options.encoder, settings.encoder) if options.encoder else None
        return DbdCourse(
            settings,
            batch,
            DbdLossSettings(gamma=options.gamma, overlap=options.overlap),
            photographs,
            validation,
            FrameCache(options.cache) if options.cache else None,
            fit.steps,
            fit.seed,
            encoder_weights=encoder,
            origin=options.encoder_name or (options.encoder.name if options.encoder else "none"),
        )

    def describe(self, state: Mapping[str, Any]) -> Origin:
        """Masked photographs first, then what frames were made from, then the encoder's first weights."""
        paths = [path for kind in state["sources"].values() for path in kind]
        name = EncoderName(state["network_settings"]["encoder"])
        return Origin(
            summary="Depth-distilled defocus blur detection (DD architecture, retrained): where a picture "
            f"is in focus. Encoder {name.value}.",
            sources=[
                f"CUHK training split at 320 x 320, {state['photographs']['trained']} photographs",
                *paths,
                f"first weights of the encoder: {state['encoder']}",
            ],
            source_licences="CUHK (Shi et al. 2014): study use; kodak24 unrestricted; BSDS500, Middlebury, "
            "Sintel, NYUv2, TUM, SUN, Redwood: research",
            not_trained_on=[f"{state['photographs']['validation']} photographs of the split, every tenth"],
        )


TRAINEE = DbdTrainee()
