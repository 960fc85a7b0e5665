"""Options that several commands share; how commands name what there is to choose from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

import ldp_core
from flows.logs import show_json
from ldp_core.credentials import hide
from ldp_core.errors import SettingsError, suggest
from ldp_core.item_ids import is_unicode
from ldp_core.types import GENERIC_CAMERA

if TYPE_CHECKING:
    from ldp_core.types import PixelOptions

F = TypeVar("F", bound=Callable[..., Any])

DATASETS, ARCHIVES, MEASURING, MODELS = "Datasets", "Archives", "Measuring", "Models and training"
"""Groups of commands in `ldp --help`."""

source_option: Final = partial(typer.Option, rich_help_panel="Source")
method_option: Final = partial(typer.Option, rich_help_panel="Methods")
execution_option: Final = partial(typer.Option, rich_help_panel="Execution")
output_option: Final = partial(typer.Option, rich_help_panel="Output")
"""`typer.Option` by its group in the help of a command."""


def _list_layouts() -> Iterable[str]:
    from ldp_core.catalogue import LAYOUTS

    return LAYOUTS


def _list_estimators() -> Iterable[str]:
    from ldp_core.blur import ESTIMATORS

    return ESTIMATORS


def _list_deblurrers() -> Iterable[str]:
    from ldp_core.deblur import DEBLURRERS

    return DEBLURRERS


def _list_families() -> Iterable[str]:
    from ldp_core.optics.realism.evaluate import candidates

    return [candidate.name for candidate in candidates("")]


def _list_models() -> Iterable[str]:
    """From the files, for `ldp_core.weights` imports torch: seconds before a name could be completed."""
    shipped = Path(ldp_core.__file__).parent / "weights" / "shipped"
    return sorted(path.stem for path in shipped.glob("*.safetensors"))


def _list_cameras() -> Iterable[str]:
    """From the files, for `ldp_core.cameras` imports torch: seconds before a name could be completed."""
    shipped = Path(ldp_core.__file__).parent / "cameras" / "shipped"
    return sorted(path.stem for path in shipped.glob("*.json"))


NAMES: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "LAYOUT": _list_layouts,
    "ESTIMATOR": _list_estimators,
    "DEBLURRER": _list_deblurrers,
    "FAMILY": _list_families,
    "CAMERA": _list_cameras,
    "MODEL": _list_models,
}
"""What an option or argument of this metavar can be; read when help or a completion asks for it."""


def choose(metavar: str) -> dict[str, Any]:
    """What makes an option or argument one of `NAMES`: its metavar, its completion."""

    def complete() -> list[str]:
        return list(NAMES[metavar]())

    return {"metavar": metavar, "autocompletion": complete}


def one_of(option: str, *values: str) -> dict[str, Any]:
    """What makes an option one of a few values: its metavar, its completion, a refusal with a suggestion."""

    def parse(text: str) -> str:
        if text in values:
            return text
        remedy = suggest(text, values) or f"choose one of {', '.join(values)}"
        raise typer.BadParameter(f"there is no '{text}'; {remedy}", param_hint=option)

    return {"metavar": "|".join(values), "autocompletion": lambda: list(values), "parser": parse}


class Command(TyperCommand):
    """A command that names in its help what there is to choose from, and what a misspelt option was to be."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _saying_what_was_meant():
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        *others, help_option = list[Any](self.get_params(ctx))
        if others:
            help_option.rich_help_panel = others[-1].rich_help_panel  # alone it would fill a group
        for parameter in (*others, help_option):
            _describe(parameter)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """Commands below one name; a misspelt option of it is explained as well.

    Passwords, keys and signatures are parted from all addresses that are given, whatever they are given for.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _saying_what_was_meant():
            return super().parse_args(ctx, [hide(text) for text in args])


def _describe(parameter: Any) -> None:
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""  # a flag takes no value; Typer would show <bool>
    if names := NAMES.get(parameter.metavar):
        parameter.help = f"{parameter.help.removesuffix('.')}: {', '.join(names())}."


@contextmanager
def _saying_what_was_meant() -> Iterator[None]:
    """Typer finds what is near a misspelt option, and shows it as possible."""
    try:
        yield
    except TyperException as error:
        explained: Any = error
        if near := getattr(error, "possibilities", None):
            explained.message = f"{explained.message}. Did you mean {' or '.join(map(repr, near))}?"
            explained.possibilities = ()
        raise


def command(app: typer.Typer, panel: str) -> Callable[[F], F]:
    """Register a function as a command, in a group of `ldp --help`."""
    return app.command(cls=Command, rich_help_panel=panel)


def _log_as_json(asked: bool) -> bool:
    if asked:
        show_json()
    return asked


Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="Folder or manifest of the dataset: a path or any fsspec URL."),
]
SourceOfRun = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="Folder or manifest of the dataset: a path or any fsspec URL.",
        show_default="that of the run of --only-quarantined",
    ),
]
Layout = Annotated[str, source_option("--layout", help="How the source is laid out.", **choose("LAYOUT"))]
Dataset = Annotated[
    str | None,
    source_option(
        "--dataset", metavar="NAME", help="First part of the item ids. Default: the name of the source."
    ),
]
Estimator = Annotated[
    str, method_option("--estimator", help="How blur maps are estimated.", **choose("ESTIMATOR"))
]
Deblurrer = Annotated[
    str, method_option("--deblurrer", help="How images are restored.", **choose("DEBLURRER"))
]
Baselines = Annotated[
    list[str] | None,
    method_option(
        "--baseline", help="Another deblurrer to compare with; may be repeated.", **choose("DEBLURRER")
    ),
]
Measured = Annotated[
    list[str] | None,
    method_option(
        "--deblurrer", show_default="all", help="A method to measure; may be repeated.", **choose("DEBLURRER")
    ),
]
Camera = Annotated[
    str,
    method_option(
        "--camera",
        help="Profile of the camera: a name, the address of a file, or auto: by what pictures tell (EXIF).",
        **choose("CAMERA"),
    ),
]
Settings = Annotated[
    list[str] | None,
    method_option(
        "--set",
        metavar="SETTING",
        help="STAGE.NAME=VALUE, such as estimator.window_px=15; may be repeated. "
        "A wrong name lists the right ones.",
    ),
]
Archive = Annotated[
    str,
    output_option(
        "--archive",
        metavar="URL",
        help="Where frames, results and reports are kept: a path or any fsspec URL.",
    ),
]
DEFAULT_ARCHIVE: Final = "archive"
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run: its name below runs/ in the archive, or ARCHIVE/runs/NAME."),
]
ReportItems = Annotated[
    int, output_option("--report-items", min=0, metavar="N", help="Items with pictures in the report.")
]
Json = Annotated[bool, output_option("--json", help="Print the result as JSON on standard output.")]
LogJson = Annotated[
    bool,
    output_option(
        "--log-json",
        help="Log as JSON lines on standard error, in place of progress bars and messages.",
        callback=_log_as_json,
    ),
]
Cluster = Annotated[
    str | None,
    execution_option(
        "--cluster", metavar="ADDRESS", help="Address of a Dask scheduler. Default: workers on this machine."
    ),
]
InsecureCluster = Annotated[
    bool,
    execution_option(
        "--insecure-cluster",
        help="Allow a scheduler on another host without TLS: whoever is on the network can run code there.",
    ),
]
Workers = Annotated[
    int | None,
    execution_option(
        "--workers", min=1, metavar="N", help="Worker processes on this machine. Default: one per core."
    ),
]
MaxBad = Annotated[
    float,
    execution_option(
        "--max-bad",
        min=0,
        max=1,
        metavar="X",
        help="Stop the run when more than this share of its items is bad.",
    ),
]

VerifySources = Annotated[
    bool,
    source_option(
        "--verify-sources",
        help="Compare the pixels of every source with the archive, not only of changed ones.",
    ),
]
AllowShrink = Annotated[
    bool,
    source_option(
        "--allow-shrink", help="Go on though more than 5 % of the items of the run before are gone."
    ),
]
Peak = Annotated[
    str | None,
    source_option(
        "--peak",
        metavar="N",
        help="Pixel value of full scale of 16-bit pictures, such as 4095, or 'full' for 65535. "
        "Default: what the pictures say, else 65535.",
    ),
]
ToSrgb = Annotated[
    bool, source_option("--to-srgb", help="Convert pictures that have a colour profile to sRGB.")
]
AllowSingle = Annotated[
    bool,
    source_option(
        "--allow-single",
        help="Go on where all second views, or all truths, of a folder are missing.",
    ),
]

PairBy = Annotated[
    str,
    source_option(
        "--pair-by",
        metavar="REGEX",
        help="Pair by a regular expression over paths, with the named groups scene and role.",
        show_default=False,
    ),
]
Methods = Annotated[
    list[str] | None,
    source_option(
        "--method",
        metavar="NAME=URL",
        help="Folder of another method's restorations, named as the items; may be repeated.",
    ),
]
Limit = Annotated[
    int | None,
    source_option("--limit", min=1, metavar="N", help="Only the first items, in the order of their ids."),
]
Sample = Annotated[
    int | None, source_option("--sample", min=1, metavar="N", help="Only so many items, drawn at random.")
]
Seed = Annotated[
    int, source_option("--seed", metavar="S", help="The same seed draws the same sample of the same items.")
]
Ids = Annotated[
    str | None,
    source_option("--ids", metavar="FILE", help="Only the items named in this file, a line each."),
]

Where = Annotated[
    str,
    source_option(
        "--where",
        metavar="EXPR",
        help="Only items of which this holds, such as 'camera == \"pixel-4\" and iso > 800'.",
        show_default=False,
    ),
]

METHOD_STAGES = ("estimator", "deblurrer", "single_estimator", "single_deblurrer")
"""What `--set` sets something of in a run; the `single_` ones serve items whose second view is missing."""


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


def locate_run(run: str, archive: str) -> tuple[str, str]:
    """The archive and the id of a run, which may be given as the address of something in its folder.

    Raises:
        SettingsError: that address lies in another archive than the named one.
    """
    found = re.fullmatch(r"(.+)/runs/([^/]+)(?:/.*)?", run)
    if found is None:
        return archive, run
    if archive not in (DEFAULT_ARCHIVE, found[1]):
        raise SettingsError(
            "the run lies in another archive", where="--archive", expected=found[1], got=archive
        )
    return found[1], found[2]


def parse_age(text: str, option: str) -> timedelta:
    """A time from ``90d``, ``12h`` or ``6w``, above 0.

    Raises:
        SettingsError: it has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text, re.ASCII)
    if match is None:
        raise SettingsError("not an age", where=option, expected="such as 90d, 12h or 6w", got=text)
    unit = {"h": "hours", "d": "days", "w": "weeks"}[match[2]]
    return timedelta(**{unit: int(match[1])})


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
