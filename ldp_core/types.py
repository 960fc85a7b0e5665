"""The nouns of the system: frozen, small, and free of behaviour beyond checking themselves.

Pixel arrays are ``(height, width, channels)``; ``channels`` is 1 (one colour plane, such as the
green channel of a Pixel 4) or 3 (RGB). Integer pixels are full range: ``uint8`` 0..255 or
``uint16`` 0..65535, gamma-encoded unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import BlurMapError, MaskError, PairMismatchError, SecondViewMissingError
from ldp_core.item_ids import make_item_key
from ldp_core.traffic import NO_TRAFFIC, Traffic

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
FloatMap = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A picture where it lies, with what its header says. ``size_bytes`` is the encoded size.

    ``revision`` tells contents at this address apart (`ldp_core.storage.Entry`); empty where it is not known.
    """

    uri: str
    height: int
    width: int
    channels: int
    bit_depth: int
    size_bytes: int
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of rows ``top..bottom`` and columns ``left..right``; ``None`` means the edge."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def name(self) -> str:
        """``full`` or, for example, ``rows 44:``, as protocols and tables print it."""
        rows, columns = (_span(a, b) for a, b in ((self.top, self.bottom), (self.left, self.right)))
        parts = [f"{n} {s}" for n, s in (("rows", rows), ("columns", columns)) if s]
        return ", ".join(parts) or "full"


def _span(start: int, stop: int | None) -> str:
    return "" if start == 0 and stop is None else f"{start}:{'' if stop is None else stop}"


class BlurTruthKind(StrEnum):
    """What the numbers of a blur truth mean."""

    UNSIGNED = "unsigned"
    """Amount of blur without a sign, at an unknown scale; 0 = unknown (a measured map)."""
    SIGNED_COC_PX = "signed_coc_px"
    """Signed diameter of the circle of confusion in pixels; every finite value counts, 0 included."""


class DpAxis(StrEnum):
    """Along which axis of its pictures a sensor sees defocus as a shift between the two views.

    Along ``x``, content behind the focal plane lies to +x in the right view; along ``y``, to +y.
    """

    X = "x"
    Y = "y"


GENERIC_CAMERA = "generic"
"""The profile of a camera that nothing is known of."""


@dataclass(frozen=True, slots=True)
class PixelOptions:
    """How the pixels of a source are to be read, where its user says so.

    ``peak`` is the value of full scale of its pictures of 16 bit; ``to_srgb``: pictures with a colour profile
    are converted to sRGB.
    """

    peak: int | None = None
    to_srgb: bool = False


AS_STORED = PixelOptions()
"""What the files say holds."""


Metadatum = str | int | float | bool
"""What a source says of an item besides its pictures, such as its ISO."""


def read_number(value: Metadatum) -> float | None:
    """A value as a number, also where a table without types has it as text; None of what is none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number + 0.0 if math.isfinite(number) else None  # 0.0, not -0.0


def is_long(value: Any) -> bool:
    """Whether it is an integer beyond 64 bit, such as a serial number of 20 digits: tables hold none."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63


@dataclass(frozen=True, slots=True)
class Item:
    """One photograph of a dataset: where its views lie and what else is known of it.

    ``right`` is None where the second view is missing; ``left`` is then the only view there is.
    ``external`` are other methods' restorations that came with the dataset, by name; ``blur_truth`` is
    a measured or simulated blur map, its meaning ``blur_truth_kind``; ``aligned`` is False where the
    target is displaced by a few pixels, so that scores after a best-shift search are added.
    ``development`` names the rule that makes views of stored pictures that are none yet, such as raw
    sensor values; ``auxiliary`` are the further pictures it needs. Empty: pictures are views as stored.
    ``camera`` names the profile of the camera that took it; with the views it chooses methods and settings.
    ``peak`` is the pixel value of full scale, None where it is that of the pixel type: pixels are scaled to
    full range when they are decoded. ``colour`` names the colour profile of its pictures, empty for sRGB;
    ``to_srgb``: they are converted from it when they are decoded.
    ``mask`` is a black and white picture whose white pixels alone are scored, within ``score_region``.
    ``version`` counts the contents that its sources have had: (id, version, stage key) names a result.
    ``name`` is what its source calls it, as it is written there; empty where the id says the same.
    ``metadata`` are the further columns of its row in a manifest, by their names, and what the EXIF of its
    left picture tells of make, model, iso, aperture, focal_length_mm and taken.
    """

    id: str
    left: ImageRef
    right: ImageRef | None = None
    target: ImageRef | None = None
    blur_truth: ImageRef | None = None
    external: Mapping[str, ImageRef] = field(default_factory=dict)
    score_region: Region = Region()
    aligned: bool = True
    blur_truth_kind: BlurTruthKind = BlurTruthKind.UNSIGNED
    dp_axis: DpAxis = DpAxis.X
    development: str = ""
    auxiliary: Mapping[str, ImageRef] = field(default_factory=dict)
    version: int = 1
    camera: str = GENERIC_CAMERA
    peak: int | None = None
    colour: str = ""
    to_srgb: bool = False
    name: str = ""
    metadata: Mapping[str, Metadatum] = field(default_factory=dict)
    mask: ImageRef | None = None

    @property
    def key(self) -> str:
        """Id and version as one text, under which frames and results are archived."""
        return make_item_key(self.id, self.version)

    @property
    def title(self) -> str:
        """What people call it: its name in the source, without the name of the dataset."""
        return self.name or self.id.partition("/")[2]

    @property
    def facts(self) -> dict[str, Metadatum]:
        """What is known of it by name: its metadata, and as ``camera`` the profile of its camera."""
        known = {} if self.camera == GENERIC_CAMERA else {"camera": self.camera}
        return {**known, **self.metadata}

    @property
    def has_both_views(self) -> bool:
        """Whether it is a dual-pixel pair, and no single view."""
        return self.right is not None

    @property
    def pictures(self) -> int:
        """How many pictures its archived frames hold: views, target, mask, external results."""
        further = (self.target is not None) + (self.mask is not None)
        return 1 + self.has_both_views + further + len(self.external)

    @property
    def size_bytes(self) -> int:
        """Encoded bytes of all its pictures together."""
        return sum(ref.size_bytes for ref in self.refs.values())

    @property
    def refs(self) -> dict[str, ImageRef]:
        """All its pictures by role, as the provenance of its frames names them."""
        refs = {"left": self.left, "right": self.right, "target": self.target, "truth": self.blur_truth}
        refs |= {"mask": self.mask}
        named = refs | {f"peer:{name}": ref for name, ref in self.external.items()}
        named |= {f"auxiliary:{name}": ref for name, ref in self.auxiliary.items()}
        return {name: ref for name, ref in named.items() if ref is not None}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a source: named, with a way out. ``refuses_item``: it kept an item out."""

    where: str
    kind: str
    message: str
    remedy: str = ""
    refuses_item: bool = True


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """All problems of one kind: how many, how many of them kept an item out, and the first few."""

    kind: str
    count: int
    refused: int
    examples: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a source holds: items in id order, and everything that could not become an item."""

    dataset: str
    layout: str
    source: str
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """The decoded pixels of an item: views of one shape and dtype, ``(h, w, c)`` uint8 or uint16.

    ``right`` is None where the second view is missing. Methods that compare the views take them from
    `both_views`, methods that look at one picture take `ldp_core.single_view.input_image`.

    Pixels stand as in the source, whatever ``dp_axis`` is; methods see them turned (`ldp_core.axis_adapter`).
    They are full range: where the source had another full scale, ``source_peak`` says which. ``colour`` names
    their colour profile, empty for sRGB. ``mask`` (h, w) is True where pixels are scored, within
    ``score_region``; None: everywhere.
    ``doubts`` are what its pictures tell against it, short of proof; they are no part of its content.
    """

    id: str
    left: Pixels
    right: Pixels | None = None
    target: Pixels | None = None
    blur_truth: FloatMap | None = None
    external: Mapping[str, Pixels] = field(default_factory=dict)
    score_region: Region = Region()
    aligned: bool = True
    blur_truth_kind: BlurTruthKind = BlurTruthKind.UNSIGNED
    dp_axis: DpAxis = DpAxis.X
    version: int = 1
    source_peak: int | None = None
    colour: str = ""
    doubts: tuple[Problem, ...] = ()
    mask: Mask | None = None

    def __post_init__(self) -> None:
        if self.mask is not None:
            self._check_mask(self.mask)
        for name, view in self.views.items():
            if view.shape != self.left.shape or view.dtype != self.left.dtype:
                raise PairMismatchError(
                    f"view '{name}' does not match 'left'",
                    where=self.id,
                    expected=f"{self.left.shape} {self.left.dtype}",
                    got=f"{view.shape} {view.dtype}",
                    remedy="give every view of an item the same size, channels and bit depth",
                )
        if self.left.ndim != 3 or self.left.shape[2] not in (1, 3):
            raise PairMismatchError(
                "views must be (height, width, channels) with 1 or 3 channels",
                where=self.id,
                got=str(self.left.shape),
            )

    def _check_mask(self, mask: Mask) -> None:
        scored = int(mask[self.score_region.slices].sum())
        if mask.shape != self.left.shape[:2] or not scored:
            raise MaskError(
                "the mask does not tell which pixels of this item are scored",
                where=self.id,
                expected=f"shape {self.left.shape[:2]}, white in the region '{self.score_region.name}'",
                got=f"shape {mask.shape}, {scored} white pixels there",
                remedy="correct the mask or score_region of this item",
            )

    @property
    def scored(self) -> str:
        """What part of it is scored, as protocols name it: the region, with ``mask`` where it has one."""
        if self.mask is None:
            return self.score_region.name
        return "mask" if self.score_region == Region() else f"{self.score_region.name}, mask"

    @property
    def key(self) -> str:
        """Id and version as one text, as of its item."""
        return make_item_key(self.id, self.version)

    @property
    def views(self) -> dict[str, Pixels]:
        """``left`` and, where there are any, ``right`` and ``target``."""
        named = {"left": self.left, "right": self.right, "target": self.target}
        return {name: view for name, view in named.items() if view is not None}

    @property
    def has_both_views(self) -> bool:
        """Whether there is a second view to compare the first with."""
        return self.right is not None

    @property
    def both_views(self) -> tuple[Pixels, Pixels]:
        """Left and right.

        Raises:
            SecondViewMissingError: there is one view only.
        """
        if self.right is None:
            raise SecondViewMissingError.of(self.id)
        return self.left, self.right

    @property
    def bit_depth(self) -> int:
        return self.left.dtype.itemsize * 8

    @property
    def peak(self) -> int:
        """Largest pixel value: 255 or 65535."""
        return int(2**self.bit_depth - 1)


class BlurMapKind(StrEnum):
    """What the numbers of a blur map mean."""

    SIGNED_COC_PX = "signed_coc_px"
    """Diameter of the circle of confusion in pixels; positive behind the focal plane."""
    SIMILARITY = "similarity"
    """0 = the views agree (sharp) .. 1 = fully blurred; no radius, no sign (LDP)."""
    IN_FOCUS_PROBABILITY = "in_focus_probability"
    """0 = blurred .. 1 = in focus; no radius, no sign."""


@dataclass(frozen=True, slots=True)
class BlurMap:
    """How blurred each pixel is. ``values`` ``(h, w)`` float32; its meaning is ``kind``.

    ``confidence`` ``(h, w)`` float32 in 0..1, or None when the estimator has none.
    """

    values: FloatMap
    kind: BlurMapKind
    confidence: FloatMap | None = None

    def signed_coc_px(self) -> FloatMap:
        """The signed circle of confusion in pixels, from a map that has one.

        Raises:
            BlurMapError: the map is of another kind; no radius can be read from it.
        """
        if self.kind is not BlurMapKind.SIGNED_COC_PX:
            raise BlurMapError(
                "this blur map holds no radius and no sign",
                expected=BlurMapKind.SIGNED_COC_PX.value,
                got=self.kind.value,
                remedy="use an estimator that yields a signed circle of confusion, such as 'disparity'",
            )
        return self.values


@dataclass(frozen=True, slots=True)
class ScoringProtocol:
    """The conditions under which a score was taken; scores of two protocols are never averaged."""

    bit_depth: int
    size: str
    region: str = "full"
    colour: str = "rgb"
    alignment: str = "none"
    variant: str = ""

    @property
    def name(self) -> str:
        parts = (f"{self.bit_depth} bit", self.size, self.colour, self.region, self.alignment, self.variant)
        return " | ".join(part for part in parts if part and part != "none")


@dataclass(frozen=True, slots=True)
class Score:
    """One number for one item: ``metric`` of ``subject`` under ``protocol``.

    Subjects: ``input``, ``restored``, ``blur_map``, or the name of a baseline or of an external result.
    """

    item: str
    metric: str
    subject: str
    protocol: ScoringProtocol
    value: float


@dataclass(frozen=True, slots=True)
class MeanScore:
    """The mean of a metric over ``n`` items with a bootstrap 95 % interval."""

    metric: str
    subject: str
    protocol: str
    mean: float
    low: float
    high: float
    n: int


BASELINE = "baseline"
"""The stage of a restoration by another method, to be scored beside a run's own."""


@dataclass(frozen=True, slots=True)
class StageSpec:
    """All that the result of a stage depends on besides its item, in plain JSON values.

    ``upstream`` is the key of the stage whose result it consumes, or empty.
    """

    stage: str
    method: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    upstream: str = ""


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """Why an item was quarantined: the stage it failed in, the error's kind and text, and a way out."""

    item: str
    stage: str
    kind: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many items a run saw, and what became of them."""

    total: int
    computed: int
    skipped: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """What has become of the sources of a dataset since the run before.

    ``changed`` items hold another content than then, ``vanished`` ones are no longer there; their results
    are kept. ``changed_items`` and ``vanished_items`` are the ids of the first of them.
    """

    changed: int = 0
    vanished: int = 0
    changed_items: tuple[str, ...] = ()
    vanished_items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run as ``summary.json`` holds it.

    ``stages`` are those of pairs, ``single_stages`` those of items whose second view is missing; each
    is empty where the run had no such items.
    ``seconds``: by stage, summed over workers; ``total`` is the wall clock of the whole run.
    ``state`` is ``stopped`` where too many items were bad, else ``finished``.
    ``problem_kinds`` are the ``problems`` of the source by kind, with three examples of each;
    ``quarantine_kinds`` likewise what came upon items after their source had been read.
    ``traffic`` is what was asked of stores until the summary was made: less the page of the report and the
    files of the record.
    """

    run_id: str
    created: str
    dataset: str
    layout: str
    source: str
    report: str
    stages: tuple[StageSpec, ...]
    environment: Mapping[str, str]
    items: ItemCounts
    seconds: Mapping[str, float]
    metrics: tuple[MeanScore, ...]
    quarantine: tuple[QuarantineRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    single_stages: tuple[StageSpec, ...] = ()
    state: str = "finished"
    problem_kinds: tuple[ProblemGroup, ...] = ()
    quarantine_kinds: tuple[ProblemGroup, ...] = ()
    sources: SourceChanges = SourceChanges()
    traffic: Traffic = NO_TRAFFIC
