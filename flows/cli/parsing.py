"""Values of options as the flows take them, from the texts that people write."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from flows.cli.options import is_given
from ldp_core.errors import SettingsError, suggest
from ldp_core.item_ids import is_unicode
from ldp_core.types import GENERIC_CAMERA

if TYPE_CHECKING:
    from ldp_core.types import PixelOptions


def parse_settings(assignments: Sequence[str] | None, stages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``stage.name=value`` by stage; values are JSON, or text where they are not.

    Raises:
        SettingsError: an assignment has another form, or its stage is not one of ``stages``.
    """
    chosen: dict[str, dict[str, Any]] = {stage: {} for stage in stages}
    for assignment in assignments or ():
        path, equals, value = assignment.partition("=")
        stage, _, name = path.partition(".")
        if not (equals and name and stage in chosen and is_unicode(value)):
            raise SettingsError(
                "not a setting",
                where="--set",
                expected=", ".join(f"{stage}.NAME=VALUE" for stage in stages),
                got=assignment,
                remedy=suggest(stage, stages),
            )
        chosen[stage][name] = _parse_value(value)
    return chosen


def require_camera(name: str) -> None:
    """Refuse a camera profile that is not there.

    Raises:
        SettingsError: there is no such profile, or its file is none.
        ObjectMissingError: there is no file at that address.
    """
    if name != GENERIC_CAMERA:
        from ldp_core.cameras import open_camera
        from ldp_core.cameras.matching import AUTO

        if name != AUTO:
            open_camera(name)


def parse_pixels(peak: str | None, to_srgb: bool = False) -> PixelOptions:
    """How pixels are to be read, from ``--peak`` and ``--to-srgb``.

    Raises:
        SettingsError: the peak is no value of 16 bit.
    """
    from ldp_core.images.scale import parse_peak
    from ldp_core.types import PixelOptions

    return PixelOptions(parse_peak(peak), to_srgb)


def parse_methods(assignments: Sequence[str] | None) -> dict[str, str]:
    """Folders by the names of methods, from ``--method NAME=FOLDER``.

    Raises:
        SettingsError: one has another form, or a name is there twice.
    """
    folders: dict[str, str] = {}
    for assignment in assignments or ():
        name, equals, folder = assignment.partition("=")
        if not (equals and name and folder) or name in folders:
            raise SettingsError(
                "not the folder of a method" if name not in folders else "a method is named twice",
                where="--method",
                expected="NAME=FOLDER, such as restormer=results/restormer",
                got=assignment,
            )
        folders[name] = folder
    return folders


def read_ids(address: str | None) -> list[str] | None:
    """Item ids or names from a file of one a line; blank lines and those that begin with # are passed over.

    Raises:
        SettingsError: the file names no item, or is no text.
        StorageError: it is not there, or cannot be read.
    """
    if address is None:
        return None
    from ldp_core.storage import read_bytes

    try:
        lines = [line.strip() for line in read_bytes(address).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise SettingsError("this is no text", where=f"--ids {address}", expected="UTF-8") from error
    ids = [line for line in lines if line and not line.startswith("#")]
    if not ids:
        raise SettingsError("this file names no item", where=f"--ids {address}", expected="an id a line")
    return ids


def parse_titles(assignments: Sequence[str] | None, *, option: str, form: str) -> dict[str, str]:
    """Titles by what they are of, from ``NAME=TITLE``; blanks around a title are left out.

    Raises:
        SettingsError: one has another form, or its title is empty or cannot be printed.
    """
    titles: dict[str, str] = {}
    for assignment in assignments or ():
        name, _, title = assignment.partition("=")
        if not (name and title.strip() and title.isprintable()):
            raise SettingsError("not a title", where=option, expected=form, got=assignment)
        titles[name] = title.strip()
    return titles


def parse_point(text: str) -> tuple[int, int]:
    """Column and row from ``600,420``.

    Raises:
        SettingsError: it has another form.
    """
    x, _, y = text.partition(",")
    if not (x.strip().isdecimal() and y.strip().isdecimal()):
        raise SettingsError("not a point", where="--zoom", expected="X,Y in px, such as 600,420", got=text)
    return int(x), int(y)


def locate_run(context: typer.Context, run: str, archive: str) -> tuple[str, str]:
    """The archive and the id of a run, which may be given as the address of something in its folder.

    Such an address goes before the archive that a settings file names.

    Raises:
        SettingsError: it lies in another archive than ``--archive`` says.
    """
    found = re.fullmatch(r"(.+)/runs/([^/]+)(?:/.*)?", run)
    if found is None:
        return archive, run
    if is_given(context, "archive") and archive.rstrip("/") != found[1].rstrip("/"):
        raise SettingsError(
            "the run lies in another archive", where="--archive", expected=found[1], got=archive
        )
    return found[1], found[2]


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Width and height from ``840x560``, each at least 1.

    Raises:
        SettingsError: it has another form.
    """
    if match := re.fullmatch(r"0*([1-9]\d{0,8})x0*([1-9]\d{0,8})", text, re.ASCII):
        return int(match[1]), int(match[2])
    raise SettingsError("not a size", where=option, expected="WIDTHxHEIGHT, such as 840x560", got=text)


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
