"""A condition that chooses items by what is known of them: ``camera == "pixel-4" and iso > 800``.

It is read as an expression of Python and walked through here, never executed: names, numbers, texts, lists,
comparisons, ``in``, ``and``, ``or``, ``not``. A comparison with something that an item lacks is false.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from ldp_core.errors import SettingsError, suggest
from ldp_core.types import Item, Metadatum, read_number

_WHERE: Final = "--where"
_MOST_LETTERS: Final = 2000
"""Longer conditions are better a list of ids."""
_DEEPEST: Final = 40
"""Parts within parts: more than people write, and far from the depth at which Python gives up."""
_EXAMPLE: Final = "such as 'camera == \"pixel-4\" and iso > 800'"
_NAMED: Final = 12
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

Value = Metadatum | tuple[Metadatum, ...] | None
Facts = Mapping[str, Metadatum]


class Condition:
    """A condition on items.

    Raises:
        SettingsError: it is no expression of the kind above.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tree = _parse(text)
        _check(text, self._tree)

    @property
    def names(self) -> list[str]:
        """The names that it asks for, in order of appearance."""
        nodes = (node for node in ast.walk(self._tree) if isinstance(node, ast.Name))
        return list(dict.fromkeys(node.id for node in nodes))

    def holds(self, facts: Facts) -> bool:
        """Whether it holds for what is known of an item."""
        return bool(_evaluate(self._tree, facts))


def facts_of(item: Item) -> dict[str, Metadatum]:
    """What conditions can ask of an item; letters that no name can have stand as ``_``."""
    views = 2 if item.has_both_views else 1
    own: dict[str, Metadatum] = {"id": item.id, "name": item.title, "camera": item.camera, "views": views}
    own |= {"width": item.left.width, "height": item.left.height, "bit_depth": item.left.bit_depth}
    return own | {re.sub(r"\W", "_", name): value for name, value in item.facts.items()}


def require_known(condition: Condition, names: Collection[str]) -> None:
    """Refuse a condition on what no item tells.

    Raises:
        SettingsError: one of its names is not among these.
    """
    for name in condition.names:
        if name not in names:
            listed = sorted(names)
            more = f" and {len(listed) - _NAMED} more" if listed[_NAMED:] else ""
            raise SettingsError(
                "no item tells this",
                where=f"{_WHERE} {condition.text}",
                expected=", ".join(listed[:_NAMED]) + more,
                got=name,
                remedy=suggest(name, listed) or 'texts stand in quotes: camera == "pixel-4"',
            )


def _parse(text: str) -> ast.expr:
    try:
        if len(text) > _MOST_LETTERS:
            raise ValueError(f"{len(text)} letters")
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refuse(text, str(error).partition("(")[0].strip()) from error


def _refuse(text: str, got: str) -> SettingsError:
    expected = f"names, numbers, texts in quotes, == != < <= > >= in, and, or, not, {_EXAMPLE}"
    return SettingsError("this is no condition", where=f"{_WHERE} {text}", expected=expected, got=got)


def _check(text: str, node: ast.expr, depth: int = 0) -> None:
    """Refuse everything that is not walked through below."""
    if depth > _DEEPEST:
        raise _refuse(text, f"more than {_DEEPEST} parts within each other")
    match node:
        case ast.BoolOp(values=parts):
            inner = parts
        case ast.UnaryOp(op=ast.Not(), operand=part):
            inner = [part]
        case ast.Compare(left=left, ops=operators, comparators=others):
            pairs = zip(operators, others, strict=True)
            inner = [left, *(part for pair in pairs for part in _list_compared(text, *pair))]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float()) as number):
            inner = [number]
        case ast.Constant(value=int() | float() as value) if not _is_number(value):
            raise _refuse(text, "a number that is too large")
        case ast.Name() | ast.Constant(value=str() | int() | float()):
            inner = []
        case _:
            raise _refuse(text, ast.get_source_segment(text.strip(), node) or type(node).__name__)
    for part in inner:
        _check(text, part, depth + 1)


def _is_number(value: Metadatum) -> bool:
    """Whether it can be compared as a number: beyond 1.8e308 it would be compared as a text."""
    return isinstance(value, bool) or read_number(value) is not None


def _list_compared(text: str, how: ast.cmpop, with_: ast.expr) -> list[ast.expr]:
    """What a comparison is made with; only ``in`` takes a list."""
    if isinstance(how, ast.In | ast.NotIn):
        if isinstance(with_, ast.List | ast.Tuple):
            return with_.elts
        if isinstance(with_, ast.Name | ast.Constant):
            return [with_]
    elif type(how) in _COMPARISONS:
        return [with_]
    raise _refuse(text, ast.get_source_segment(text.strip(), with_) or type(with_).__name__)


def _evaluate(node: ast.expr, facts: Facts) -> Value:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_evaluate(part, facts) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_evaluate(part, facts) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not _evaluate(part, facts)
        case ast.UnaryOp(operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Compare(left=left, ops=operators, comparators=others):
            values = [_evaluate(part, facts) for part in (left, *others)]
            pairs = zip(operators, values, values[1:], strict=False)
            return all(_compare(*pair) for pair in pairs)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return tuple(
                v for p in parts if (v := _evaluate(p, facts)) is not None and not isinstance(v, tuple)
            )
        case ast.Name(id=name):
            return facts.get(name)
        case ast.Constant(value=str() | int() | float() as value):
            return value
    raise TypeError(ast.dump(node))  # `_check` has let none of these through


def _compare(how: ast.cmpop, left: Value, right: Value) -> bool:
    if left is None or right is None or isinstance(left, tuple):
        return False
    if isinstance(how, ast.In | ast.NotIn):
        inside = str(left) in right if isinstance(right, str) else _is_among(left, right)
        return inside == isinstance(how, ast.In)
    if isinstance(right, tuple):
        return False
    one, other = _alike(left, right)
    return _COMPARISONS[type(how)](one, other)


def _is_among(value: Metadatum, values: Value) -> bool:
    listed = values if isinstance(values, tuple) else ()
    return any(one == other for one, other in (_alike(value, each) for each in listed))


def _alike(left: Metadatum, right: Metadatum) -> tuple[Any, Any]:
    """Both as numbers where both are, for tables without types have numbers as text; else both as text."""
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    numbers = read_number(left), read_number(right)
    if None not in numbers:
        return numbers
    return str(left), str(right)
