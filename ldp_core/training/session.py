"""One training run in a folder: its log, its checkpoint, what it measures on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ldp_core.training.batches import Batch, BatchSettings, draw_batch
from ldp_core.training.fit import Trainer
from ldp_core.training.folder import RunFolder
from ldp_core.training.frames import FrameCache
from ldp_core.training.pictures import draw_sheet
from ldp_core.training.validate import Trial, measure


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often, in steps, a run logs, saves and measures."""

    log: int = 50
    save: int = 100
    measure: int = 500


@dataclass(frozen=True)
class Session:
    """A trainer, its frames, and the folder it writes to.

    `trials` are named sets to measure; nothing is selected by them.
    """

    folder: RunFolder
    trainer: Trainer
    cache: FrameCache
    batch: BatchSettings
    trials: Mapping[str, Sequence[Trial]]
    rhythm: Rhythm = Rhythm()
    frames: int | None = None
    """Train on the first so many frames; on all that are there, if not given."""

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        if self.folder.begun:
            self.trainer.restore(self.folder.load())
        return self.folder.begun

    def run(self, *, minutes: float = math.inf) -> Iterator[dict[str, Any]]:
        """Train; yield each log entry, which is also appended to `log.jsonl`."""
        losses, began = [], time.monotonic()
        for step in self.trainer.run(self._draw, until=time.monotonic() + 60 * minutes):
            losses.append(step.loss)
            if step.number % self.rhythm.log == 0:
                mean = sum(losses) / len(losses)
                seconds = (time.monotonic() - began) / len(losses)
                yield self._log(loss=mean, seconds_per_step=seconds, learning_rate=step.learning_rate)
            if step.number % self.rhythm.save == 0:
                self.save()
            if step.number % self.rhythm.measure == 0:
                self.draw()
                yield self._log(psnr_db=self.measure())
            if step.number % self.rhythm.log == 0:
                losses, began = [], time.monotonic()
        self.draw()
        yield self._log(psnr_db=self.measure())
        self.save()

    def save(self) -> None:
        """Write the checkpoint, where this process leads its team."""
        if self.trainer.team.leads:
            self.folder.save({**self.trainer.state(), **self._describe()})

    def measure(self) -> dict[str, dict[str, float]]:
        """PSNR in dB of the averaged network, by set and picture; nothing where another process leads."""
        if not self.trainer.team.leads:
            return {}
        return {name: measure(self.trainer.average, trials) for name, trials in self.trials.items()}

    def _describe(self) -> dict[str, Any]:
        """What a model card says of a run besides its network and its settings."""
        return {
            "batch_settings": self.batch.model_dump(mode="json"),
            "sources": self.cache.source_names,
            "frames": {"count": len(self.cache), "seed": self.cache.seed},
        }

    def draw(self) -> None:
        """Write a contact sheet of each set into `pictures/`, where this process leads its team."""
        if self.trainer.team.leads:
            for name, trials in self.trials.items():
                path = self.folder.pictures / f"{name}-{self.trainer.step:07d}.png"
                draw_sheet(path, self.trainer.average, trials)

    def _draw(self, step: int) -> Batch:
        fit, team = self.trainer.fit, self.trainer.team
        return draw_batch(
            self.cache,
            self.batch,
            seed=fit.seed,
            step=step,
            frames=self.frames or len(self.cache),
            rank=team.rank,
        )

    def _log(self, **content: Any) -> dict[str, Any]:
        step = self.trainer.step
        return self.folder.log(step=step, **content) if self.trainer.team.leads else {"step": step, **content}
