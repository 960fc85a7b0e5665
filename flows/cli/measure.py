"""``ldp evaluate``: measurements of the methods and of the simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli import console, options, parsing
from flows.exits import exits
from ldp_core.errors import count_of
from ldp_core.types import GENERIC_CAMERA

if TYPE_CHECKING:
    from ldp_core.evaluation import FamilyScore
    from ldp_core.evaluation.detection import DetectionReport, GateSet
    from ldp_core.evaluation.maps import Table as MapTable
    from ldp_core.evaluation.thin_structures import StructureMean
    from ldp_core.metrics.bootstrap import Interval
    from ldp_core.optics.realism import OpticsReport

THIN_STRUCTURES_SEED = 71_000
MAPS_SEED = 90_000
"""Of simulated pairs that no training has seen."""

app = typer.Typer(
    cls=options.Group,
    no_args_is_help=True,
    help="Measure methods and the simulation: restoration, maps, detection, optics.",
)

Sha256Option = Annotated[
    str, options.method_option("--sha256", metavar="DIGEST", help="Digest of that file.")
]

_MEASURES = {
    "mae": "MAE",
    "f_blur": "F blur",
    "f_focus": "F focus",
    "iou_blur": "IoU blur",
    "iou_focus": "IoU focus",
    "ap_blur": "AP blur",
    "ap_focus": "AP focus",
    "auroc": "AUROC",
}


@options.command(app, "Commands")
def restoration(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder or URL of a dataset with all-in-focus images.")
    ],
    layout: options.Layout = "folders",
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    deblurrer: options.Measured = None,
    camera: options.Camera = GENERIC_CAMERA,
    as_json: options.Json = False,
) -> None:
    """Compare deblurrers on a dataset: the means `ldp restore` gives for each, in one table."""
    from dataclasses import asdict

    from ldp_core.deblur import DEBLURRERS
    from ldp_core.evaluation.restoration import evaluate_restoration

    with exits():
        found = evaluate_restoration(
            source,
            layout=layout,
            deblurrers=deblurrer or list(DEBLURRERS),
            pixels=parsing.parse_pixels(peak, to_srgb),
            camera=camera,
        )
        means = [asdict(mean) for mean in found]
        console.print_json(means) if as_json else console.show_means(means)


@options.command(app, "Commands")
def maps(
    measured: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="Pairs with a measured defocus map NAME_defocus.png, such as pixel4."
        ),
    ] = None,
    simulated: Annotated[
        int, options.source_option("--simulated", min=0, metavar="N", help="Simulated pairs.")
    ] = 12,
    estimator: Annotated[
        list[str] | None,
        options.method_option(
            "--estimator",
            show_default="all",
            help="A method to measure; may be repeated.",
            **options.choose("ESTIMATOR"),
        ),
    ] = None,
    weights: Annotated[
        str,
        options.method_option(
            "--weights",
            metavar="WEIGHTS",
            help="CLIP weights: a shipped model, a file, or ARCHITECTURE/TAG of open_clip.",
        ),
    ] = "ldp-tiny",
    sha256: Sha256Option = "",
    as_json: options.Json = False,
) -> None:
    """Compare blur estimators with measured and simulated defocus, beside their controls."""
    from ldp_core.evaluation.maps import read_measured, simulate_pairs, tabulate

    with exits():
        sets = {measured.name: read_measured(measured)} if measured else {}
        if simulated:
            sets[count_of(simulated, "simulated pair")] = simulate_pairs(simulated, seed=MAPS_SEED)
        asked = {"weights": weights, "sha256": sha256}
        tables = {
            name: tabulate(pairs, clip=asked, estimators=estimator or ()) for name, pairs in sets.items()
        }
        console.print_json(tables) if as_json else print_maps(tables)


@options.command(app, "Commands")
def detection(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Folder or URL with image/ and in_focus/ or gt/.")
    ],
    split: Annotated[
        Literal["all", "train", "validation"],
        options.source_option(
            "--split",
            help="Every tenth photograph by name is validation.",
            **options.one_of("--split", "all", "train", "validation"),
        ),
    ] = "all",
    white: Annotated[
        Literal["focus", "blur"] | None,
        options.source_option(
            "--white",
            help="What white means in the masks. A folder named in_focus/ needs no option.",
            **options.one_of("--white", "focus", "blur"),
        ),
    ] = None,
    all_in_focus: Annotated[
        str | None,
        options.source_option(
            "--all-in-focus",
            metavar="FOLDER",
            help="Photographs that are in focus everywhere, to test the reliability gate with.",
        ),
    ] = None,
    simulated: Annotated[
        int,
        options.source_option(
            "--simulated", min=0, metavar="N", help="Simulated photographs to test the reliability gate with."
        ),
    ] = 0,
    weights: Annotated[
        str,
        options.method_option(
            "--weights",
            metavar="WEIGHTS",
            help="A shipped model or a file. Default: the model of `depth-distilled`.",
        ),
    ] = "",
    sha256: Sha256Option = "",
    scales: Annotated[
        Literal["one", "several", "around"],
        options.method_option(
            "--scales",
            help="Detect in the whole picture, also at finer scales, or also at .8 and 1.25 times each.",
            **options.one_of("--scales", "one", "several", "around"),
        ),
    ] = "several",
    flip: Annotated[bool, options.method_option("--flip", help="Average with the mirrored picture.")] = False,
    protocol: Annotated[
        str | None,
        options.method_option(
            "--protocol",
            help="Measure by this published evaluation, too.",
            show_default=False,
            **options.choose("MAP-PROTOCOL"),
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Measure blur detection in photographs with masks, beside trivial baselines and published figures."""
    from ldp_core.evaluation.detection import evaluate_detection, load_detector, simulate_masked
    from ldp_core.masked import list_masked, read_all_in_focus, read_masked
    from ldp_core.protocols import require_protocol

    with exits():
        saliency = protocol is not None and require_protocol(protocol, of_maps=True).of_maps
        photographs = list_masked(dataset, white=white, split=split)
        sets = {"all in focus": read_all_in_focus(all_in_focus)} if all_in_focus else {}
        if simulated:
            sets["simulated"] = simulate_masked(simulated)
        detect = load_detector(weights=weights, sha256=sha256, scales=scales, flip=flip)
        report = evaluate_detection(map(read_masked, photographs), detect, also_gated=sets, saliency=saliency)
        _warn_of_inverted_masks(report)
        console.print_json(report.to_plain()) if as_json else print_detection(report)


@options.command(app, "Commands")
def optics(
    photographs: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="Folder or URL with dp/canon_r6m2, dp/pixel4 and dp/pixel4_raw."
        ),
    ],
    family: Annotated[
        list[str] | None,
        options.method_option(
            "--family",
            show_default="all",
            help="A family of simulated kernels; may be repeated.",
            **options.choose("FAMILY"),
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare simulated and measured point spread functions (PSFs): a row per camera and kernel family."""
    from dataclasses import asdict

    from ldp_core.optics.realism import evaluate_optics

    with exits():
        report = evaluate_optics(photographs, families=family or ())
        console.print_json(asdict(report)) if as_json else print_optics(report)


@options.command(app, "Commands")
def families(
    deblurrer: options.Measured = None,
    scenes: Annotated[
        int, options.source_option("--scenes", min=1, metavar="N", help="Simulated scenes per kernel family.")
    ] = 6,
    as_json: options.Json = False,
) -> None:
    """Compare deblurrers on simulated scenes, by the family of the kernel that blurred them."""
    from dataclasses import asdict

    from ldp_core.deblur import DEBLURRERS
    from ldp_core.evaluation import evaluate_families

    with exits():
        scores = list(evaluate_families(deblurrer or list(DEBLURRERS), scenes=scenes))
        console.print_json([asdict(score) for score in scores]) if as_json else print_families(scores)


@options.command(app, "Commands")
def thin_structures(
    deblurrer: options.Measured = None,
    scenes: Annotated[
        int, options.source_option("--scenes", min=1, metavar="N", help="Simulated scenes.")
    ] = 12,
    seed: Annotated[
        int, options.source_option("--seed", min=0, metavar="N", help="Another seed gives other scenes.")
    ] = THIN_STRUCTURES_SEED,
    as_json: options.Json = False,
) -> None:
    """Measure maps and deblurrers beside the edges of simulated bars, fences, wires and branches."""
    from dataclasses import asdict

    from ldp_core.evaluation.thin_structures import evaluate_thin_structures, summarise_structures

    with exits():
        scores = list(evaluate_thin_structures(deblurrer or ["wiener"], scenes=scenes, seed=seed))
        means = summarise_structures(scores)
        console.print_json([asdict(mean) for mean in means]) if as_json else print_structures(means)


def print_structures(means: Sequence[StructureMean]) -> None:
    """Measures by subject and place, with their intervals."""
    rows = [
        (m.subject, m.place, m.measure, f"{m.mean:.3f}", console.format_interval(m.low, m.high), m.scenes)
        for m in means
    ]
    console.show_table(("subject", "place", "measure", "mean", "95 % interval", "scenes"), rows)


def print_families(scores: Sequence[FamilyScore]) -> None:
    """Kernel families by subject."""
    rows = [(s.family, s.subject, s.scenes, f"{s.psnr_db:.2f}", f"{s.ssim:.3f}") for s in scores]
    console.show_table(("kernels", "subject", "scenes", "PSNR dB", "SSIM"), rows)


def print_maps(tables: Mapping[str, MapTable]) -> None:
    """Estimators by measure, a table per set; a dash where there is nothing to compare."""
    for title, rows in tables.items():
        measures = next(iter(rows.values()))
        cells = [
            (row, *("-" if value is None else f"{value:.3f}" for value in values.values()))
            for row, values in rows.items()
        ]
        console.show_table((title, *measures), cells)


def print_optics(report: OpticsReport) -> None:
    """Kernel families by camera: how close each view comes, and the fitted parameters."""
    rows = []
    for fit in report.fits:
        sides = ", ".join(f"{name} {_short_of_one(pair)}" for name, pair in fit.zncc_by_field.items())
        psnr = " / ".join(f"{value:.2f}" for value in fit.psnr_db)
        rows.append((fit.camera, fit.family, psnr, _short_of_one(fit.zncc), _name_values(fit.kernel), sides))
    console.show_table(
        ("camera", "kernels", "PSNR dB L / R", "1 - ZNCC, % L / R", "fitted", "by field"), rows
    )
    kernels = [
        (
            row.family,
            " / ".join(f"{value:.3f}" for value in row.correlation),
            f"{row.least:.3f}",
            _name_values(row.kernel),
        )
        for row in report.correlations
    ]
    console.show_table(("kernels", "correlation with 48 Pixel 4 kernels L / R", "worst", "fitted"), kernels)
    for camera, names in report.left_out.items():
        left_out = f"; left out, sharp and blurred do not match: {', '.join(names)}" if names else ""
        console.show(f"{camera}: {report.windows[camera]} windows, every second one scored{left_out}")


def print_detection(report: DetectionReport) -> None:
    """Measures with baselines and published figures, F by threshold rule, the reliability gate, speed."""
    from ldp_core.evaluation.detection import PUBLISHED

    methods = report.methods
    rows = [
        (head, *(_brief(scores.means[name]) for scores in methods.values()), max(_counts(report, name)))
        for name, head in _MEASURES.items()
    ]
    console.show_table(("F, IoU at .5", *methods, "n"), rows)
    console.show_table(
        ("published, CUHK test split, not measured here", "MAE", "F blur, P3", "IoU blur"),
        [(method, *(f"{value:.3f}" for value in values)) for method, values in PUBLISHED.items()],
    )
    _print_saliency(report)
    _print_rules(report)
    _print_gate(report.gate)
    console.show(f"{count_of(report.images, 'photograph')}, {report.images_per_second:.2f} images per second")


def _print_saliency(report: DetectionReport) -> None:
    if report.saliency:
        names = next(iter(report.saliency.values()))
        rows = [(name, *(_brief(measures[name]) for measures in report.saliency.values())) for name in names]
        console.show_table(("protocol pysodmetrics", *report.saliency), rows)


def _counts(report: DetectionReport, measure: str) -> list[int]:
    return [scores.n[measure] for scores in report.methods.values()]


def _warn_of_inverted_masks(report: DetectionReport) -> None:
    if report.upside_down:
        console.show(
            f"maps contradict the masks (correlation {report.correlation:.2f}): "
            "does white mean the opposite? see --white",
            style="red",
            error=True,
        )


def _print_rules(report: DetectionReport) -> None:
    detector = next(iter(report.methods.values()))
    for side in detector.rules:
        found, *baselines = (scores.rules[side] for scores in report.methods.values())
        rows = [
            (rule.value, _brief(interval), *(f"{baseline[rule].mean:.3f}" for baseline in baselines))
            for rule, interval in found.items()
        ]
        console.show_table((f"F of class {side}", *report.methods), rows)
    counts = ", ".join(f"{count} of class {side}" for side, count in detector.emptied.items())
    console.show(f"truths that rule P1 as published empties: {counts}")


def _print_gate(gate: Mapping[str, GateSet]) -> None:
    rows: list[tuple[Any, ...]] = []
    for name, found in gate.items():
        for title, group in (("accepted", found.accepted), ("rejected", found.rejected)):
            rows.append((name, title, group.n, _brief(group.mae), _brief(group.auroc)))
    console.show_table(("gate", "", "n", "MAE", "AUROC"), rows)
    for name, found in gate.items():
        if found.failed:
            failures = ", ".join(f"{condition} {count}" for condition, count in found.failed.items())
            console.show(f"{name} rejected for: {failures}")


def _brief(interval: Interval | None) -> str:
    """Mean and 95 % interval, short enough for three columns beside their name."""
    return f"{interval.mean:.3f} {interval.low:.3f}-{interval.high:.3f}" if interval else "-"


def _short_of_one(zncc: tuple[float, float]) -> str:
    return " / ".join(f"{100 * (1 - value):.2f}" for value in zncc)


def _name_values(kernel: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in kernel.items())
