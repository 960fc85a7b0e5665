"""What the terminal shows: tables that fold and never lose a cell, words, units, endings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from rich.progress import Progress

from flows.cli import console
from flows.cli.console import (
    format_duration,
    format_interval,
    format_size,
    show_facts,
    show_list,
    show_means,
    show_parts,
    show_table,
)

HEADS = ("run", "state", "computed", "dataset", "methods")
ROWS = [
    ("20260102t000000z-bbbbbb", "finished", 12, "canon_dpdd (canon-dpdd, 5)", "disparity + ldp + bdir"),
    ("20260101t000000z-aaaaaa", "running", 4, "", "disparity | depth-distilled + wiener"),
]


@pytest.fixture(params=[20, 40, 79, 80, 120])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def words_of(cells: Sequence[object]) -> list[str]:
    return [word for cell in cells for word in str(cell).split()]


def test_a_table_of_any_width_keeps_every_cell(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    show_table(HEADS, ROWS)
    out = capsys.readouterr().out
    shown = re.split(r"[\s;:]+", out)
    assert "…" not in out
    for cells in (HEADS, *ROWS):
        assert [word for word in words_of(cells) if word not in shown] == []
    longest_word = max(map(len, words_of([*HEADS, *ROWS[0], *ROWS[1]])))
    assert max(map(len, out.splitlines())) <= max(columns, longest_word + len("    methods: "))


def test_columns_that_do_not_fit_stand_by_name_below_their_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_table(HEADS, ROWS)
    assert capsys.readouterr().out == (
        "run                      state     computed  dataset\n"
        "20260102t000000z-bbbbbb  finished        12  canon_dpdd (canon-dpdd, 5)\n"
        "    methods: disparity + ldp + bdir\n"
        "20260101t000000z-aaaaaa  running          4\n"
        "    methods: disparity | depth-distilled + wiener\n"
    )


def test_a_pipe_has_a_row_per_line_however_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show_table(("item", "message"), [("a", 500 * "x"), ("b", "[red]y[/red]")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["item", "message"],
        ["a", 500 * "x"],
        ["b", "[red]y[/red]"],
    ]


def test_parts_of_a_table_share_its_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_parts(("metric", "mean"), {"first": [("ssim", "0.9")], "second": [("a long metric", "1000.0")]})
    assert capsys.readouterr().out.splitlines() == [
        "metric           mean",
        "first",
        "ssim              0.9",
        "second",
        "a long metric  1000.0",
    ]


def test_a_protocol_is_printed_once_above_its_scores(capsys: pytest.CaptureFixture[str]) -> None:
    def mean(metric: str, protocol: str) -> dict[str, object]:
        return {
            "metric": metric,
            "subject": "input",
            "protocol": protocol,
            "mean": 1,
            "low": 0,
            "high": 2,
            "n": 5,
        }

    show_means([mean("psnr_db", "8 bit"), mean("reblur", "8 bit | disc"), mean("ssim", "8 bit")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "metric",
        "protocol:",
        "psnr_db",
        "ssim",
        "protocol:",
        "reblur",
    ]
    assert (lines[1], lines[4]) == ("protocol: 8 bit", "protocol: 8 bit | disc")


def test_long_values_go_on_below_their_beginning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    show_facts([("source", "a/b"), ("use", "one two three four five six seven eight")])
    assert capsys.readouterr().out.splitlines() == [
        "source  a/b",
        "use     one two three four five six",
        "        seven eight",
    ]


def test_of_a_long_list_the_first_are_shown_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_list([f"path/{n}" for n in range(25)], "temporary files")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["temporary files: 25", "  path/0"]
    assert lines[-2:] == ["  path/19", "  and 5 more (--json lists all)"]
    show_list([], "temporary files")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (3725, "1 h 2 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_sizes_and_intervals() -> None:
    assert format_size(4_100_000) == "4.1 MB"
    assert format_interval(-0.5, 1) == "-0.500 .. 1.000"
    assert format_interval(-0.5, 1, signed=True) == "-0.500 .. +1.000"


def test_the_first_item_tells_the_time_left_and_items_that_were_only_read_make_no_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    with Progress(disable=True) as progress:
        bars = console._Bars(progress)
        bars.expect("restore", 10)
        now[0] += 1
        bars.advance("restore", done=4, bad=0, skipped=4)
        assert progress.tasks[0].fields["rate"] == progress.tasks[0].fields["left"] == ""
        now[0] += 30
        bars.advance("restore", done=1, bad=0, skipped=0)
        assert progress.tasks[0].fields["rate"] == "2.0/min"
        assert progress.tasks[0].fields["left"] == "2 min 30 s left"
        bars.advance("restore", done=5, bad=1, skipped=5)
        assert progress.tasks[0].fields["left"] == ""
        assert progress.tasks[0].fields["bad"] == "1 bad"
