"""What is particular to training BDIR: its batches, its loss, what it is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ldp_core.deblur.bdir_network import BdirNetwork, BdirSettings, Latent
from ldp_core.settings import Settings
from ldp_core.training.bdir.batches import BdirBatch, BdirBatchSettings, SingleViews, draw_batch
from ldp_core.training.bdir.trials import SingleTrial, measure, restore_trial
from ldp_core.training.pictures import ROWS, write_sheet


class BdirLossSettings(Settings):
    """Weights of the loss."""

    identity: float = Field(default=0.5, ge=0)
    """Of restoring what is sharp already."""
    contrast: float = Field(default=0.1, ge=0)
    """Of the comparison in latent space."""
    discrimination: float = Field(default=0.1, ge=0)
    """Within it, of telling scenes apart."""
    temperature: float = Field(default=0.1, gt=0)


@dataclass(frozen=True)
class BdirCourse:
    """Single views, and the two networks that learn from them."""

    settings: BdirSettings
    batch: BdirBatchSettings
    weights: BdirLossSettings
    views: SingleViews
    trials: Mapping[str, Sequence[SingleTrial]]
    seed: int
    sources: Mapping[str, Any]
    begin: Mapping[str, Tensor] = field(default_factory=dict)
    """First weights, for the parts that have any."""

    @cached_property
    def network(self) -> BdirNetwork:
        torch.manual_seed(self.seed)
        network = BdirNetwork(self.settings)
        if self.begin:
            begun = {name: value.float() for name, value in self.begin.items()}
            network.load_state_dict({**network.state_dict(), **begun})
        return network

    relative_rates: ClassVar[Mapping[str, float]] = {}

    def draw(self, step: int, *, rank: int) -> BdirBatch:
        rng = np.random.default_rng([self.seed, step, rank])
        return draw_batch(self.views, self.batch, count=len(self.views), rng=rng)

    def loss(self, forward: Callable[..., tuple[Tensor, Latent]], batch: BdirBatch) -> Tensor:
        """L1 of the restored views; of restored sharp images; and the comparison of latents."""
        n, paired = len(batch.blurred), batch.paired
        restored, latent = forward(torch.cat([batch.blurred, batch.sharp[:paired]]))
        restored = restored.float()
        total = F.l1_loss(restored[:n], batch.sharp)
        if not paired:
            return total
        total = total + self.weights.identity * F.l1_loss(restored[n:], batch.sharp[:paired])
        if self.weights.contrast:
            content = latent.content.float()
            total = total + self.weights.contrast * compare(content[:n], content[n:], self.weights)
        return total

    def measure(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Mean PSNR in dB by set, of the views and restored."""
        return {name: measure(cast(BdirNetwork, network), kept) for name, kept in self.trials.items()}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """A contact sheet of each set: view, restored, truth."""
        for name, kept in self.trials.items():
            rows = [(t.view, restore_trial(cast(BdirNetwork, network), t), t.sharp) for t in kept[:ROWS]]
            write_sheet(folder / f"{name.replace('/', '-')}-{step:07d}.png", rows)

    def describe(self) -> dict[str, Any]:
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.batch.model_dump(mode="json"),
            "loss_settings": self.weights.model_dump(mode="json"),
            **self.sources,
        }


def compare(blurred: Tensor, sharp: Tensor, weights: BdirLossSettings) -> Tensor:
    """How far latents (b, c, h, w) of blurred images are from those (k, c, h, w) of the first k, sharp.

    Normalised per channel, blurred towards sharp, which takes no gradient; and pooled, each sharp one
    has to be nearest to its own among all blurred ones.
    """
    own = blurred[: len(sharp)]
    apart = (F.instance_norm(own) - F.instance_norm(sharp).detach()).abs().mean()
    pooled, others = (F.normalize(z.mean((-2, -1)), dim=-1) for z in (sharp, blurred))
    likeness = pooled @ others.T / weights.temperature
    told = F.cross_entropy(likeness, torch.arange(len(sharp), device=sharp.device))
    return apart + weights.discrimination * told
