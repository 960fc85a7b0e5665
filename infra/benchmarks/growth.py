"""How the work beside the computation grows with the number of items.

    python infra/benchmarks/growth.py 100 1000 10000
    python infra/benchmarks/growth.py 10000 --only catalogue plan resume report verify status gc

makes pairs of 64x48 px with truths as links to a few files, and does with them, in this process and one after
the other, what the commands do, with methods that compute nothing. Each number of items has a process of its
own. Printed are CPU and wall seconds, the largest memory until then, and what the disk was asked for: objects
read and written, folders listed, objects deleted. On an object store each is a request, but that a request
lists 1,000 objects, whatever their folders. Without `restore` the archive holds copies of eight items under
other names, and the first command that finds them, which reads the results of each, is shown as `read`.

    catalogue   read the source
    plan        catalogue, and compare with an empty archive
    restore     frames, map, restoration and scores of every item, and the record of the run without pictures
    replan      plan again, after a run that has recorded the listing
    resume      the same command again: nothing is left to compute, and a run has recorded it
    report      the page of the run again, without pictures
    verify      hash everything again
    status      runs, items and bytes
    gc          look for what no run refers to
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

from harness import clock, make_parser, parse
from waiting import write_source

from flows.archives import collect_garbage, describe_archive
from flows.dataset_run import record_run
from flows.launch import run_restore
from ldp_core.archive.checksums import BLANK_CHECKSUM, find_checksum, write_checksummed
from ldp_core.blur import ESTIMATORS
from ldp_core.catalogue import read_catalogue
from ldp_core.deblur import DEBLURRERS
from ldp_core.methods import MemoryModel, MethodDef
from ldp_core.settings import Settings
from ldp_core.single_view import input_image
from ldp_core.storage import is_partial, join
from ldp_core.types import BlurMap, BlurMapKind, Pair, Pixels, StageSpec
from tasks.cluster import in_process
from tasks.pipeline import make_config
from tasks.plan import make_plan
from tasks.reports import publish_report
from tasks.run import Run
from tasks.verify import verify_archive
from tasks.work import Batch, BatchResult, choose_ingest, choose_restore, make_calls

DIFFERENT = 8
NO_METHOD = MethodDef("growth", "Nothing", "NoSettings", memory=MemoryModel(0), seconds=0.0)


class NoSettings(Settings):
    """None."""


class Nothing:
    """A map of zeros, and the input as restoration."""

    def __init__(self, settings: NoSettings) -> None:
        self.spec = StageSpec("nothing", "nothing", "1")

    def estimate(self, pair: Pair) -> BlurMap:
        import numpy as np

        return BlurMap(np.zeros(pair.left.shape[:2], np.float32), BlurMapKind.SIMILARITY)

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        return input_image(pair)


class Requests:
    """What this process asks of the disk below a folder, by an audit hook, which stays as long as it does."""

    KINDS: Final = {"open": "read", "os.rename": "written", "os.scandir": "listed", "os.remove": "deleted"}

    def __init__(self, folder: str) -> None:
        self.counts: Counter[str] = Counter()
        self._folder = folder
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in self.KINDS or not str(arguments[0]).startswith(self._folder):
            return
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not writes and not (event == "os.remove" and is_partial(str(arguments[0]))):
            self.counts[self.KINDS[event]] += 1


class Work:
    """A source, an archive beside it, and what is done with them."""

    def __init__(self, folder: Path, items: int) -> None:
        self.source, self.archive = str(folder / "source"), str(folder / "archive")
        self.config = make_config(self.archive, estimator=("nothing", {}), deblurrer=("nothing", {}))
        link_source(Path(self.source), items)

    def catalogue(self) -> object:
        return read_catalogue(self.source, layout="folders", dataset="set")

    def plan(self) -> Any:
        return make_plan(self.config, self.source, layout="folders", dataset="set")

    def restore(self) -> None:
        plan = self.plan()

        def work(batch: Batch) -> Sequence[Future[BatchResult]]:
            found = []
            for choose in (choose_ingest, choose_restore):
                found.append(Future[BatchResult]())
                found[-1].set_result(BatchResult(make_calls([choose(plan, item) for item in batch.items])))
            return found

        with record_run("restore", plan, plan.pipelines, max_bad=0.05, draw=lambda run: []) as run:
            run.run_batches(work)

    def fill(self) -> None:
        """An archive of as many items: eight are restored, the others are copies of their entries."""
        folder, items = Path(self.source), len([*Path(self.source, "left").iterdir()])
        few = Work(folder.parent / "few", DIFFERENT)
        few.archive, few.config = self.archive, self.config
        few.restore()
        shutil.rmtree(join(self.archive, "runs"))
        for entry in [*Path(self.archive).rglob("set/000*")]:
            for number in range(int(entry.name[:6]) + DIFFERENT, items, DIFFERENT):
                copy_entry(entry, entry.with_name(f"{number:06d}{entry.suffix}"), few.source, self.source)
            copy_entry(entry, entry, few.source, self.source)

    def resume(self) -> None:
        asked = {"estimator": "nothing", "deblurrer": "nothing", "dataset": "set", "report_items": 0}
        summary = run_restore(source=self.source, archive=self.archive, layout="folders", **asked)
        if summary["items"]["computed"]:
            raise SystemExit("a finished item was computed again")

    def report(self) -> None:
        run = self._newest()
        publish_report(run.summary, run.items, [], catalogue=run.catalogue)

    def verify(self) -> None:
        if verify_archive(self.archive, in_process).corrupt:
            raise SystemExit("the archive is corrupt")

    def status(self) -> None:
        describe_archive(self.archive)

    def gc(self) -> None:
        collect_garbage(self.archive, delete=False, grace_hours=0)

    def _newest(self) -> Run:
        newest = max(path.name for path in Path(self.archive, "runs").iterdir() if path.is_dir())
        return Run(self.archive, newest)


WORKS = ("catalogue", "plan", "restore", "replan", "resume", "report", "verify", "status", "gc")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("items", nargs="+", type=int)
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS)
    asked = parse(parser)
    if len(asked.items) == 1:
        measure(asked.items[0], asked.only)
        return
    for count in asked.items:
        subprocess.run([sys.executable, __file__, str(count), "--only", *asked.only], check=True)


def measure(items: int, names: Sequence[str]) -> None:
    for registry in (ESTIMATORS, DEBLURRERS):
        point = EntryPoint("nothing", "growth:NO_METHOD", registry.group)
        registry.__dict__["_installed"] = {"nothing": point}  # as a package that is installed would be found
    with tempfile.TemporaryDirectory() as folder:
        work, requests = Work(Path(folder), items), Requests(folder)
        for name in names:
            if name not in ("catalogue", "plan", "restore") and not Path(work.archive).exists():
                work.fill()
                show("read", work.resume, items, requests)
            show(name, getattr(work, {"replan": "plan"}.get(name, name)), items, requests)


def link_source(folder: Path, items: int) -> None:
    write_source(folder, min(items, DIFFERENT))
    for view in folder.iterdir():
        for number in range(DIFFERENT, items):
            os.link(view / f"{number % DIFFERENT:06d}.png", view / f"{number:06d}.png")


def copy_entry(entry: Path, copy: Path, few: str, source: str) -> None:
    """An entry of an item under another name, which stands in its checksummed documents, not in its chunk."""
    if entry.is_dir():
        copy.mkdir(exist_ok=True)
        for part in entry.iterdir():
            copy_entry(part, copy / part.name, few, source)
    elif entry.suffix != ".json" and entry != copy:
        os.link(entry, copy)
    elif entry.suffix == ".json":
        names = [path.name[:6] for path in (entry, copy) if path.name != "zarr.json"]
        before, after = names or (entry.parent.name, copy.parent.name)
        text = entry.read_text().replace(few, source).replace(f"/{before}", f"/{after}")
        text = text.replace(find_checksum(text.encode()).decode(), BLANK_CHECKSUM)
        copy.write_bytes(write_checksummed(json.loads(text), where=str(copy)))


def show(name: str, work: Callable[[], object], items: int, requests: Requests) -> None:
    requests.counts.clear()
    cost = clock(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    asked = ", ".join(f"{requests.counts[kind]} {kind}" for kind in Requests.KINDS.values())
    print(
        f"{items:8} {name:10} {cost.cpu_s:8.2f} CPU s {1e6 * cost.cpu_s / items:8.0f} us an item "
        f"{cost.wall_s:8.1f} s {peak:6.0f} MiB  {asked}",
        flush=True,
    )


if __name__ == "__main__":
    main()
