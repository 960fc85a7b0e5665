"""Running one step of a trainer from the command line: lines on standard output, errors as one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

import torch

from ldp_core.errors import LdpError

Step = Callable[[argparse.Namespace], Iterator[str]]
"""What a sub-command sets as its `step`: it works, and yields lines to be shown."""


def run_step(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse, run the chosen `step`, print its lines; the exit code."""
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        for line in options.step(options):
            print(line, flush=True)
    except LdpError as error:
        print(f"{error.kind}: {error}", file=sys.stderr)
        return 1
    return 0


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
