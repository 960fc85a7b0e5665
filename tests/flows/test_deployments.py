"""The deployments of `prefect.yaml` on a real server with a real worker: by hand, by schedule, failing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect_service import PrefectService, free_port, wait_until

from ldp_core.archive import Archive
from tasks.status import describe_runs

pytestmark = pytest.mark.timeout(600)  # a server, a worker and three runs start here

BROKEN = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectService]:
    """A server with a process pool, the deployments, and a worker."""
    service = PrefectService(tmp_path_factory.mktemp("prefect"), free_port())
    with service.serving():
        service.run("work-pool", "create", "--type", "process", "ldp")
        service.run("--no-prompt", "deploy", "--all", LDP_LAYOUT="folders")
        with service.process("worker", "start", "--pool", "ldp", "--type", "process", "--limit", "1"):
            yield service


def place(dataset: Path, archive: Path) -> dict[str, Any]:
    return {"source": str(dataset), "archive": str(archive), "dataset": "sim", "processes": 1}


def artifacts_of(prefect: PrefectService, run_id: str) -> dict[str, Any]:
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    return {artifact["key"]: artifact["data"] for artifact in prefect.post("artifacts/filter", wanted)}


def test_nothing_runs_by_itself_until_a_schedule_is_switched_on(prefect: PrefectService) -> None:
    schedules = {one["name"]: one["schedules"] for one in prefect.post("deployments/filter")}
    assert {name: [s["active"] for s in found] for name, found in schedules.items()} == {
        "ingest": [False],
        "restore": [False],
        "report": [],
    }


def test_a_restoration_by_its_deployment(prefect: PrefectService, dataset: Path, tmp_path: Path) -> None:
    settings = tmp_path / "ldp.toml"  # has what the deployment does not name
    settings.write_text('[archive]\naddress = "archive"\n[methods]\ndeblurrer = "wiener"\n')
    asked = place(dataset, tmp_path / "archive") | {"archive": "", "settings": str(settings)}
    run_id = prefect.start_run("restore-dataset/restore", **asked)
    state = prefect.wait_for_state(run_id)
    assert state["type"] == "COMPLETED", state["message"]

    shown = artifacts_of(prefect, run_id)
    assert shown.keys() == {"restore-progress", "restore-summary", "restore-report"}
    assert shown["restore-progress"] == 100
    assert "**3** computed" in shown["restore-report"]
    [run] = (tmp_path / "archive" / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["job"]["deblurrer"]["name"] == "wiener"
    assert str(run / "report" / "index.html") in shown["restore-report"]
    assert {row["metric"] for row in json.loads(shown["restore-summary"])} >= {"psnr_db", "ssim"}


def test_a_schedule_fires_when_it_is_switched_on(
    prefect: PrefectService, dataset: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    ingest = prefect.get("deployments/name/ingest-dataset/ingest")["id"]
    every_20_s = {"schedule": {"interval": 20}, "active": True, "parameters": place(dataset, archive)}
    [schedule] = prefect.post(f"deployments/{ingest}/schedules", [every_20_s])
    wait_until(lambda: list((archive / "runs").glob("*/run.json")), "a scheduled run has begun")
    prefect.delete(f"deployments/{ingest}/schedules/{schedule['id']}")
    wait_until(lambda: list((archive / "runs").glob("*/summary.json")), "a scheduled run has ended")
    assert len(Archive(str(archive)).list_items("frames")) == 3


def test_too_many_bad_items_fail_the_run_and_say_why(
    prefect: PrefectService, dataset: Path, tmp_path: Path
) -> None:
    for number in (0, 1):
        (dataset / "left" / f"Scene {number}.png").write_bytes(BROKEN)
    run_id = prefect.start_run("ingest-dataset/ingest", **place(dataset, tmp_path / "archive"))
    state = prefect.wait_for_state(run_id)
    assert state["type"] == "FAILED"
    for words in ("TooManyBadItemsError", "expected: at most 1 of 3", "got: 2", "quarantine.jsonl"):
        assert words in state["message"]
    assert "**2** quarantined" in artifacts_of(prefect, run_id)["ingest-report"]


def test_a_run_that_is_cancelled_is_so_in_the_archive(
    prefect: PrefectService, dataset: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    run_id = prefect.start_run("restore-dataset/restore", **place(dataset, archive))
    wait_until(lambda: list(archive.glob("runs/*/run.json")), "the run has begun")
    prefect.post(f"flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    prefect.wait_for_state(run_id, "CANCELLED")
    [run] = describe_runs(str(archive))
    assert run.state == "cancelled"
