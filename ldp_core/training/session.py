"""One training run in a folder: its checkpoint, its log, what is measured on the way."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ldp_core.errors import WeightsError
from ldp_core.storage import write_bytes
from ldp_core.training.trainer import Trainer

FORMAT = 2
"""Of checkpoints; 1 had another moving average and the state of a random generator."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where one run keeps what it needs to go on, and what it has seen."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a run to go on with."""
        return self.checkpoint.exists()

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the checkpoint; a reader sees the old one or the new one, never half."""
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **state}, buffer)
        write_bytes(str(self.checkpoint), buffer.getvalue())

    def load(self) -> dict[str, Any]:
        """The last checkpoint, tensors on the CPU; nothing in the file is executed.

        Raises:
            WeightsError: it is absent, damaged, or of another format.
        """
        state = load_tensors(self.checkpoint, what="a checkpoint")
        if state.get("format") != FORMAT:
            raise WeightsError(
                "a checkpoint of another format",
                where=str(self.checkpoint),
                expected=str(FORMAT),
                got=str(state.get("format")),
                remedy="begin in another folder, or go on with the version of this program that wrote it",
            )
        return state

    def log(self, **content: Any) -> dict[str, Any]:
        """Append an entry to `log.jsonl`, and return it."""
        entry = {"time": time.strftime("%H:%M:%S"), **content}
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return entry


def load_tensors(path: Path, *, what: str) -> dict[str, Any]:
    """What `torch.save` wrote, on the CPU; nothing in the file is executed. Errors call it `what`.

    Raises:
        WeightsError: the file is absent or damaged, or holds more than tensors and plain values.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{what} is not there", where=str(path)) from error
    except Exception as error:
        raise WeightsError(f"{what} cannot be read", where=str(path), got=str(error)[:200]) from error
    return state


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often, in steps, a run logs, saves and measures; it also saves when `save_seconds` have passed."""

    log: int = 50
    save: int = 100
    measure: int = 500
    save_seconds: float = 300.0


class Session:
    """A trainer and the folder it writes to; nothing is selected by what is measured.

    `command` is what started it. The checkpoint keeps all commands that a run was trained by.
    """

    def __init__(
        self,
        folder: RunFolder,
        trainer: Trainer[Any],
        intervals: Intervals | None = None,
        *,
        command: str = "",
    ) -> None:
        self.folder, self.trainer, self.intervals = folder, trainer, intervals or Intervals()
        self.commands = [command] if command else []

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one.

        Raises:
            WeightsError: it cannot be read, or is of another network.
        """
        if not self.folder.has_checkpoint:
            return False
        state = self.folder.load()
        self.trainer.restore(state)
        self.commands = list(dict.fromkeys([*state["commands"], *self.commands]))
        return True

    def run(self, *, minutes: float = math.inf) -> Iterator[dict[str, Any]]:
        """Train; yield each log entry, which is also appended to `log.jsonl`."""
        losses, began, saved = [], time.monotonic(), time.monotonic()
        for step in self.trainer.run(until=time.monotonic() + 60 * minutes):
            losses.append(step.loss)
            logs = step.number % self.intervals.log == 0
            if logs:
                mean = sum(losses) / len(losses)
                seconds = (time.monotonic() - began) / len(losses)
                yield self._log(loss=mean, seconds_per_step=seconds, learning_rate=step.learning_rate)
            late = time.monotonic() - saved > self.intervals.save_seconds
            if late or step.number % self.intervals.save == 0:
                self.save()
                saved = time.monotonic()
            if step.number % self.intervals.measure == 0:
                yield self._measure()
            if logs:
                losses, began = [], time.monotonic()
        yield self._measure()
        self.save()

    def save(self) -> None:
        """Write the checkpoint, where this process is the first of its group."""
        if self.trainer.group.is_first:
            self.folder.save({**self.trainer.state(), "commands": self.commands})

    def _measure(self) -> dict[str, Any]:
        """Draw and measure the averaged network, where this process is the first of its group."""
        trainer = self.trainer
        if not trainer.group.is_first:
            return self._log()
        trainer.task.draw_pictures(trainer.average, self.folder.pictures, step=trainer.step)
        return self._log(measured=trainer.task.measure(trainer.average))

    def _log(self, **content: Any) -> dict[str, Any]:
        entry = {"step": self.trainer.step, **content}
        return self.folder.log(**entry) if self.trainer.group.is_first else entry


def describe_entry(entry: Mapping[str, Any], *, steps: int) -> str:
    """A log entry as a line for people."""
    place = f"training step {entry['step']:,} of {steps:,}"
    if "loss" in entry:
        return (
            f"{place}: loss {entry['loss']:.5g}, learning rate {entry['learning_rate']:.3g}, "
            f"{entry['seconds_per_step']:.2f} s per step"
        )
    return f"{place}: " + (
        "; ".join(_name_figures(entry.get("measured", {}))) or "nothing is measured on the way"
    )


def _name_figures(measured: Mapping[str, Any]) -> Iterator[str]:
    for name, value in measured.items():
        if isinstance(value, Mapping):
            yield f"{name}: " + ", ".join(f"{key} {figure:.5g}" for key, figure in value.items())
        else:
            yield f"{name} {value:.5g}"
