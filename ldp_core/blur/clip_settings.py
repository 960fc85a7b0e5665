"""How CLIP is asked about a pair. Empty formats and prompts mean those of the mode."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from ldp_core.blur.clip_card import CellFormat, EnsembleCard, Prompt, Thresholds
from ldp_core.optics.kernels import KernelSpec
from ldp_core.settings import Settings

DEFAULT_WEIGHTS = "ldp-tiny"
"""The shipped model that is used when no other weights are given."""

RELEASED_PROMPT = "A symmetric image at pixel level"
RELEASED_THRESHOLDS = Thresholds(A=29.0, B=26.05)
RELEASED = EnsembleCard(formats=(CellFormat.MIRROR,), prompts=(RELEASED_PROMPT,))
"""The one format and the one prompt of the authors, and their thresholds for OpenAI's ViT-B/16."""

OWN_ENSEMBLE = EnsembleCard(
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
    kernel: KernelSpec = KernelSpec()
    """Blur of a signed map and of the simulated scenes."""

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
