"""`ldp init` and the settings file: written, read by commands and deployments, refused where it is wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, make_dataset, run_planned
from typer.testing import CliRunner

from flows.cli import app
from flows.deployed import merge
from flows.ingest import ingest_dataset
from flows.restore import restore_dataset
from flows.settings_file import KEYS, OTHERS, SETTINGS, read_settings, write_example
from ldp_core.errors import LdpError, SettingsError


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and an archive of a run over it."""
    folder = tmp_path_factory.mktemp("project")
    run_planned(folder / "archive", make_dataset(folder / "pairs", 1), FIRST, dataset="pairs")
    return folder


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LDP_SETTINGS", raising=False)
    monkeypatch.setattr("flows.launch.server_is_configured", lambda: False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: object, **variables: str) -> Any:
    environment = {"COLUMNS": "80", **variables}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def write(text: str, path: Path = Path("ldp.toml")) -> Path:
    path.write_text(text)
    return path


def test_a_new_file_is_read_as_it_stands_and_with_every_line_in_use(tmp_path: Path) -> None:
    assert run("init", "data/set", "--archive", "s3://bucket/archive").stdout == "ldp.toml\n"
    assert read_settings("ldp.toml").parameters == {
        "source": "data/set",
        "layout": "folders",
        "archive": "s3://bucket/archive",
    }
    used = "\n".join(line.removeprefix("# ") for line in write_example().splitlines()[3:])
    assert {
        (t, n) for t, found in tomllib.loads(used).items() for n in found if t not in (SETTINGS, OTHERS)
    } == {(key.table, key.name) for key in KEYS}
    found = read_settings(str(write(used)))
    assert found.parameters["estimator_settings"] == {"window_px": 15}
    assert found.parameters["methods"] == {"Restormer": "results/restormer"}
    again = run("init")
    assert (again.exit_code, "there already" in again.stderr) == (1, True)


def test_commands_read_the_file_of_their_folder_and_say_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    write('[source]\naddress = "pairs"\n[archive]\naddress = "archive"\n[methods]\ndeblurrer = "wiener"\n')
    planned = run("plan", "--json")
    assert (json.loads(planned.stdout)["to_do"], planned.stderr) == (0, "settings: ldp.toml\n")
    assert json.loads(run("plan", "--deblurrer", "bdir", "--json").stdout)["to_do"] == 1
    done = run("restore", "--log-json")
    assert done.exit_code == 0
    assert all(json.loads(line) for line in done.stderr.splitlines())
    assert FIRST in run("status").stdout
    assert run("export", FIRST, "--to", "out").exit_code == 0
    Path("ldp.toml").unlink()


@pytest.mark.parametrize("named", ["--settings", "LDP_SETTINGS"])
def test_a_file_elsewhere_has_addresses_beside_itself(project: Path, named: str, tmp_path: Path) -> None:
    file = write('[source]\naddress = "pairs"\n[archive]\naddress = "archive"\n', tmp_path / "other.toml")
    for name in ("pairs", "archive"):
        (tmp_path / name).symlink_to(project / name)
    options = ("--settings", file) if named == "--settings" else ()
    variables = {} if options else {"LDP_SETTINGS": str(file)}
    planned = run(*options, "plan", "--deblurrer", "wiener", "--json", **variables)
    assert planned.exit_code == 0, planned.output
    assert json.loads(planned.stdout)["pairs"] == 1


def test_settings_of_methods_are_joined_and_the_command_line_comes_last(project: Path) -> None:
    write(
        f'[source]\naddress = "{project}/pairs"\n[methods]\ndeblurrer = "wiener"\n'
        f'[{SETTINGS}]\n"deblurrer.noise_signal" = 0.05\nestimator.window_px = 15\n'
    )

    def keys(*options: object) -> dict[str, str]:
        found: dict[str, str] = json.loads(run("plan", "--json", *options).stdout)["stage_keys"]["pair"]
        return found

    def keys_without_file(*options: object) -> dict[str, str]:
        Path("ldp.toml").rename("away")
        found = keys(f"{project}/pairs", "--deblurrer", "wiener", *options)
        Path("away").rename("ldp.toml")
        return found

    window, noise = ("--set", "estimator.window_px=15"), ("--set", "deblurrer.noise_signal=0.05")
    assert keys() == keys_without_file(*window, *noise)
    other = ("--set", "deblurrer.noise_signal=0.02")
    assert keys(*other) == keys_without_file(*window, *other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sorce]\naddress = 'a'", "did you mean 'source'?"),
        ("[source]\nadress = 'a'", "did you mean 'address'?"),
        ("[source]\nworkers = 3", "it stands in [cluster] workers"),
        ("archive = 'a'", "archive"),
        ("[thresholds]\nmax_bad = 'some'", "expected: a number"),
        ("[cluster]\nworkers = true", "expected: a whole number"),
        ("[methods]\nbaselines = 'bdir'", "expected: a list of texts"),
        ("[method_settings]\n'estimatr.window_px' = 3", "did you mean 'estimator'?"),
        ("[other_methods]\nRestormer = 3", "not the folder of a method"),
        ("[source\n", "this is no TOML"),
        ("[source]\nlayout = 'foldres'", "did you mean 'folders'?"),
        ("[methods]\ndeblurrer = 'wienr'", "did you mean 'wiener'?"),
    ],
)
def test_what_is_wrong_is_refused_with_what_was_meant(text: str, said: str, project: Path) -> None:
    write(text)
    result = run("plan", project / "pairs")
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr


def test_a_file_that_is_not_there_is_told() -> None:
    result = run("--settings", "nowhere.toml", "plan")
    assert (result.exit_code, "`ldp init` writes one" in result.stderr) == (1, True)


def test_deployments_take_from_it_what_they_do_not_name(tmp_path: Path) -> None:
    file = write('[source]\naddress = "s3://b/set"\nlayout = "dpdd"\n[methods]\ndeblurrer = "bdir"\n')
    named = {"source": "", "layout": None, "archive": "/a", "deblurrer": "ldp", "settings": str(file)}
    of_file = read_settings(str(file)).parameters
    assert merge(dict(of_file), named, of=restore_dataset) == {
        "source": "s3://b/set",
        "layout": "dpdd",
        "archive": "/a",
        "deblurrer": "ldp",
    }
    assert "deblurrer" not in merge(dict(of_file), {}, of=ingest_dataset)
    assert merge(dict(of_file), {"from_archive": True}, of=restore_dataset)["source"] == ""


def test_a_call_from_python_names_its_parameters_itself(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="read by deployments and commands") as caught:
        restore_dataset.fn("", "", str(tmp_path), settings="ldp.toml")
    assert isinstance(caught.value, LdpError)
