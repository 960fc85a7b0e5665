"""Faults at random in a whole archive: verifying names exactly those, repairing brings every byte back."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from run_samples import FIRST, call, contents_of, make_dataset, make_run

from ldp_core.archive.audit import Damage
from ldp_core.archive.layout import address_of
from ldp_core.catalogue import Selection, SourceOptions
from tasks.cluster import in_process
from tasks.pipeline import make_config
from tasks.plan import make_plan
from tasks.repair import RepairOutcome, repair_archive
from tasks.run import Run, new_run_id
from tasks.run_stats import RunStats
from tasks.stored_run import describe_request
from tasks.verify import Verification, verify_archive
from tasks.work import choose_ingest

FAULTS = ("flip", "cut", "delete", "swap objects", "swap items")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    make_run(folder / "archive", make_dataset(folder / "dataset"), FIRST)
    return folder / "archive"


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "archive"))


def verify(archive: Path) -> Verification:
    return verify_archive(str(archive), in_process)


def repair(archive: Path) -> dict[str, RepairOutcome]:
    corrupt = verify(archive).corrupt.values()
    repairs = repair_archive(str(archive), corrupt, in_process, when=new_run_id())
    return {path: one.outcome for path, one in repairs.items()}


def item_objects(archive: Path) -> list[str]:
    """Objects of items, which lie outside the runs."""
    return [name for name in contents_of(archive) if not name.startswith("runs/")]


def item_of(name: str) -> str:
    """The path by which a corrupt item is named."""
    return name if name.startswith("scores/") else name.rpartition("/")[0]


def break_object(archive: Path, name: str, fault: str, dice: random.Random) -> set[str]:
    """Do one fault to an object; returns the items that are corrupt then."""
    path = archive / name
    content = bytearray(path.read_bytes())
    if fault == "flip":
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
    elif fault == "cut":
        path.write_bytes(content[: dice.randrange(len(content))])
    elif fault == "delete":
        path.unlink()
    else:
        return swap(archive, name, dice, whole_items=fault == "swap items")
    return {item_of(name)}


def swap(archive: Path, name: str, dice: random.Random, *, whole_items: bool) -> set[str]:
    """Exchange an object, or all objects of its item, with those of another item of its kind."""
    stem = name.removesuffix(".json").split("/")[3 if not name.startswith("frames/") else 2]
    other = dice.choice([digit for digit in "012" if digit != stem])
    folder, objects = archive / item_of(name), [name]
    if whole_items and folder.is_dir():
        objects = [path.relative_to(archive).as_posix() for path in folder.iterdir()]
    for mine in objects:
        theirs = mine.replace(f"/set/{stem}", f"/set/{other}")
        content = (archive / mine).read_bytes()
        (archive / mine).write_bytes((archive / theirs).read_bytes())
        (archive / theirs).write_bytes(content)
    return {item_of(name), item_of(name.replace(f"/set/{stem}", f"/set/{other}"))}


def test_a_whole_archive_is_whole(archive: Path) -> None:
    found = verify(archive)
    assert not found.corrupt
    assert not any((found.incomplete, found.partial, found.orphaned, found.unknown, found.unchecked))
    assert sum(found.items.values()) == 6 * 3
    assert found.runs == 1
    assert found.size_bytes == sum(len(contents_of(archive)[name]) for name in item_objects(archive))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "kind", ["frames", "blur/disparity", "blur/truth", "confidence", "restored", "scores"]
)
def test_a_fault_is_named_and_repaired(archive: Path, kind: str, fault: str) -> None:
    before, dice = contents_of(archive), random.Random(f"{kind} {fault}")
    for name in [name for name in item_objects(archive) if name.startswith(kind) and "/set/1" in name]:
        corrupt = break_object(archive, name, fault, dice)
        assert set(verify(archive).corrupt) == corrupt
        assert set(repair(archive)) == corrupt
        assert contents_of(archive) == before


@pytest.mark.parametrize("seed", range(6))
def test_faults_at_random_are_all_named_and_repaired(archive: Path, seed: int) -> None:
    before, dice = contents_of(archive), random.Random(seed)
    names = dice.sample(item_objects(archive), dice.randint(2, 5))
    corrupt = set()
    for name in names:
        if (archive / name).stat().st_size:
            corrupt |= break_object(archive, name, dice.choice(("flip", "cut", "delete")), dice)
    assert set(verify(archive).corrupt) | unknowable(corrupt) == corrupt
    for _ in range(2):
        outcomes = repair(archive)
    assert RepairOutcome.NOT_REPAIRED not in outcomes.values()
    assert contents_of(archive) == before
    assert not verify(archive).corrupt


def unknowable(corrupt: set[str]) -> set[str]:
    """Sidecars whose owner is corrupt as well: nothing says any more that they should be there."""
    owners = {"confidence/": "blur/", "blur/truth/": "frames/"}
    return {
        path
        for path in corrupt
        for start, owner in owners.items()
        if path.startswith(start) and path.replace(start, owner, 1) in corrupt
    }


def test_good_things_are_not_written_again(archive: Path) -> None:
    name = next(name for name in item_objects(archive) if name.startswith("confidence"))
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*") if path.is_file()}
    break_object(archive, name, "flip", random.Random(0))
    repair(archive)
    changed = {path for path, moment in before.items() if path.stat().st_mtime_ns != moment}
    assert changed <= {archive / item_of(name) / file for file in ("zarr.json", "c.0.0")}


def test_what_is_corrupt_is_moved_away_not_lost(archive: Path) -> None:
    name = next(name for name in item_objects(archive) if name.startswith("restored") and "c.0" in name)
    (archive / name).write_bytes(b"corrupt")
    repair(archive)
    [moment] = (archive / "rotten").iterdir()
    assert (moment / name).read_bytes() == b"corrupt"


def test_frames_are_not_taken_from_a_source_that_has_changed(whole: Path, archive: Path) -> None:
    source = whole.parent / "dataset" / "left"
    times = (source / "0.png").stat().st_atime_ns, (source / "0.png").stat().st_mtime_ns
    original = (source / "0.png").read_bytes()
    name = next(name for name in item_objects(archive) if name.startswith("frames/set/0/c"))
    (archive / name).write_bytes(b"corrupt")
    before = contents_of(archive)
    try:
        (source / "0.png").write_bytes((source / "1.png").read_bytes())
        outcomes = repair(archive)
    finally:
        (source / "0.png").write_bytes(original)
        os.utime(source / "0.png", ns=times)  # a catalogue made again has the time of the last change in it
    assert outcomes == {"frames/set/0": RepairOutcome.NOT_REPAIRED}
    assert contents_of(archive) == before


def test_results_of_unknown_methods_stay_as_they_are(archive: Path) -> None:
    shutil.rmtree(archive / "runs")
    name = next(name for name in item_objects(archive) if name.startswith("restored"))
    break_object(archive, name, "cut", random.Random(1))
    before = contents_of(archive)
    assert repair(archive) == {item_of(name): RepairOutcome.NOT_REPAIRED}
    assert contents_of(archive) == before


@pytest.mark.parametrize("name", ["catalogue.jsonl", "scores.parquet", "quarantine.jsonl"])
@pytest.mark.parametrize("fault", ["flip", "delete"])
def test_records_that_can_be_made_again_are(archive: Path, name: str, fault: str) -> None:
    before = contents_of(archive)
    path = f"runs/{FIRST}/{name}"
    break_object(archive, path, fault, random.Random(2))
    assert set(verify(archive).corrupt) == {path}
    assert repair(archive) == {path: RepairOutcome.IDENTICAL}
    assert contents_of(archive) == before


def test_a_catalogue_is_made_again_as_its_source_was_asked(tmp_path: Path) -> None:
    archive, own, source = tmp_path / "archive", tmp_path / "own", make_dataset(tmp_path / "dataset")
    own.mkdir()
    for view in ("left", "right", "target"):
        for n in range(3):
            shutil.copy(source / view / f"{n}.png", own / f"{view}-{n}.png")
    options = SourceOptions(
        r"(?P<role>left|right|target)-(?P<scene>\d)\.png",
        {"theirs": str(source / "target")},
        Selection(sample=2, seed=4),
    )
    config = make_config(str(archive), estimator=("disparity", {}), deblurrer=("wiener", {}))
    plan = make_plan(config, str(own), layout="folders", camera="pixel-4", options=options)
    asked = describe_request(plan.options, plan.camera)
    run = Run.start(config, plan.catalogue, {}, run_id=FIRST, asked=asked)
    stats = RunStats(plan.catalogue, max_bad=1.0)
    stats.add(call(choose_ingest(plan, item) for item in plan.catalogue.items))
    run.finish(stats.summarise(FIRST, {}, seconds=1.0, report=""), stats.items)
    path = f"runs/{FIRST}/catalogue.jsonl"
    before = (archive / path).read_text()
    assert {item.camera for item in run.catalogue.items} == {"pixel-4"}
    assert [[*item.external] for item in run.catalogue.items] == [["theirs"]] * 2
    (archive / path).unlink()
    assert repair(archive) == {path: RepairOutcome.IDENTICAL}
    assert (archive / path).read_text() == before


@pytest.mark.parametrize("name", ["run.json", "summary.json", "items.jsonl", "digests.json"])
@pytest.mark.parametrize("fault", ["flip", "cut", "delete"])
def test_other_records_are_named(archive: Path, name: str, fault: str) -> None:
    path = f"runs/{FIRST}/{name}"
    break_object(archive, path, fault, random.Random(3))
    assert set(verify(archive).corrupt) == {path}
    assert repair(archive) == {path: RepairOutcome.NOT_REPAIRED}


def test_records_of_earlier_versions_are_read_not_refused(archive: Path) -> None:
    run = archive / "runs" / FIRST
    (run / "digests.json").unlink()
    (run / "run.json").write_text((run / "run.json").read_text().replace('"sealed_by": "digests.json",', ""))
    found = verify(archive)
    assert not found.corrupt
    assert found.unchecked == [FIRST]


def test_traces_of_stopped_writers_are_named_and_are_not_corrupt(archive: Path) -> None:
    [key] = [path.name for path in (archive / "confidence").iterdir() if path.is_dir()]
    places = {
        "incomplete": "restored/other-0123/set/7/c.0.0.0",
        "partial": "frames/set/0/.c.0.0.0.0.0123.partial",
        "unknown": "frames/readme.txt",
    }
    for place in places.values():
        (archive / place).parent.mkdir(parents=True, exist_ok=True)
        (archive / place).write_bytes(b"left behind")
    shutil.copytree(archive / "confidence" / key, archive / "confidence" / "other-0123")
    found = verify(archive)
    assert {name: getattr(found, name) for name in places} == {name: [path] for name, path in places.items()}
    assert set(found.orphaned) == {f"confidence/other-0123/set/{n}" for n in range(3)}
    assert {one.damage for one in found.corrupt.values()} == {Damage.MISPLACED}


def test_an_address_is_read_back_from_its_path(archive: Path) -> None:
    for name in item_objects(archive):
        address = address_of(item_of(name))
        assert address is not None
        assert address.path == item_of(name)
    assert address_of("runs/x/run.json") is None


@pytest.mark.parametrize("name", ["zarr.json", "blur/zarr.json", "frames/zarr.json", "frames/set/zarr.json"])
def test_an_altered_group_is_named_and_repaired(archive: Path, name: str) -> None:
    before = contents_of(archive, groups=True)
    (archive / name).write_bytes(before[name][:-9])
    assert set(verify(archive).corrupt) == {name}
    assert repair(archive) == {name: RepairOutcome.IDENTICAL}
    assert contents_of(archive, groups=True) == before


def test_a_lost_group_is_no_damage(archive: Path) -> None:
    for name in ("zarr.json", "frames/zarr.json", "frames/set/zarr.json"):
        (archive / name).unlink()
    assert not verify(archive).corrupt
