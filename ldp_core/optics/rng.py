"""Random draws that depend on a seed alone: the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

_Option = TypeVar("_Option")
# Odd 64-bit constant of the golden ratio: neighbouring seeds start far apart in the generator's state.
_SPREAD = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Rng:
    """A random number generator that starts from one seed."""

    generator: torch.Generator

    @classmethod
    def from_seed(cls, seed: int) -> Rng:
        return cls(torch.Generator().manual_seed(seed * _SPREAD % 2**63))

    @classmethod
    def from_seeds(cls, *seeds: int) -> Rng:
        """Draws of several seeds together, none of which can stand in for another."""
        state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
        return cls(torch.Generator().manual_seed(int(state >> np.uint64(1))))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high` - 1."""
        return int(torch.randint(low, high, (), generator=self.generator))

    def choice(self, options: Sequence[_Option]) -> _Option:
        return options[self.integer(0, len(options))]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)
