"""The training commands: one run after another in a folder, options, machines with little installed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from network_samples import render_frames

from ldp_core.deblur import make_deblurrer
from ldp_core.training.__main__ import build_parser, main
from ldp_core.training.frames import FrameCache
from ldp_core.training.ldp_commands import HOLD_OUT_SEED
from ldp_core.training.registry import NETWORKS, STEPS, find_command
from ldp_core.training.session import RunFolder
from ldp_core.types import Pair
from ldp_core.weights import open_weights

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return render_frames(tmp_path_factory.mktemp("frames"), count=3)


@pytest.fixture(scope="module")
def hold_out(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return render_frames(tmp_path_factory.mktemp("hold-out"), count=1, seed=6)


def test_one_command_trains_and_goes_on_and_leaves_weights_with_their_card(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit = ["ldp", str(run), "--frames", "2", "--height", "64", "--width", "96", "--threads", "1"]
    fit += ["--crop", "32", "--batch", "1", "--size", "light"]
    assert main([*fit, "--steps", "1"]) == 0
    first = (run / "frames" / "views.u8").read_bytes()
    assert main([*fit, "--steps", "2"]) == 0
    assert (run / "frames" / "views.u8").read_bytes() == first
    assert RunFolder(run).load()["step"] == 2
    card = json.loads((run / "ldp.json").read_text())
    assert card["steps"] == 2
    assert card["not_trained_on"] == ["hold-out"]
    assert set(card["scores"]["hold-out"]) == {"input", "wiener", "restored"}
    opened = open_weights(str(run / "ldp.safetensors"), sha256=card["sha256"])
    assert all(tensor.dtype == torch.float16 for tensor in opened.tensors.values())
    deblurrer = make_deblurrer("ldp", {"weights": str(run / "ldp.safetensors"), "sha256": card["sha256"]})
    view = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert deblurrer.restore(Pair("a/b", view, view), None).shape == view.shape


def test_the_steps_can_be_taken_one_by_one(tmp_path: Path, cache: FrameCache, hold_out: FrameCache) -> None:
    run, weights = tmp_path / "run", tmp_path / "w.safetensors"
    fit = ["ldp", str(run), "--cache", str(cache.folder), "--crop", "32", "--batch", "1", "--threads", "1"]
    assert main([*fit, "--steps", "1", "--size", "light", "--hold-out", str(hold_out.folder)]) == 0
    assert main(["export", str(run), str(weights), "--threads", "1", "--full"]) == 0
    digest = json.loads(weights.with_suffix(".json").read_text())["sha256"]
    opened = open_weights(str(weights), sha256=digest)
    assert all(tensor.dtype == torch.float32 for tensor in opened.tensors.values())
    half = tmp_path / "half.safetensors"
    assert main(["export", str(run), str(half), "--threads", "1", "--full", "--correction", "0.5"]) == 0
    card = json.loads(half.with_suffix(".json").read_text())
    assert json.loads(open_weights(str(half), sha256=card["sha256"]).metadata["network"])["correction"] == 0.5
    assert card["network"]["correction"] == 0.5


def test_weights_of_two_runs_are_averaged_and_measured(
    tmp_path: Path, cache: FrameCache, hold_out: FrameCache
) -> None:
    frames, held, common = (
        str(cache.folder),
        str(hold_out.folder),
        ["--crop", "32", "--batch", "1", "--threads", "1", "--size", "light"],
    )
    runs = [tmp_path / name for name in ("one", "two")]
    for run, seed in zip(runs, ("1", "2"), strict=True):
        assert main(["ldp", str(run), "--cache", frames, "--steps", "1", "--seed", seed, *common]) == 0
    weights = tmp_path / "both.safetensors"
    export = ["export", str(runs[0]), str(weights), "--full", "--hold-out", held, "--threads", "1"]
    assert main([*export, "--also", str(runs[1])]) == 0
    card = json.loads(weights.with_suffix(".json").read_text())
    opened = open_weights(str(weights), sha256=card["sha256"])
    one, two = (RunFolder(run).load()["average"] for run in runs)
    for name, value in opened.tensors.items():
        torch.testing.assert_close(value, (one[name] + two[name]) / 2)
    assert card["scores"][hold_out.folder.name].keys() == {"input", "wiener", "restored"}
    other = [*common[:-1], "small"]
    assert main(["ldp", str(tmp_path / "other"), "--cache", frames, "--steps", "1", *other]) == 0
    assert main([*export, "--also", str(tmp_path / "other")]) == 1


@pytest.mark.parametrize("network", ["ldp", "bdir"])
def test_frames_that_are_trained_on_are_no_hold_out(
    network: str, tmp_path: Path, cache: FrameCache, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache of the same seed holds the same frames, as far as it goes."""
    again = render_frames(tmp_path / "again", count=1)
    assert (again[0].views == cache[0].views).all()
    fit = [network, str(tmp_path / "run"), "--cache", str(cache.folder), "--crop", "32", "--threads", "1"]
    assert main([*fit, "--steps", "1", "--hold-out", str(again.folder)]) == 1
    assert "the hold-out holds frames that are trained on" in capsys.readouterr().err


def test_weights_are_not_measured_on_frames_they_were_trained_on(tmp_path: Path, cache: FrameCache) -> None:
    run, frames = str(tmp_path / "run"), str(cache.folder)
    fit = ["ldp", run, "--cache", frames, "--crop", "32", "--batch", "1", "--threads", "1", "--size", "light"]
    assert main([*fit, "--steps", "1"]) == 0
    assert main(["export", run, str(tmp_path / "w.safetensors"), "--hold-out", frames]) == 1


def test_the_seed_of_the_hold_out_is_not_trained_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ldp", str(tmp_path / "run"), "--frames", "2", "--seed", str(HOLD_OUT_SEED)]) == 1
    assert "seed" in capsys.readouterr().err
    assert not (tmp_path / "run" / "frames").exists()


def test_the_command_line_reports_an_error_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ldp", str(tmp_path / "run"), "--cache", str(tmp_path / "none")]) == 1
    assert "no cache of frames" in capsys.readouterr().err


def test_without_a_name_the_networks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(f"    {name} " in listed for name in NETWORKS | STEPS)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["bdri"], "did you mean 'bdir'?"),
        (["ldp-tiny", "fti"], "did you mean 'fit'?"),
        (["ldp-tiny"], "choose"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_is_near(
    words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert remedy in capsys.readouterr().err


def test_an_option_out_of_range_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", str(tmp_path), "--frames", "0"]) == 1
    assert "frames='0'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "bdir runs/one --cache a/b --cache c/d --measure 'x/*.png:y/*.png:44' --plain --crop 64",
        "dbd run --masked cuhk --late-side 288 --teacher coc --note 'two words' --compile",
        "cache frames --family off_axis --family butterworth --crosstalk 0.0 --seed 5",
        "ldp-tiny fit run --patches pool --learning-rate 0.001 --minutes 2.5",
    ],
)
def test_options_say_what_to_type_to_have_them_again(words: str) -> None:
    command, rest = find_command(shlex.split(words))
    options = command.options.parse(vars(build_parser(command.options).parse_args(rest)))
    again = command.options.parse(vars(build_parser(command.options).parse_args(options.to_words())))
    assert again == options
    assert sorted(options.to_words()) == sorted(rest)


def test_what_to_type_names_no_place_of_one_machine() -> None:
    command, _ = find_command(["bdir"])
    options = command.options.parse(
        {"folder": "/a/b/c/run", "cache": ["/a/b/c"], "measure": ["/a/b/x:/c/d/y:4"]}
    )
    assert options.to_words() == ["c/run", "--cache", "b/c", "--measure", "b/x:d/y:4"]


def test_training_runs_where_little_is_installed(tmp_path: Path) -> None:
    """Frames, training and export, with everything absent that a bare GPU machine lacks."""
    absent = ("typer", "zarr", "dask", "prefect", "open_clip", "imagecodecs", "tifffile", "pandas", "pyarrow")
    program = f"""
import sys
sys.modules.update(dict.fromkeys({absent}))
from ldp_core.training.__main__ import main
frames, other, run, weights = sys.argv[1:]
for seed, folder in enumerate((frames, other)):
    size = ["--height", "64", "--width", "96", "--threads", "1"]
    assert main(["cache", folder, "--frames", "1", "--seed", str(seed), *size]) == 0
fit = ["--cache", frames, "--hold-out", other, "--steps", "1", "--batch", "1", "--crop", "32"]
assert main(["ldp", run, *fit]) == 0
assert main(["export", run, weights]) == 0
"""
    places = [str(tmp_path / name) for name in ("frames", "other", "run", "weights.safetensors")]
    done = subprocess.run(
        [sys.executable, "-c", program, *places], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "training step 1 of 1: other: input" in done.stdout
    assert (tmp_path / "weights.json").exists()
