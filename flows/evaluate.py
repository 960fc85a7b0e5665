"""``ldp evaluate``: measurements of the system itself against real photographs."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.exits import exits, print_json

app = typer.Typer(no_args_is_help=True, help="Measure parts of the system against real photographs.")


@app.command()
def optics(
    photographs: Annotated[
        str, typer.Argument(help="Folder or URL with dp/canon_r6m2, dp/pixel4 and dp/pixel4_raw.")
    ],
    family: Annotated[
        list[str] | None, typer.Option(help="Only this kernel family; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """How well simulated blur, fitted, reproduces two cameras: a table kernel family by camera."""
    from dataclasses import asdict

    from flows.console import print_optics
    from ldp_core.optics.realism import evaluate_optics

    with exits():
        report = evaluate_optics(photographs, families=family or ())
        print_json(asdict(report)) if as_json else print_optics(report)
