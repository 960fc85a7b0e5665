"""What the report knows of one item: its scores, its pictures, and how each kind of picture is shown.

The report knows no archive product by name outside this module: who hands in a further one, such as a depth
map, describes it by a :class:`PictureSpec`. The same holds for routes, the ways in which items are processed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final, Literal

from ldp_core.errors import SettingsError
from ldp_core.types import BlurMapKind, Item, Metadatum, RunSummary, Score, StageSpec

Status = Literal["computed", "skipped"]

PAIR: Final = "pair"
SINGLE: Final = "single"
_ROUTE_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    PAIR: ("pair", "pairs"),
    SINGLE: ("single view", "single views"),
}

# Blue (in front of the focal plane), pale grey (sharp), orange (behind): colour-blind readers tell blue
# from orange, and the middle is the lightest colour in both themes.
DIVERGING: Final = (
    "#0b2545", "#134a8e", "#2a7bc4", "#7db5e0", "#f2f2ef", "#f3b573", "#dd7a22", "#a8470b", "#5c2204",
)  # fmt: skip
# Lightness rises all the way, so that the order can be read in grey print as well.
SEQUENTIAL: Final = ("#10131f", "#2b2f63", "#5b3a8c", "#a2458f", "#dd6468", "#f5a35c", "#fbe7a3")

EXTERNAL_PREFIX: Final = "peer-"
"""Begins the names of pictures of external results and baselines, as they are on disk."""


class PictureKind(StrEnum):
    """What the values of a picture are, and so how it is drawn."""

    PHOTOGRAPH = "photograph"
    """Pixels ``(h, w, 1 or 3)``, uint8 or uint16."""
    SIGNED_MAP = "signed map"
    """Values ``(h, w)`` float32 on both sides of 0, on a scale that is symmetric about 0."""
    UNSIGNED_MAP = "unsigned map"
    """Values ``(h, w)`` float32 from 0 up."""
    PROBABILITY = "probability"
    """Values ``(h, w)`` float32 in 0..1."""


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """How the report shows one kind of picture of an item.

    ``name`` is that of its files, ``title`` what a reader sees. ``thumbnail``: whether the table shows it.
    The rest is for maps: the ``unit`` of their values; ``quantity`` and ``meaning``, title and axis of the
    chart of their values; ``colours``, two or more ``#rrggbb`` from low to high, evenly spaced (default: by
    kind); ``step``, the width of a bin of that chart (default: a twentieth of the colour scale), of which
    the colour scale has at least two. ``variant`` tells maps of one name apart whose values differ in kind.

    Raises:
        SettingsError: a name that is no file name, or a colour that is none.
    """

    name: str
    title: str
    kind: PictureKind = PictureKind.PHOTOGRAPH
    thumbnail: bool = False
    unit: str = ""
    quantity: str = ""
    meaning: str = ""
    colours: tuple[str, ...] = ()
    step: float = 0.0
    variant: str = ""

    def __post_init__(self) -> None:
        pattern = "[a-z0-9_]+" if self.is_map else rf"({EXTERNAL_PREFIX})?[a-z0-9._]+"
        named = all(re.fullmatch(pattern, name) for name in (self.name, self.scale))
        coloured = len(self.stops) > 1 and all(re.fullmatch("#[0-9a-f]{6}", stop) for stop in self.stops)
        if not (named and coloured):
            raise SettingsError(
                "the report cannot show pictures that are described like this",
                where=self.title,
                expected="names of small letters, digits and _; two or more colours such as #00ff7f",
                got=", ".join((self.name, self.variant, *self.colours)),
            )

    @property
    def is_map(self) -> bool:
        return self.kind is not PictureKind.PHOTOGRAPH

    @property
    def is_signed(self) -> bool:
        return self.kind is PictureKind.SIGNED_MAP

    @property
    def scale(self) -> str:
        """The name of its colour scale, which stands in its digests."""
        return self.variant or self.name

    @property
    def stops(self) -> tuple[str, ...]:
        """The anchor colours of its scale, evenly spaced from low to high."""
        return self.colours or (DIVERGING if self.is_signed else SEQUENTIAL)

    @property
    def digest_file(self) -> str:
        """The file beside the pictures that holds the :class:`MapDigest` of a map."""
        return "blur.json" if self.name == BLUR_MAP else f"{self.name}-values.json"


BLUR_MAP: Final = "blur_map"
BLUR_TRUTH: Final = "blur_truth"
BLUR_PICTURES: Final[Mapping[BlurMapKind, PictureSpec]] = {
    BlurMapKind.SIGNED_COC_PX: PictureSpec(
        BLUR_MAP,
        "Blur map",
        PictureKind.SIGNED_MAP,
        thumbnail=True,
        unit="px",
        quantity="Signed circle of confusion",
        meaning="px of diameter; negative in front of the focal plane",
        step=0.5,  # half a pixel: smaller circles cannot be told from sharp ones, so no scale ends below 1 px
        variant=BlurMapKind.SIGNED_COC_PX.value,
    ),
    BlurMapKind.SIMILARITY: PictureSpec(
        BLUR_MAP,
        "Blur map",
        PictureKind.PROBABILITY,
        thumbnail=True,
        quantity="Blur by similarity of the views",
        meaning="0 (the views agree, sharp) to 1 (blurred)",
        variant=BlurMapKind.SIMILARITY.value,
    ),
    BlurMapKind.IN_FOCUS_PROBABILITY: PictureSpec(
        BLUR_MAP,
        "Blur map",
        PictureKind.PROBABILITY,
        thumbnail=True,
        quantity="In-focus probability",
        meaning="0 (blurred) to 1 (in focus)",
        variant=BlurMapKind.IN_FOCUS_PROBABILITY.value,
    ),
}
"""A blur map by what its numbers mean."""
CONFIDENCE: Final = PictureSpec(
    "confidence",
    "Confidence",
    PictureKind.PROBABILITY,
    quantity="Confidence of the blur map",
    meaning="0 to 1",
)
LEFT, RIGHT, INPUT, RESTORED, TARGET = (
    PictureSpec("left", "Left view"),
    PictureSpec("right", "Right view"),
    PictureSpec("input", "Input", thumbnail=True),
    PictureSpec("restored", "Restored", thumbnail=True),
    PictureSpec("target", "Target"),
)
TRUTH: Final = PictureSpec(BLUR_TRUTH, "Blur truth")
PICTURES: Final = (LEFT, RIGHT, INPUT, *BLUR_PICTURES.values(), RESTORED, TARGET, TRUTH)
"""The pictures of an item that the report knows, in the order of the viewer and of the table."""


@dataclass(frozen=True, slots=True)
class MapDigest:
    """The distribution of the values of one map, small enough to be kept with the scores.

    ``kind`` is the :attr:`PictureSpec.scale` of the map, ``limit`` the end of the colour scale of its
    picture; ``p05``, ``p50``, ``p95`` are percentiles. ``shares[n]`` is the share of pixels whose value
    rounds to ``n * step``, 0..1. Values are in the unit of the map.
    """

    kind: str
    limit: float
    step: float
    p05: float
    p50: float
    p95: float
    shares: Mapping[int, float]

    def to_json(self) -> bytes:
        """The digest as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes | str) -> MapDigest:
        """A digest from what :meth:`to_json` wrote."""
        fields = json.loads(text)
        shares = {int(bin_): float(share) for bin_, share in fields.pop("shares").items()}
        return cls(**fields, shares=shares)


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One item as the report shows it.

    ``pictures`` gives the address, relative to the report, of each file that
    :func:`ldp_core.report.render_pictures` made, by file name, all in one folder. ``digests`` are those of
    its maps, by picture name; those that are missing are read from the files among its pictures.
    ``route`` names how it was processed: ``pair``, ``single`` (its second view is missing), or another.
    ``name`` is what readers see instead of the id, where its source calls it otherwise. ``metadata`` is what
    is known of it besides, by which scores are shown in groups.
    """

    id: str
    status: Status
    scores: Sequence[Score] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, MapDigest] = field(default_factory=dict)
    route: str = PAIR
    name: str = ""
    metadata: Mapping[str, Metadatum] = field(default_factory=dict)


def name_route(route: str, count: int = 1) -> str:
    """A route in words: ``single view``, ``single views``."""
    name, names = _ROUTE_NAMES.get(route, (route.replace("_", " "), route.replace("_", " ") + "s"))
    return name if count == 1 else names


def route_of(item: Item) -> str:
    """The route of an item of a catalogue."""
    return PAIR if item.has_both_views else SINGLE


def stages_by_route(run: RunSummary) -> dict[str, tuple[StageSpec, ...]]:
    """The stages of each route that a run had items for."""
    routes = {PAIR: run.stages, SINGLE: run.single_stages}
    return {route: stages for route, stages in routes.items() if stages}
