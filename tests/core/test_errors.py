"""Errors: the drawing at the head of the module is the tree, kinds are unique, pickling loses nothing."""

from __future__ import annotations

import pickle
import re

import pytest

from ldp_core import errors
from ldp_core.errors import ItemDamagedError, LdpError


def all_errors() -> list[type[LdpError]]:
    found, waiting = [], [LdpError]
    while waiting:
        cls = waiting.pop()
        found.append(cls)
        waiting += cls.__subclasses__()
    return found


def depth_of(cls: type[LdpError]) -> int:
    return len(cls.__mro__) - len(LdpError.__mro__)


def test_the_drawing_is_the_tree() -> None:
    drawn = re.findall(r"^    ((?:[│ ]   )*(?:[├└]── )?)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    assert {name: len(indent) // 4 for indent, name in drawn} == {
        cls.__name__: depth_of(cls) for cls in all_errors()
    }


def test_kinds_are_unique() -> None:
    kinds = [cls.kind for cls in all_errors()]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("cls", all_errors())
def test_an_error_survives_pickling(cls: type[LdpError]) -> None:
    error = cls("it broke", where="here", expected="this", got="that", remedy="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_long_text_is_cut_with_its_length_and_a_short_one_is_not() -> None:
    error = LdpError("not a size", got="8" * 10_000, expected="x" * 2_000)
    assert len(str(error)) < 4_000
    assert "8 ... (10,000 letters) ... 8" in str(error)
    assert error.expected == "x" * 2_000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_text_names_what_is_known_and_nothing_else() -> None:
    assert str(ItemDamagedError("cut", where="a/b")) == "cut\n  where: a/b"
