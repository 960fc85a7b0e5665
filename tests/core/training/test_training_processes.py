"""Training by several processes: equal networks from unlike batches, one writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, distributed, nn

from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import ALONE, Batch, FitSettings, ProcessGroup, Trainer, join_processes

FIT = FitSettings(steps=4, warmup_steps=0, learning_rate=0.02, largest_gradient=1e3, seed=5)


@dataclass(frozen=True)
class Images(Batch):
    images: Tensor


class Halving(nn.Module):
    """A gain, and another that only every second step uses."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.rare = nn.Parameter(torch.ones(3, 1, 1)), nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor, *, rarely: bool) -> Tensor:
        return self.gain * images * (self.rare if rarely else 1)


@dataclass(frozen=True)
class HalvingTask:
    """Learns to halve images; processes draw parts of what one process alone draws at once."""

    parts: int
    relative_rates: ClassVar[Mapping[str, float]] = {}

    @cached_property
    def network(self) -> nn.Module:
        return Halving()

    def draw(self, step: int, *, rank: int) -> Images:
        images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        return Images(images.chunk(self.parts)[rank])

    def loss(self, forward: Callable[..., Tensor], batch: Images) -> Tensor:
        rarely = bool(batch.images.shape[0]) and round(float(batch.images.sum())) % 2 == 0
        return (forward(batch.images, rarely=rarely) - batch.images / 2).square().mean()

    def measure(self, network: nn.Module) -> dict[str, float]:
        return {}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """None."""

    def describe(self) -> dict[str, Any]:
        return {"network_settings": {}}


class PlainTask(HalvingTask):
    """Uses every parameter in every step, so that parts and whole have the same gradient."""

    def loss(self, forward: Callable[..., Tensor], batch: Images) -> Tensor:
        return (forward(batch.images, rarely=True) - batch.images / 2).square().mean()


def test_without_torchrun_a_process_is_alone_and_writes() -> None:
    with join_processes("cpu") as group:
        assert (group.size, group.is_first) == (1, True)
        assert group.own_device("cpu") == "cpu"
    assert not ProcessGroup(rank=1, size=2).is_first
    network = nn.Linear(1, 1)
    assert ALONE.replicate(network) is network
    assert ALONE.any_wants(True, device="cpu")
    assert not ALONE.any_wants(False, device="cpu")


def _train(rank: int, folder: str) -> None:
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    group, found = ProcessGroup(rank, 2), {}
    for name, task in (("plain", PlainTask(2)), ("rare", HalvingTask(2))):
        session = Session(RunFolder(Path(folder, name)), Trainer(task, FIT, group=group), Intervals(log=1))
        list(session.run())
        found[name] = session.trainer.network.state_dict()
        found[f"{name} average"] = session.trainer.average.state_dict()
    found["wanted"] = torch.tensor(group.any_wants(rank == 1, device="cpu"))
    torch.save(found, Path(folder, f"{rank}.pt"))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_the_network_that_one_trains_on_both_halves(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_train, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert bool(first["wanted"])
    alone = Trainer(PlainTask(1), FIT)
    list(alone.run())
    torch.testing.assert_close(first["plain"], alone.network.state_dict(), rtol=1e-4, atol=1e-6)
    assert not torch.equal(first["rare"]["rare"], torch.ones(1))
    log = (tmp_path / "plain" / "log.jsonl").read_text().splitlines()
    assert len([line for line in log if "loss" in line]) == FIT.steps
