"""A map as a picture with its colour bar: what the colours mean stands beside them."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ldp_core.report.model import PictureKind, PictureSpec
from ldp_core.report.pictures import STEPS, UNKNOWN_COLOUR, colour_limit, index_values, palette_of
from ldp_core.types import FloatMap

_INK, _PAPER = "#1b1f24", "#ffffff"
_SMALLEST_TEXT_PX: Final = 11
_TEXT_SHARE: Final = 1 / 40  # of the picture's height: readable where the whole picture is on a page
_TICKS: Final = 5


def draw_with_bar(values: FloatMap, spec: PictureSpec) -> bytes:
    """A PNG of a map ``(h, w)`` at its own size, its colour bar with numbers, unit and meaning to the right.

    The scale is that of reports (`ldp_core.report.pictures.colour_limit`).
    """
    height, width = values.shape
    limit = colour_limit(values, spec)
    low = -limit if spec.is_signed else 0.0
    picture = palette_of(spec)[index_values(values, low=low, high=limit)]
    bar = _draw_bar(spec, low=low, high=limit, height=height, unknown=not np.isfinite(values).all())
    sheet = Image.new("RGB", (width + bar.width, max(height, bar.height)), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, 0))
    sheet.paste(bar, (width, 0))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _draw_bar(spec: PictureSpec, *, low: float, high: float, height: int, unknown: bool) -> Image.Image:
    size = max(_SMALLEST_TEXT_PX, round(height * _TEXT_SHARE))
    font = ImageFont.load_default(size)
    ticks = [low + (high - low) * n / (_TICKS - 1) for n in range(_TICKS)]
    texts = [_label(value, spec, ends=value in (low, high)) for value in ticks]
    title = spec.quantity or spec.title
    wide = round(max(font.getlength(text) for text in texts))
    margin, thick = size, 2 * size
    total = 3 * margin + thick + max(wide, round(font.getlength(title)) - thick)
    bar = Image.new("RGB", (total, max(height, 14 * size)), _PAPER)
    draw = ImageDraw.Draw(bar)
    draw.text((margin, size // 2), title, _INK, font)
    top, bottom = 3 * size, bar.height - (4 if unknown else 2) * size
    colours = palette_of(spec)[:STEPS][::-1]
    strip = Image.fromarray(colours[:, None]).resize((thick, bottom - top), Image.Resampling.NEAREST)
    bar.paste(strip, (margin, top))
    for value, text in zip(ticks, texts, strict=True):
        y = bottom - 1 - (bottom - 1 - top) * (value - low) / (high - low)
        draw.line((margin + thick, y, margin + thick + size // 3, y), _INK)
        draw.text((margin + thick + size // 2, y), text, _INK, font, anchor="lm")
    if unknown:
        place = (margin, bottom + size, margin + thick, bottom + 2 * size)
        draw.rectangle(place, UNKNOWN_COLOUR)
        draw.text((margin + thick + size // 2, bottom + 1.5 * size), "unknown", _INK, font, anchor="lm")
    return bar


def _label(value: float, spec: PictureSpec, *, ends: bool) -> str:
    number = f"{value:+g}" if spec.is_signed and value else f"{value:g}"  # the font has no true minus sign
    unit = f" {spec.unit}" if spec.unit and ends else ""
    side = ""
    if spec.kind is PictureKind.SIGNED_MAP and ends:
        side = ", behind" if value > 0 else ", in front"
    return number + unit + side
