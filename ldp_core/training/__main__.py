"""Train the LDP network: all in one (`ldp`), or frames, fit and weights one by one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ldp_core.optics.kernels import KernelFamily
from ldp_core.training import steps
from ldp_core.training.command import Step, add_device, add_threads, run_step
from ldp_core.training.run import add_also, add_making, add_schedule
from ldp_core.training.trainer import FitSettings

_FOLDERS = {
    "photos": "sharp photographs",
    "registered": "sharp photographs with a depth or disparity map of their own",
    "layouts": "disparity maps, to put behind other photographs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    return run_step(build_parser(), arguments)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ldp_core.training", description=__doc__)
    names = parser.add_subparsers(required=True)
    whole = names.add_parser("ldp", help="all steps in one folder; again, and it goes on where it stopped")
    _add_sources(whole)
    _add_fit(whole, step=steps.train)
    add_making(whole)
    cache = names.add_parser("cache", help="render frames into a folder, or go on rendering")
    cache.set_defaults(step=steps.fill_cache)
    cache.add_argument("--seed", type=int, default=0)
    _add_sources(cache)
    fit = names.add_parser("fit", help="train, or go on training, in a folder")
    fit.add_argument("--cache", type=Path, required=True, metavar="FOLDER")
    _add_fit(fit, step=steps.fit)
    _add_export(names.add_parser("export", help="write the averaged weights and their card"))
    for named in (whole, cache, fit):
        named.add_argument("folder", type=Path, help="where the work lies")
        add_device(named)
    for named in names.choices.values():
        add_threads(named)
    return parser


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=1000, help="how many scenes are rendered")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--lenses", choices=("broad", "cameras"), default="broad", help="mix of kernels")
    parser.add_argument(
        "--family",
        type=KernelFamily,
        action="append",
        default=[],
        choices=list(KernelFamily),
        help="only kernels of this form of the mix; may be repeated",
    )
    parser.add_argument("--crosstalk", type=float, default=0.35, help="largest, in the mix of cameras")
    for kind, content in _FOLDERS.items():
        parser.add_argument(
            f"--{kind}",
            type=Path,
            action="append",
            default=[],
            metavar="FOLDER",
            help=f"{content}; may be repeated",
        )


def _add_fit(parser: argparse.ArgumentParser, *, step: Step) -> None:
    parser.set_defaults(step=step)
    parser.add_argument("--size", choices=steps.SIZES, default="small")
    parser.add_argument("--bpa", choices=("released", "spatial", "concat", "none"), help="how the map enters")
    parser.add_argument("--residual", choices=("none", "mean", "wiener"), help="what the network corrects")
    parser.add_argument(
        "--map", choices=("disparity", "truth"), default="disparity", help="the map it is told"
    )
    _add_schedule(parser)
    _add_losses(parser)
    _add_measuring(parser)


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    add_schedule(parser, FitSettings(learning_rate=5e-4))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, default=128)


def _add_losses(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--blur-weight", type=float, default=0.0, help="weight of L_bwl")
    parser.add_argument("--reblur-weight", type=float, default=0.0, help="weight of the reblur loss")
    parser.add_argument("--balance-weight", type=float, default=0.0, help="weight of L_bal")
    parser.add_argument("--balance-clip", default="ViT-B-16-quickgelu/openai", help="CLIP weights for L_bal")
    parser.add_argument("--balance-sha256", default="", help="digest of that file, where it is one")
    parser.add_argument("--balance-architecture", default="", help="its network, where it does not say")


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="FOLDER[:TOP[:SHIFT]]",
        help="real pairs NAME_{l,r,gt}.png to measure on; never trained on",
    )
    parser.add_argument("--hold-out", type=Path, action="append", default=[], metavar="CACHE")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(step=steps.export)
    parser.add_argument("folder", type=Path, help="folder of a run")
    parser.add_argument("weights", type=Path, help="safetensors file to write")
    add_also(parser)
    add_making(parser)
    _add_measuring(parser)


if __name__ == "__main__":
    sys.exit(main())
