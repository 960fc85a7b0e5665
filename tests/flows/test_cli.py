"""The `ldp` command as a shell sees it: output, exit codes, messages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app

CLI = CliRunner()


def run(*arguments: object) -> tuple[int, str, str]:
    result = CLI.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_help_imports_nothing_heavy() -> None:
    program = "import sys, flows.cli; print([m for m in ('torch', 'prefect', 'zarr') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plan_imports_nothing_that_computes(dataset: Path, tmp_path: Path) -> None:
    heavy = ("torch", "pandas", "prefect", "distributed", "zarr", "scipy.fft")
    program = f"""
import sys
from flows.cli import app
app(["plan", {str(dataset)!r}, "--archive", {str(tmp_path / "archive")!r}], standalone_mode=False)
print([name for name in {heavy} if name in sys.modules])
"""
    for _ in range(2):  # the first one makes what every later one reads
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "3 to do" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_has_help() -> None:
    _, text, _ = run("--help")
    for command in ("demo", "simulate", "catalogue", "plan", "restore", "report", "evaluate"):
        assert command in text
        assert run(command, "--help")[0] == 0


def test_catalogue_prints_json_lines(dataset: Path) -> None:
    code, out, _ = run("catalogue", dataset)
    header, *items = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert header["layout"] == "folders"
    assert len(items) == 3


def test_a_refused_item_makes_the_catalogue_exit_with_3(dataset: Path) -> None:
    (dataset / "right" / "Scene 0.png").unlink()
    assert run("catalogue", dataset)[0] == 0  # a single view is an item as well
    (dataset / "left" / "Scene 0.png").unlink()
    assert run("catalogue", dataset)[0] == 3


def test_plan_tells_what_is_to_do(dataset: Path, tmp_path: Path) -> None:
    code, out, _ = run("plan", dataset, "--archive", tmp_path / "archive", "--json")
    plan = json.loads(out)
    assert code == 0
    assert (plan["pairs"], plan["to_do"]) == (3, 3)
    assert plan["bytes_in"] == sum(path.stat().st_size for path in dataset.rglob("*.png"))
    assert plan["bytes_out_at_most"] >= 3 * 4 * 96 * 128 * 3
    assert plan["memory"]["bytes_by_size"]["128x96"] > 0
    assert plan["memory"]["worker_bytes"] > 0
    assert plan["memory"]["too_large"] == []
    assert plan["seconds_estimated"] > 0
    assert not (tmp_path / "archive").exists()


@pytest.fixture
def lost(dataset: Path) -> Path:
    """Three pairs, a split of two items that lost their right views, and four files without a place."""
    for role in ("left", "target"):
        (dataset / role / "val").mkdir()
        for number in range(2):
            shutil.copy(dataset / role / "Scene 0.png", dataset / role / "val" / f"{number}.png")
    for number in range(4):
        (dataset / f"notes {number}.txt").write_text("..")
    return dataset


LOSS = "[folder_without_second_views] 1:"


def test_a_plan_groups_problems_and_says_what_stops_a_run(
    lost: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    archive = tmp_path / "archive"
    code, out, _ = run("plan", lost, "--archive", archive)
    assert code == 0
    assert out.index(LOSS) < out.index("[stray_file] 4, of which the first are:")
    assert out.count("notes") == 3
    assert "`ldp restore` stops here: folder_without_second_views" in out
    words = [line for line in out.splitlines() if str(tmp_path) not in line]  # paths are never broken
    assert max(map(len, words)) <= 80
    plan = json.loads(run("plan", lost, "--archive", archive, "--allow-single", "--json")[1])
    assert plan["stops"] == []
    counts = {group["kind"]: group["count"] for group in plan["problem_kinds"]}
    assert counts == {"folder_without_second_views": 1, "second_view_missing": 2, "stray_file": 4}


@pytest.mark.parametrize("command", ["restore", "ingest"])
@pytest.mark.parametrize("fault", ["empty", "layout", "lost"])
def test_what_every_run_refuses_is_told_before_a_server_starts(
    command: str, fault: str, lost: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        pytest.fail("a server was started")

    monkeypatch.setattr("flows.engine.prefect_engine", fail)
    (tmp_path / "empty").mkdir()
    arguments, kind = {
        "empty": ((tmp_path / "empty",), "catalogue"),
        "layout": ((lost, "--layout", "dpdd"), "catalogue"),
        "lost": ((lost,), "incomplete_source"),
    }[fault]
    code, _, err = run(command, *arguments, "--archive", tmp_path / "archive")
    assert code == 1
    assert err.startswith(f"ldp: [{kind}] ")
    assert not (tmp_path / "archive").exists()


@pytest.mark.usefixtures("prefect_server")
class TestRestore:
    def test_problems_are_grouped_where_single_views_are_allowed(self, lost: Path, tmp_path: Path) -> None:
        archive = tmp_path / "archive"
        options = ("--archive", archive, "--workers", 1, "--allow-single")
        code, out, err = run("ingest", lost, *options)
        assert code == 0, err
        assert LOSS in out
        assert out.count("notes") == 3
        [summary] = archive.glob("runs/*/summary.json")
        groups = json.loads(summary.read_text())["problem_kinds"]
        assert {group["kind"]: len(group["examples"]) for group in groups} == {
            "folder_without_second_views": 1,
            "second_view_missing": 2,
            "stray_file": 3,
        }

    def test_json_is_the_summary_alone(self, dataset: Path, tmp_path: Path) -> None:
        archive = tmp_path / "archive"
        code, out, err = run("restore", dataset, "--archive", archive, "--workers", 1, "--json")
        assert code == 0, err
        summary = json.loads(out)
        kept = json.loads((archive / "runs" / summary["run_id"] / "summary.json").read_text())
        assert summary == kept
        assert json.loads(run("plan", dataset, "--archive", archive, "--json")[1])["to_do"] == 0

    def test_people_see_means_counts_and_the_report(self, dataset: Path, tmp_path: Path) -> None:
        code, out, _ = run("restore", dataset, "--archive", tmp_path / "archive", "--workers", 1)
        assert code == 0
        assert "3 items: 3 computed" in out
        assert "index.html" in out

    def test_a_bad_item_exits_with_3(self, dataset: Path, tmp_path: Path) -> None:
        (dataset / "left" / "Scene 1.png").write_bytes(b"not a picture")
        code, out, _ = run("restore", dataset, "--archive", tmp_path / "archive", "--workers", 1)
        assert code == 3
        assert "1 quarantined" in out

    def test_too_many_bad_items_exit_with_4(self, dataset: Path, tmp_path: Path) -> None:
        (dataset / "left" / "Scene 1.png").write_bytes(b"not a picture")
        options = ("--workers", 1, "--max-bad", 0)
        code, _, err = run("restore", dataset, "--archive", tmp_path / "archive", *options)
        assert code == 4
        assert "too_many_bad_items" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("restore", "nowhere", "--layout", "folders"), "[catalogue]"),
        (("catalogue", ".", "--layout", "shelves"), "[catalogue]"),
        (("plan", ".", "--estimator", "crystal-ball"), "[settings]"),
        (("plan", ".", "--set", "nothing"), "[settings]"),
        (("simulate", "out", "--size", "big"), "[settings]"),
        (("simulate", "out", "--set", "simulate.seed=4"), "[settings]"),
        (("simulate", "out", "--set", "simulate.width=96"), "[settings]"),
    ],
)
def test_mistakes_are_explained_not_traced(
    arguments: tuple[str, ...], message: str, prefect_server: None
) -> None:
    code, _, err = run(*arguments)
    assert code == 1
    assert err.startswith(f"ldp: {message}")
    assert "Traceback" not in err


def test_simulated_sets_of_two_seeds_have_equal_names_and_no_picture_in_common(
    prefect_server: None, tmp_path: Path
) -> None:
    for name, seed, count in (("four", 4, 3), ("first of four", 4, 2), ("five", 5, 3)):
        options = ("--size", "48x32", "--workers", 1)
        code, _, err = run("simulate", tmp_path / name, "--seed", seed, "--count", count, *options)
        assert code == 0, err
    four, first, five = (
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*.png")
        }
        for name in ("four", "first of four", "five")
    )
    assert {Path(name).name for name in four} == {f"sim-{number:06d}.png" for number in range(3)}
    assert four.keys() == five.keys()
    assert not {*four.values()} & {*five.values()}
    assert first.items() <= four.items()


def test_a_demo_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = run("demo", tmp_path / "file" / "demo")
    assert code == 1
    assert error.startswith("ldp: [storage] ")
