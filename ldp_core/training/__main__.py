"""`ldp train` for machines that have torch but not typer: the same commands, the same options.

python -m ldp_core.training NAME FOLDER [OPTIONS]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ldp_core.errors import LdpError
from ldp_core.training.options import CommandOptions, Option, list_options
from ldp_core.training.registry import NETWORKS, STEPS, find_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and print what it says; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        print("\n".join(f"    {name:10}{entry.summary}" for name, entry in (NETWORKS | STEPS).items()))
        return 0
    try:
        command, rest = find_command(words)
        given = vars(build_parser(command.options).parse_args(rest))
        for line in command.start(command.options.parse(given)):
            print(line, flush=True)
    except LdpError as error:
        print(f"{error.kind}: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser(options: type[CommandOptions]) -> argparse.ArgumentParser:
    """A parser that collects what is given, as text; the settings check it."""
    parser = argparse.ArgumentParser(
        prog="python -m ldp_core.training NAME", argument_default=argparse.SUPPRESS
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in list_options(options):
        if option.positional:
            parser.add_argument(option.field, help=option.help)
            continue
        if option.heading not in groups:
            groups[option.heading] = parser.add_argument_group(option.heading)
        _add_option(groups[option.heading], option)
    return parser


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    text = option.help.replace("%", "%%")
    if option.kind is bool:
        group.add_argument(option.flag, dest=option.field, action="store_true", help=text)
        return
    shown = "" if option.default in (None, "", ()) else f" [default: {option.default}]"
    group.add_argument(
        option.flag,
        dest=option.field,
        action="append" if option.repeated else "store",
        required=option.required,
        choices=option.choices or None,
        metavar=None if option.choices else getattr(option.kind, "__name__", "text").upper(),
        help=text + shown,
    )


if __name__ == "__main__":
    sys.exit(main())
