"""``ldp evaluate``: measurements of the system itself."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.exits import exits, print_json

app = typer.Typer(no_args_is_help=True, help="Measure parts of the system.")


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


@app.command()
def families(
    deblurrer: Annotated[
        list[str] | None, typer.Option(help="Method to measure; may be repeated. All, if not given.")
    ] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Simulated scenes per kernel family.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """How well simulated scenes are restored, by the family of the kernel that blurred them."""
    from dataclasses import asdict

    from flows.console import print_families
    from ldp_core.deblur import DEBLURRERS
    from ldp_core.evaluation import evaluate_families

    with exits():
        scores = list(evaluate_families(deblurrer or list(DEBLURRERS), scenes=scenes))
        print_json([asdict(score) for score in scores]) if as_json else print_families(scores)
