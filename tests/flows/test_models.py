"""`ldp models`: what ships and what is in the user's folder, each file hashed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.storage import read_bytes
from ldp_core.weights import SHIPPED


def run(*arguments: object, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["models", *(str(a) for a in arguments)], env=environment)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One model with its card, one without."""
    (tmp_path / "mine.safetensors").write_bytes(b"weights")
    card = {"sha256": hashlib.sha256(b"weights").hexdigest(), "parameters": 7, "licence": "CC0"}
    (tmp_path / "mine.json").write_text(json.dumps(card))
    (tmp_path / "bare.safetensors").write_bytes(b"others")
    (tmp_path / "notes.json").write_text("{}")
    return tmp_path


def test_shipped_models_are_verified_and_described() -> None:
    code, out, _ = run("--json")
    listed = {model["name"]: model for model in json.loads(out)}
    assert code == 0
    assert listed.keys() == SHIPPED.keys()
    for name, model in listed.items():
        assert (model["state"], model["sha256"]) == ("verified", SHIPPED[name].sha256)
        assert all(model[fact] for fact in ("summary", "parameters", "trained on", "licence", "scores"))


def test_people_see_the_figures_of_the_card() -> None:
    code, out, _ = run()
    assert code == 0
    assert "on canon_dpdd" in out
    scores = json.loads(read_bytes(SHIPPED["ldp"].url.replace(".safetensors", ".json")))["scores"]
    assert f"restored {scores['canon_dpdd']['restored']:.2f}" in out


def test_one_model_is_its_whole_card() -> None:
    code, out, _ = run("ldp")
    card = json.loads(out)
    shipped = json.loads(Path(SHIPPED["ldp"].url).with_suffix(".json").read_text())
    assert code == 0
    assert shipped.items() <= card.items()
    assert card["state"] == "verified"


def test_a_folder_adds_models_by_option_or_environment(folder: Path) -> None:
    for outcome in (run("--folder", folder, "--json"), run("--json", LDP_MODELS=str(folder))):
        states = {model["name"]: model["state"] for model in json.loads(outcome[1])}
        assert states == dict.fromkeys(SHIPPED, "verified") | {"mine": "verified", "bare": "no_digest"}
        assert outcome[0] == 3


def test_altered_and_missing_weights_are_named(folder: Path) -> None:
    (folder / "bare.safetensors").unlink()
    (folder / "mine.safetensors").write_bytes(b"Weights")
    code, out, _ = run("--folder", folder, "--json")
    assert code == 3
    assert {m["name"]: m["state"] for m in json.loads(out)}["mine"] == "altered"
    (folder / "mine.safetensors").unlink()
    assert {m["name"]: m["state"] for m in json.loads(run("--folder", folder, "--json")[1])}[
        "mine"
    ] == "missing"


@pytest.mark.parametrize("arguments", [("nobody",), ("--folder", "nowhere")])
def test_what_is_not_there_is_explained(arguments: tuple[str, ...]) -> None:
    code, _, err = run(*arguments)
    assert code == 1
    assert err.startswith("ldp: [weights]")
