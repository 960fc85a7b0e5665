"""Writers on S3 that race or die: items are whole and equal, or not there at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archive_samples import KEY, SPEC, assert_same_fields, make_map, make_pair
from fault_proxy import Fault, FaultProxy
from s3_server import S3Server

from ldp_core.archive import Archive
from ldp_core.storage import list_objects, read_bytes
from ldp_core.types import Pair, Score, ScoringProtocol

IDS = [f"set/{n}" for n in range(4)]
WRITE = "from test_s3_writers import write_all; import sys; write_all(sys.argv[1])"


def pair_of(item_id: str) -> Pair:
    return make_pair(item_id, seed=int(item_id[-1]))


def write_all(url: str) -> None:
    """Every item with all its results, in the same order as every other writer."""
    archive = Archive(url)
    for item_id in IDS:
        pair = pair_of(item_id)
        archive.write_pair(pair, provenance={})
        digest = archive.read_digest(item_id)
        archive.write_blur_map(KEY, item_id, make_map(), spec=SPEC, input_digest=digest)
        archive.write_restored(KEY, item_id, pair.left, spec=SPEC, input_digest=digest)
        score = Score(item_id, "psnr_db", "restored", ScoringProtocol(16, "20x37"), 30.0)
        archive.write_scores(KEY, item_id, [score], spec=SPEC, input_digest=digest)


def start_writer(url: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(Path(__file__).parent), str(tests), str(tests.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, url], env=os.environ | environment | {"PYTHONPATH": paths}
    )


def assert_complete(archive: Archive) -> None:
    for item_id in IDS:
        assert_same_fields(archive.read_pair(item_id), pair_of(item_id))
        digest = archive.read_digest(item_id)
        assert_same_fields(archive.read_blur_map(KEY, item_id, input_digest=digest), make_map())
        assert (archive.read_restored(KEY, item_id, input_digest=digest) == pair_of(item_id).left).all()
        assert len(archive.read_scores(KEY, item_id, input_digest=digest)) == 1


def wait_until_spoilt(proxy: FaultProxy, writer: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not proxy.spoilt:
        assert writer.poll() is None, "the writer ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.05)


def test_writers_of_the_same_items_agree(s3: str, tmp_path: Path) -> None:
    url = f"{s3}/archive"
    writers = [start_writer(url, {}) for _ in range(4)]
    assert [writer.wait(timeout=240) for writer in writers] == [0] * 4

    write_all(str(tmp_path))
    assert_complete(Archive(url))
    paths = list(list_objects(url))
    assert paths == list(list_objects(str(tmp_path)))
    assert all(read_bytes(f"{url}/{path}") == (tmp_path / path).read_bytes() for path in paths)


@pytest.mark.parametrize(
    ("fault", "path"),
    [("stall", r"set/2/zarr\.json"), ("hang", r"frames/set/2/c\."), ("hang", r"scores/.*2\.json")],
    ids=["before the metadata", "inside the chunk", "inside the scores"],
)
def test_a_killed_writer_leaves_nothing_half_visible(
    s3: str, s3_server: S3Server, proxied_s3: FaultProxy, fault: str, path: str
) -> None:
    url = f"{s3}/archive"
    proxied_s3.faults = [Fault(fault, "PUT", path)]  # type: ignore[arg-type]
    writer = start_writer(url, s3_server.environment(proxied_s3.port))
    wait_until_spoilt(proxied_s3, writer)
    writer.send_signal(signal.SIGKILL)
    writer.wait()

    archive = Archive(url)
    assert {"set/0", "set/1"} <= archive.list_items("frames") <= {"set/0", "set/1", "set/2"}
    for item_id in archive.list_items("frames"):
        assert_same_fields(archive.read_pair(item_id), pair_of(item_id))
    for item_id in archive.list_items("scores", KEY):
        archive.read_scores(KEY, item_id)
    write_all(url)
    assert_complete(archive)
