"""What a layout finds before any picture is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ldp_core.types import BlurTruthKind, DpAxis, Problem, Region

LEFT, RIGHT, TARGET, BLUR_TRUTH = "left", "right", "target", "blur_truth"
COMPANION = "companion"
"""The role of a file that belongs to an item and is not read."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An item to be: its name in the source, and the URL of each picture by role.

    Roles are ``left``, ``right``, ``target``, ``blur_truth``; any other role names an external result.
    ``development`` and ``auxiliary`` are as in `ldp_core.types.Item`, the latter as URLs.
    ``where`` is the file, or the row of a manifest, that a problem of this item points to.
    """

    name: str
    where: str
    pictures: Mapping[str, str]
    score_region: Region = field(default_factory=Region)
    aligned: bool = True
    blur_truth_kind: BlurTruthKind = BlurTruthKind.UNSIGNED
    dp_axis: DpAxis = DpAxis.X
    development: str = ""
    auxiliary: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drafts:
    """All drafts of a source, and what the layout could not pair.

    ``sizes_bytes`` are encoded sizes by URL, as far as a listing told them.
    """

    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...] = ()
    sizes_bytes: Mapping[str, int] = field(default_factory=dict)
