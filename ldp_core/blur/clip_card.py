"""What a CLIP weights file says of itself, as JSON under `clip` in its header."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from ldp_core.settings import Settings

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

Prompt = str | tuple[str, str]
"""One sentence whose logit is the score, or an antonym pair (what is sharp, what is blurred)."""


class CellFormat(StrEnum):
    """How the two views of a cell are shown to the network."""

    MIRROR = "mirror"
    """As released: left cell beside the mirrored right one, scaled to cover the input, centre cropped."""
    SQUASH = "squash"
    """The same strip squeezed to the input: nothing is cut away."""
    WIDE = "wide"
    """The same strip on an input twice as wide as high, position embeddings resized."""
    SINGLE = "single"
    """The mean of the two views alone, for sentences such as `A blurry image`.

    The authors' variant for single images maps 26 to sharp and 23.3 to blurred, so that what CLIP calls
    blurry counts as sharp; thresholds fitted to scenes have the sign that the weights have.
    """
    SHARED = "shared"
    """Windows of many cells at once, features shared; about a tenth of the operations of `mirror`."""


class Thresholds(Settings):
    """Logits of a sharp and of a fully blurred cell: A and B of the published map."""

    sharp_logit: float = Field(alias="A")
    blurred_logit: float = Field(alias="B")

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.sharp_logit == self.blurred_logit:
            raise ValueError("A and B must differ")
        return self


class _CardPart(Settings):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class MemberThresholds(_CardPart, Thresholds):
    """Thresholds of one format and one prompt."""

    format: CellFormat
    prompt: str


class EnsembleCard(_CardPart):
    """Over what the ensemble of these weights averages."""

    formats: tuple[CellFormat, ...] = Field(min_length=1)
    prompts: tuple[Prompt, ...] = Field(min_length=1)


class SignedCard(_CardPart):
    """Sentences that name a shift of the right view, and the shift each one names.

    `disparity_px` is positive where content of the right view lies at larger x.
    """

    prompts: tuple[str, ...] = Field(min_length=2)
    disparity_px: tuple[float, ...]
    formats: tuple[CellFormat, ...] = Field(default=(CellFormat.WIDE,), min_length=1)

    @model_validator(mode="after")
    def _pair_up(self) -> Self:
        if len(self.prompts) != len(self.disparity_px):
            raise ValueError("as many disparities as prompts are needed")
        return self


class ClipCard(_CardPart):
    """Architecture in open_clip's terms, normalisation, and what was calibrated for these weights."""

    model_cfg: dict[str, Any]
    image_mean: tuple[float, float, float] = OPENAI_MEAN
    image_std: tuple[float, float, float] = OPENAI_STD
    name: str = ""
    as_released: Thresholds | None = None
    """Thresholds of the published prompt in the published format."""
    thresholds: tuple[MemberThresholds, ...] = ()
    ensemble: EnsembleCard | None = None
    signed: SignedCard | None = None
