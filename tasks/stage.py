"""What a stage is: one product in the archive, and all that the system must know to make and keep it.

A result is named by (item id, item version, stage key). Which stages an item goes through, and with which
methods, is a function of its traits: how many views it has and which camera took it. Its peak value is
none of them, as frames are full range.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from ldp_core.archive import ArchiveKind, Section, stage_key
from ldp_core.methods import MemoryModel
from ldp_core.protocols import USUAL_SCORES, ScoringOptions
from ldp_core.types import AS_STORED, GENERIC_CAMERA, Item, Pair, PixelOptions, StageSpec

if TYPE_CHECKING:
    from ldp_core.archive import Archive
    from ldp_core.report import PictureSpec

COMPUTING_THREADS = 1
"""Of torch. With more, sums are taken in another order and a few values round to the next level (3 of 100,000
on two threads); workers beside each other use the other cores."""

PAIR, SINGLE = "pair", "single"
"""Routes: of items with both views, and of items whose second view is missing."""


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """A blur estimator or a deblurrer by name, with its settings as canonical JSON."""

    name: str
    settings: str = "{}"

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any] | None = None) -> MethodConfig:
        """From plain settings."""
        return cls(name, json.dumps(settings or {}, sort_keys=True))

    @property
    def values(self) -> dict[str, Any]:
        """Its settings as plain values."""
        values: dict[str, Any] = json.loads(self.settings)
        return values


@dataclass(frozen=True, slots=True)
class Route:
    """The methods of one route."""

    estimator: MethodConfig
    deblurrer: MethodConfig


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Where to work and with which methods, in plain values that travel with every piece of work.

    ``single`` serves items whose second view is missing, as far as the methods of ``pair`` need both.
    ``baselines`` restore every item that they can as well, to be scored beside the result. ``pixels`` says
    how the pixels of the source are read, ``scoring`` which further protocols are scored. ``from_archive``:
    no source is opened, the archived frames are all there is.
    """

    archive: str
    pair: Route = Route(MethodConfig("disparity"), MethodConfig("ldp"))
    single: Route = Route(MethodConfig("depth-distilled"), MethodConfig("bdir"))
    baselines: tuple[MethodConfig, ...] = ()
    pixels: PixelOptions = AS_STORED
    from_archive: bool = False
    scoring: ScoringOptions = USUAL_SCORES


@dataclass(frozen=True, slots=True)
class ItemTraits:
    """What of an item chooses its pipeline."""

    views: int = 2
    camera: str = GENERIC_CAMERA

    @classmethod
    def of(cls, item: Item) -> ItemTraits:
        """Those of an item."""
        return cls(2 if item.has_both_views else 1, item.camera)

    @property
    def route(self) -> str:
        """Pairs or single views."""
        return PAIR if self.views == 2 else SINGLE

    @property
    def name(self) -> str:
        """How records call the pipeline of such items: ``pair``, ``single``, or ``pair, pixel-4``."""
        known = self.camera != GENERIC_CAMERA
        return f"{self.route}, {_name_camera(self.camera)}" if known else self.route


def _name_camera(address: str) -> str:
    """A profile as shipped, or its file and the beginning of its digest."""
    url, _, digest = address.partition("#")
    return f"{url.rpartition('/')[2]} {digest[:8]}" if digest else url


@dataclass(frozen=True, slots=True)
class Methods:
    """The methods that serve items of certain traits.

    ``measured_by`` estimates, between two views, what a map seen in one of them is compared with.
    """

    traits: ItemTraits
    estimator: MethodConfig
    deblurrer: MethodConfig
    baselines: tuple[MethodConfig, ...] = ()
    measured_by: MethodConfig | None = None
    scoring: ScoringOptions = USUAL_SCORES


@dataclass(frozen=True, slots=True)
class Stage:
    """One product of one pipeline.

    ``label`` names it there; ``inputs`` are the labels of the products it is made from. ``spec`` holds all
    that it depends on besides its item; ``key`` is the hash of that. ``camera`` is the profile of the items'
    camera, by name or address. ``scoring``: the protocols of scores.
    """

    label: str
    definition: StageDef
    spec: StageSpec
    inputs: tuple[str, ...] = ()
    method: MethodConfig | None = None
    camera: str = GENERIC_CAMERA
    scoring: ScoringOptions = USUAL_SCORES
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", stage_key(self.spec))

    @property
    def section(self) -> Section:
        """Where its products lie."""
        return Section(self.definition.kinds[0], self.key)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Where its products and their sidecars lie."""
        return tuple(Section(kind, self.key) for kind in self.definition.kinds)


class StageDef(ABC):
    """One product in the archive. Keys, plans, memory, resuming, repair, garbage and reports follow from it.

    ``name`` is that of the stage in specifications, records and quarantine. ``kinds`` are the kind of its
    product and those of sidecars. ``bytes_per_pixel`` is what its product takes of memory at most.
    ``picture`` is how the report shows it; blur maps, restorations and scores have places of their own.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[ArchiveKind, ...]]
    bytes_per_pixel: ClassVar[int] = 0
    picture: ClassVar[PictureSpec | None] = None

    @abstractmethod
    def plan(self, methods: Methods, before: Mapping[str, Stage]) -> Iterator[Stage]:
        """Its stages in a pipeline: usually one, none where it is not asked for, or several.

        ``before`` are the stages that come before it in the table, by label.

        Raises:
            SettingsError: a method or a setting is unknown.
        """

    @abstractmethod
    def run(self, stage: Stage, pair: Pair, inputs: Mapping[str, Any]) -> Any:
        """Make the product of an item from its pair and from earlier products by label."""

    def read(self, archive: Archive, stage: Stage, item: str, *, input_digest: str = "") -> Any:
        """The archived product of an item key."""
        return archive.read_result(self.kinds[0], stage.key, item, input_digest=input_digest)

    def write(self, archive: Archive, stage: Stage, item: str, product: Any, *, input_digest: str) -> None:
        """Archive the product of an item key."""
        kind = self.kinds[0]
        archive.write_result(kind, stage.key, item, product, spec=stage.spec, input_digest=input_digest)

    def sidecar(self, product: Any, kind: ArchiveKind) -> NDArray[Any] | None:
        """The sidecar of a product, where it has one."""
        return None

    def bytes_out(self, item: Item) -> int:
        """What the product of an item takes in the store at most, before compression."""
        return self.bytes_per_pixel * item.left.width * item.left.height

    def memory(self, stage: Stage, item: Item) -> MemoryModel:
        """Working memory of `run`."""
        return MemoryModel(0)

    def seconds(self, stage: Stage) -> float | None:
        """What `run` takes for a megapixel, as `ldp_core.methods.MethodDef` declares it; None: not known."""
        return None
