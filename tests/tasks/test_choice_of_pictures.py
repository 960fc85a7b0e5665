"""Which items get pictures in a report: the worst, and some that are drawn at random."""

from __future__ import annotations

from ldp_core.types import Score, ScoringProtocol
from tasks.reports import choose_drawn
from tasks.run import RunItem

PROTOCOL = ScoringProtocol(8, "64x48")


def item(number: int) -> RunItem:
    gains = {"input": 20.0, "restored": 20.0 + number}
    name = f"set/{number:04d}"
    scores = tuple(Score(name, "psnr_db", subject, PROTOCOL, value) for subject, value in gains.items())
    return RunItem(name, "computed", scores)


ITEMS = [item(number) for number in range(1000)]


def test_most_are_the_worst_and_a_tenth_is_drawn_from_the_others() -> None:
    chosen = choose_drawn(ITEMS, 200)
    assert chosen[:180] == [f"set/{n:04d}" for n in range(180)]
    by_chance = {int(name[4:]) for name in chosen[180:]}
    assert len(by_chance) == 20
    assert min(by_chance) >= 180
    assert max(by_chance) > 700  # from all of them: the best of 20 below that is once in 10**3.7 draws


def test_the_choice_does_not_depend_on_the_order_of_the_items() -> None:
    assert choose_drawn(ITEMS[::-1], 50) == choose_drawn(ITEMS, 50)


def test_few_items_all_have_pictures_and_a_small_number_shows_the_worst() -> None:
    assert choose_drawn(ITEMS[:5], 5) == [f"set/{n:04d}" for n in range(5)]
    assert choose_drawn(ITEMS, 1) == ["set/0000"]
    assert choose_drawn(ITEMS, 0) == []
