"""How CLIP is asked about a pair, and what a file of CLIP weights says of itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ldp_core.optics.kernels import KernelSpec
from ldp_core.settings import Settings

OPENAI_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD: Final = (0.26862954, 0.26130258, 0.27577711)

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


DEFAULT_WEIGHTS: Final = "ldp-tiny"
"""The shipped model that is used when no other weights are given."""

RELEASED_PROMPT: Final = "A symmetric image at pixel level"
RELEASED_THRESHOLDS: Final = Thresholds(A=29.0, B=26.05)
RELEASED: Final = EnsembleCard(formats=(CellFormat.MIRROR,), prompts=(RELEASED_PROMPT,))
"""The one format and the one prompt of the authors, and their thresholds for OpenAI's ViT-B/16."""

OWN_ENSEMBLE: Final = EnsembleCard(
    formats=(CellFormat.MIRROR, CellFormat.SQUASH, CellFormat.WIDE),
    prompts=(
        RELEASED_PROMPT,
        (RELEASED_PROMPT, "An asymmetric image at pixel level"),
        ("A perfectly mirrored pattern", "Two different halves"),
    ),
)
"""Our own choice; the paper's ensemble is not public."""


class MapMode(StrEnum):
    """What kind of map is made."""

    SIMILARITY = "similarity"
    """0 sharp .. 1 blurred from one format and prompt; with nothing else set, as released."""
    ENSEMBLE = "ensemble"
    """The mean of such maps over several formats and prompts."""
    SIGNED = "signed"
    """Signed circle of confusion, from sentences that name a shift; for weights that know some."""


class ClipMapSettings(Settings):
    """What does not depend on the weights."""

    mode: MapMode = MapMode.SIMILARITY
    formats: tuple[CellFormat, ...] = ()
    """Averaged over. The format `single` sees only the mean of the views."""
    prompts: tuple[Prompt, ...] = ()
    """Averaged over: sentences whose logit is thresholded, or pairs [sharp, blurred] under a softmax."""
    thresholds: Thresholds | None = None
    """A and B for all single sentences. Unset: the weights' own, the published ones for the published
    format and prompt, else fitted to simulated scenes."""
    cell_px: Literal[40] = 40
    stride_px: Literal[40, 20, 10] = Field(default=40)
    """Below 40 cells overlap and are averaged."""
    # As released, a map is that of its cells; signed maps and ensembles, our own, are spread.
    spread: bool | None = Field(default=None, exclude_if=lambda value: value is None)
    """Whether a map says how sure it is, and what cells know is spread along the edges of the picture. Unset:
    in the modes `ensemble` and `signed`."""
    kernel: KernelSpec = KernelSpec()
    """Blur of a signed map and of the simulated scenes."""

    @property
    def spreads(self) -> bool:
        """Whether the map has confidence and is spread."""
        return self.mode is not MapMode.SIMILARITY if self.spread is None else self.spread

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if CellFormat.SHARED in self.formats and self.stride_px != self.cell_px:
            raise ValueError("the format 'shared' knows cells side by side only: stride_px must be 40")
        if self.mode is MapMode.SIGNED and self.prompts:
            raise ValueError("the sentences of a signed map come with the weights: leave prompts out")
        return self


class ClipSettings(ClipMapSettings):
    """Which weights, and how they are asked."""

    weights: str = DEFAULT_WEIGHTS
    """Name of a shipped model, address of a .safetensors file, or an open_clip tag ARCHITECTURE/TAG."""
    sha256: str = ""
    """Digest of the file at that address; shipped models have theirs pinned."""
    architecture: str = ""
    """open_clip's name of the network, for a file that does not say; ViT-B-16-quickgelu for OpenAI's."""


class RandomClipSettings(ClipMapSettings):
    """Which shape the network that has learnt nothing has."""

    shape: str = DEFAULT_WEIGHTS
    """Name of a shipped model, or of an open_clip architecture."""
    seed: int = Field(default=0, ge=0)
