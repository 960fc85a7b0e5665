"""A settings file, ``ldp.toml``: what commands and deployments take where nothing else is given.

A key stands for an option of commands and a parameter of flows. Addresses in it are relative to the file.
What is given on a command line, or as a parameter of a deployment, goes before it.
"""

from __future__ import annotations

import json
import posixpath
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ldp_core.credentials import hide
from ldp_core.errors import ObjectMissingError, SettingsError, suggest
from ldp_core.storage import read_bytes

DEFAULT_FILE: Final = "ldp.toml"
VARIABLE: Final = "LDP_SETTINGS"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file: its type, the option of commands and the parameter of flows that it stands for.

    ``example`` is what a new file shows, as TOML, and ``comment`` what it says of it.
    """

    table: str
    name: str
    kind: type
    option: str
    parameter: str
    example: str
    comment: str
    is_address: bool = False


KEYS: Final = (
    Key("source", "address", str, "source", "source", '"pairs"', "folder or manifest, any URL", True),
    Key("source", "layout", str, "layout", "layout", '"folders"', "`ldp plan --help` names all layouts"),
    Key("source", "dataset", str, "dataset", "dataset", '"pairs"', "first part of the item ids"),
    Key("source", "pair_by", str, "pair_by", "pair_by", '""', "a regular expression over paths"),
    Key("source", "camera", str, "camera", "camera", '"generic"', "a profile, the address of one, or auto"),
    Key("source", "peak", int, "peak", "peak", "4095", "pixel value of full scale of 16-bit pictures"),
    Key("source", "to_srgb", bool, "to_srgb", "to_srgb", "false", "convert pictures with a colour profile"),
    Key("archive", "address", str, "archive", "archive", '"archive"', "frames, results and reports", True),
    Key("methods", "estimator", str, "estimator", "estimator", '"disparity"', "how blur maps are estimated"),
    Key("methods", "deblurrer", str, "deblurrer", "deblurrer", '"ldp"', "how images are restored"),
    Key("methods", "baselines", list, "baseline", "baselines", '["bdir"]', "to compare with"),
    Key("methods", "protocols", list, "protocol", "protocols", '["dpdd-8bit"]', "to score by as well"),
    Key(
        "methods",
        "lpips_weights",
        str,
        "lpips_weights",
        "lpips_weights",
        '"lpips.safetensors"',
        "of LPIPS",
        True,
    ),
    Key("cluster", "address", str, "cluster", "cluster", '"tls://scheduler:8786"', "a Dask scheduler"),
    Key("cluster", "insecure", bool, "insecure_cluster", "insecure_cluster", "false", "allow it without TLS"),
    Key("cluster", "resource", str, "resource", "resource", '"GPU"', "restore on workers that have it"),
    Key("cluster", "workers", int, "workers", "processes", "4", "worker processes on this machine"),
    Key("thresholds", "max_bad", float, "max_bad", "max_bad", "0.05", "share of bad items that stops a run"),
    Key("cost", "prices", str, "prices", "prices", '"prices.toml"', "what requests and computing cost", True),
    Key("thresholds", "report_items", int, "report_items", "report_items", "200", "items with pictures"),
)
"""All keys but those of the two tables whose keys are names of the user's."""
SETTINGS: Final = "method_settings"
"""The table of what ``--set`` sets: ``"estimator.window_px" = 15``."""
OTHERS: Final = "other_methods"
"""The table of folders of other methods' results: ``Restormer = "results/restormer"``."""
_TABLES: Final = (*dict.fromkeys(key.table for key in KEYS), SETTINGS, OTHERS)
_KINDS: Final = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
}
_HEAD: Final = f"""\
# Settings of ldp. Commands in this folder read them; `ldp --settings FILE` and the variable {VARIABLE}
# name another file. The command line goes before them. Addresses are relative to this file.
# Remove `# ` in front of a line to use it."""
_USED: Final = {("source", "address"), ("source", "layout"), ("archive", "address")}
METHOD_STAGES: Final = ("estimator", "deblurrer", "single_estimator", "single_deblurrer")
"""What a run has settings of; the `single_` ones serve items whose second view is missing."""
_COMMENTS: Final = {
    SETTINGS: '"estimator.window_px" = 15   # as --set estimator.window_px=15',
    OTHERS: 'Restormer = "results/restormer"   # folder of another method\'s restorations',
}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The values of a file by their key, and the two tables of free names."""

    address: str
    values: Mapping[Key, Any]
    method_settings: Mapping[str, Any]
    other_methods: Mapping[str, str]

    @property
    def options(self) -> dict[str, Any]:
        """Values by the names of options."""
        named = {key.option: value for key, value in self.values.items()}
        if self.method_settings:
            named["settings"] = [
                f"{name}={json.dumps(value)}" for name, value in self.method_settings.items()
            ]
        if self.other_methods:
            named["method"] = [f"{name}={folder}" for name, folder in self.other_methods.items()]
        return named

    @property
    def parameters(self) -> dict[str, Any]:
        """Values by the names of flows' parameters."""
        named = {key.parameter: value for key, value in self.values.items()}
        for path, value in self.method_settings.items():
            stage, _, name = path.partition(".")
            named.setdefault(f"{stage}_settings", {})[name] = value
        return named | ({"methods": dict(self.other_methods)} if self.other_methods else {})


def read_settings(address: str) -> SettingsFile:
    """A settings file.

    Raises:
        ObjectMissingError: there is no such file.
        SettingsError: it is no TOML, or a key is unknown or of another type.
    """
    try:
        content = tomllib.loads(read_bytes(address).decode("utf-8-sig"))
    except ObjectMissingError as error:
        raise ObjectMissingError(
            "there is no such settings file", where=address, remedy="`ldp init` writes one"
        ) from error
    except ValueError as error:
        raise SettingsError("this is no TOML", where=address, got=str(error)) from error
    for table, found in content.items():
        if table not in _TABLES or not isinstance(found, dict):
            raise _refuse_key(address, table, "", found)
    keys = {(key.table, key.name): key for key in KEYS}
    values = {}
    for table, name, value in _rows(content, exclude=(SETTINGS, OTHERS)):
        if (key := keys.get((table, name))) is None:
            raise _refuse_key(address, table, name, value)
        values[key] = _parse(address, key, value)
    return SettingsFile(
        address, values, _read_method_settings(address, content), _read_others(address, content)
    )


def write_example(**chosen: str) -> str:
    """The text of a new file: every key with its comment; what is not needed is commented out.

    ``chosen`` are values by the names of options, in place of the examples.
    """
    lines = [_HEAD]
    for table in _TABLES:
        lines += ["", f"[{table}]"]
        for key in (key for key in KEYS if key.table == table):
            value = json.dumps(chosen[key.option]) if key.option in chosen else key.example
            mark = "" if (key.table, key.name) in _USED else "# "
            lines.append(f"{mark}{key.name} = {value}   # {key.comment}")
        lines += [f"# {_COMMENTS[table]}"] if table in _COMMENTS else []
    return "\n".join(lines) + "\n"


def _rows(content: Mapping[str, Any], *, exclude: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    for table, found in content.items():
        if table not in exclude:
            yield from ((table, name, value) for name, value in found.items())


def _parse(address: str, key: Key, value: Any) -> Any:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    fits = numeric if key.kind is float else type(value) is key.kind
    if key.name == "peak":
        fits, value = fits or value == "full", str(value)  # as the option takes it
    if key.kind is list:
        fits = fits and all(isinstance(one, str) for one in value)
    if not fits:
        where = f"{address}, [{key.table}] {key.name}"
        raise SettingsError(
            "a value of another type", where=where, expected=_KINDS[key.kind], got=repr(value)
        )
    if key.is_address or str(value).endswith(".json"):
        return _beside(address, value)
    return hide(value) if isinstance(value, str) else value


def _beside(file: str, address: str) -> str:
    """An address as seen from where the command works, where it is relative to the file."""
    folder = posixpath.dirname(file)
    if not address or "://" in address or address.startswith("/") or not folder:
        return hide(address)
    scheme, mark, rest = folder.rpartition("://")
    return scheme + mark + posixpath.normpath(posixpath.join(rest, address))


def _read_method_settings(address: str, content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.get(SETTINGS, {}).items():
        # `estimator.window_px = 15` without quotes is a table of TOML.
        inner = value if isinstance(value, dict) else None
        found |= {name: value} if inner is None else {f"{name}.{key}": one for key, one in inner.items()}
    for path in found:
        stage, _, name = path.partition(".")
        if stage not in METHOD_STAGES or not name:
            raise SettingsError(
                "not a setting of a method",
                where=f"{address}, [{SETTINGS}]",
                expected=", ".join(f"{one}.NAME" for one in METHOD_STAGES),
                got=path,
                remedy=suggest(stage, METHOD_STAGES),
            )
    return found


def _read_others(address: str, content: Mapping[str, Any]) -> dict[str, str]:
    found = content.get(OTHERS, {})
    for name, folder in found.items():
        if not isinstance(folder, str) or not folder:
            raise SettingsError(
                "not the folder of a method",
                where=f"{address}, [{OTHERS}] {name}",
                expected="a text",
                got=repr(folder),
            )
    return {name: _beside(address, folder) for name, folder in found.items()}


def _refuse_key(address: str, table: str, name: str, value: Any) -> SettingsError:
    """The error of a key that is not known, with what was meant."""
    known = [key.name for key in KEYS if key.table == table] if name else _TABLES
    elsewhere = [f"[{key.table}] {key.name}" for key in KEYS if key.name == (name or table)]
    meant = suggest(name or table, known)
    if not meant and elsewhere:
        meant = f"it stands in {' or '.join(elsewhere)}"
    return SettingsError(
        "this key is not known" if name or not isinstance(value, dict) else "this table is not known",
        where=f"{address}, [{table}]" if name else address,
        expected=", ".join(known),
        got=name or table,
        remedy=meant,
    )
