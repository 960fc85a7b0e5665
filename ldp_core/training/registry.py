"""Networks by the names that `ldp train` knows; a module is imported when its name is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from ldp_core.errors import SettingsError, suggest
from ldp_core.training.options import Command

Commands = Mapping[str, "Command[Any] | Commands"]
"""Commands by name; some stand in a group of their own."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """A command of `ldp train`: the module that holds it in `COMMANDS`, and what it is for."""

    module: str
    summary: str


_LDP: Final = "ldp_core.training.ldp_commands"
NETWORKS: Final[dict[str, Trainable]] = {
    "bdir": Trainable("ldp_core.training.bdir", "Restoration from one view, on frames of `cache`."),
    "dbd": Trainable("ldp_core.training.dbd", "Blur detection, on masked photographs and frames of `cache`."),
    "ldp": Trainable(_LDP, "Restoration of pairs, on frames of `cache`, or on frames rendered first."),
    "ldp-tiny": Trainable("ldp_core.training.tiny.publish", "A small CLIP for blur maps, step by step."),
}
STEPS: Final[dict[str, Trainable]] = {
    "cache": Trainable(_LDP, "Render frames into a folder, or go on rendering."),
    "export": Trainable(_LDP, "Write the weights of a run of LDP, and their card."),
}
"""What comes before and after training."""


def load_command(name: str) -> Command[Any] | Commands:
    """The command, or group of commands, that follows `ldp train`.

    Raises:
        SettingsError: there is no such network.
    """
    known = NETWORKS | STEPS
    if name not in known:
        raise _unknown(name, known, where="ldp train")
    found: Command[Any] | Commands = import_module(known[name].module).COMMANDS[name]
    return found


def find_command(words: Sequence[str]) -> tuple[Command[Any], list[str]]:
    """The command that words begin with, and the words that follow.

    Raises:
        SettingsError: there is no such network, or none of its commands has that name.
    """
    name, *rest = words
    found, path = load_command(name), f"ldp train {name}"
    while isinstance(found, Mapping):
        name, *rest = rest or [""]
        if name not in found:
            raise _unknown(name, found, where=path)
        found, path = found[name], f"{path} {name}"
    return found, rest


def _unknown(name: str, known: Mapping[str, object], *, where: str) -> SettingsError:
    return SettingsError(
        "there is no such network to train" if where == "ldp train" else "there is no such command",
        where=where,
        expected=", ".join(known),
        got=name or "nothing",
        remedy=suggest(name, known) or "choose one of the names",
    )
