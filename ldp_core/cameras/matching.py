"""Which profile serves which item of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from ldp_core.cameras.profile import Camera, CameraMatch, CameraProfile, list_cameras, open_camera
from ldp_core.errors import LdpError
from ldp_core.images.exif import TakenBy, read_camera
from ldp_core.storage import shared_url
from ldp_core.types import GENERIC_CAMERA, Catalogue, Item, Problem

__all__ = ["AUTO", "assign_cameras", "choose_camera", "shared_camera"]

AUTO: Final = "auto"
"""Instead of the name of a profile: the one that fits what a picture tells of its camera."""
_THREADS: Final = 16


def assign_cameras(catalogue: Catalogue, camera: str) -> Catalogue:
    """The catalogue with every item's camera. An item whose own cannot be opened is refused: its row is bad.

    Args:
        camera: the name or address of a profile, for all items whose source names none; ``auto`` reads make,
            model and lens from the left pictures, and items that no shipped profile fits stay as they are.

    Raises:
        SettingsError: there is no such profile, or none of those that the items name.
        ObjectMissingError: there is no file at that address.
    """
    named = {item.camera for item in catalogue.items} - {GENERIC_CAMERA}
    if camera == GENERIC_CAMERA and not named:
        return catalogue
    known = {name: open_camera(name) for name in {camera} - {AUTO, GENERIC_CAMERA}}
    refused: dict[str, LdpError] = {}
    for name in named - known.keys():
        try:
            known[name] = open_camera(name)
        except LdpError as error:
            refused[name] = error
    catalogue = _refuse(catalogue, refused)
    if camera != AUTO:
        chosen = ((item, known.get(item.camera) or known.get(camera)) for item in catalogue.items)
        return replace(catalogue, items=tuple(_take_by(i, found) if found else i for i, found in chosen))
    profiles = tuple(map(open_camera, list_cameras()))

    def assign(item: Item) -> Item:
        if item.camera in known:
            return _take_by(item, known[item.camera])
        found = choose_camera(read_camera(item.left.uri, size_bytes=item.left.size_bytes), profiles)
        return item if found is None else _take_by(item, found)

    with ThreadPoolExecutor(_THREADS) as threads:
        return replace(catalogue, items=tuple(threads.map(assign, catalogue.items)))


def _refuse(catalogue: Catalogue, cameras: Mapping[str, LdpError]) -> Catalogue:
    """The catalogue without the items of some cameras; where there are no others, their error is raised."""
    if not cameras:
        return catalogue
    items = tuple(item for item in catalogue.items if item.camera not in cameras)
    if not items:
        raise next(iter(cameras.values()))
    problems = tuple(
        Problem(item.id, "bad_row", f"its camera '{item.camera}': {error.what}", error.remedy)
        for item in catalogue.items
        if (error := cameras.get(item.camera))
    )
    return replace(catalogue, items=items, problems=catalogue.problems + problems)


def shared_camera(camera: str) -> str:
    """The name or address of a profile as every worker finds it, wherever it is started."""
    return shared_url(camera) if camera.endswith(".json") else camera


def choose_camera(taken_by: TakenBy, cameras: Iterable[Camera]) -> Camera | None:
    """The profile that names the camera; one that names its lens as well comes first. None: there is none."""
    fitting = [(_rank(taken_by, camera.profile), camera) for camera in cameras]
    best = max(fitting, key=lambda one: one[0], default=(0, None))
    return best[1] if best[0] else None


def _rank(taken_by: TakenBy, profile: CameraProfile) -> int:
    """0: another camera; 1: this one; 2: this one with its lens."""
    return max((_fits(taken_by, match) for match in profile.matches), default=0)


def _fits(taken_by: TakenBy, match: CameraMatch) -> int:
    pairs: Sequence[tuple[str, str]] = ((match.make, taken_by.make), (match.lens, taken_by.lens))
    named = all(expected.casefold() in got.casefold() for expected, got in pairs)
    if not named or match.model.casefold() != taken_by.model.casefold():
        return 0
    return 2 if match.lens else 1


def _take_by(item: Item, camera: Camera) -> Item:
    profile = camera.profile
    if profile.views_exchanged and item.right is not None:
        item = replace(item, left=item.right, right=item.left)
    return replace(item, camera=camera.address, dp_axis=profile.dp_axis or item.dp_axis)
