"""Whether the files of one item's pictures agree in full scale, orientation and colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, MASK
from ldp_core.errors import (
    ColourMismatchError,
    OrientationMismatchError,
    PairMismatchError,
    PeakMismatchError,
)
from ldp_core.images import PictureTraits
from ldp_core.images.colour import name_colours, same_colours

_TURNS: Final = {
    1: "as stored",
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees clockwise",
    7: "mirrored and turned by 90 degrees",
    8: "turned by 90 degrees counter-clockwise",
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A picture that differs from the left view in its file; ``error`` is the class that tells it."""

    role: str
    error: type[PairMismatchError]
    what: str
    expected: str
    got: str
    remedy: str

    @property
    def message(self) -> str:
        return f"{self.what}: {self.got}, left {self.expected}"


def find_disagreements(
    traits: Mapping[str, PictureTraits], *, channels: int, to_srgb: bool = False, named_peak: bool = False
) -> list[Disagreement]:
    """Pictures, by role, that differ from the left view; ``channels`` are those of the left view.

    Colours need not agree where all are converted to sRGB, nor full scales where the peak is named. Of a
    blur truth or a mask only the orientation counts: its values are no colours.
    """
    return [
        disagreement
        for role, found in traits.items()
        if role != LEFT and found != traits[LEFT]
        for disagreement in _compare(
            role, found, traits[LEFT], channels=channels, colours=not to_srgb, peaks=not named_peak
        )
    ]


def _compare(
    role: str, found: PictureTraits, left: PictureTraits, *, channels: int, colours: bool, peaks: bool
) -> list[Disagreement]:
    checks: list[Callable[[], Disagreement | None]] = [lambda: _compare_turns(role, found, left)]
    if role not in (BLUR_TRUTH, MASK):
        checks += [lambda: _compare_colours(role, found, left, channels)] if colours else []
        checks += [lambda: _compare_peaks(role, found, left)] if peaks else []
    return [disagreement for check in checks if (disagreement := check())]


def _compare_turns(role: str, found: PictureTraits, left: PictureTraits) -> Disagreement | None:
    if found.orientation == left.orientation:
        return None
    return Disagreement(
        role,
        OrientationMismatchError,
        f"the EXIF orientation of the {role} picture differs from that of the left one",
        _describe_turn(left.orientation),
        _describe_turn(found.orientation),
        "where the pixels fit as they are stored, remove the tag (exiftool -Orientation= FILE); else turn "
        "the pixels (magick IN -auto-orient OUT)",
    )


def _compare_colours(
    role: str, found: PictureTraits, left: PictureTraits, channels: int
) -> Disagreement | None:
    if same_colours(found.profile, left.profile, channels=channels):
        return None
    return Disagreement(
        role,
        ColourMismatchError,
        f"the colour profile of the {role} picture differs from that of the left one",
        name_colours(left.profile, channels=channels) or "sRGB",
        name_colours(found.profile, channels=channels) or "sRGB",
        "convert the dataset to sRGB with --to-srgb, or give all pictures of an item one profile",
    )


def _compare_peaks(role: str, found: PictureTraits, left: PictureTraits) -> Disagreement | None:
    if found.peak == left.peak:
        return None
    return Disagreement(
        role,
        PeakMismatchError,
        f"the value of full scale of the {role} picture differs from that of the left one",
        str(left.peak or "that of the pixel type"),
        str(found.peak or "that of the pixel type"),
        "store all pictures of an item with one full scale, or name the one that holds with --peak",
    )


def _describe_turn(orientation: int) -> str:
    return f"{orientation} ({_TURNS[orientation]})"
