"""One training run in a folder: its log, its checkpoint, what it measures on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ldp_core.training.folder import RunFolder
from ldp_core.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often, in steps, a run logs, saves and measures."""

    log: int = 50
    save: int = 100
    measure: int = 500


@dataclass(frozen=True)
class Session:
    """A trainer and the folder it writes to; nothing is selected by what is measured."""

    folder: RunFolder
    trainer: Trainer[Any]
    rhythm: Rhythm = Rhythm()

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        if self.folder.begun:
            self.trainer.restore(self.folder.load())
        return self.folder.begun

    def run(self, *, minutes: float = math.inf) -> Iterator[dict[str, Any]]:
        """Train; yield each log entry, which is also appended to `log.jsonl`."""
        losses, began = [], time.monotonic()
        for step in self.trainer.run(until=time.monotonic() + 60 * minutes):
            losses.append(step.loss)
            if step.number % self.rhythm.log == 0:
                mean = sum(losses) / len(losses)
                seconds = (time.monotonic() - began) / len(losses)
                yield self._log(loss=mean, seconds_per_step=seconds, learning_rate=step.learning_rate)
            if step.number % self.rhythm.save == 0:
                self.save()
            if step.number % self.rhythm.measure == 0:
                yield self._judge()
            if step.number % self.rhythm.log == 0:
                losses, began = [], time.monotonic()
        yield self._judge()
        self.save()

    def save(self) -> None:
        """Write the checkpoint, where this process leads its team."""
        if self.trainer.team.leads:
            self.folder.save(self.trainer.state())

    def _judge(self) -> dict[str, Any]:
        """Draw and measure the averaged network, where this process leads its team."""
        trainer = self.trainer
        if not trainer.team.leads:
            return self._log()
        trainer.course.draw_pictures(trainer.average, self.folder.pictures, step=trainer.step)
        return self._log(measured=trainer.course.measure(trainer.average))

    def _log(self, **content: Any) -> dict[str, Any]:
        step = self.trainer.step
        return self.folder.log(step=step, **content) if self.trainer.team.leads else {"step": step, **content}
