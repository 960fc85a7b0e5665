"""What is particular to training blur detection: its batches, its loss, its validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.dd_network import DdNetwork, DdSettings, Detection
from ldp_core.masked import Masked
from ldp_core.metrics.detection import score_at_half
from ldp_core.settings import Settings
from ldp_core.training.dbd.batches import DbdBatch, DbdBatchSettings, draw_batch
from ldp_core.training.dbd.pictures import draw_sheet
from ldp_core.training.frames import FrameCache

_AT_ONCE = 10


class DbdLossSettings(Settings):
    """Weights of the loss. Known: depth weighs gamma, swept over .01 to 5. The rest is ours."""

    gamma: float = Field(default=0.1, ge=0)
    overlap: float = Field(default=0.5, ge=0)
    """Of 1 - soft IoU, beside the cross entropy of a mask."""


@dataclass(frozen=True)
class DbdCourse:
    """Masked photographs, simulated frames, and the network that learns from both."""

    settings: DdSettings
    batch: DbdBatchSettings
    weights: DbdLossSettings
    photographs: Sequence[Masked]
    validation: Sequence[Masked]
    frames: FrameCache | None
    steps: int
    seed: int
    encoder_weights: Mapping[str, Tensor] | None = None
    origin: str = ""
    """Where the encoder's first weights come from, for the card."""

    @cached_property
    def network(self) -> DdNetwork:
        torch.manual_seed(self.seed)
        network = DdNetwork(self.settings, frozen_statistics=self.encoder_weights is not None)
        if self.encoder_weights is not None:
            network.encoder.body.load_state_dict(self.encoder_weights)
        return network

    @property
    def relative_rates(self) -> Mapping[str, float]:
        return {"encoder.": 0.3} if self.encoder_weights is not None else {}

    def draw(self, step: int, *, rank: int) -> DbdBatch:
        late = step >= self.steps * (1 - self.batch.late_share)
        side_px = self.batch.late_px if late else self.batch.side_px
        rng = np.random.default_rng([self.seed, step, rank])
        return draw_batch(self.photographs, self.frames, self.batch, side_px=side_px, rng=rng)

    def loss(self, forward: Callable[..., Detection], batch: DbdBatch) -> Tensor:
        """Six masks and, weighed by gamma, six depths, as published; terms of a mask are ours."""
        found = forward(batch.images)
        masks, depths = found.masks.float(), found.depths.float()
        total = cross_entropy(masks, batch.masks, batch.mask_weights)
        if self.weights.overlap:
            total = total + self.weights.overlap * overlap_lack(masks, batch.masks, batch.mask_weights)
        if self.weights.gamma:
            total = total + self.weights.gamma * distance(depths, batch.depths, batch.depth_weights)
        return total

    def measure(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Means over the validation photographs."""
        scores = [
            score_at_half(found, photograph.in_focus)
            for photograph, found in zip(self.validation, self._detect(network), strict=True)
        ]
        names = scores[0] if scores else ()
        return {"validation": {name: round(mean(score[name] for score in scores), 4) for name in names}}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        shown = self.validation[:12]
        draw_sheet(folder / f"validation-{step:06d}.png", shown, self._detect(network, shown))

    def describe(self) -> dict[str, Any]:
        frames = self.frames
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.batch.model_dump(mode="json"),
            "loss_settings": self.weights.model_dump(mode="json"),
            "sources": frames.source_names if frames else {},
            "frames": {"count": len(frames), "seed": frames.seed} if frames else {},
            "photographs": {"trained": len(self.photographs), "validation": len(self.validation)},
            "encoder": self.origin,
        }

    @torch.inference_mode()
    def _detect(self, network: nn.Module, photographs: Sequence[Masked] = ()) -> list[Any]:
        chosen = photographs or self.validation
        device = next(network.parameters()).device
        found = []
        for start in range(0, len(chosen), _AT_ONCE):
            views = [torch.tensor(m.image).permute(2, 0, 1) for m in chosen[start : start + _AT_ONCE]]
            images = torch.stack(views).to(device).float() / 255
            found += list(network(images).in_focus[:, 0].float().cpu().numpy())
        return found


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Binary cross entropy of maps (b, n, h, w) against (b, 1, h, w), summed over the n maps."""
    each = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    return _weigh(each, weights)


def overlap_lack(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - soft intersection over union of both classes, averaged over images, summed over maps."""
    focus = logits.sigmoid()
    lacks = [_lack(found, true, weights) for found, true in ((focus, truth), (1 - focus, 1 - truth))]
    return torch.stack(lacks).mean()


def _lack(found: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    both = (found * truth * weights).sum((-2, -1))
    either = ((found + truth - found * truth) * weights).sum((-2, -1))
    return (1 - (both + 1) / (either + 1)).mean(0).sum()


def distance(depths: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """L1 of maps (b, n, h, w) against (b, 1, h, w) where known, summed over the n maps."""
    return _weigh((depths - truth).abs(), weights)


def _weigh(each: Tensor, weights: Tensor) -> Tensor:
    return (each * weights).sum((0, 2, 3)).sum() / weights.sum().clamp(min=1)
