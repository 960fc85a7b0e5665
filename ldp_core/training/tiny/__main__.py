"""The steps of training LDP-tiny, from the command line."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ldp_core.training.card import write_card
from ldp_core.training.command import add_device, add_threads, run_step
from ldp_core.training.folder import RunFolder
from ldp_core.training.run import add_schedule, follow
from ldp_core.training.sources import find_sources
from ldp_core.training.tiny.cells import CellSettings
from ldp_core.training.tiny.fit import TinyCourse, TinyFitSettings
from ldp_core.training.tiny.model import TinySettings
from ldp_core.training.tiny.patches import PatchMaker, PatchSettings
from ldp_core.training.tiny.pool import PatchPool
from ldp_core.training.tiny.publish import describe_run, export_weights


def main(arguments: Sequence[str] | None = None) -> int:
    return run_step(build_parser(), arguments)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ldp_core.training.tiny", description=__doc__)
    steps = parser.add_subparsers(required=True)
    _add_patches(steps.add_parser("patches", help="make a pool of patches in a folder, or go on"))
    _add_fit(steps.add_parser("fit", help="train, or go on training, in a folder"))
    _add_export(steps.add_parser("export", help="write the model of a run as safetensors"))
    _add_card(steps.add_parser("card", help="write the model card beside the weights"))
    for step in steps.choices.values():
        add_threads(step)
    return parser


def _add_patches(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=make_patches)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=11)


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=fit)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patches", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--batch", type=int, default=CellSettings().batch)
    add_schedule(parser, TinyFitSettings())
    add_device(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=export)
    parser.add_argument("folder", type=Path, help="folder of a run")
    parser.add_argument("weights", type=Path, help="safetensors file to write")


def _add_card(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=describe_weights)
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("weights", type=Path, help="what was exported from it")
    parser.add_argument("--scores", type=Path, required=True, help="what `ldp evaluate maps --json` printed")
    parser.add_argument(
        "--note", action="append", default=[], help="what the settings do not tell of the run"
    )


def make_patches(options: argparse.Namespace) -> Iterator[str]:
    pool = PatchPool.create(options.folder, capacity=options.count)
    photos = find_sources(photos=options.photos).photos
    for complete in pool.fill(PatchMaker(photos, PatchSettings(), seed=options.seed)):
        yield f"{complete} patches"


def fit(options: argparse.Namespace) -> Iterator[str]:
    settings = TinyFitSettings(steps=options.steps, learning_rate=options.learning_rate, seed=options.seed)
    pool, cells = PatchPool(options.patches), CellSettings(batch=options.batch)
    yield from follow(TinyCourse(TinySettings(), settings, pool, cells), settings, options)


def export(options: argparse.Namespace) -> Iterator[str]:
    yield export_weights(RunFolder(options.folder).load(), options.weights)


def describe_weights(options: argparse.Namespace) -> Iterator[str]:
    path = options.weights.with_suffix(".json")
    digest = hashlib.sha256(options.weights.read_bytes()).hexdigest()
    scores = json.loads(options.scores.read_text())
    card = describe_run(RunFolder(options.folder).load(), scores=scores, notes=options.note)
    write_card(path, card, sha256=digest)
    yield str(path)


if __name__ == "__main__":
    sys.exit(main())
