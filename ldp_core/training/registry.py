"""Networks by the name `ldp train` knows them under; a name imports its module when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from ldp_core.errors import SettingsError
from ldp_core.training.run import run_trainee

Main = Callable[[Sequence[str]], int]


def _main_of(module: str, *first: str) -> Main:
    """The `main` of a module that reads its arguments itself, `first` ones before the others."""
    return lambda arguments: int(import_module(module).main([*first, *arguments]))


def _trainee_of(module: str) -> Main:
    """The entry point of the `TRAINEE` of a module."""
    return lambda arguments: run_trainee(import_module(module).TRAINEE, arguments)


NETWORKS: Final[dict[str, Main]] = {
    "bdir": _trainee_of("ldp_core.training.bdir.trainee"),
    "dbd": _trainee_of("ldp_core.training.dbd.trainee"),
    "ldp": _main_of("ldp_core.training.__main__", "ldp"),
    "ldp-tiny": _main_of("ldp_core.training.tiny.__main__"),
    **{step: _main_of("ldp_core.training.__main__", step) for step in ("cache", "fit", "export")},
}
"""What follows `ldp train`: networks, then the single steps of LDP's training."""


def train(name: str, arguments: Sequence[str]) -> int:
    """Train a network by name; the exit code.

    Raises:
        SettingsError: there is no such network.
    """
    if name not in NETWORKS:
        raise SettingsError(
            "there is no such network to train",
            where="ldp train",
            expected=", ".join(NETWORKS),
            got=name,
            remedy="choose one of the names",
        )
    return NETWORKS[name](arguments)
