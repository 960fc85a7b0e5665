"""Nights of a scheduled deployment over a dataset that grows, changes and shrinks, on a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect_service import PrefectService, free_port, wait_until

from flows.archives import verify
from ldp_core.archive import Archive
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

DEPLOYMENT = "restore-dataset/restore"
WARNING = 30
SOON_S = 30
"""Prefect looks at schedules every 5 s here, and makes no run of the past; if it is late, ask it again."""


class Nights:
    """A dataset, an archive, and a deployment whose schedule is made to fire."""

    def __init__(self, prefect: PrefectService, folder: Path) -> None:
        self.prefect, self.dataset, self.archive = prefect, folder / "dataset", folder / "archive"
        place = {"source": str(self.dataset), "layout": "folders", "archive": str(self.archive)}
        self.asked = place | {"dataset": "set", "processes": 1, "deblurrer": "wiener"}
        self.deployment: str = prefect.get(f"deployments/name/{DEPLOYMENT}")["id"]

    def write(self, *numbers: int, scene: int = 0) -> None:
        """Pairs of these names, of other scenes for another ``scene``."""
        for number in numbers:
            pair = simulate_pair(100 * scene + number, SimulationSettings(height=96, width=128))
            for view, pixels in pair.views.items():
                (self.dataset / view).mkdir(parents=True, exist_ok=True)
                picture = self.dataset / view / f"{number}.png"
                picture.write_bytes(encode_image(pixels, format="png"))

    def damage(self, number: int) -> None:
        picture = self.dataset / "left" / f"{number}.png"
        picture.write_bytes(picture.read_bytes()[:2000])

    def remove(self, *numbers: int) -> None:
        for number in numbers:
            for picture in self.dataset.glob(f"*/{number}.png"):
                picture.unlink()

    def tick(self) -> str:
        """Have the schedule fire soon; the id of the run that it makes."""
        known = self._due()
        return wait_until(lambda: self._fire(known), "the schedule has made a run")

    def _fire(self, known: set[str]) -> str:
        soon = datetime.now(UTC) + timedelta(seconds=SOON_S)
        daily = {"interval": 86400, "anchor_date": soon.isoformat()}
        schedule = {"schedule": daily, "active": True, "parameters": self.asked}
        [made] = self.prefect.post(f"deployments/{self.deployment}/schedules", [schedule])
        while datetime.now(UTC) < soon:
            time.sleep(1)
            for run_id in self._due() - known:
                return run_id
        self.prefect.delete(f"deployments/{self.deployment}/schedules/{made['id']}")
        return ""

    def _due(self) -> set[str]:
        before = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        asked = {"deployment_id": {"any_": [self.deployment]}, "expected_start_time": {"before_": before}}
        return {run["id"] for run in self.prefect.post("flow_runs/filter", {"flow_runs": asked})}

    def night(self) -> str:
        """A run by the schedule, ended."""
        run_id = self.tick()
        state = self.prefect.wait_for_state(run_id)
        assert state["type"] == "COMPLETED", state["message"]
        return run_id

    def artifacts(self, run_id: str) -> dict[str, Any]:
        wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
        return {one["key"]: one["data"] for one in self.prefect.post("artifacts/filter", wanted)}

    def warnings(self, run_id: str) -> list[str]:
        wanted = {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": WARNING}}
        return [one["message"] for one in self.prefect.post("logs/filter", {"logs": wanted})]

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """Those of all runs, in the order of their starts."""
        return [json.loads(path.read_text()) for path in sorted(self.archive.glob("runs/*/summary.json"))]

    @property
    def restored(self) -> list[str]:
        """Every version of every item that is restored."""
        [key] = [path.name for path in (self.archive / "restored").iterdir() if path.is_dir()]
        return sorted(Archive(str(self.archive)).list_items("restored", key))


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    monkeypatch.setattr("prefect_service.PATIENCE_S", 900)
    service = PrefectService(tmp_path / "prefect", free_port())
    (tmp_path / "prefect").mkdir()
    service.environment |= {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
    }
    with service.serving():
        service.run("work-pool", "create", "--type", "process", "ldp")
        service.run("--no-prompt", "deploy", "--all", LDP_LAYOUT="folders")
        with service.process("worker", "start", "--pool", "ldp", "--type", "process"):
            yield Nights(service, tmp_path)


def test_a_dataset_that_grows_changes_and_shrinks_is_followed_night_by_night(
    nights: Nights, tmp_path: Path
) -> None:
    nights.write(0, 1, 2, 3, 4, 5)
    nights.damage(5)
    check_first_night(nights, tmp_path / "prefect" / "concurrency_leases")

    nights.write(5, 6, 7)
    nights.write(1, scene=1)
    report = nights.artifacts(nights.night())["restore-report"]
    assert "**4** computed, **4** already there, **0** quarantined, of 8" in report
    assert "**1** changed, **0** vanished" in report
    everything = [f"set/{number}" for number in range(8)] + ["set/1@2"]
    assert nights.restored == sorted(everything)

    nights.remove(7)
    run_id = nights.night()
    assert "**0** computed, **7** already there" in nights.artifacts(run_id)["restore-report"]
    assert "**0** changed, **1** vanished" in nights.artifacts(run_id)["restore-report"]
    assert nights.restored == sorted(everything)

    check_night_of_loss(nights)
    assert nights.restored == sorted(everything)
    assert verify(str(nights.archive), processes=1)["whole"]


def check_first_night(nights: Nights, leases: Path) -> None:
    """One item is bad, and the schedule fires again before the run has ended."""
    first = nights.tick()
    nights.prefect.wait_for_state(first, "RUNNING")
    second = nights.tick()

    def waits() -> bool:
        return bool(nights.prefect.get(f"flow_runs/{second}")["state"]["name"] == "AwaitingConcurrencySlot")

    wait_until(waits, "the second run waits for the first")
    assert len([path for path in leases.glob("*.json") if path.name != "expirations.json"]) == 1
    for run_id in (first, second):
        state = nights.prefect.wait_for_state(run_id)
        assert state["type"] == "COMPLETED", state["message"]
        check_quarantine(nights, run_id)
    ended, begun = (nights.prefect.get(f"flow_runs/{one}") for one in (first, second))
    assert begun["start_time"] >= ended["end_time"]
    assert [one["items"]["computed"] for one in nights.summaries] == [5, 0]
    assert nights.restored == [f"set/{number}" for number in range(5)]


def check_quarantine(nights: Nights, run_id: str) -> None:
    """What Prefect shows of the bad item."""
    found = wait_until(lambda: nights.warnings(run_id)[1:] and nights.warnings(run_id), "the log is there")
    assert any(line.startswith("set/5 is quarantined: [image_format] ") for line in found), found
    assert "1 of 6 items are quarantined" in found
    shown = nights.artifacts(run_id)
    [row] = json.loads(shown["restore-quarantine"])
    assert (row["item"], row["kind"]) == ("set/5", "image_format")
    assert "**1** quarantined, of 6" in shown["restore-report"]


def check_night_of_loss(nights: Nights) -> None:
    """Too many items are gone at once: the run fails, and goes on once that is said to be meant."""
    runs = len(nights.summaries)
    nights.remove(4, 5, 6)
    run_id = nights.tick()
    state = nights.prefect.wait_for_state(run_id)
    assert state["type"] == "FAILED"
    for words in ("SourceShrunkError", "of the 7 items", "3 are gone"):
        assert words in state["message"]
    assert len(nights.summaries) == runs
    run_id = nights.prefect.start_run(DEPLOYMENT, **nights.asked, allow_shrink=True)
    assert nights.prefect.wait_for_state(run_id)["type"] == "COMPLETED"
    assert "**4** already there" in nights.artifacts(run_id)["restore-report"]
