"""Registries: entries by name, imported when they are asked for; and what a method declares that it needs.

Entries of other packages join a registry through an entry point. For a method it names a `MethodDef`:

    [project.entry-points."ldp.deblurrers"]
    sharpen = "my_package.sharpen:SHARPEN"
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

from ldp_core.errors import LdpError, SettingsError, suggest
from ldp_core.types import GENERIC_CAMERA

M = TypeVar("M")
E = TypeVar("E")


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
    given the blur map. ``takes_camera``: its settings have a field ``camera``, the name or address of the
    profile of the camera that took an item. ``measured_by`` names the estimator whose map, measured between
    two views, an estimator's maps are compared with; empty where there is nothing to compare. ``seconds`` is
    what a megapixel takes on one thread of a machine that transforms as in `tasks.needs`; None: not known.
    """

    module: str
    factory: str
    settings: str
    views: int = 2
    takes_map: bool = True
    takes_camera: bool = False
    memory: MemoryModel = UNMEASURED
    measured_by: str = ""
    seconds: float | None = None

    def for_camera(self, values: Mapping[str, Any], camera: str) -> Mapping[str, Any]:
        """Plain settings with a camera profile, where the method takes one and they name none."""
        known = self.takes_camera and camera != GENERIC_CAMERA
        return {"camera": camera, **values} if known else values

    def make(self, values: Mapping[str, Any]) -> Any:
        """The method itself, from plain settings.

        Raises:
            SettingsError: a setting is unknown or out of range.
        """
        module = import_module(self.module)
        return getattr(module, self.factory)(getattr(module, self.settings).parse(values))


@dataclass(frozen=True)
class EntryRegistry(Mapping[str, E]):
    """Entries of one kind by name: those that are shipped, then those of installed packages.

    ``kind`` is what errors call them, ``group`` the entry points that are read. A shipped entry stands for
    itself, or is named as ``module:name`` and imported when it is asked for. ``error`` is raised for a name
    that is not there, or that another package cannot load. No package adds an entry under a shipped or a
    reserved name.
    """

    kind: str
    group: str
    shipped: Mapping[str, E | str]
    error: type[LdpError] = field(default=SettingsError, kw_only=True)
    reserved: Collection[str] = field(default=(), kw_only=True)

    def __getitem__(self, name: str) -> E:
        entry = self.shipped.get(name)
        if entry is None:
            entry = self._load(self._find_installed(name))
        found: E = resolve_name(entry) if isinstance(entry, str) else entry
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or name in self._installed

    def __iter__(self) -> Iterator[str]:
        return iter([*sorted(self.shipped), *self._installed])

    def __len__(self) -> int:
        return len(self.shipped) + len(self._installed)

    def _find_installed(self, name: str) -> EntryPoint:
        if name in self._installed:
            return self._installed[name]
        raise self.error(
            f"there is no such {self.kind}",
            where=self.kind,
            expected=", ".join(self),
            got=name,
            remedy=suggest(name, self) or "choose one of the names",
        )

    def _load(self, point: EntryPoint) -> E:
        # Another package may raise anything while it is imported; its user is told which package it is.
        try:
            loaded: E = point.load()
        except Exception as error:
            raise self._refuse(point, got=f"{type(error).__name__}: {error}") from error
        return loaded

    def _refuse(self, point: EntryPoint, *, got: str, expected: str = "") -> LdpError:
        package = f", of the package {point.dist.name}" if point.dist else ""
        return self.error(
            f"the {self.kind} '{point.name}' cannot be loaded",
            where=f"{point.value}{package}",
            expected=expected,
            got=got,
            remedy="repair that package, or uninstall it",
        )

    @cached_property
    def _installed(self) -> Mapping[str, EntryPoint]:
        """Read once, when a name is asked for that is not shipped, or all names are; nothing is imported."""
        taken = {*self.shipped, *self.reserved}
        found = {p.name: p for p in entry_points(group=self.group) if p.name not in taken}
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Registry(EntryRegistry[MethodDef], Generic[M]):
    """Methods of one kind by name; ``adapt`` wraps what a definition makes for every caller."""

    adapt: Callable[[Any, MethodDef], M] = field(repr=False)

    def make(self, name: str, settings: Mapping[str, Any] | None = None) -> M:
        """A method by name, with its settings as plain values.

        Raises:
            SettingsError: there is no such method, or a setting is unknown or out of range.
        """
        definition = self[name]
        return self.adapt(definition.make(settings or {}), definition)

    def _load(self, point: EntryPoint) -> MethodDef:
        definition = super()._load(point)
        if not isinstance(definition, MethodDef):
            raise self._refuse(point, expected="a MethodDef", got=type(definition).__name__)
        return definition

    def views_of(self, name: str) -> int:
        """How many views a method looks at; 2 of one that is not known here, such as another machine's."""
        return self[name].views if name in self else 2
