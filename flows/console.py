"""What the terminal shows: live progress, plans and summaries. Progress goes to standard error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tasks.progress import Listener

if TYPE_CHECKING:
    from ldp_core.evaluation import FamilyScore
    from ldp_core.evaluation.maps import Table as MapTable
    from ldp_core.optics.realism import OpticsReport

_SIZES_SHOWN = 3

_OUT, _ERR = Console(), Console(stderr=True)


@contextmanager
def live_progress() -> Iterator[Listener]:
    """A bar per stage with count, rate and time left, while the block runs."""
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[bad]}"),
    )
    with Progress(*columns, console=_ERR, disable=not _ERR.is_terminal) as progress:
        yield _Bars(progress)


class _Bars:
    """One bar per stage. Rich's own lock makes it safe for several threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._bad: Counter[str] = Counter()

    def expect(self, stage: str, total: int) -> None:
        self._bars[stage] = self._progress.add_task(stage, total=total, rate="", bad="")

    def advance(self, stage: str, done: int, bad: int) -> None:
        bar = self._bars[stage]
        self._bad[stage] += bad
        self._progress.advance(bar, done)
        speed = next(task.speed for task in self._progress.tasks if task.id == bar)
        rate = f"{speed * 60:.1f}/min" if speed else ""
        self._progress.update(bar, rate=rate, bad=f"{self._bad[stage]} bad" if self._bad[stage] else "")


def print_plan(preview: Mapping[str, Any]) -> None:
    """A plan for people."""
    table = Table(show_header=False, box=None)
    table.add_row("dataset", preview["dataset"])
    singles = f" and {preview['single_views']} single views" if preview["single_views"] else ""
    table.add_row("pairs", f"{preview['pairs']}{singles}, {preview['to_do']} to do")
    table.add_row("archived", ", ".join(f"{stage} {n}" for stage, n in preview["done"].items()))
    table.add_row("read", decimal(preview["bytes_in"]))
    table.add_row("write", f"at most {decimal(preview['bytes_out_at_most'])}")
    for size, needed in islice(preview["memory"]["bytes_by_size"].items(), _SIZES_SHOWN):
        table.add_row("memory", f"{decimal(needed)} for a pair of {size}")
    table.add_row("", f"each worker may take {decimal(preview['memory']['worker_bytes'])}")
    table.add_row("time", f"about {_duration(preview['seconds_estimated'])} of computation")
    _OUT.print(table)
    if too_large := preview["memory"]["too_large"]:
        _OUT.print(f"[memory_short] {len(too_large)} pairs need more memory than a worker has", markup=False)
    for problem in preview["problems"]:
        _OUT.print(f"[{problem['kind']}] {problem['where']}: {problem['message']}", markup=False)


def print_means(means: Sequence[Mapping[str, Any]]) -> None:
    """Means with their intervals, for people."""
    table = Table("metric", "subject", "mean", "95 % interval", "n", "protocol", box=None)
    for mean in means:
        interval = f"{mean['low']:.3f} .. {mean['high']:.3f}"
        cells = (mean["metric"], mean["subject"], f"{mean['mean']:.3f}", interval, str(mean["n"]))
        table.add_row(*cells, mean["protocol"])
    _OUT.print(table)


def print_summary(summary: Mapping[str, Any]) -> None:
    """A finished run for people: counts, means with intervals, where the report is."""
    if summary["metrics"]:
        print_means(summary["metrics"])
    counts = summary["items"]
    _OUT.print(
        f"{counts['total']} items: {counts['computed']} computed, {counts['skipped']} already there, "
        f"{counts['quarantined']} set aside, in {_duration(summary['seconds']['total'])}"
    )
    for record in summary["quarantine"]:
        line = f"{record['item']}: [{record['kind']}] {record['message']}. {record['remedy']}"
        _OUT.print(line, markup=False, style="red")
    if summary["report"]:
        _OUT.print(f"report: {summary['report']}", soft_wrap=True)


def print_families(scores: Sequence[FamilyScore]) -> None:
    """Kernel families by subject, for people."""
    table = Table("kernels", "subject", "scenes", "PSNR dB", "SSIM", box=None)
    for score in scores:
        values = f"{score.psnr_db:.2f}", f"{score.ssim:.3f}"
        table.add_row(score.family, score.subject, str(score.scenes), *values)
    _OUT.print(table)


def print_maps(tables: Mapping[str, MapTable]) -> None:
    """Estimators by measure, a table per set, for people; a dash where there is nothing to compare."""
    for title, rows in tables.items():
        table = Table(title, *next(iter(rows.values())), box=None)
        for row, values in rows.items():
            table.add_row(row, *("-" if value is None else f"{value:.3f}" for value in values.values()))
        _OUT.print(table)


def print_optics(report: OpticsReport) -> None:
    """Kernel families by camera for people: fitted parameters, and how close each view comes."""
    table = Table("camera", "kernels", "fitted", "PSNR dB L / R", "1 - ZNCC, % L / R", "by field", box=None)
    for fit in report.fits:
        sides = (f"{name} {_short_of_one(pair)}" for name, pair in fit.zncc_by_field.items())
        psnr = " / ".join(f"{value:.2f}" for value in fit.psnr_db)
        fitted = _name_values(fit.kernel)
        table.add_row(fit.camera, fit.family, fitted, psnr, _short_of_one(fit.zncc), ", ".join(sides))
    _OUT.print(table)
    correlations = Table("kernels", "fitted", "correlation with 48 Pixel 4 kernels L / R", "worst", box=None)
    for row in report.correlations:
        views = " / ".join(f"{value:.3f}" for value in row.correlation)
        correlations.add_row(row.family, _name_values(row.kernel), views, f"{row.least:.3f}")
    _OUT.print(correlations)
    for camera, names in report.left_out.items():
        left_out = f"; left out, sharp and blurred do not match: {', '.join(names)}" if names else ""
        _OUT.print(f"{camera}: {report.windows[camera]} windows, every second one scored{left_out}")


def _short_of_one(zncc: tuple[float, float]) -> str:
    return " / ".join(f"{100 * (1 - value):.2f}" for value in zncc)


def _name_values(kernel: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in kernel.items())


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
