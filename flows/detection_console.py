"""Blur detection for people: measures and floors, F by rule, what the reliability gate is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ldp_core.evaluation.detection import DetectionReport, GateSet
    from ldp_core.metrics.bootstrap import Interval

_HEADS = {
    "mae": "MAE",
    "f_blur": "F blur",
    "f_focus": "F focus",
    "iou_blur": "IoU blur",
    "iou_focus": "IoU focus",
    "ap_blur": "AP blur",
    "ap_focus": "AP focus",
    "auroc": "AUROC",
}
_OUT, _ERR = Console(), Console(stderr=True)


def print_detection(report: DetectionReport) -> None:
    """Measures with floors and published figures, F by rule, the gate, speed."""
    _print_measures(report)
    _print_published()
    _print_rules(report)
    _print_gate(report)
    _OUT.print(f"{report.images} photographs, {report.images_per_second:.2f} images per second")


def warn_upside_down(report: DetectionReport) -> None:
    """Say on standard error where maps contradict the masks on the whole."""
    if report.upside_down:
        _ERR.print(
            f"maps contradict the masks (correlation {report.correlation:.2f}): "
            "does white mean the other thing? see --white",
            style="red",
        )


def _print_measures(report: DetectionReport) -> None:
    """A row per measure: eight measures with their intervals are too wide for columns."""
    table = Table("F, IoU at .5", *report.methods, "n", box=None)
    for name, head in _HEADS.items():
        cells = (_show(scores.means[name]) for scores in report.methods.values())
        table.add_row(head, *cells, str(max(scores.n[name] for scores in report.methods.values())))
    _OUT.print(table)


def _print_published() -> None:
    from ldp_core.evaluation.detection import PUBLISHED

    table = Table("published, CUHK test split, not measured here", "MAE", "F blur, P3", "IoU blur", box=None)
    for method, values in PUBLISHED.items():
        table.add_row(method, *(f"{value:.3f}" for value in values))
    _OUT.print(table)


def _print_rules(report: DetectionReport) -> None:
    for side in next(iter(report.methods.values())).rules:
        table = Table(f"F of class {side}", *report.methods, box=None)
        by_method = [scores.rules[side] for scores in report.methods.values()]
        for rule in by_method[0]:
            detector, *floors = (rules[rule] for rules in by_method)
            table.add_row(rule.value, _show(detector), *(f"{floor.mean:.3f}" for floor in floors))
        _OUT.print(table)
    emptied = next(iter(report.methods.values())).emptied
    counts = ", ".join(f"{count} of class {side}" for side, count in emptied.items())
    _OUT.print(f"truths that P1 as published empties: {counts}")


def _print_gate(report: DetectionReport) -> None:
    table = Table("gate", "", "", "MAE", "AUROC", box=None)
    for name, found in report.gate.items():
        for title, group in (("accepted", found.accepted), ("rejected", found.rejected)):
            table.add_row(name, title, str(group.n), _show(group.mae), _show(group.auroc))
    _OUT.print(table)
    for name, found in report.gate.items():
        if found.failed:
            _OUT.print(f"{name} rejected for: {_name_failures(found)}")


def _name_failures(found: GateSet) -> str:
    return ", ".join(f"{condition} {count}" for condition, count in found.failed.items())


def _show(interval: Interval | None) -> str:
    """Mean and 95 % interval, short enough for three columns."""
    if interval is None:
        return "-"
    return f"{interval.mean:.3f} {interval.low:.3f}-{interval.high:.3f}"
