"""The words by which users name views and truths, as folders and as marks in file names.

left/IMG_1.png      Left/, L/, right/, R/, target/, gt/, GT/, sharp/, ground_truth/, coc/
IMG_1_L.png         _l, -left, .Left, L_IMG_1.png, left-IMG_1.png, IMG_1_gt.png
IMG_1/left.png      the whole name is the mark; the folder is the scene
"""

from __future__ import annotations

import re
from typing import Final

from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, MASK, RIGHT, SIDECAR, TARGET

WORDS: Final = {
    LEFT: ("left", "l"),
    RIGHT: ("right", "r"),
    TARGET: ("target", "gt", "sharp", "ground_truth", "groundtruth", "ground-truth"),
    BLUR_TRUTH: ("coc",),
}
"""In lower case, by role; the first of them that is there counts."""
RESERVED: Final = frozenset(
    {LEFT, RIGHT, TARGET, BLUR_TRUTH, MASK, SIDECAR, "truth", "input", "restored", "blur_map"}
)
"""Names that no other method's result can have: roles, and the subjects of scores."""

_ROLES: Final = {word: role for role, words in WORDS.items() for word in words}
_MARKS: Final = "|".join(sorted(map(re.escape, _ROLES), key=len, reverse=True))
_SUFFIX: Final = re.compile(rf"(?P<scene>.+)[_\-. ](?P<mark>{_MARKS})", re.IGNORECASE)
_PREFIX: Final = re.compile(rf"(?P<mark>{_MARKS})[_\-. ](?P<scene>.+)", re.IGNORECASE)


def role_of(word: str) -> str | None:
    """The role that a word means, in any letter case."""
    return _ROLES.get(word.casefold())


def split_mark(name: str) -> tuple[str, str] | None:
    """The scene and the role that the last part of a name tells, the folders above being part of the scene.

    None where it holds no mark. A mark at the end comes before one at the beginning.
    """
    above, slash, last = name.rpartition("/")
    if slash and (role := role_of(last)):
        return above, role
    found = _SUFFIX.fullmatch(last) or _PREFIX.fullmatch(last)
    return (above + slash + found["scene"], _ROLES[found["mark"].casefold()]) if found else None


def strip_method(name: str, method: str) -> str:
    """A name without the name of the method at its end: ``IMG_1_ours`` to ``IMG_1``."""
    return re.sub(rf"(?<=[^/])[_\-. ]{re.escape(method)}$", "", name, flags=re.IGNORECASE)
