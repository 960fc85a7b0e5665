"""Methods by name: what each needs is declared before its module is imported.

Methods of other packages join a registry through an entry point that names a `MethodDef`:

    [project.entry-points."ldp.deblurrers"]
    sharpen = "my_package.sharpen:SHARPEN"
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from ldp_core.errors import SettingsError, suggest

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """Working memory in bytes: so many per pixel, and per pixel of a tile, of which it holds no more."""

    per_pixel: int
    per_tile_pixel: int = 0
    tile_pixels: int = 0

    def bytes_for(self, pixels: int) -> int:
        """Of a picture of so many pixels."""
        return self.per_pixel * pixels + self.per_tile_pixel * min(pixels, self.tile_pixels)


UNMEASURED = MemoryModel(250)
"""Of a method that declares nothing: more than any shipped method was measured to take at 15 megapixels."""


@dataclass(frozen=True, slots=True)
class MethodDef:
    """How a method is made, and what it needs.

    ``factory`` and ``settings`` are names in ``module``: what makes the method, and the class of
    `ldp_core.settings.Settings` it is made with. ``views`` is 2 where it compares both views of a pair, and 1
    where it looks at one picture, so that it serves single views too. ``takes_map``: a deblurrer that is
    given the blur map. ``measured_by`` names the estimator whose map, measured between two views, an
    estimator's maps are compared with; empty where there is nothing to compare.
    """

    module: str
    factory: str
    settings: str
    views: int = 2
    takes_map: bool = True
    memory: MemoryModel = UNMEASURED
    measured_by: str = ""

    def make(self, values: Mapping[str, Any]) -> Any:
        """The method itself, from plain settings.

        Raises:
            SettingsError: a setting is unknown or out of range.
        """
        module = import_module(self.module)
        return getattr(module, self.factory)(getattr(module, self.settings).parse(values))


@dataclass(frozen=True)
class Registry(Mapping[str, MethodDef], Generic[M]):
    """Methods of one kind by name: those that are shipped, then those of installed packages.

    ``kind`` is what errors call them, ``group`` the entry points that are read; ``adapt`` wraps what a
    definition makes for every caller.
    """

    kind: str
    group: str
    shipped: Mapping[str, MethodDef]
    adapt: Callable[[Any, MethodDef], M] = field(repr=False)

    def make(self, name: str, settings: Mapping[str, Any] | None = None) -> M:
        """A method by name, with its settings as plain values.

        Raises:
            SettingsError: there is no such method, or a setting is unknown or out of range.
        """
        definition = self[name]
        return self.adapt(definition.make(settings or {}), definition)

    def __getitem__(self, name: str) -> MethodDef:
        if name in self.shipped:
            return self.shipped[name]
        if name in self._installed:
            return self._load(self._installed[name])
        raise SettingsError(
            f"there is no such {self.kind}",
            where=self.kind,
            expected=", ".join(self),
            got=name,
            remedy=suggest(name, self) or "choose one of the names",
        )

    def views_of(self, name: str) -> int:
        """How many views a method looks at; 2 of one that is not known here, such as another machine's."""
        return self[name].views if name in self else 2

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or name in self._installed

    def __iter__(self) -> Iterator[str]:
        return iter([*sorted(self.shipped), *sorted(self._installed)])

    def __len__(self) -> int:
        return len(self.shipped) + len(self._installed)

    @cached_property
    def _installed(self) -> Mapping[str, EntryPoint]:
        """Read once, when a name is asked for that is not shipped, or all names are; none is loaded yet."""
        return find_points(self.group, taken=self.shipped)

    def _load(self, point: EntryPoint) -> MethodDef:
        definition: MethodDef = load_point(
            point, kind=self.kind, expected="a MethodDef", accept=lambda found: isinstance(found, MethodDef)
        )
        return definition


def find_points(group: str, *, taken: Collection[str]) -> dict[str, EntryPoint]:
    """The entry points of installed packages by name, in the order of names; names that are taken aside."""
    found = {point.name: point for point in entry_points(group=group) if point.name not in taken}
    return dict(sorted(found.items()))


def load_point(point: EntryPoint, *, kind: str, expected: str, accept: Callable[[Any], bool]) -> Any:
    """What an entry point names.

    Raises:
        SettingsError: it cannot be imported, or is not what is expected.
    """
    # Another package may raise anything while it is imported; its user is told which package it is.
    try:
        loaded = point.load()
    except Exception as error:
        raise _cannot_load(kind, point, expected, got=f"{type(error).__name__}: {error}") from error
    if not accept(loaded):
        raise _cannot_load(kind, point, expected, got=type(loaded).__name__)
    return loaded


def _cannot_load(kind: str, point: EntryPoint, expected: str, *, got: str) -> SettingsError:
    package = f", of the package {point.dist.name}" if point.dist else ""
    return SettingsError(
        f"the {kind} '{point.name}' cannot be loaded",
        where=f"{point.value}{package}",
        expected=expected,
        got=got,
        remedy="repair that package, or uninstall it",
    )
