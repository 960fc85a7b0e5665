"""The manifests for Kubernetes: valid by its own schemas, no privileges, no secrets in them, one image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

kubernetes_validate = pytest.importorskip("kubernetes_validate")

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MANIFESTS = [
    one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((FOLDER / name).read_text())
]
NAMES = [f"{one['kind']}/{one['metadata']['name']}" for one in MANIFESTS]
SECRETS = {"ldp-prefect", "ldp-dask-tls", "ldp-store"}


def pods() -> Iterator[dict[str, Any]]:
    for one in MANIFESTS:
        if template := one["spec"].get("template") if "spec" in one else None:
            yield template


@pytest.mark.parametrize("manifest", MANIFESTS, ids=NAMES)
@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_it_is_valid_and_has_no_unknown_field(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_would_be_noticed() -> None:
    wrong = {**MANIFESTS[0], "spec": {**MANIFESTS[0]["spec"], "selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_names_are_unique_and_selectors_find_their_pods() -> None:
    assert len({*NAMES}) == len(NAMES)
    labels = [pod["metadata"]["labels"] for pod in pods()]
    for one in MANIFESTS:
        selector = one.get("spec", {}).get("selector", {})
        assert not selector or selector.get("matchLabels", selector) in labels


def test_pods_run_as_a_plain_user_without_privileges() -> None:
    for pod in pods():
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["image"] in ("ldp", "postgres:17.6-bookworm")
            assert container["resources"]["limits"]["memory"]


def test_secrets_come_from_outside() -> None:
    text = "".join((FOLDER / name).read_text() for name in KUSTOMIZATION["resources"])
    assert not [one for one in MANIFESTS if one["kind"] == "Secret"]
    named = re.findall(
        r"secretRef: \{ name: ([\w-]+)|secretKeyRef: \{ name: ([\w-]+)|secretName: ([\w-]+)", text
    )
    assert {name for names in named for name in names if name} == SECRETS
    for pod in pods():
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", ()):
                if re.search("PASSWORD|AUTH", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"]
