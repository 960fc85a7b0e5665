"""Random draws that depend on a seed, or on a seed and a number, alone: the same on every machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

_Option = TypeVar("_Option")
# Odd 64-bit constant of the golden ratio: neighbouring seeds start far apart in the generator's state.
_SPREAD = 0x9E3779B97F4A7C15


class Rng(ABC):
    """A random number generator."""

    @staticmethod
    def from_seed(seed: int) -> Rng:
        """Draws of one seed. Seeds that differ by a multiple of 2**32 give the same draws."""
        return _SeededRng(torch.Generator().manual_seed(seed * _SPREAD % 2**63))

    @staticmethod
    def from_key(seed: int, number: int, part: int) -> Rng:
        """Draws of one part of one member of a set: independent of those of every other key.

        Args:
            seed: of the set, zero or more.
            number: of the member in its set, zero or more.
            part: what is drawn, where members have several streams.
        """
        return _KeyedRng(np.random.default_rng(_sequence(seed, number, part)))

    @staticmethod
    def from_seeds(*seeds: int) -> Rng:
        """Draws of several seeds together, none of which can stand in for another.

        Of torch, which takes 32 bits of a seed on a CPU: `from_key` suits larger sets.
        """
        state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
        return _SeededRng(torch.Generator().manual_seed(int(state >> np.uint64(1))))

    @abstractmethod
    def uniforms(self, count: int) -> Tensor:
        """(count,) float32 in 0..1, 1 excluded."""

    @abstractmethod
    def integer(self, low: int, high: int) -> int:
        """From `low` to `high` - 1."""

    @abstractmethod
    def normal(self, *shape: int) -> Tensor:
        """Float32 of mean 0 and deviation 1."""

    @abstractmethod
    def uniform(self, low: float, high: float) -> float: ...

    def choice(self, options: Sequence[_Option]) -> _Option:
        return options[self.integer(0, len(options))]


def derive_seed(seed: int, number: int, part: int) -> int:
    """64 bits for a generator of another library; keys as in `Rng.from_key`."""
    return int(_sequence(seed, number, part).generate_state(1, np.uint64)[0])


def _sequence(seed: int, number: int, part: int) -> np.random.SeedSequence:
    # Not SeedSequence([seed, number, part]): there (4,) and (4, 0) are one key.
    return np.random.SeedSequence(seed, spawn_key=(number, part))


@dataclass(frozen=True, slots=True)
class _SeededRng(Rng):
    generator: torch.Generator

    def uniforms(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))


@dataclass(frozen=True, slots=True)
class _KeyedRng(Rng):
    """Of numpy: torch takes 32 bits of a seed on a CPU, and of 80,000 such keys two would be equal."""

    generator: np.random.Generator

    def uniforms(self, count: int) -> Tensor:
        return torch.from_numpy(self.generator.random(count, dtype=np.float32))

    def integer(self, low: int, high: int) -> int:
        # One draw whatever the range, so that a longer list of options moves no later draw.
        return low + int(self.generator.random() * (high - low))

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.generator.standard_normal(shape, dtype=np.float32))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.generator.random())
