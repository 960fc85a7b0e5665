"""From the logits of cells to a map: thresholds, softmax over antonyms or shifts, averages."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ldp_core.blur.cells import CellGrid, PaddedViews, to_rgb
from ldp_core.blur.clip_calibration import calibrate_on_scenes
from ldp_core.blur.clip_card import CellFormat, EnsembleCard, Prompt, SignedCard, Thresholds
from ldp_core.blur.clip_formats import drop_repeats
from ldp_core.blur.clip_model import ClipModel
from ldp_core.blur.clip_scoring import score_cells
from ldp_core.blur.clip_settings import (
    OWN_ENSEMBLE,
    RELEASED,
    RELEASED_PROMPT,
    RELEASED_THRESHOLDS,
    ClipMapSettings,
    MapMode,
)
from ldp_core.errors import WeightsError
from ldp_core.optics.kernels import disparity_per_coc
from ldp_core.types import BlurMap, BlurMapKind, Pair


def estimate_map(model: ClipModel, pair: Pair, settings: ClipMapSettings) -> BlurMap:
    """The map that `settings` ask for from this model."""
    height, width = pair.left.shape[:2]
    grid = CellGrid(height, width, settings.cell_px, settings.stride_px)
    left, right = (to_rgb(view) for view in pair.both_views)
    views = PaddedViews.of(left, right, grid=grid, peak=pair.peak, device=model.device)
    if settings.mode is MapMode.SIGNED:
        coc = measure_shift(model, views, settings) / disparity_per_coc(settings.kernel)
        return BlurMap(grid.spread(coc).numpy(), BlurMapKind.SIGNED_COC_PX)
    return BlurMap(grid.spread(rate_blur(model, views, settings)).numpy(), BlurMapKind.SIMILARITY)


def rate_blur(model: ClipModel, views: PaddedViews, settings: ClipMapSettings) -> Tensor:
    """Mean over formats and prompts of how blurred each cell is, (rows, columns) in 0..1."""
    ensemble = choose_ensemble(model, settings)
    sentences = list(dict.fromkeys(s for prompt in ensemble.prompts for s in _sentences(prompt)))
    maps = []
    for layout in ensemble.formats:
        scored = score_cells(model, views, prompts=sentences, layout=layout)
        logits = dict(zip(sentences, scored.unbind(-1), strict=True))
        maps += [_rate(model, logits, prompt, layout, settings) for prompt in ensemble.prompts]
    return torch.stack(maps).mean(0)


def measure_shift(model: ClipModel, views: PaddedViews, settings: ClipMapSettings) -> Tensor:
    """Disparity of the right view in px, (rows, columns): its mean under the softmax over sentences."""
    card = _require_signed(model)
    shifts = torch.tensor(card.disparity_px)
    found = [
        score_cells(model, views, prompts=card.prompts, layout=layout).softmax(-1) @ shifts
        for layout in drop_repeats(settings.formats or card.formats, size=model.image_size)
    ]
    return torch.stack(found).mean(0)


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
