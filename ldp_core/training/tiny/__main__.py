"""The steps of training LDP-tiny, from the command line."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ldp_core.errors import LdpError
from ldp_core.evaluation.maps import print_table, read_measured, simulate_pairs, tabulate
from ldp_core.training.checkpoints import load_checkpoint
from ldp_core.training.sources import find_sources
from ldp_core.training.tiny.cells import CellSettings
from ldp_core.training.tiny.fit import TinyFitSettings, TinyTrainer
from ldp_core.training.tiny.model import TinySettings
from ldp_core.training.tiny.patches import PatchMaker, PatchSettings
from ldp_core.training.tiny.pool import PatchPool
from ldp_core.training.tiny.publish import NAME, export_weights, write_card
from ldp_core.training.tiny.session import CHECKPOINT, TinySession


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        for line in options.step(options):
            print(line, flush=True)
    except LdpError as error:
        print(f"{error.kind}: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ldp_core.training.tiny", description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    steps = parser.add_subparsers(required=True)
    _add_patches(steps.add_parser("patches", help="make a pool of patches in a folder, or go on"))
    _add_fit(steps.add_parser("fit", help="train, or go on training, in a folder"))
    _add_export(steps.add_parser("export", help="write the model of a run as safetensors"))
    _add_card(steps.add_parser("card", help="write the model card beside the weights"))
    _add_evaluate(steps.add_parser("evaluate", help="compare it with its controls"))
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
    parser.add_argument("--steps", type=int, default=TinyFitSettings().steps, help="length of the cosine")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    parser.add_argument("--batch", type=int, default=CellSettings().batch)
    parser.add_argument("--learning-rate", type=float, default=TinyFitSettings().learning_rate)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=export)
    parser.add_argument("folder", type=Path, help="folder of a run")
    parser.add_argument("weights", type=Path, help="safetensors file to write")


def _add_card(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=describe_weights)
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("weights", type=Path, help="what was exported from it")
    parser.add_argument("--scores", type=Path, required=True, help="tables that evaluate wrote")
    parser.add_argument(
        "--note", action="append", default=[], help="what the settings do not tell of the run"
    )


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=evaluate)
    parser.add_argument("--measured", type=Path, metavar="FOLDER", help="pairs with *_defocus.png")
    parser.add_argument("--simulated", type=int, default=12, metavar="PAIRS")
    parser.add_argument("--seed", type=int, default=90_000, help="of the simulated pairs")
    parser.add_argument("--stride", type=int, default=40, choices=(40, 20, 10), help="of the cells, in px")
    parser.add_argument("--weights", default=NAME, help="name of a shipped model, or a file")
    parser.add_argument("--sha256", default="", help="digest of the file")
    parser.add_argument("--scores", type=Path, help="JSON file to write the tables to")


def make_patches(options: argparse.Namespace) -> Iterator[str]:
    pool = PatchPool.create(options.folder, capacity=options.count)
    photos = find_sources(photos=options.photos).photos
    for complete in pool.fill(PatchMaker(photos, PatchSettings(), seed=options.seed)):
        yield f"{complete} patches"


def fit(options: argparse.Namespace) -> Iterator[str]:
    settings = TinyFitSettings(steps=options.steps, learning_rate=options.learning_rate, seed=options.seed)
    session = TinySession(
        folder=options.folder,
        trainer=TinyTrainer(TinySettings(), settings, device=options.device),
        pool=PatchPool(options.patches),
        cells=CellSettings(batch=options.batch),
    )
    yield f"resumed at step {session.trainer.step}" if session.resume() else "a new run"
    for entry in session.run(until=time.monotonic() + 60 * options.minutes):
        yield str(entry)


def export(options: argparse.Namespace) -> Iterator[str]:
    yield export_weights(load_checkpoint(options.folder / CHECKPOINT), options.weights)


def describe_weights(options: argparse.Namespace) -> Iterator[str]:
    path = options.weights.with_suffix(".json")
    digest = hashlib.sha256(options.weights.read_bytes()).hexdigest()
    state, scores = load_checkpoint(options.folder / CHECKPOINT), json.loads(options.scores.read_text())
    write_card(path, state, sha256=digest, scores=scores, notes=options.note)
    yield str(path)


def evaluate(options: argparse.Namespace) -> Iterator[str]:
    asked = {"weights": options.weights, "sha256": options.sha256, "stride_px": options.stride}
    sets = {}
    if options.measured:
        sets[options.measured.name] = read_measured(options.measured)
    if options.simulated:
        sets[f"{options.simulated} simulated pairs"] = simulate_pairs(options.simulated, seed=options.seed)
    tables = {}
    for name, pairs in sets.items():
        tables[name] = tabulate(pairs, clip=asked)
        yield print_table(name, tables[name])
    if options.scores:
        options.scores.write_text(json.dumps(tables))


if __name__ == "__main__":
    sys.exit(main())
