"""Options that several commands share; how commands name what there is to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

import ldp_core
from flows.cli import console
from flows.exits import exits
from flows.logs import show_json
from flows.settings_file import read_settings
from ldp_core.credentials import hide
from ldp_core.errors import cut, suggest

F = TypeVar("F", bound=Callable[..., Any])

FROM_FILE: Final = "DEFAULT_MAP"
"""How Typer calls where a value comes from that a settings file has."""
SETTINGS_FILE: Final = "ldp.settings_file"
"""Under which name a command finds the address of the settings file; it is empty where there is none."""
_HELP: Final = {"--help", "-h"}
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


def _list_protocols() -> Iterable[str]:
    from ldp_core.protocols import PROTOCOLS

    return [name for name, protocol in PROTOCOLS.items() if not protocol.of_maps]


def _list_map_protocols() -> Iterable[str]:
    from ldp_core.protocols import PROTOCOLS

    return [name for name, protocol in PROTOCOLS.items() if protocol.of_maps]


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
    "PROTOCOL": _list_protocols,
    "MAP-PROTOCOL": _list_map_protocols,
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
    """A command that takes what is not given from a settings file, names in its help what there is to choose
    from, and says what a misspelt option was to be."""

    reads_settings: ClassVar[bool] = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if self.reads_settings and not ctx.resilient_parsing and _HELP.isdisjoint(args):
            ctx.default_map = _read_defaults(ctx, self.get_params(ctx))
        with _saying_what_was_meant():
            rest = super().parse_args(ctx, args)
        _take_from_file(ctx)
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        *others, help_option = list[Any](self.get_params(ctx))
        if others:
            help_option.rich_help_panel = others[-1].rich_help_panel  # alone it would fill a group
        for parameter in (*others, help_option):
            _describe(parameter)
        super().format_help(ctx, formatter)


class WithoutSettings(Command):
    """A command that writes the settings file, so that a faulty one does not hinder it."""

    reads_settings = False


class Group(TyperGroup):
    """Commands below one name; a misspelt option of it is explained as well.

    Passwords, keys and signatures are parted from all addresses that are given, whatever they are given for.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _saying_what_was_meant():
            return super().parse_args(ctx, [hide(text) for text in args])


def _read_defaults(ctx: Any, parameters: Iterable[Any]) -> dict[str, Any]:
    """What the settings file has of a command's parameters.

    A key of one value is not taken where several may be given: `--deblurrer` of `ldp evaluate` names what to
    measure, all methods by default, not what a run restores with.
    """
    if not (address := ctx.meta.get(SETTINGS_FILE)):
        return {}
    with exits():
        found = read_settings(address).options
    return {
        parameter.name: found[parameter.name]
        for parameter in parameters
        if parameter.name in found and isinstance(found[parameter.name], list) == _is_repeated(parameter)
    }


def _is_repeated(parameter: Any) -> bool:
    return bool(parameter.multiple if parameter.param_type_name == "option" else parameter.nargs != 1)


def _take_from_file(ctx: Any) -> None:
    """Say which settings file a command takes something from; what ``--set`` sets comes after the file's."""
    sources = {name: getattr(ctx.get_parameter_source(name), "name", "") for name in ctx.params}
    of_file = (ctx.default_map or {}).get("settings")
    if of_file and sources.get("settings") == "COMMANDLINE":
        ctx.params["settings"] = [*of_file, *ctx.params["settings"]]
        sources["settings"] = FROM_FILE
    if FROM_FILE in sources.values() and not ctx.params.get("log_json"):
        console.show(f"settings: {ctx.meta[SETTINGS_FILE]}", error=True)


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
        explained.message = cut(explained.message)
        if near := getattr(error, "possibilities", None):
            explained.message = f"{explained.message}. Did you mean {' or '.join(map(repr, near))}?"
            explained.possibilities = ()
        raise


def command(app: typer.Typer, panel: str, *, kind: type[Command] = Command) -> Callable[[F], F]:
    """Register a function as a command, in a group of `ldp --help`."""
    return app.command(cls=kind, rich_help_panel=panel)


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option or argument stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", FROM_FILE)


def part_archive(context: typer.Context, archive: str, runs: Sequence[str]) -> tuple[str, list[str]]:
    """The archive and the runs of a command whose arguments are ARCHIVE RUN...

    The first may be left out where a settings file names the archive: a run of that archive is taken for one.
    """
    named = (context.default_map or {}).get("archive", archive)
    if not is_given(context, "archive") or named == archive:
        return archive, [*runs]
    from ldp_core.archive.run_files import list_runs
    from ldp_core.storage import absolute_url

    return (named, [archive, *runs]) if archive in list_runs(absolute_url(named)) else (archive, [*runs])


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
        show_default="that of --only-quarantined",
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
Protocols = Annotated[
    list[str] | None,
    method_option(
        "--protocol", help="Score by this published evaluation, too; may be repeated.", **choose("PROTOCOL")
    ),
]
LpipsWeights = Annotated[
    str,
    method_option(
        "--lpips",
        metavar="FILE",
        help="A safetensors file: score LPIPS in the protocols that have it.",
        show_default=False,
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
Prices = Annotated[
    str | None,
    output_option(
        "--prices",
        metavar="FILE",
        help="What requests and computing cost. Default: list prices of S3.",
    ),
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
Resource = Annotated[
    str,
    execution_option(
        "--resource",
        metavar="NAME",
        help="Restore only on workers of the cluster that have this resource of Dask, such as GPU.",
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

Since = Annotated[
    str,
    source_option(
        "--since",
        metavar="DATE",
        help="Only items of which a picture was changed since: 2026-11-28, a time (UTC), or 12h, 7d.",
        show_default=False,
    ),
]
FromArchive = Annotated[
    str | None,
    source_option(
        "--from-archive",
        metavar="URL",
        help="Take the items of this archive, without their source; what is new is archived there.",
    ),
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
