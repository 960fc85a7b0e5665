"""A figure and a table as papers show them: pictures side by side with a detail enlarged, means in LaTeX.

The figure needs matplotlib, which the extra ``figures`` installs.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from ldp_core.errors import SettingsError
from ldp_core.report.measures import measure_of, name_subject
from ldp_core.report.model import PictureSpec
from ldp_core.report.pictures import colour_limit, index_values, palette_of, to_eight_bit
from ldp_core.types import MeanScore, Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = ("pdf", "png", "svg")
_WIDTH_IN: Final = 7.0  # of both columns of a page of CVF, IEEE and ACM papers
_DPI: Final = 300
_FINE_DPI: Final = 400  # of whole pictures: more is seen in the detail only
_GAP: Final = 0.06  # inches between pictures
_TITLE_IN, _CAPTION_IN, _FONT_PT = 0.2, 0.17, 7.5
_BOX: Final = "#ffcf33"  # seen on dark and on light pictures, and in grey print
_DETAIL_SHARE: Final = 1 / 5  # of the width of a picture: enlarged five times
_DETAIL_ASPECT: Final = 0.6
_METRICS: Final = ("psnr_db", "ssim")


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture ``(h, w, c)``, or with ``spec`` a map ``(h, w)``; ``scores`` are its values by metric."""

    title: str
    values: NDArray[Any]
    spec: PictureSpec | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FigureRow:
    """An item. ``centre``: column and row of the detail, in pixels; None: where restoration changes most."""

    name: str
    panels: Sequence[Panel]
    centre: tuple[int, int] | None = None


def draw_figure(rows: Sequence[FigureRow], format: str = "pdf") -> bytes:  # noqa: A002
    """A row for each item, a column for each title; below each picture a detail and its scores.

    Maps of all rows share one colour scale, which stands below them. Of each row the best score is bold.

    Raises:
        SettingsError: the format is not known, or matplotlib is not installed.
    """
    require_matplotlib()
    if format not in FORMATS:
        raise SettingsError(
            "this format is not written", where="--output", expected=", ".join(FORMATS), got=format
        )
    titles = list(dict.fromkeys(panel.title for row in rows for panel in row.panels))
    sheet = _Sheet(rows, titles)
    file = io.BytesIO()
    import matplotlib

    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "ldp", "font.size": _FONT_PT}):
        undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(format)
        sheet.draw().savefig(file, format=format, dpi=_DPI, metadata=undated)
    return file.getvalue()


def find_detail(before: Pixels, after: Pixels, *, size: tuple[int, int]) -> tuple[int, int]:
    """Column and row of the centre of the part, of ``size`` (width, height), that differs most."""
    width, height = size
    change = np.abs(before.astype(np.float32).mean(axis=2) - after.astype(np.float32).mean(axis=2))
    mean = uniform_filter(change, (height, width), mode="constant")
    rows, columns = mean.shape
    inside = mean[height // 2 : rows - height // 2, width // 2 : columns - width // 2]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(column) + width // 2, int(row) + height // 2


def latex_table(means: Sequence[MeanScore], *, intervals: bool = False) -> str:
    """Means as LaTeX tables for ``booktabs``, one for each protocol; the best of a metric is bold.

    Only metrics that compare with a target. An arrow says which way is better.
    """
    chosen = [mean for mean in means if measure_of(mean.metric).family == "fidelity"]
    protocols = dict.fromkeys(mean.protocol for mean in chosen)
    return "\n".join(_table([m for m in chosen if m.protocol == p], p, intervals) for p in protocols)


def _table(means: Sequence[MeanScore], protocol: str, intervals: bool) -> str:
    metrics = list(dict.fromkeys(mean.metric for mean in means))
    cells = {(mean.subject, mean.metric): mean for mean in means}
    best = {
        metric: _best({m.subject: m.mean for m in means if m.metric == metric}, metric) for metric in metrics
    }
    heads = [f"{measure_of(m).full_name} ${_ARROWS[measure_of(m).better]}$" for m in metrics]
    lines = [
        f"% {protocol}, n = {max(mean.n for mean in means)}",
        rf"\begin{{tabular}}{{l{'c' * len(metrics)}}}",
        r"\toprule",
        f"Method & {' & '.join(heads)} \\\\",
        r"\midrule",
    ]
    for subject in dict.fromkeys(mean.subject for mean in means):
        row = [_cell(cells.get((subject, m)), bold=subject in best[m], intervals=intervals) for m in metrics]
        lines.append(f"{_escape(name_subject(subject))} & {' & '.join(row)} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


_ARROWS: Final = {"higher": r"\uparrow", "lower": r"\downarrow", "": ""}
_SPECIAL: Final = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    letter: f"\\{letter}" for letter in "&%$#_{}"
}


def _cell(mean: MeanScore | None, *, bold: bool, intervals: bool) -> str:
    if mean is None:
        return "--"
    digits = measure_of(mean.metric).digits
    number = f"{mean.mean:.{digits}f}"
    text = rf"\textbf{{{number}}}" if bold else number
    return text + (rf" {{\scriptsize [{mean.low:.{digits}f}, {mean.high:.{digits}f}]}}" if intervals else "")


def _best(values: Mapping[str, float], metric: str) -> set[str]:
    """Subjects whose printed value is the best; none where nothing is compared."""
    measure = measure_of(metric)
    if not measure.better or len(values) < 2:
        return set()
    printed = {subject: round(value, measure.digits) for subject, value in values.items()}
    best = (max if measure.better == "higher" else min)(printed.values())
    return {subject for subject, value in printed.items() if value == best}


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


class _Sheet:
    """The figure on its page: places in inches from the top left corner."""

    def __init__(self, rows: Sequence[FigureRow], titles: Sequence[str]) -> None:
        self.rows, self.titles = rows, titles
        self.panel_in = (_WIDTH_IN - _GAP * (len(titles) - 1)) / len(titles)
        self.limits = {
            spec: max(colour_limit(p.values, spec) for row in rows for p in row.panels if p.spec == spec)
            for spec in dict.fromkeys(p.spec for row in rows for p in row.panels if p.spec)
        }

    def draw(self) -> Figure:
        heights = [self._height_in(row) for row in self.rows]
        foot = _CAPTION_IN * 1.6 if self.limits else 0.0
        total = _TITLE_IN + sum(heights) + foot
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH_IN, total))
        top = _TITLE_IN
        for column, title in enumerate(self.titles):
            figure.text(self._middle(column), 1 - 0.75 * _TITLE_IN / total, title, ha="center", va="center")
        for row, height in zip(self.rows, heights, strict=True):
            self._draw_row(figure, row, top, total)
            top += height
        for spec, limit in self.limits.items():
            self._draw_scale(figure, spec, limit, top, total)
        return figure

    def _height_in(self, row: FigureRow) -> float:
        height, width = _size_of(row)
        return self.panel_in * (height / width + _DETAIL_ASPECT) + _CAPTION_IN + 2 * _GAP

    def _middle(self, column: int) -> float:
        return (column * (self.panel_in + _GAP) + self.panel_in / 2) / _WIDTH_IN

    def _draw_row(self, figure: Figure, row: FigureRow, top: float, total: float) -> None:
        height, width = _size_of(row)
        tall, detail = self.panel_in * height / width, self.panel_in * _DETAIL_ASPECT
        left, upper, across, down = _detail_of(row, width, height)
        best = {m: _best(_scores(row, m), m) for m in _METRICS}
        for panel in row.panels:
            column = self.titles.index(panel.title)
            picture = self._colour(panel)
            whole = self._axes(figure, column, top, tall, total)
            edges = (-0.5, width - 0.5, height - 0.5, -0.5)
            whole.imshow(
                _shrink(picture, round(self.panel_in * _FINE_DPI)), interpolation="none", extent=edges
            )
            _frame(whole, left, upper, across, down)
            zoomed = self._axes(figure, column, top + tall + _GAP / 2, detail, total)
            part = picture[upper : upper + down, left : left + across]
            zoomed.imshow(part, interpolation="none", aspect="auto")
            place = 1 - (top + tall + detail + _GAP / 2 + 0.55 * _CAPTION_IN) / total
            self._write_scores(figure, panel, best, self._middle(column), place)

    def _axes(self, figure: Figure, column: int, top: float, tall: float, total: float) -> Axes:
        left = column * (self.panel_in + _GAP) / _WIDTH_IN
        axes = figure.add_axes((left, 1 - (top + tall) / total, self.panel_in / _WIDTH_IN, tall / total))
        axes.axis("off")
        return axes

    def _colour(self, panel: Panel) -> NDArray[np.uint8]:
        if panel.spec is None:
            shown = to_eight_bit(panel.values)
            return np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
        limit = self.limits[panel.spec]
        low = -limit if panel.spec.is_signed else 0.0
        return palette_of(panel.spec)[index_values(panel.values, low=low, high=limit)]

    def _write_scores(
        self, figure: Figure, panel: Panel, best: Mapping[str, set[str]], x: float, y: float
    ) -> None:
        """PSNR and SSIM beside each other, each bold where it is the best of its row."""
        known = [metric for metric in _METRICS if metric in panel.scores]
        texts = []
        for metric in known:
            measure = measure_of(metric)
            text = measure.show(panel.scores[metric]) + (f" {measure.unit}" if measure.unit else "")
            texts.append((text, panel.title in best[metric]))
        for n, (text, bold) in enumerate(texts):
            alone = len(texts) == 1
            side = "center" if alone else ("right" if n == 0 else "left")
            at = x if alone else x + (0.03 if n == 0 else 0.09) * self.panel_in / _WIDTH_IN
            figure.text(at, y, text, ha=side, va="center", weight="bold" if bold else "normal")

    def _draw_scale(self, figure: Figure, spec: PictureSpec, limit: float, top: float, total: float) -> None:
        column = next(self.titles.index(p.title) for row in self.rows for p in row.panels if p.spec == spec)
        axes = self._axes(figure, column, top - _CAPTION_IN * 0.9, _CAPTION_IN * 0.5, total)
        axes.imshow(palette_of(spec)[None, :-1], interpolation="none", aspect="auto")
        y = 1 - (top + 0.2 * _CAPTION_IN) / total
        left = column * (self.panel_in + _GAP) / _WIDTH_IN
        low = f"{-limit:g}" if spec.is_signed else "0"
        figure.text(left, y, low, ha="left", va="center")
        figure.text(
            left + self.panel_in / _WIDTH_IN, y, f"{limit:g} {spec.unit}".strip(), ha="right", va="center"
        )


def require_matplotlib() -> None:
    """Refuse to draw where matplotlib is not installed.

    Raises:
        SettingsError: it is not.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "figures need matplotlib",
            remedy="pip install -c constraints.txt -e '.[figures]'",
        ) from error


def _shrink(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """A picture no wider than so many pixels: whole photographs would make a PDF of many megabytes."""
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _size_of(row: FigureRow) -> tuple[int, int]:
    height, width = row.panels[0].values.shape[:2]
    return int(height), int(width)


def _scores(row: FigureRow, metric: str) -> dict[str, float]:
    return {panel.title: panel.scores[metric] for panel in row.panels if metric in panel.scores}


def _detail_of(row: FigureRow, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the detail, inside the picture."""
    across = max(1, round(width * _DETAIL_SHARE))
    down = min(height, max(1, round(across * _DETAIL_ASPECT)))
    pictures = [panel.values for panel in row.panels if panel.spec is None]
    if row.centre is not None or len(pictures) < 2:
        x, y = row.centre or (width // 2, height // 2)
    else:
        x, y = find_detail(pictures[0], pictures[1], size=(across, down))
    left = min(max(x - across // 2, 0), width - across)
    return left, min(max(y - down // 2, 0), height - down), across, down


def _frame(axes: Axes, left: int, top: int, width: int, height: int) -> None:
    from matplotlib.patches import Rectangle

    corner: Any = (left - 0.5, top - 0.5)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=_BOX, linewidth=0.8))
