"""``ldp evaluate``: measurements of the system itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.exits import exits, print_json

MAPS_SEED = 90_000
"""Of simulated pairs that no training has seen."""

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


@app.command()
def restoration(
    source: Annotated[str, typer.Argument(help="Folder or URL of a dataset with truths.")],
    layout: Annotated[str, typer.Option(help="How the source is laid out.")] = "folders",
    deblurrer: Annotated[
        list[str] | None, typer.Option(help="Method to measure; may be repeated. All, if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Deblurrers side by side on a dataset: what `ldp restore` would print of each, in one table."""
    from dataclasses import asdict

    from flows.console import print_means
    from ldp_core.deblur import DEBLURRERS
    from ldp_core.evaluation.restoration import evaluate_restoration

    with exits():
        found = evaluate_restoration(source, layout=layout, deblurrers=deblurrer or list(DEBLURRERS))
        means = [asdict(mean) for mean in found]
        print_json(means) if as_json else print_means(means)


@app.command()
def maps(
    measured: Annotated[
        Path | None, typer.Argument(help="Folder of pairs with a measured NAME_defocus.png, as pixel4.")
    ] = None,
    simulated: Annotated[int, typer.Option(min=0, help="Simulated pairs.")] = 12,
    estimator: Annotated[
        list[str] | None, typer.Option(help="Method to measure; may be repeated. All, if not given.")
    ] = None,
    weights: Annotated[str, typer.Option(help="CLIP weights: a shipped model, a file, a tag.")] = "ldp-tiny",
    sha256: Annotated[str, typer.Option(help="Digest of that file.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """How well every estimator ranks blur, beside its controls, on photographs and on simulated scenes."""
    from flows.console import print_maps
    from ldp_core.evaluation.maps import read_measured, simulate_pairs, tabulate

    with exits():
        sets = {measured.name: read_measured(measured)} if measured else {}
        if simulated:
            sets[f"{simulated} simulated pairs"] = simulate_pairs(simulated, seed=MAPS_SEED)
        asked = {"weights": weights, "sha256": sha256}
        tables = {
            name: tabulate(pairs, clip=asked, estimators=estimator or ()) for name, pairs in sets.items()
        }
        print_json(tables) if as_json else print_maps(tables)


@app.command()
def detection(
    dataset: Annotated[str, typer.Argument(help="Folder or URL with image/ and in_focus/ or gt/.")],
    weights: Annotated[str, typer.Option(help="A shipped model or a file; the default, if empty.")] = "",
    sha256: Annotated[str, typer.Option(help="Digest of that file.")] = "",
    scales: Annotated[
        Literal["one", "several", "around"],
        typer.Option(help="See a picture whole, also at finer scales, also at .8 and 1.25 times each."),
    ] = "several",
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirrored picture.")] = False,
    split: Annotated[
        Literal["all", "train", "validation"], typer.Option(help="Every tenth by name is validation.")
    ] = "all",
    white: Annotated[
        Literal["focus", "blur"] | None,
        typer.Option(help="What white means in the masks; a folder in_focus/ says it itself."),
    ] = None,
    all_in_focus: Annotated[
        str | None, typer.Option(help="Folder of photographs in focus all over, to try the gate on.")
    ] = None,
    simulated: Annotated[int, typer.Option(min=0, help="Simulated photographs to try the gate on.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """How well blur is detected in masked photographs, beside trivial answers; what the gate is worth."""
    from flows.detection_console import print_detection, warn_upside_down
    from ldp_core.evaluation.detection import evaluate_detection, load_detector, simulate_masked
    from ldp_core.masked import list_masked, read_all_in_focus, read_masked

    with exits():
        photographs = list_masked(dataset, white=white, split=split)
        sets = {"all in focus": read_all_in_focus(all_in_focus)} if all_in_focus else {}
        if simulated:
            sets["simulated"] = simulate_masked(simulated)
        detect = load_detector(weights=weights, sha256=sha256, scales=scales, flip=flip)
        report = evaluate_detection(map(read_masked, photographs), detect, also_gated=sets)
        warn_upside_down(report)
        print_json(report.to_plain()) if as_json else print_detection(report)
