"""The steps of training, from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ldp_core.deblur.ldp_network import PUBLISHED, SMALL, NetworkSettings
from ldp_core.errors import LdpError
from ldp_core.training.batches import BatchSettings
from ldp_core.training.card import export_weights
from ldp_core.training.checkpoints import load_checkpoint
from ldp_core.training.fit import FitSettings, Trainer
from ldp_core.training.frames import FrameCache, FrameSettings
from ldp_core.training.session import CHECKPOINT, Rhythm, Session
from ldp_core.training.sources import find_sources
from ldp_core.training.team import join_team, own_device
from ldp_core.training.validate import Trial, frame_trials, read_trials
from ldp_core.types import Region

LARGE = NetworkSettings()
SIZES = {"small": SMALL, "large": LARGE, "published": PUBLISHED}


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        options.step(options)
    except LdpError as error:
        print(f"{error.kind}: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ldp_core.training", description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    steps = parser.add_subparsers(required=True)
    _add_cache(steps.add_parser("cache", help="render frames into a folder, or go on rendering"))
    _add_fit(steps.add_parser("fit", help="train, or go on training, in a folder"))
    _add_export(steps.add_parser("export", help="write the averaged weights as safetensors"))
    return parser


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=fill_cache)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    for kind in ("photos", "registered", "layouts"):
        parser.add_argument(f"--{kind}", type=Path, action="append", default=[], metavar="FOLDER")


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=fit)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--bpa", choices=("released", "spatial", "concat", "none"))
    parser.add_argument("--residual", choices=("none", "mean", "wiener"))
    parser.add_argument("--steps", type=int, default=10_000, help="length of the cosine")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this long")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--blur-weight", type=float, default=0.0, help="weight of L_bwl")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--measure-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--measure", action="append", default=[], metavar="FOLDER[:TOP[:SHIFT]]")
    parser.add_argument("--hold-out", type=Path, action="append", default=[], metavar="CACHE")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=export)
    parser.add_argument("folder", type=Path, help="folder of a run")
    parser.add_argument("weights", type=Path, help="safetensors file to write")
    parser.add_argument("--full", action="store_true", help="float32 instead of float16")


def fill_cache(options: argparse.Namespace) -> None:
    sources = find_sources(photos=options.photos, registered=options.registered, layouts=options.layouts)
    cache = FrameCache.create(
        options.folder, capacity=options.frames, seed=options.seed, settings=FrameSettings()
    )
    for index in cache.fill(sources, device=options.device):
        if (index + 1) % 100 == 0:
            print(f"{index + 1} frames", flush=True)


def fit(options: argparse.Namespace) -> None:
    session = open_session(options)
    for line in follow(session, minutes=options.minutes):
        if session.trainer.team.leads:
            print(line, flush=True)


def follow(session: Session, *, minutes: float) -> Iterator[object]:
    """Train, and yield what a person may want to see of it."""
    yield f"resumed at step {session.trainer.step}" if session.resume() else "a new run"
    for name, trials in session.trials.items():
        yield name, {trial.name: trial.floors for trial in trials}
    yield from session.run(minutes=minutes)


def open_session(options: argparse.Namespace) -> Session:
    team = join_team(options.device)
    chosen = {name: getattr(options, name) for name in ("bpa", "residual") if getattr(options, name)}
    network = NetworkSettings.parse({**SIZES[options.size].model_dump(), **chosen})
    settings = FitSettings(
        steps=options.steps,
        learning_rate=options.learning_rate,
        blur_weight=options.blur_weight,
        seed=options.seed,
    )
    return Session(
        folder=options.folder,
        trainer=Trainer(network, settings, device=own_device(options.device, team), team=team),
        cache=FrameCache(options.cache),
        batch=BatchSettings(batch=options.batch, crop_px=options.crop),
        trials=dict(read_set(text) for text in options.measure)
        | {folder.name: frame_trials(FrameCache(folder)) for folder in options.hold_out},
        rhythm=Rhythm(measure=options.measure_every),
    )


def read_set(text: str) -> tuple[str, list[Trial]]:
    """Trials of `FOLDER`, `FOLDER:TOP` (first row that counts) or `FOLDER:TOP:SHIFT` (pixels forgiven)."""
    folder, _, rest = text.partition(":")
    top, _, shift = rest.partition(":")
    trials = read_trials(Path(folder), region=Region(top=int(top or 0)), shift_px=int(shift or 0))
    return Path(folder).name, trials


def export(options: argparse.Namespace) -> None:
    state = load_checkpoint(options.folder / CHECKPOINT)
    print(export_weights(state, options.weights, half=not options.full))


if __name__ == "__main__":
    sys.exit(main())
