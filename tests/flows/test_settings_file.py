"""`ldp init` and the settings file: written, read by commands and deployments, refused where it is wrong."""

from __future__ import annotations

import importlib
import inspect
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from run_samples import FIRST, make_dataset, run_planned
from typer.testing import CliRunner

from flows.cli import app
from flows.cli.options import FROM_FILE, Command
from flows.deployed import merge
from flows.ingest import ingest_dataset
from flows.report import report_dataset
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


WRITES_IT = ("init",)
"""The one command that does not read the file: a faulty one must not hinder writing another."""


def verbs() -> Iterator[tuple[str, ...]]:
    """Every command of `ldp`, those of `ldp train` included."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        if not hasattr(command, "commands"):
            yield words
            continue
        context = command.context_class(command, info_name=" ".join(words) or "ldp")
        found = ((name, command.resolve_command(context, [name])[1]) for name in command.commands)
        waiting += [((*words, name), one) for name, one in found]


ALL_VERBS = sorted(verbs())


def test_there_are_verbs_of_each_group() -> None:
    assert {("plan",), ("evaluate", "restoration"), ("train", "ldp-tiny", "fit"), *[WRITES_IT]} <= {
        *ALL_VERBS
    }


@pytest.mark.parametrize("verb", [verb for verb in ALL_VERBS if verb != WRITES_IT], ids=" ".join)
def test_every_verb_reads_the_file_and_its_help_does_not_need_it(verb: tuple[str, ...]) -> None:
    write("[archive]\nadress = 'a'")
    result = run(*verb)
    assert (result.exit_code, "did you mean 'address'?" in result.stderr) == (1, True), result.output
    assert run(*verb, "--help").exit_code == 0


COMPARE = ("compare",)
NOT_TAKEN = {
    *((("evaluate", name), "deblurrer") for name in ("restoration", "families", "thin-structures")),
    (("evaluate", "maps"), "estimator"),
    (("evaluate", "detection"), "protocol"),
    (COMPARE, "archive"),
    (("init",), "source"),
    (("init",), "layout"),
    (("init",), "archive"),
}
"""Options named as a key that mean something else: which methods to measure, all by default; a protocol of
maps, not of pictures; a new file; and the first of several words, which may be a run
(`flows.cli.options.part_archive`)."""


def test_every_verb_takes_from_the_file_all_that_it_has_options_of(monkeypatch: pytest.MonkeyPatch) -> None:
    write("\n".join(line.removeprefix("# ") for line in write_example().splitlines()[3:]))
    options = read_settings("ldp.toml").options
    taken: dict[tuple[str, ...], set[str]] = {}

    def note(self: Any, context: Any) -> None:
        sources = {name: context.get_parameter_source(name) for name in context.params}
        taken[verb] = {name for name, source in sources.items() if source and source.name == FROM_FILE}

    monkeypatch.setattr(Command, "invoke", note)
    missing = set()
    for verb in ALL_VERBS:
        command: Any = typer.main.get_command(app)
        for name in verb:
            command = command.resolve_command(command.context_class(command, info_name="ldp"), [name])[1]
        required = [p for p in command.params if p.required and (p.name not in options or verb == COMPARE)]
        flags = [one.opts[:1] if one.param_type_name == "option" else [] for one in required]
        result = run(*verb, *(word for flag in flags for word in (*flag, "word")))
        assert verb in taken, (verb, result.output)
        named = {p.name for p in command.params if p.name in options}
        missing |= {(verb, name) for name in named - taken[verb]}
    assert missing == NOT_TAKEN
    assert taken["evaluate", "restoration"] == {"source", "layout", "camera", "peak", "to_srgb"}
    assert taken["simulate",] == {"workers"}


def test_a_run_is_named_without_its_archive_where_the_file_has_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f'[archive]\naddress = "{project}/archive"\n')
    assert json.loads(run("status", FIRST, "--json").stdout)["run_id"] == FIRST
    listed = json.loads(run("status", "--json").stdout)
    assert FIRST in [one["run_id"] for one in listed["runs"]]
    named = run("compare", FIRST, "20270101t000000z-000000")
    assert "no such run\n  where: 20270101t000000z-000000" in named.stderr
    monkeypatch.chdir(project)
    assert (
        json.loads(run("--settings", tmp_path / "ldp.toml", "status", "archive", "--json").stdout) == listed
    )


def test_the_address_of_a_run_goes_before_the_archive_of_the_file(project: Path, tmp_path: Path) -> None:
    write('[archive]\naddress = "elsewhere"\n')
    address = f"{project}/archive/runs/{FIRST}"
    for verb in (("quarantine",), ("export", "--table", "t.csv"), ("figure", "--latex")):
        found = run(*verb, address)
        assert found.exit_code == 0, found.output
    refused = run("quarantine", address, "--archive", "archive")
    assert (refused.exit_code, "another archive" in refused.stderr) == (1, True)
    assert run("quarantine", address, "--archive", f"{project}/archive/").exit_code == 0


def test_every_deployment_names_a_settings_file() -> None:
    text = (Path(__file__).parents[2] / "prefect.yaml").read_text()
    for deployment in yaml.safe_load(text)["deployments"]:
        path, _, name = deployment["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
        assert "settings" in inspect.signature(flow.fn).parameters, name
        assert deployment["parameters"]["settings"] == "{{ $LDP_SETTINGS }}", name


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
    assert merge(dict(of_file), {"run_id": FIRST, "archive": "/a"}, of=report_dataset) == {
        "run_id": FIRST,
        "archive": "/a",
    }
    assert merge(dict(of_file), {"from_archive": True}, of=restore_dataset)["source"] == ""


def test_a_call_from_python_names_its_parameters_itself(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="read by deployments and commands") as caught:
        restore_dataset.fn("", "", str(tmp_path), settings="ldp.toml")
    assert isinstance(caught.value, LdpError)
