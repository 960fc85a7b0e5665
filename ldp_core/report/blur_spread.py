"""How blurred the pixels of a run are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ldp_core.report.colours import UNKNOWN_COLOUR, colour_at
from ldp_core.report.model import BlurDigest, ReportItem
from ldp_core.report.plots import Bar, Chart, draw_bars, show_number, show_share
from ldp_core.types import BlurMapKind

MAX_BLUR_BARS = 64


def draw_blur_charts(items: Sequence[ReportItem]) -> list[Chart]:
    """The spread of the blur maps' values, one chart for each kind; every item weighs the same."""
    digests: dict[BlurMapKind, list[BlurDigest]] = {}
    for item in items:
        if item.blur is not None:
            digests.setdefault(item.blur.kind, []).append(item.blur)
    return [_draw_blur(kind, of_kind) for kind, of_kind in sorted(digests.items())]


def _draw_blur(kind: BlurMapKind, digests: Sequence[BlurDigest]) -> Chart:
    signed = kind is BlurMapKind.SIGNED_COC_PX
    unit = " px" if signed else ""
    bars = _blur_bars(digests, kind, unit)
    title = "Signed circle of confusion" if signed else kind.value.replace("_", " ").capitalize()
    meaning = "px of diameter; negative in front of the focal plane" if signed else "0 to 1"
    middle = show_number(round(sum(digest.p50 for digest in digests) / len(digests), 2))
    note = f"Median {middle}{unit}, as the mean over {len(digests)} items"
    axis = min(bar.low for bar in bars), max(bar.high for bar in bars)
    drawing = draw_bars(bars, label=f"{title}: {note}", axis=axis, numbered=True, show=show_share)
    return Chart(title, f"Share of pixels by {meaning}", note, drawing)


def _blur_bars(digests: Sequence[BlurDigest], kind: BlurMapKind, unit: str) -> list[Bar]:
    shares, step = _pool_shares(digests)
    reach = max(digest.limit for digest in digests)
    return [
        Bar(
            (n - 0.5) * step,
            (n + 0.5) * step,
            share,
            f"{show_number(n * step)}{unit}: {share:.1%} of pixels",
            fill=_fill(n * step, kind, reach),
        )
        for n, share in sorted(shares.items())
    ]


def _pool_shares(digests: Sequence[BlurDigest]) -> tuple[dict[int, float], float]:
    """Mean shares of all digests, in bins wide enough that there are few; values beyond every colour
    scale are counted at its end."""
    step, reach = digests[0].step, max(digest.limit for digest in digests)
    merge = max(1, math.ceil(2 * reach / step / MAX_BLUR_BARS))
    last = round(reach / step / merge)
    pooled: dict[int, float] = {}
    for digest in digests:
        for bin_, share in digest.shares.items():
            n = min(max(round(bin_ / merge), -last), last)
            pooled[n] = pooled.get(n, 0.0) + share / len(digests)
    return pooled, step * merge


def _fill(value: float, kind: BlurMapKind, reach: float) -> str:
    low = -reach if kind is BlurMapKind.SIGNED_COC_PX else 0.0
    return colour_at((value - low) / (reach - low), kind) if reach > low else UNKNOWN_COLOUR
