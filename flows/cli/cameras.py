"""Verbs over camera profiles: what there is, what they look like, new ones from data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli import console, options, parsing
from flows.exits import exits

if TYPE_CHECKING:
    from ldp_core.cameras import Camera

app = typer.Typer()

Draw = Annotated[
    Path | None,
    options.output_option(
        "--draw", metavar="FILE", help="Write a picture (PNG) of the kernels over the frame."
    ),
]


@options.command(app, options.MODELS)
def cameras(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Print this profile: a name or the address of a file.", **options.choose("CAMERA")
        ),
    ] = None,
    draw: Draw = None,
    as_json: options.Json = False,
) -> None:
    """List the camera profiles that come with the package, or show one of them or of your own."""
    from ldp_core.cameras import list_cameras, open_camera
    from ldp_core.errors import SettingsError

    with exits():
        if name is not None:
            camera = open_camera(name)
            if draw is not None:
                write_picture(camera, draw)
            console.print_json(describe_camera(camera) | {"card": dict(camera.profile.card)})
            return
        if draw is not None:
            raise SettingsError("no profile is named", where="--draw", remedy="name the profile to draw")
        listed = [describe_camera(open_camera(known)) for known in list_cameras()]
    console.print_json(listed) if as_json else _print_cameras(listed)


@options.command(app, options.MODELS)
def calibrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Dataset of one camera, or folder with blur_kernels_left.npy and blur_kernels_right.npy.",
        ),
    ],
    output: Annotated[
        str, options.output_option("--output", "-o", metavar="FILE", help="The profile, a JSON file.")
    ],
    name: Annotated[
        str | None,
        options.output_option("--name", metavar="NAME", help="Its name. Default: that of the file."),
    ] = None,
    layout: options.Layout = "folders",
    peak: options.Peak = None,
    grid: Annotated[
        str,
        options.source_option(
            "--grid", metavar="COLUMNSxROWS", help="Cells of measured kernels over the frame."
        ),
    ] = "8x6",
    frame: Annotated[
        str,
        options.source_option(
            "--frame",
            metavar="WxH",
            help="Size of the sensor's frame in pixels of a view, along the dual-pixel axis first.",
        ),
    ] = "4032x3024",
    scale: Annotated[
        float | None,
        options.source_option(
            "--scale",
            metavar="FACTOR",
            help="Pixels of the frame per pixel of a picture. Default: pictures are as wide as the frame.",
        ),
    ] = None,
    fit: Annotated[
        Literal["views", "truths"],
        options.method_option(
            "--fit",
            help="Of a dataset: compare the views with each other, or each with the truth.",
            **options.one_of("--fit", "views", "truths"),
        ),
    ] = "views",
    kernels: Annotated[
        Literal["lens", "grid"],
        options.method_option(
            "--kernels",
            help="Of measured kernels: fit a lens model, or keep the kernels.",
            **options.one_of("--kernels", "lens", "grid"),
        ),
    ] = "lens",
    draw: Draw = None,
    as_json: options.Json = False,
) -> None:
    """Make a camera profile from measured kernels, from pairs with a truth, or from pairs alone."""
    from ldp_core.cameras import CameraProfile, SensorFrame, open_camera
    from ldp_core.cameras.calibrate import (
        GridSource,
        calibrate_from_grid,
        calibrate_from_pairs,
        require_profile_address,
        write_profile,
    )
    from ldp_core.catalogue import read_catalogue, require_named_peak

    with exits():
        columns, rows = parsing.parse_size(grid, "--grid")
        width, height = parsing.parse_size(frame, "--frame")
        name = name or Path(output).stem
        require_profile_address(output)
        CameraProfile.parse({"name": name})  # both are told before the work
        whole = SensorFrame.parse({"width": width, "height": height, "scale": scale})
        measured = GridSource(source, rows, columns)
        if measured.is_there:
            found = calibrate_from_grid(measured, name=name, frame=whole, kernels=kernels)
        else:
            catalogue = read_catalogue(source, layout=layout, pixels=parsing.parse_pixels(peak))
            require_named_peak(catalogue)
            found = calibrate_from_pairs(catalogue.items, name=name, frame=whole, use=fit)
        write_profile(found, output)
        camera = open_camera(output)
        if draw is not None:
            write_picture(camera, draw)
    described = describe_camera(camera) | {"card": dict(camera.profile.card)}
    console.print_json(described) if as_json else _print_card(described)


def write_picture(camera: Camera, path: Path) -> None:
    """A picture of the kernels over the frame, as PNG."""
    from ldp_core.cameras.draw import draw_kernels
    from ldp_core.images import encode_image
    from ldp_core.storage import write_bytes

    write_bytes(str(path), encode_image(draw_kernels(camera)))


def describe_camera(camera: Camera) -> dict[str, Any]:
    """What one must know of a profile before using it, as plain values."""
    profile = camera.profile
    places = {"centre": (0.0, 0.0), "side": (1.0, 0.0), "top": (0.0, -0.6)}
    return {
        "name": camera.name,
        "summary": profile.card.get("summary", "not stated"),
        "kernels": profile.kernels.kind,
        "disparity per px of circle of confusion": {
            place: round(camera.kernel_at(*at).disparity / 2, 4) for place, at in places.items()
        },
        "frame": None if profile.frame is None else profile.frame.model_dump(mode="json"),
        "chosen by": [match.model_dump(mode="json", exclude_defaults=True) for match in profile.matches],
        "sha256": profile.digest,
        "use": camera.address.partition("#")[0],
    }


def _print_cameras(listed: list[dict[str, Any]]) -> None:
    for camera in listed:
        console.show(camera["name"], style="bold")
        console.show_facts(
            [
                ("summary", camera["summary"]),
                ("kernels", camera["kernels"]),
                ("disparity", _name_values(camera["disparity per px of circle of confusion"])),
                ("sha256", camera["sha256"]),
            ],
            indent="  ",
        )


def _print_card(described: Mapping[str, Any]) -> None:
    card = described["card"]
    facts = [(name, str(card[name])) for name in ("summary", "data", "method", "limits") if name in card]
    facts += [("residuals", _name_values(card.get("residuals", {})))]
    facts += [("disparity", _name_values(described["disparity per px of circle of confusion"]))]
    console.show_facts([*facts, ("use", f"--camera {described['use']}")])
    if parameters := card.get("parameters"):
        rows = [(name, *_describe_estimate(estimate)) for name, estimate in parameters.items()]
        console.show_table(("parameter", "value", "95 % interval", "told"), rows)


def _describe_estimate(estimate: Mapping[str, Any]) -> tuple[str, str, str]:
    low, high = estimate["low"], estimate["high"]
    interval = "not known" if low is None else console.format_interval(low, high)
    return f"{estimate['value']:.3f}", interval, f"{estimate['told']:.0%}"


def _name_values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
