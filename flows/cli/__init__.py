"""The ``ldp`` command, a module per group of verbs.

Heavy imports wait until a command needs them: ``ldp --help`` is to take less than half a second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import archives, cameras, console, datasets, measure, models, options, results, runs, train
from flows.exits import EXIT_CODES
from flows.logs import show_warnings
from flows.settings_file import DEFAULT_FILE, VARIABLE
from ldp_core import __version__
from ldp_core.credentials import hide

app = typer.Typer(
    cls=options.Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=EXIT_CODES,
)
app.add_typer(runs.app)
app.add_typer(datasets.app)
app.add_typer(archives.app)
app.add_typer(results.app)
app.add_typer(measure.app, name="evaluate", rich_help_panel=options.MEASURING)
app.add_typer(models.app)
app.add_typer(cameras.app)
app.add_typer(train.app, name="train", rich_help_panel=options.MODELS)


def _print_version(asked: bool) -> None:
    if asked:
        console.show(f"ldp {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
    settings: Annotated[
        str | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="Take what is not given from this file, which `ldp init` writes. Default: LDP_SETTINGS, "
            "else ldp.toml here, if there is one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Blur maps and all-in-focus images from datasets of dual-pixel photographs."""
    from flows.engine import keep_quiet

    show_warnings()
    keep_quiet()
    named = settings or hide(os.environ.get(VARIABLE, ""))
    context.meta[options.SETTINGS_FILE] = named or (DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else "")
