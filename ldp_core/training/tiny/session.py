"""One training run of LDP-tiny in a folder: its log and its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ldp_core.training.folder import RunFolder
from ldp_core.training.tiny.cells import Cells, CellSettings, draw_cells
from ldp_core.training.tiny.fit import TinyTrainer
from ldp_core.training.tiny.pool import PatchPool


@dataclass(frozen=True)
class TinySession:
    """A trainer, its patches, and the folder it writes to; `log_every` and `save_every` in steps."""

    folder: RunFolder
    trainer: TinyTrainer
    pool: PatchPool
    cells: CellSettings
    log_every: int = 50
    save_every: int = 250

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        if self.folder.begun:
            self.trainer.restore(self.folder.load())
        return self.folder.begun

    def run(self, *, until: float = math.inf) -> Iterator[dict[str, Any]]:
        """Train; yield each log entry, which is also appended to `log.jsonl`."""
        losses: list[float] = []
        for step in self.trainer.run(self.draw, until=until):
            losses.append(step.loss)
            if step.number % self.log_every == 0:
                loss = sum(losses) / len(losses)
                yield self.folder.log(step=step.number, loss=loss, learning_rate=step.learning_rate)
                losses = []
            if step.number % self.save_every == 0:
                self.save()
        self.save()

    def save(self) -> None:
        self.folder.save(self.trainer.state())

    def draw(self, step: int) -> Cells:
        """The cells of one step."""
        seed = self.trainer.fit.seed
        return draw_cells(self.pool, self.cells, seed=seed, step=step, patches=len(self.pool))
