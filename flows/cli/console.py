"""What a command shows: tables, facts, lines, progress.

Results go to standard output, progress and warnings to standard error. Nothing is cut: a table that is too
wide for the terminal folds, and a pipe has no width unless ``COLUMNS`` sets one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from flows.logs import is_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from tasks.progress import Listener

MOST_LISTED = 20
"""Paths or records listed one by one; `--json` has all of them. More would push the verdict off a screen."""

_GAP, _INDENT = "  ", "    "
_NUMBER = re.compile(r"(|-|[+-]?\d+(\.\d+)?( \w?B| bytes)?)")


def print_json(content: Any) -> None:
    """Write a result to standard output, alone."""
    json.dump(content, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def show(text: str, *, style: str = "", error: bool = False) -> None:
    """One line. It is never broken, so that a path in it can be copied; the terminal wraps it."""
    Console(stderr=error).print(Text(text, style=style), soft_wrap=True)


def show_facts(facts: Iterable[tuple[str, object]], *, indent: str = "") -> None:
    """A name and a value per line; long values go on below themselves."""
    rows = [(name, str(value)) for name, value in facts]
    longest = max((cell_len(name) for name, _ in rows), default=0)
    for name, value in rows:
        _show_wrapped(value, first=f"{indent}{_pad(name, longest)}{_GAP}")


def show_list(paths: Sequence[str], meaning: str) -> None:
    """How many there are, what they are, and the first `MOST_LISTED` of them; nothing of an empty list."""
    if paths:
        show(f"{meaning}: {len(paths):,}")
    for path in paths[:MOST_LISTED]:
        show(f"  {path}")
    show_rest(len(paths))


def show_rest(count: int) -> None:
    """Say how many of ``count`` were not listed, if any."""
    if count > MOST_LISTED:
        show(f"  and {count - MOST_LISTED} more (--json lists all)")


def show_problems(groups: Iterable[Mapping[str, Any]], *, style: str = "") -> None:
    """Problems by kind: how many, the first few, and what to do; fields as in `ProblemGroup`."""
    for group in groups:
        examples = group["examples"]
        more = ", of which the first are" if group["count"] > len(examples) else ""
        show(f"[{group['kind']}] {group['count']}{more}:", style=style)
        for one in examples:
            show(f"  {one['where']}", style=style)
            _show_wrapped(one["message"], first=_INDENT)
        if remedy := examples[0]["remedy"]:
            _show_wrapped(remedy, first="  do: ")


def show_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table whose columns stand in order of importance, the first one the name of the row.

    Where it is too wide for the terminal, columns leave it from the right, and stand by name on a line
    of their own below each row.
    """
    show_parts(heads, {"": rows})


def show_parts(heads: Sequence[str], parts: Mapping[str, Iterable[Sequence[object]]]) -> None:
    """A table in parts, each below its title, which holds for all rows of the part."""
    texts = {title: [[str(cell) for cell in row] for row in rows] for title, rows in parts.items()}
    columns = list(zip(heads, *(row for rows in texts.values() for row in rows), strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    numeric = [all(map(_NUMBER.fullmatch, column[1:])) for column in columns]
    kept = _count_fitting(widths)
    _show_row(heads[:kept], widths, numeric, style="bold")
    for title, rows in texts.items():
        if title:
            _show_wrapped(title, first="")
        for row in rows:
            _show_row(row[:kept], widths, numeric)
            _show_folded(zip(heads[kept:], row[kept:], strict=True))


def show_means(means: Sequence[Mapping[str, Any]]) -> None:
    """Means of scores with their intervals, each protocol above the rows that were scored under it."""
    parts: dict[str, list[tuple[object, ...]]] = {}
    for mean in means:
        interval = format_interval(mean["low"], mean["high"])
        row = (mean["metric"], mean["subject"], f"{mean['mean']:.3f}", interval, mean["n"])
        parts.setdefault(f"protocol: {mean['protocol']}", []).append(row)
    show_parts(("metric", "subject", "mean", "95 % interval", "n"), parts)


def format_size(size_bytes: int) -> str:
    """Bytes in the unit that suits them, powers of 1000: ``4.1 MB``."""
    return decimal(size_bytes)


def format_interval(low: float, high: float, *, signed: bool = False) -> str:
    """Both ends of an interval, three decimals."""
    return f"{low:+.3f} .. {high:+.3f}" if signed else f"{low:.3f} .. {high:.3f}"


def format_duration(seconds: float) -> str:
    """Seconds in the units that suit them: ``41.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@contextmanager
def showing_progress() -> Iterator[None]:
    """A bar per stage with count, rate and time left on standard error, while the block runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tasks.progress import listening

    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("[red]{task.fields[bad]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=is_json() or not console.is_terminal) as progress:
        listener: Listener = _Bars(progress)
        with listening(listener):
            yield


class _Bars:
    """One bar per stage. Rich's own lock makes it safe for several threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._bad: Counter[str] = Counter()
        self._computed: Counter[str] = Counter()
        self._begin: dict[str, float] = {}

    def expect(self, stage: str, total: int) -> None:
        self._begin[stage] = monotonic()
        self._bars[stage] = self._progress.add_task(stage, total=total, rate="", left="", bad="")

    def advance(self, stage: str, done: int, bad: int, skipped: int) -> None:
        """Items that were only read make no rate, nor does the time that passed with these alone; the first
        that was computed makes one."""
        bar = self._bars[stage]
        self._bad[stage] += bad
        self._computed[stage] += done - skipped
        self._progress.advance(bar, done)
        if not self._computed[stage]:
            self._begin[stage] = monotonic()
        speed = self._computed[stage] / max(monotonic() - self._begin[stage], 1e-3)
        to_do = next((task.total or 0) - task.completed for task in self._progress.tasks if task.id == bar)
        self._progress.update(
            bar,
            rate=f"{speed * 60:.1f}/min" if speed else "",
            left=f"{format_duration(to_do / speed)} left" if speed and to_do else "",
            bad=f"{self._bad[stage]} bad" if self._bad[stage] else "",
        )


def _width() -> int:
    """The columns there are to fit in."""
    limited = "COLUMNS" in os.environ or sys.stdout.isatty()
    return shutil.get_terminal_size().columns if limited else sys.maxsize


def _count_fitting(widths: Sequence[int]) -> int:
    """How many columns, from the left, fit side by side; one at least."""
    fitting = (n for n in range(len(widths), 1, -1) if sum(widths[:n]) + len(_GAP) * (n - 1) <= _width())
    return next(fitting, 1)


def _show_row(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], style: str = "") -> None:
    padded = (_pad(*parts) for parts in zip(cells, widths, numeric, strict=False))
    show(_GAP.join(padded).rstrip(), style=style)


def _show_folded(cells: Iterable[tuple[str, str]]) -> None:
    """Cells by name below their row: on one line, or on one line each where that is too long."""
    named = [f"{head}: {cell}" for head, cell in cells if cell]
    joined = "; ".join(named)
    fits = cell_len(_INDENT + joined) <= _width()
    for line in filter(None, [joined] if fits else named):
        _show_wrapped(line, first=_INDENT)


def _pad(text: str, width: int, right: bool = False) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _show_wrapped(text: str, *, first: str) -> None:
    """Text after ``first``, broken between words, its other lines below its beginning."""
    after = " " * cell_len(first)
    room = max(_width(), cell_len(first) + 20)  # beside a long name, 20 columns are the least one can read
    lines = textwrap.wrap(
        text,
        room,
        initial_indent=first,
        subsequent_indent=after,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines or [first.rstrip()]:
        show(line)
