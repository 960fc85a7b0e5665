"""The folder of a training run: its checkpoint and its log."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldp_core.training.checkpoints import load_checkpoint, save_checkpoint


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
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.checkpoint.exists()

    def load(self) -> dict[str, Any]:
        """The last checkpoint.

        Raises:
            WeightsError: there is none, or it cannot be read.
        """
        return load_checkpoint(self.checkpoint)

    def save(self, state: dict[str, Any]) -> None:
        save_checkpoint(self.checkpoint, state)

    def log(self, *, step: int, **content: Any) -> dict[str, Any]:
        """Append an entry to `log.jsonl`, and return it."""
        entry = {"time": time.strftime("%H:%M:%S"), "step": step, **content}
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return entry
