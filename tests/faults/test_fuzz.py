"""Changed files of every format and layout: the pixels of an independent reader, or a typed error.

Each file is read in a process of limited memory, which is watched: one that ends or stalls is noticed, and
the reading goes on behind the file that it was at.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import fuzz_samples
import fuzz_trees
import pytest

TESTS = Path(__file__).parents[1]
PATIENCE_S = 60  # the slowest of 20,000 files takes less than one second on an idle core
FILES = dict.fromkeys(fuzz_samples.PICTURES, 1250) | dict.fromkeys(fuzz_samples.TABLES, 600)
TREES = dict.fromkeys(fuzz_trees.LAYOUT_NAMES, 300)
STOPPED = "stopped by the guard"

Verdict = tuple[str, int, str]
"""Kind, number of the file, and what became of it."""


def read_changed(kind: str, start: int, stop: int) -> Iterator[Verdict]:
    """What became of these files of one kind; a file that ended the process is ``stopped by the guard``."""
    while start < stop:
        before = start
        for found in watch([str(start), str(stop), kind]):
            yield found
            start = found[1] + 1
        assert start > before, f"no file of kind {kind} was read"


def watch(arguments: Sequence[str]) -> Iterator[Verdict]:
    """The verdicts of one process, to its end or to the file at which it ended early."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(TESTS / "fuzz_child.py"), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as child:
        assert child.stdout is not None
        pending = b""
        while select.select([child.stdout], [], [], PATIENCE_S)[0] and (
            read := os.read(child.stdout.fileno(), 65536)
        ):
            *lines, pending = (pending + read).split(b"\n")
            yield from map(parse, lines)
        child.kill()
    if pending:
        kind, number, *_ = pending.decode().split("\t")
        yield kind, int(number), STOPPED
    else:
        assert child.returncode in (0, -9), f"{command} ended with {child.returncode} before its first file"


def parse(line: bytes) -> Verdict:
    kind, number, verdict = line.decode().split("\t", 2)
    return kind, int(number), verdict


def require_sound(verdicts: Sequence[Verdict]) -> Counter[str]:
    """How many of each verdict; none may be wrong, none may have ended its process."""
    faults = [each for each in verdicts if each[2].startswith("wrong") or each[2] == STOPPED]
    assert not faults, faults[:5]
    return Counter(verdict for _, _, verdict in verdicts)


def test_a_few_files_of_every_kind() -> None:
    kinds = [*FILES, *TREES]
    verdicts = list(watch(["0", "20", *kinds]))
    assert Counter(kind for kind, _, _ in verdicts) == dict.fromkeys(kinds, 20)
    counts = require_sound(verdicts)
    assert min(counts["equal"], counts["refused"]) > 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [*FILES, *TREES])
def test_20_000_files(kind: str, record_property: pytest.RecordProperty) -> None:
    count = (FILES | TREES)[kind]
    verdicts = list(read_changed(kind, 0, count))
    assert len(verdicts) == count
    counts = require_sound(verdicts)
    record_property("verdicts", dict(counts))
    print(kind, dict(counts))
    assert counts["equal"] + counts["unchanged"] > 0
    assert kind in TREES or counts["refused"] > count // 50  # of trees, single items are refused


def test_a_process_that_ends_or_stalls_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import os, sys, time\n"
    script += "start, stop = map(int, sys.argv[1:3])\n"
    script += "for n in range(start, stop):\n"
    script += "    print(f'any\\t{n}', end='\\t', flush=True)\n"
    script += "    os.kill(os.getpid(), 9) if n == 1 else time.sleep(60 if n == 3 else 0)\n"
    script += "    print('equal', flush=True)\n"
    (tmp_path / "fuzz_child.py").write_text(script)
    monkeypatch.setattr(f"{__name__}.TESTS", tmp_path)
    monkeypatch.setattr(f"{__name__}.PATIENCE_S", 5)
    verdicts = [verdict for _, _, verdict in read_changed("any", 0, 5)]
    assert verdicts == ["equal", STOPPED, "equal", STOPPED, "equal"]
