"""Several processes that train one network: each sees its own crops, all take the same step.

Start them with torchrun; without it a run is a team of one. Gradients are averaged after each
backward pass, so the networks stay equal, and only the first process writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True, slots=True)
class Team:
    """This process's place among `size` processes."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the team; an absent one counts as zero."""
        if self.size == 1:
            return
        parameters = list(parameters)
        flat = torch.cat([_gradient(parameter).flatten() for parameter in parameters])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view(parameter.shape)

    def any_wants(self, flag: bool, *, device: str) -> bool:
        """Whether the flag is set in any process: all get the same answer."""
        if self.size == 1:
            return flag
        votes = torch.tensor([float(flag)], device=device)
        distributed.all_reduce(votes)
        return bool(votes.item() > 0)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def join_team(device: str) -> Team:
    """The team torchrun started this process in, or a team of one."""
    if not distributed.is_torchelastic_launched():
        return Team()
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Team(distributed.get_rank(), distributed.get_world_size())


def own_device(device: str, team: Team) -> str:
    """`cuda` becomes the GPU of this process; anything else stays."""
    return f"cuda:{team.rank % torch.cuda.device_count()}" if device == "cuda" else device
