"""Training by several processes: equal steps, one writer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn

from ldp_core.training.team import Team, join_team, own_device


def test_alone_nothing_is_exchanged() -> None:
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    Team().average_gradients(layer.parameters())
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[1, 1]]
    assert Team().any_wants(True, device="cpu")
    assert not Team().any_wants(False, device="cpu")


def test_gradients_become_means_and_an_absent_one_counts_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has gradient 3 everywhere; this one has none for the second parameter."""

    def add_other(flat: Tensor) -> None:
        flat += 3

    monkeypatch.setattr(distributed, "all_reduce", add_other)
    first, second = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4))
    first.grad = torch.arange(6.0).view(2, 3)
    Team(rank=0, size=2).average_gradients([first, second])
    torch.testing.assert_close(first.grad, (torch.arange(6.0).view(2, 3) + 3) / 2)
    assert second.grad is not None
    torch.testing.assert_close(second.grad, torch.full((4,), 1.5))


def test_without_torchrun_a_run_is_a_team_of_one_that_leads() -> None:
    team = join_team("cpu")
    assert (team.size, team.leads) == (1, True)
    assert not Team(rank=1, size=2).leads
    assert own_device("cpu", team) == "cpu"


def _vote(rank: int, folder: str) -> None:
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.full((2,), float(rank))
    team = Team(rank, 2)
    team.average_gradients([parameter])
    wanted = team.any_wants(rank == 1, device="cpu")
    Path(folder, f"{rank}.txt").write_text(f"{parameter.grad.tolist()} {wanted}")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_vote, args=(str(tmp_path),), nprocs=2)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["[0.5, 0.5] True"] * 2
