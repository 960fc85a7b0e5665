"""Pictures paired by a regular expression over their paths: ``--pair-by``.

    (?P<scene>.+)_(?P<role>L|R|gt)\\.png             the role by its word, in any letter case
    (?P<scene>.+)_((?P<left>A)|(?P<right>B))\\.png    groups named as roles, for words that mean none

The expression must match the whole path, relative to the source. Words of roles are those of
`ldp_core.catalogue.role_words`; another word names the method whose result the picture is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from ldp_core.catalogue.pairing import (
    BLUR_TRUTH,
    LEFT,
    RIGHT,
    TARGET,
    ItemSpecs,
    Rule,
    is_of_system,
    list_visible,
    pair_files,
)
from ldp_core.catalogue.role_words import RESERVED, role_of
from ldp_core.errors import CatalogueError, SettingsError, count_of
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url
from ldp_core.types import BlurTruthKind

_ROLES: Final = (LEFT, RIGHT, TARGET, BLUR_TRUTH)
_WHERE: Final = "--pair-by"
_EXAMPLE: Final = r"such as '(?P<scene>.+)_(?P<role>L|R|gt)\.png'"
_NAMED: Final = 3
_METHOD: Final = re.compile(r"[\w.+ -]+")


def pair_by_pattern(source: str, pattern: str) -> ItemSpecs:
    """Pair the pictures of a source whose paths match; others are named as files without a place.

    Raises:
        SettingsError: it is no regular expression with a group ``scene``, and ``role`` or the names of roles.
        CatalogueError: it matches no path, or none as a view.
        StorageError: the store refused or could not be reached.
    """
    rule = _make_rule(_compile(pattern))
    root = absolute_url(source)
    listing = list_visible(root)
    _require_views(rule, [path for path in listing if is_unicode(path) and not is_of_system(path)], pattern)
    return pair_files(root, rule, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX, listing=listing)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(
            "this is no regular expression", where=_WHERE, got=f"{pattern}: {error}", remedy=_EXAMPLE
        ) from error
    groups = compiled.groupindex.keys()
    if "scene" not in groups or groups.isdisjoint({"role", *_ROLES}):
        raise SettingsError(
            "the expression does not say what is the scene and what the role",
            where=_WHERE,
            expected="named groups 'scene' and 'role' (or 'left', 'right', 'target')",
            got=f"{pattern}, with groups {', '.join(groups) or '(none)'}",
            remedy=_EXAMPLE,
        )
    return compiled


def _make_rule(pattern: re.Pattern[str]) -> Rule:
    def classify(path: str) -> tuple[str, str] | None:
        found = pattern.fullmatch(path)
        if found is None or not found["scene"]:
            return None
        groups = found.groupdict()
        role = next((role for role in _ROLES if groups.get(role) is not None), None)
        word = groups.get("role") or ""
        role = role or role_of(word) or (word if _METHOD.fullmatch(word) and word not in RESERVED else None)
        return (found["scene"].strip("/"), role) if role and found["scene"].strip("/") else None

    return classify


def _require_views(rule: Rule, paths: Iterable[str], pattern: str) -> None:
    listed = list(paths)
    roles = Counter(found[1] for path in listed if (found := rule(path)))
    if not roles and listed:
        raise CatalogueError(
            "the expression matches no path of the source",
            where=_WHERE,
            expected=pattern,
            got=", ".join(f"'{path}'" for path in listed[:_NAMED]) + (" ..." if listed[_NAMED:] else ""),
            remedy="it must match the whole path, its folders and its extension too; " + _EXAMPLE,
        )
    if roles and {LEFT, RIGHT}.isdisjoint(roles):
        raise CatalogueError(
            "the expression finds no left and no right views",
            where=_WHERE,
            expected="a role of left, right, l or r, in any letter case",
            got=", ".join(
                f"'{role}' ({count_of(count, 'file')})" for role, count in roles.most_common(_NAMED)
            ),
            remedy=r"say which is which, such as '(?P<scene>.+)_((?P<left>A)|(?P<right>B))\.png'",
        )
