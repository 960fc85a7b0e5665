"""The rule for drift: how often it is wrong about unchanged items, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from ldp_core.errors import SettingsError
from ldp_core.metrics.drift import FEWEST_ITEMS, Shift, correct_p_values, find_shifts

SIGNALS = ("blur", "confidence", "reblur")


def draw(
    seed: int, items: int, *, shift: float = 0.0, group: str = "all items"
) -> dict[tuple[str, str], list[float]]:
    """Signals of one run that depend on each other, as those of one photograph do; one of them has ties."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=items) + shift
    values = (
        np.exp(common + 0.5 * rng.normal(size=items)),
        np.round(np.clip(0.8 + 0.1 * rng.normal(size=items), 0, 1), 2),
        30 + common + rng.normal(size=items),
    )
    return {(name, group): list(map(float, one)) for name, one in zip(SIGNALS, values, strict=True)}


def alarms(runs: int, items: int, **options: float) -> float:
    found = (
        find_shifts(draw(2 * n, items), draw(2 * n + 1, items), least_distance=0, **options)
        for n in range(runs)
    )
    return float(np.mean([any(shift.drifted for shift in shifts) for shifts in found]))


@pytest.mark.parametrize("items", [FEWEST_ITEMS, 100])
def test_unchanged_runs_raise_no_more_alarms_than_were_asked_for(items: int) -> None:
    """Of 300 runs at a rate of .05 fifteen are expected at most; more than 27 have a chance of one in 500."""
    rate = alarms(300, items, false_alarms=0.05)
    assert rate <= 27 / 300


def test_the_rate_that_is_asked_for_is_used() -> None:
    assert alarms(200, 60, false_alarms=0.5) > alarms(200, 60, false_alarms=0.01)


def test_a_shift_of_one_standard_deviation_is_found() -> None:
    found = [find_shifts(draw(2 * n, 100), draw(2 * n + 1, 100, shift=1.0)) for n in range(40)]
    caught = [{shift.signal for shift in shifts if shift.drifted} for shifts in found]
    assert np.mean(["blur" in names for names in caught]) > 0.95
    # The sound neighbour: a signal that did not change is not blamed for those that did.
    assert np.mean(["confidence" in names for names in caught]) < 0.1


def test_a_significant_but_small_shift_is_no_drift() -> None:
    [blur, *_] = find_shifts(draw(1, 5000), draw(2, 5000, shift=0.2))
    assert blur.p_value < 1e-6
    assert not blur.drifted
    [blur, *_] = find_shifts(draw(1, 5000), draw(2, 5000, shift=0.2), least_distance=0.05)
    assert blur.drifted


def test_groups_are_judged_by_themselves_and_need_enough_items() -> None:
    earlier = draw(1, 50, group="a") | draw(2, 50, group="b") | draw(3, FEWEST_ITEMS - 1, group="c")
    now = draw(4, 50, group="a") | draw(5, 50, group="b", shift=3.0) | draw(6, 50, group="c", shift=3.0)
    found = find_shifts(earlier, now)
    assert {shift.group for shift in found} == {"a", "b"}
    assert {shift.group for shift in found if shift.drifted} == {"b"}


def test_the_same_items_have_not_drifted() -> None:
    found: tuple[Shift, ...] = find_shifts(draw(1, 40), draw(1, 40))
    assert [(shift.distance, shift.p_value, shift.drifted) for shift in found] == [(0, 1, False)] * 3


def test_holm_corrects_by_rank() -> None:
    assert correct_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert correct_p_values([]) == []


@pytest.mark.parametrize("name", ["false_alarms", "least_distance"])
def test_a_rate_is_a_share(name: str) -> None:
    with pytest.raises(SettingsError, match="share"):
        find_shifts(draw(1, 30), draw(2, 30), **{name: 1.5})
