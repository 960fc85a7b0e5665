"""What is particular to training LDP: its batches, its losses, the pairs it is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings, arrange_for
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.render import render_views
from ldp_core.training.balance import Balance
from ldp_core.training.batches import Batch, BatchSettings, draw_batch
from ldp_core.training.frames import FrameCache
from ldp_core.training.losses import blur_weighted, charbonnier, reblur
from ldp_core.training.pictures import draw_sheet
from ldp_core.training.trainer import FitSettings
from ldp_core.training.validate import Trial, measure


class LdpFitSettings(FitSettings):
    """How to train, and how the terms of the loss are weighed."""

    blur_weight: float = Field(default=0.0, ge=0)
    """Weight of L_bwl."""
    reblur_weight: float = Field(default=0.0, ge=0)
    """Weight of the reblur loss, with the true circle of confusion."""
    balance_weight: float = Field(default=0.0, ge=0)
    """Weight of L_bal, for which a CLIP has to be given."""


@dataclass(frozen=True)
class LdpCourse:
    """Frames of dual-pixel pairs, and the network that restores them.

    `trials` are named sets to measure; nothing is selected by them.
    """

    settings: NetworkSettings
    fit: LdpFitSettings
    cache: FrameCache
    batch: BatchSettings
    trials: Mapping[str, Sequence[Trial]] = field(default_factory=dict)
    frames: int | None = None
    """Train on the first so many frames; on all that are there, if not given."""
    balance: Balance | None = None

    relative_rates: ClassVar[Mapping[str, float]] = {}

    @cached_property
    def network(self) -> LdpNetwork:
        torch.manual_seed(self.fit.seed)
        return LdpNetwork(self.settings)

    def draw(self, step: int, *, rank: int) -> Batch:
        frames = self.frames or len(self.cache)
        return draw_batch(self.cache, self.batch, seed=self.fit.seed, step=step, frames=frames, rank=rank)

    def loss(self, forward: Callable[..., Tensor], batch: Batch) -> Tensor:
        """Charbonnier, and the terms that `fit` weighs."""
        planes = None if batch.planes is None else arrange_for(self.settings.bpa, batch.planes)
        restored = forward(batch.left, batch.right, planes, batch.wiener).float()
        loss = charbonnier(restored, batch.sharp)
        if self.fit.blur_weight:
            blur = (batch.coc_px.abs() / 10).clamp(0, 1)
            weighted = blur_weighted(restored, batch.sharp, blur=blur, left=batch.left, right=batch.right)
            loss = loss + self.fit.blur_weight * weighted
        if self.fit.reblur_weight:
            to_views = partial(render_views, coc_px=batch.coc_px[:, 0], kernel=DEFAULT_KERNEL)
            again = reblur(restored.clamp(0, 1), left=batch.left, right=batch.right, blur=to_views)
            loss = loss + self.fit.reblur_weight * again
        if self.fit.balance_weight and self.balance is not None:
            loss = loss + self.fit.balance_weight * self.balance.loss(restored)
        return loss

    def measure(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """PSNR in dB by set and picture."""
        own = cast(LdpNetwork, network)
        return {name: measure(own, trials) for name, trials in self.trials.items()}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """A contact sheet of each set."""
        for name, trials in self.trials.items():
            draw_sheet(folder / f"{name}-{step:07d}.png", cast(LdpNetwork, network), trials)

    def describe(self) -> dict[str, Any]:
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.batch.model_dump(mode="json"),
            "sources": self.cache.source_names,
            "frames": {"count": len(self.cache), "seed": self.cache.seed},
        }
