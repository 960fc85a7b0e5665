"""Checkpoints: everything a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ldp_core.errors import WeightsError
from ldp_core.storage import write_bytes

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; a reader sees the old one or the new one, never half."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    write_bytes(str(path), buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state of a run, tensors on the CPU; nothing in the file is executed.

    Raises:
        WeightsError: the file is absent, damaged, or of another format.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError("there is no checkpoint", where=str(path), remedy="start a new run") from error
    except Exception as error:
        raise WeightsError("a checkpoint cannot be read", where=str(path), got=str(error)[:200]) from error
    if state.get("format") != FORMAT:
        raise WeightsError(
            "a checkpoint of another format",
            where=str(path),
            expected=str(FORMAT),
            got=str(state.get("format")),
            remedy="go on with the version of the code that wrote it",
        )
    return state
