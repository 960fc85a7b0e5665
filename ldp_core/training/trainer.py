"""The trainer of every network: AdamW, cosine decay, moving average, checkpoints with exact resume.

What is particular to a network is its :class:`Course`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ldp_core.settings import Settings
from ldp_core.training.team import Team

ALONE = Team()


class Movable(Protocol):
    """A batch: it can be brought to another device."""

    def to(self, device: str) -> Self: ...


B = TypeVar("B", bound=Movable)


class FitSettings(Settings):
    """How to train. `steps` may be changed on resume; the learning rate follows the new length."""

    steps: int = Field(default=10_000, ge=1)
    learning_rate: float = Field(default=8e-4, gt=0)
    last_learning_rate: float = Field(default=1e-6, gt=0)
    warmup_steps: int = Field(default=100, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    second_beta: float = Field(default=0.95, gt=0, lt=1)
    """How slowly AdamW forgets the size of gradients."""
    largest_gradient: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.999, ge=0, lt=1)
    seed: int = 0


class Course(Protocol[B]):
    """All that is particular to training one network."""

    @property
    def network(self) -> nn.Module:
        """The network with its first weights."""
        ...

    @property
    def relative_rates(self) -> Mapping[str, float]:
        """Factors on the learning rate, by how a parameter's name begins; 1 for all others."""
        ...

    def draw(self, step: int, *, rank: int) -> B:
        """The batch of one step and one process; the same arguments give the same batch."""
        ...

    def loss(self, forward: Callable[..., Any], batch: B) -> Tensor:
        """The loss of a batch, on its device; `forward` calls the network."""
        ...

    def measure(self, network: nn.Module) -> Mapping[str, Any]:
        """How good the averaged network is on what no step sees, in plain values."""
        ...

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """Write pictures a person can judge the averaged network by."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain values that the checkpoint keeps, and export and model card need."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it went: `loss` of the batch, `learning_rate` used, `seconds` it took."""

    number: int
    loss: float
    learning_rate: float
    seconds: float


class Trainer(Generic[B]):
    """A network in training; `state` and `restore` carry it across processes."""

    def __init__(
        self,
        course: Course[B],
        fit: FitSettings,
        *,
        device: str = "cpu",
        team: Team = ALONE,
        compiled: bool = False,
    ) -> None:
        torch.manual_seed(fit.seed)
        self.course, self.fit, self.device, self.team, self.step = course, fit, device, team, 0
        self.network = course.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward = torch.compile(self.network) if compiled else self.network
        self.average = deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            _group(self.network, course.relative_rates),
            lr=fit.learning_rate,
            betas=(0.9, fit.second_beta),
            weight_decay=fit.weight_decay,
        )

    def run(self, *, until: float = math.inf) -> Iterator[Step]:
        """Train to the last step or to a moment on `time.monotonic`, and yield every step taken."""
        while self.step < self.fit.steps and not self._is_over(until):
            began = time.monotonic()
            rate = learning_rate(self.fit, self.step)
            batch = self.course.draw(self.step, rank=self.team.rank)
            loss = self._advance(batch.to(self.device), rate=rate)
            self.step += 1
            yield Step(self.step, loss, rate, time.monotonic() - began)

    def _is_over(self, until: float) -> bool:
        return self.team.any_wants(time.monotonic() >= until, device=self.device)

    def _advance(self, batch: B, *, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["relative_rate"]
        self.network.train()
        with autocast(self.device):
            loss = self.course.loss(self._forward, batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.team.average_gradients(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), self.fit.largest_gradient)
        self.optimiser.step()
        self._update_average()
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.fit.average_decay, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for mean, now in zip(self.average.buffers(), self.network.buffers(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)

    def state(self) -> dict[str, Any]:
        """All that resuming and exporting need, as plain values and tensors."""
        return {
            **self.course.describe(),
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


def learning_rate(fit: FitSettings, step: int) -> float:
    """Linear warm-up, then a cosine from `learning_rate` to `last_learning_rate`."""
    progress = min(step / fit.steps, 1.0)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    rate = fit.last_learning_rate + (fit.learning_rate - fit.last_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / (fit.warmup_steps + 1))


def autocast(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where there is a GPU; full precision on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if device.startswith("cuda") else nullcontext()


def _group(network: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters by their relative rate, the ordinary ones first."""
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in network.named_parameters():
        rate = next((rate for start, rate in rates.items() if name.startswith(start)), 1.0)
        groups.setdefault(rate, []).append(parameter)
    return [{"params": held, "relative_rate": rate} for rate, held in groups.items() if held]
