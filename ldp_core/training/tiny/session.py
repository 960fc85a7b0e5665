"""One training run of LDP-tiny in a folder: its log and its checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldp_core.training.checkpoints import load_checkpoint, save_checkpoint
from ldp_core.training.tiny.cells import Cells, CellSettings, draw_cells
from ldp_core.training.tiny.fit import TinyTrainer
from ldp_core.training.tiny.pool import PatchPool

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass(frozen=True)
class TinySession:
    """A trainer, its patches, and the folder it writes to; `log_every` and `save_every` in steps."""

    folder: Path
    trainer: TinyTrainer
    pool: PatchPool
    cells: CellSettings
    log_every: int = 50
    save_every: int = 250

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        self.trainer.restore(load_checkpoint(path))
        return True

    def run(self, *, until: float = math.inf) -> Iterator[dict[str, Any]]:
        """Train; yield each log entry, which is also appended to `log.jsonl`."""
        losses: list[float] = []
        for step in self.trainer.run(self.draw, until=until):
            losses.append(step.loss)
            if step.number % self.log_every == 0:
                yield self._log(loss=sum(losses) / len(losses), learning_rate=step.learning_rate)
                losses = []
            if step.number % self.save_every == 0:
                self.save()
        self.save()

    def save(self) -> None:
        save_checkpoint(self.folder / CHECKPOINT, self.trainer.state())

    def draw(self, step: int) -> Cells:
        """The cells of one step."""
        seed = self.trainer.fit.seed
        return draw_cells(self.pool, self.cells, seed=seed, step=step, patches=len(self.pool))

    def _log(self, **content: Any) -> dict[str, Any]:
        entry = {"step": self.trainer.step, **content}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return entry
