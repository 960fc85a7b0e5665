"""Language-driven blur maps: how well CLIP finds a sentence about symmetry to describe each cell.

The published estimator (LDP, CVPR 2024) is the default: one sentence, cells of 40 x 40 px, the left
one beside the mirrored right one, the middle square of that strip through CLIP, the logit s mapped to
clip((A - s) / (A - B), 0, 1). Other formats, overlapping cells, antonym pairs, ensembles, signed maps,
shared features and calibration are our own, and so is what follows the logits: maps keep their
absolute values and cover the whole picture. The published map was stretched per image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ldp_core.blur.clip_maps import estimate_map
from ldp_core.blur.clip_model import ClipModel, load_clip, random_clip
from ldp_core.blur.clip_settings import ClipSettings, RandomClipSettings
from ldp_core.devices import choose_device
from ldp_core.types import BlurMap, Pair, StageSpec
from ldp_core.weights import SHIPPED, digest_of

__all__ = ["ClipEstimator", "ClipSettings", "RandomClipEstimator", "RandomClipSettings"]

VERSION = "1"


@dataclass(frozen=True)
class ClipEstimator:
    """Trained CLIP weights as an estimator; RGB or grey pairs of either depth and any size."""

    settings: ClipSettings = field(default_factory=ClipSettings)

    @property
    def spec(self) -> StageSpec:
        digest = digest_of(self.settings.weights, sha256=self.settings.sha256)
        return StageSpec("blur", "clip", VERSION, self.settings.model_dump(mode="json"), digest)

    def load(self) -> ClipModel:
        """The model; loaded once per process.

        Raises:
            WeightsError: the weights are absent, altered, or not of a CLIP.
        """
        asked = self.settings
        return load_clip(
            asked.weights, sha256=asked.sha256, architecture=asked.architecture, device=choose_device()
        )

    def estimate(self, pair: Pair) -> BlurMap:
        """The map of a pair, (h, w) as its views; signed in mode `signed`, else 0 sharp .. 1 blurred.

        Raises:
            WeightsError: there are no weights, or they know no sentences about shifts in mode `signed`.
        """
        return estimate_map(self.load(), pair, self.settings)


@dataclass(frozen=True)
class RandomClipEstimator:
    """The control: a CLIP of random weights, thresholds fitted to it. What it finds is no evidence."""

    settings: RandomClipSettings = field(default_factory=RandomClipSettings)

    @property
    def spec(self) -> StageSpec:
        shape = self.settings.shape
        digest = digest_of(shape) if shape in SHIPPED else ""
        return StageSpec("blur", "random-clip", VERSION, self.settings.model_dump(mode="json"), digest)

    def load(self) -> ClipModel:
        """The model; made once per process."""
        return random_clip(self.settings.shape, seed=self.settings.seed, device=choose_device())

    def estimate(self, pair: Pair) -> BlurMap:
        """The map of a pair, (h, w) as its views: 0 sharp .. 1 blurred."""
        return estimate_map(self.load(), pair, self.settings)
