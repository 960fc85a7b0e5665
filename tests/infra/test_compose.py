"""What a stranger checks before starting the containers: loopback only, no secrets, everything pinned."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml
from distributed import LocalCluster
from dockerfile_parse import DockerfileParser

from tasks.cluster import KEEP_FREED_MEMORY, open_workers

INFRA = Path(__file__).resolve().parents[2] / "infra"
FILES = ("compose.yaml", "compose.s3.yaml")
SECRET = re.compile(r"PASSWORD|SECRET|AUTH|ACCESS_KEY")
REQUIRED = re.compile(r"\$\{[A-Z0-9_]+:\?[^}]+\}(,\$\{[A-Z0-9_]+:\?[^}]+\})?")


def services(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((INFRA / name).read_text())["services"]
    return found


def all_services() -> list[tuple[str, dict[str, Any]]]:
    return [(name, service) for file in FILES for name, service in services(file).items()]


def test_every_published_port_is_on_loopback() -> None:
    ports = [port for _, service in all_services() for port in service.get("ports", ())]
    assert len(ports) >= 3
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    assert not [name for name, service in all_services() if "network_mode" in service]


def test_secrets_come_from_outside_and_are_refused_when_absent() -> None:
    variables = [item for _, service in all_services() for item in service.get("environment", {}).items()]
    secrets = [(name, text) for name, text in variables if SECRET.search(name)]
    assert {"POSTGRES_PASSWORD", "PREFECT_SERVER_API_AUTH_STRING", "RCLONE_AUTH_KEY"} <= dict(secrets).keys()
    assert [name for name, text in secrets if not REQUIRED.fullmatch(text)] == []


def test_images_are_pinned_by_version() -> None:
    images = {service["image"] for _, service in all_services() if "image" in service}
    outside = images - {"ldp:local"}
    assert len(outside) == 2
    assert [image for image in outside if not re.search(r":\d+\.\d+", image)] == []


def test_services_wait_only_for_services_that_are_there_and_say_when_they_are_ready() -> None:
    found = services("compose.yaml")
    for service in found.values():
        for awaited, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "test" in found[awaited]["healthcheck"]
            else:
                assert found[awaited]["restart"] == "no"


def test_prefect_and_its_clients_agree() -> None:
    found = services("compose.yaml")
    auth = found["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    for client in ("deployments", "worker"):
        assert found[client]["environment"]["PREFECT_API_AUTH_STRING"] == auth
        assert found[client]["environment"]["PREFECT_API_URL"] == "http://server:4200/api"
    assert found["worker"]["entrypoint"][:5] == ["prefect", "worker", "start", "--pool", "ldp"]


def test_compute_workers_keep_freed_memory_as_embedded_ones_do() -> None:
    environment = services("compose.yaml")["compute"]["environment"]
    embedded = {path.rpartition(".")[2]: str(value) for path, value in KEEP_FREED_MEMORY.items()}
    assert embedded.items() <= environment.items()


def test_the_cluster_speaks_tls_with_a_key_that_is_made_once(tmp_path: Path) -> None:
    """The key that the file makes, the settings that it gives, and a cluster that they open."""
    found = services("compose.yaml")
    [command] = found["keys"]["command"]
    for _ in range(2):
        subprocess.run(
            ["sh", "-ec", command.replace("/keys", str(tmp_path))], check=True, capture_output=True
        )
        made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert made.keys() == {"dask.pem", "dask.key"}
        assert made == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert (tmp_path / "dask.key").stat().st_mode & 0o077 == 0
    for name in ("scheduler", "compute", "worker"):
        assert found[name]["environment"]["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
        assert any(volume.startswith("keys:/keys") for volume in found[name]["volumes"])
    assert found["deployments"]["environment"]["LDP_CLUSTER"].startswith("tls://")
    settings = {
        name.removeprefix("DASK_").lower().replace("__", "."): str(text).replace("/keys", str(tmp_path))
        for name, text in found["worker"]["environment"].items()
        if name.startswith("DASK_")
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=1,
            processes=False,
            host="127.0.0.1",
            protocol="tls://",
            dashboard_address=None,
        ) as cluster,
        open_workers(cluster.scheduler_address) as workers,
    ):
        assert workers.client.submit(sum, [20, 22]).result() == 42


@pytest.fixture
def steps(tmp_path: Path) -> list[tuple[str, str]]:
    parser = DockerfileParser(path=str(tmp_path))
    parser.content = (INFRA / "Containerfile").read_text()
    return [(step["instruction"], step["value"]) for step in parser.structure]


def test_the_image_is_pinned_and_does_not_run_as_root(steps: list[tuple[str, str]]) -> None:
    said = dict(steps)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", said["FROM"])
    uid, _ = said["USER"].split(":")
    assert int(uid) > 0
    assert said["ENTRYPOINT"] == '["ldp"]'
    assert '"ldp"' in said["HEALTHCHECK"]
    order = [name for name, _ in steps]
    assert order.index("USER") > max(n for n, name in enumerate(order) if name in ("RUN", "COPY"))


def test_the_image_installs_the_versions_that_were_tested_together(steps: list[tuple[str, str]]) -> None:
    installs = [part for name, value in steps if name == "RUN" for part in value.split("pip install")[1:]]
    assert len(installs) == 3
    assert all("-c constraints.txt" in part or "--no-deps" in part for part in installs)


def test_the_image_holds_all_that_it_names(steps: list[tuple[str, str]]) -> None:
    copied = [name for step, value in steps if step == "COPY" for name in value.split()[:-1]]
    assert {"flows", "tasks", "ldp_core", "prefect.yaml", "constraints.txt"} <= set(copied)
    assert [name for name in copied if not (INFRA.parent / name).exists()] == []
