"""The trainer: AdamW, cosine decay, moving average, checkpoints with exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ldp_core.deblur.ldp_map import arrange_for
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.render import render_views
from ldp_core.settings import Settings
from ldp_core.training.balance import Balance
from ldp_core.training.batches import Batch
from ldp_core.training.losses import blur_weighted, charbonnier, reblur
from ldp_core.training.team import Team

ALONE = Team()


class Schedule(Settings):
    """How long, and how fast. `steps` may be changed on resume; the learning rate follows the new length."""

    steps: int = Field(default=10_000, ge=1)
    learning_rate: float = Field(default=8e-4, gt=0)
    last_learning_rate: float = Field(default=1e-6, gt=0)
    warmup_steps: int = Field(default=100, ge=0)


class FitSettings(Schedule):
    """How to train."""

    weight_decay: float = Field(default=1e-4, ge=0)
    largest_gradient: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.999, ge=0, lt=1)
    blur_weight: float = Field(default=0.0, ge=0)
    """Weight of L_bwl."""
    reblur_weight: float = Field(default=0.0, ge=0)
    """Weight of the reblur loss, with the true circle of confusion."""
    balance_weight: float = Field(default=0.0, ge=0)
    """Weight of L_bal, for which a CLIP has to be given."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it went: `loss` of the batch, `learning_rate` used, `seconds` it took."""

    number: int
    loss: float
    learning_rate: float
    seconds: float


class Trainer:
    """A network in training; `state` and `restore` carry it across processes."""

    def __init__(
        self,
        network: NetworkSettings,
        fit: FitSettings,
        *,
        device: str = "cpu",
        team: Team = ALONE,
        compiled: bool = False,
        balance: Balance | None = None,
    ) -> None:
        torch.manual_seed(fit.seed)
        self.fit, self.device, self.team, self.step = fit, device, team, 0
        self.balance = balance
        self.network = LdpNetwork(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward = torch.compile(self.network) if compiled else self.network
        self.average = deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=fit.learning_rate, betas=(0.9, 0.95), weight_decay=fit.weight_decay
        )

    def run(self, draw: Callable[[int], Batch], *, until: float = math.inf) -> Iterator[Step]:
        """Train to the last step or to a moment on `time.monotonic`, and yield every step taken."""
        while self.step < self.fit.steps and not self._is_over(until):
            began = time.monotonic()
            rate = learning_rate(self.fit, self.step)
            loss = self._advance(draw(self.step).to(self.device), rate=rate)
            self.step += 1
            yield Step(self.step, loss, rate, time.monotonic() - began)

    def _is_over(self, until: float) -> bool:
        return self.team.any_wants(time.monotonic() >= until, device=self.device)

    def _advance(self, batch: Batch, *, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        with autocast(self.device):
            loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.team.average_gradients(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), self.fit.largest_gradient)
        self.optimiser.step()
        self._update_average()
        return float(loss.detach())

    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch."""
        planes = None if batch.planes is None else arrange_for(self.network.settings.bpa, batch.planes)
        restored = self._forward(batch.left, batch.right, planes, batch.wiener).float()
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

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.fit.average_decay, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

    def state(self) -> dict[str, Any]:
        """All that resuming needs, as plain values and tensors."""
        return {
            "network_settings": self.network.settings.model_dump(mode="json"),
            "fit_settings": self.fit.model_dump(mode="json"),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the trainer must have been made with the same network settings."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        self.step = int(state["step"])


def learning_rate(fit: Schedule, step: int) -> float:
    """Linear warm-up, then a cosine from `learning_rate` to `last_learning_rate`."""
    progress = min(step / fit.steps, 1.0)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    rate = fit.last_learning_rate + (fit.learning_rate - fit.last_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / (fit.warmup_steps + 1))


def autocast(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where there is a GPU; full precision on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if device.startswith("cuda") else nullcontext()
