"""Language-driven blur maps: how well CLIP finds a sentence about symmetry to describe each cell.

The published estimator (LDP, CVPR 2024) is the default: one sentence, cells of 40 x 40 px, the left
one beside the mirrored right one, the middle square of that strip through CLIP, the logit s mapped to
clip((A - s) / (A - B), 0, 1). Other formats, overlapping cells, antonym pairs, ensembles, signed maps,
shared features and calibration are our own, and so is what follows the logits: maps keep their
absolute values and cover the whole picture. The published map was stretched per image.

Two controls stand beside it: a CLIP of random weights, and the correlation of the views without a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ldp_core.blur.clip_cells import CellGrid, PaddedViews, drop_repeats, score_cells
from ldp_core.blur.clip_model import ClipModel, load_clip, random_clip
from ldp_core.blur.clip_settings import (
    OWN_ENSEMBLE,
    RELEASED,
    RELEASED_PROMPT,
    RELEASED_THRESHOLDS,
    CellFormat,
    ClipMapSettings,
    ClipSettings,
    EnsembleCard,
    MapMode,
    Prompt,
    RandomClipSettings,
    SignedCard,
    Thresholds,
)
from ldp_core.blur.clip_spreading import BLURRED_PX, fill_between, read_ratings, read_shifts
from ldp_core.errors import WeightsError
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc, kernel_pair, require_apart
from ldp_core.optics.scenes import SceneKind, make_scene
from ldp_core.settings import Settings
from ldp_core.tensors import choose_device, to_grey, to_rgb
from ldp_core.types import BlurMap, BlurMapKind, Pair, StageSpec
from ldp_core.weights import SHIPPED, digest_of

VERSION: Final = "1"
SPREAD_VERSION: Final = "2"
"""Of maps that have confidence and are spread; others are those of version 1."""
ZNCC_VERSION: Final = "1"

# Counts as fully blurred: more than half a cell of 40 px.
STRONG_COC_PX: Final = 24.0
_SCENES: Final = (SceneKind.LEAVES, SceneKind.CHART, SceneKind.ROOM)
_SIZE: Final = (240, 320)
# Deviation of a cell, full scale 1, from which it has texture; flat cells score alike, sharp or blurred.
_TEXTURED: Final = 0.02
_CELL_PX: Final = 40
_PEAK: Final = 255
# Power of the largest rounding error of 8 bit; without it two flat cells would be 0 / 0.
_QUANTISATION: Final = (0.5 / 255) ** 2


@dataclass(frozen=True)
class ClipEstimator:
    """Trained CLIP weights as an estimator; RGB or grey pairs of either depth and any size."""

    settings: ClipSettings = field(default_factory=ClipSettings)

    @property
    def spec(self) -> StageSpec:
        digest = digest_of(self.settings.weights, sha256=self.settings.sha256)
        return StageSpec(
            "blur", "clip", version_of(self.settings), self.settings.model_dump(mode="json"), digest
        )

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
        return StageSpec(
            "blur", "random-clip", version_of(self.settings), self.settings.model_dump(mode="json"), digest
        )

    def load(self) -> ClipModel:
        """The model; made once per process."""
        return random_clip(self.settings.shape, seed=self.settings.seed, device=choose_device())

    def estimate(self, pair: Pair) -> BlurMap:
        """The map of a pair, (h, w) as its views: 0 sharp .. 1 blurred."""
        return estimate_map(self.load(), pair, self.settings)


class ZnccSettings(Settings):
    """The same cells as those of the CLIP map."""

    cell_px: Literal[40] = 40
    stride_px: Literal[40, 20, 10] = Field(default=40)


@dataclass(frozen=True)
class ZnccEstimator:
    """1 - zero-mean normalised cross-correlation of left and right per cell, clipped to 0..1."""

    settings: ZnccSettings = field(default_factory=ZnccSettings)

    @property
    def spec(self) -> StageSpec:
        return StageSpec("blur", "zncc", ZNCC_VERSION, self.settings.model_dump(mode="json"))

    def estimate(self, pair: Pair) -> BlurMap:
        """0 where the views agree .. 1 where they have nothing in common; flat cells count as agreeing."""
        height, width = pair.left.shape[:2]
        grid = CellGrid(height, width, self.settings.cell_px, self.settings.stride_px)
        left, right = (_cut_all(grid, to_grey(view)[0]) for view in pair.both_views)
        values = (1 - correlate(left, right)).clamp(0, 1).view(grid.shape)
        return BlurMap(grid.spread(values).numpy(), BlurMapKind.SIMILARITY)


def correlate(left: Tensor, right: Tensor) -> Tensor:
    """Zero-mean normalised cross-correlation of (n, k) samples along k, (n,) in -1..1.

    The variance of a rounding error is added, so that two flat cells correlate.
    """
    a, b = (x - x.mean(1, keepdim=True) for x in (left, right))
    covariance = (a * b).mean(1) + _QUANTISATION
    return covariance * ((a.square().mean(1) + _QUANTISATION) * (b.square().mean(1) + _QUANTISATION)).rsqrt()


def _cut_all(grid: CellGrid, plane: Tensor) -> Tensor:
    return grid.cut(grid.pad(plane), 0, len(grid)).flatten(1)


def version_of(settings: ClipMapSettings) -> str:
    """Version of the method that makes the map which `settings` ask for."""
    return SPREAD_VERSION if settings.spreads else VERSION


def estimate_map(model: ClipModel, pair: Pair, settings: ClipMapSettings) -> BlurMap:
    """The map that `settings` ask for from this model, with confidence where it is spread."""
    height, width = pair.left.shape[:2]
    grid = CellGrid(height, width, settings.cell_px, settings.stride_px)
    left, right = (to_rgb(view) for view in pair.both_views)
    views = PaddedViews.of(left, right, grid=grid, peak=pair.peak, device=model.device)
    greys = [to_grey(view) for view in pair.both_views] if settings.spreads else []
    if settings.mode is MapMode.SIGNED:
        per_coc = require_apart(disparity_per_coc(settings.kernel), where="estimator.kernel")
        shares, shifts_px = share_shifts(model, views, settings)
        if not greys:
            coc = shares @ shifts_px / per_coc
            return BlurMap(grid.spread(coc).numpy(), BlurMapKind.SIGNED_COC_PX)
        disparity, confidence = fill_between(read_shifts(shares, shifts_px), grid, *greys)
        coc = disparity / per_coc
        return BlurMap(coc.numpy(), BlurMapKind.SIGNED_COC_PX, confidence.numpy())
    ratings = rate_blur(model, views, settings)
    if not greys:
        return BlurMap(grid.spread(ratings.mean(0)).numpy(), BlurMapKind.SIMILARITY)
    readings = read_ratings(ratings)
    if model.card.signed is not None:
        precision = read_shifts(*share_shifts(model, views, settings)).precision
        readings = replace(readings, precision=precision)
    spread_px, confidence = fill_between(readings, grid, *greys)
    values = (spread_px / BLURRED_PX).clamp(0, 1)
    return BlurMap(values.numpy(), BlurMapKind.SIMILARITY, confidence.numpy())


def rate_blur(model: ClipModel, views: PaddedViews, settings: ClipMapSettings) -> Tensor:
    """How blurred each cell is by each format and prompt, (members, rows, columns) in 0..1."""
    ensemble = choose_ensemble(model, settings)
    sentences = list(dict.fromkeys(s for prompt in ensemble.prompts for s in _sentences(prompt)))
    maps = []
    for layout in ensemble.formats:
        scored = score_cells(model, views, prompts=sentences, layout=layout)
        logits = dict(zip(sentences, scored.unbind(-1), strict=True))
        maps += [_rate(model, logits, prompt, layout, settings) for prompt in ensemble.prompts]
    return torch.stack(maps)


def share_shifts(model: ClipModel, views: PaddedViews, settings: ClipMapSettings) -> tuple[Tensor, Tensor]:
    """How sentences about shifts share each cell, (rows, columns, n), and the shift in px of each, (n,).

    The softmax over sentences, mean over formats.
    """
    card = _require_signed(model)
    found = [
        score_cells(model, views, prompts=card.prompts, layout=layout).softmax(-1)
        for layout in drop_repeats(settings.formats or card.formats, size=model.image_size)
    ]
    return torch.stack(found).mean(0), torch.tensor(card.disparity_px)


def choose_ensemble(model: ClipModel, settings: ClipMapSettings) -> EnsembleCard:
    """Formats and prompts to average over: those asked for, else those of the mode."""
    chosen = (model.card.ensemble or OWN_ENSEMBLE) if settings.mode is MapMode.ENSEMBLE else RELEASED
    return EnsembleCard(
        formats=drop_repeats(settings.formats or chosen.formats, size=model.image_size),
        prompts=settings.prompts or chosen.prompts,
    )


def choose_thresholds(
    model: ClipModel, prompt: str, layout: CellFormat, settings: ClipMapSettings
) -> Thresholds:
    """Those asked for, else the weights' own, else the published ones where they apply, else fitted."""
    if settings.thresholds is not None:
        return settings.thresholds
    for own in model.card.thresholds:
        if (own.format, own.prompt) == (layout, prompt):
            return own
    if (layout, prompt) == (CellFormat.MIRROR, RELEASED_PROMPT) and model.trained:
        return model.card.as_released or RELEASED_THRESHOLDS
    return calibrate_on_scenes(model, prompt, layout, settings.kernel)


def _rate(
    model: ClipModel,
    logits: Mapping[str, Tensor],
    prompt: Prompt,
    layout: CellFormat,
    settings: ClipMapSettings,
) -> Tensor:
    if isinstance(prompt, tuple):
        sharp, blurred = prompt
        return (logits[blurred] - logits[sharp]).sigmoid()
    limits = choose_thresholds(model, prompt, layout, settings)
    rise = limits.sharp_logit - limits.blurred_logit
    return ((limits.sharp_logit - logits[prompt]) / rise).clamp(0, 1)


def _sentences(prompt: Prompt) -> tuple[str, ...]:
    return prompt if isinstance(prompt, tuple) else (prompt,)


def _require_signed(model: ClipModel) -> SignedCard:
    if model.card.signed is None:
        raise WeightsError(
            "these weights know no sentences about shifts",
            where=model.card.name or "clip",
            expected="'signed' in the card of the weights",
            got="none",
            remedy="use the mode 'similarity' or 'ensemble', or weights trained on such sentences",
        )
    return model.card.signed


def calibrate(
    model: ClipModel,
    pictures: Sequence[Tensor],
    *,
    prompt: str,
    layout: CellFormat,
    kernel: KernelSpec,
    coc_px: float = STRONG_COC_PX,
) -> Thresholds:
    """Fit A and B to these weights: median logits of cells in focus and far out of it.

    A comes from each picture taken for both views, B from the picture through the kernels of
    `coc_px` on either side of the focal plane. Cells without texture are left out.

    Args:
        pictures: sharp pictures (3, h, w) in 0..1.

    Raises:
        WeightsError: the two logits do not differ, so this prompt can tell nothing.
    """
    sharp = torch.cat([_logits(model, p, p, prompt=prompt, layout=layout)[_textured(p)] for p in pictures])
    blurred = torch.cat(
        [
            _logits(model, *blur_views(p, kernel, sign * coc_px), prompt=prompt, layout=layout)[_textured(p)]
            for p in pictures
            for sign in (-1, 1)
        ]
    )
    a, b = (float(logits.quantile(0.5)) for logits in (sharp, blurred))
    if not abs(a - b) > 1e-6:
        raise WeightsError(
            "with these weights the prompt does not tell sharp from blurred",
            where=f"'{prompt}' in format '{layout}'",
            got=f"logit {a:g} for both",
            remedy="use another prompt or other weights",
        )
    return Thresholds(A=a, B=b)


@lru_cache(maxsize=64)
def calibrate_on_scenes(model: ClipModel, prompt: str, layout: CellFormat, kernel: KernelSpec) -> Thresholds:
    """Thresholds from a few procedural scenes, the same ones every time; kept for the process."""
    scenes = [make_scene(seed, size=_SIZE, kind=kind).sharp for seed, kind in enumerate(_SCENES)]
    return calibrate(model, scenes, prompt=prompt, layout=layout, kernel=kernel)


def blur_views(picture: Tensor, kernel: KernelSpec, coc_px: float) -> tuple[Tensor, Tensor]:
    """Left and right view (3, h, w) of a flat scene at one circle of confusion, borders repeated."""
    left, right = (_convolve(picture, side) for side in kernel_pair(kernel, coc_px))
    return left, right


def _convolve(picture: Tensor, kernel: Tensor) -> Tensor:
    margin = len(kernel) // 2
    padded = F.pad(picture[:, None], (margin,) * 4, mode="replicate")
    return F.conv2d(padded, kernel.flip(0, 1)[None, None])[:, 0]


def _logits(model: ClipModel, left: Tensor, right: Tensor, *, prompt: str, layout: CellFormat) -> Tensor:
    views = PaddedViews.of(left, right, grid=_grid(left), peak=_PEAK, device=model.device)
    return score_cells(model, views, prompts=[prompt], layout=layout).flatten()


def _textured(picture: Tensor) -> Tensor:
    """Which cells, in reading order, hold any texture; all of them where none does."""
    grid = _grid(picture)
    deviation = grid.cut(grid.pad(picture), 0, len(grid)).mean(1).flatten(1).std(1)
    return (deviation > _TEXTURED) | ~(deviation > _TEXTURED).any()


def _grid(picture: Tensor) -> CellGrid:
    return CellGrid(picture.shape[1], picture.shape[2], _CELL_PX, _CELL_PX)
