"""The protocol `pysodmetrics`: figures of that package, and what follows for trivial maps."""

from __future__ import annotations

import numpy as np
import pytest
from detection_samples import random_map, random_mask
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ldp_core.errors import MetricError
from ldp_core.metrics.saliency import sample_saliency, summarise_saliency
from ldp_core.types import FloatMap

# Of pysodmetrics 1.6.2 over the same six maps, rounded to 8 bit.
PUBLISHED = {
    "mae": 0.3800266279351246,
    "s_measure": 0.6013676327572507,
    "e_adaptive": 0.3577266057593254,
    "e_mean": 0.5262456952106476,
    "e_max": 0.7126871257363496,
    "f_adaptive": 0.15363225146230738,
    "f_mean": 0.5466061388892489,
    "f_max": 0.6952861547668489,
    "f_weighted": 0.5636507316230718,
}


def draw(number: int) -> tuple[FloatMap, NDArray[np.bool_]]:
    """A noisy map and its truth; the last two truths are of one class."""
    rng = np.random.default_rng(number)
    truth = gaussian_filter(rng.normal(size=(60, 81)), 6) > (-0.02 + 0.01 * number)
    strength = rng.random()
    noise = gaussian_filter(rng.normal(size=truth.shape), 2)
    found = np.clip(0.5 + 0.35 * np.where(truth, 1, -1) * strength + 0.3 * noise * 4, 0, 1)
    truth = {4: np.ones_like(truth), 5: np.zeros_like(truth)}.get(number, truth)
    return found.astype(np.float32), truth


def test_measures_are_those_of_the_package() -> None:
    found = summarise_saliency([sample_saliency(*draw(number)) for number in range(6)])
    assert {name: interval.mean for name, interval in found.items()} == pytest.approx(PUBLISHED, abs=1e-9)


def test_a_perfect_map_has_the_best_of_everything() -> None:
    truth = random_mask(40, 50)
    found = sample_saliency(truth.astype(np.float32), truth)
    assert found.mae == 0
    for value in (found.s_measure, found.e_adaptive, found.f_adaptive, found.f_weighted):
        assert value == pytest.approx(1, abs=1e-3)


def test_a_blind_map_is_worse_than_one_that_sees() -> None:
    truth = random_mask(40, 50)
    blind, seeing = random_map(40, 50), np.where(truth, np.float32(0.8), np.float32(0.3))
    assert sample_saliency(blind, truth).s_measure < sample_saliency(seeing, truth).s_measure


def test_another_size_is_refused() -> None:
    with pytest.raises(MetricError, match="does not match"):
        sample_saliency(random_map(4, 5), random_mask(5, 4))
