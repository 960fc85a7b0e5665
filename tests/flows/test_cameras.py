"""`ldp cameras` and `ldp calibrate`: what ships, what it looks like, new profiles from measured kernels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.cameras import list_cameras, open_camera
from ldp_core.images import read_image
from ldp_core.optics.kernels import KernelSpec, kernel_pair


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """The same two kernels in 2 x 2 cells, 31 px each."""
    for view, kernel in zip(("left", "right"), kernel_pair(KernelSpec(softness=0.8), 20.0), strict=True):
        cell = np.pad(kernel.numpy(), (31 - kernel.shape[0]) // 2)
        np.save(tmp_path / f"blur_kernels_{view}.npy", np.stack([cell] * 4))
    return tmp_path


def test_shipped_profiles_are_listed_with_their_digests() -> None:
    code, out, _ = run("cameras", "--json")
    assert code == 0
    listed = {camera["name"]: camera for camera in json.loads(out)}
    assert set(listed) == set(list_cameras())
    for name, camera in listed.items():
        assert camera["sha256"] == open_camera(name).profile.digest
        assert camera["summary"] in run("cameras")[1].replace("\n", " ") or len(camera["summary"]) > 60


def test_a_profile_is_shown_with_its_card_and_drawn(tmp_path: Path) -> None:
    code, out, _ = run("cameras", "pixel-4", "--draw", tmp_path / "kernels.png")
    assert code == 0
    assert json.loads(out)["card"] == open_camera("pixel-4").profile.card
    picture = read_image(str(tmp_path / "kernels.png"))
    assert picture.shape[2] == 3
    left, right = picture[..., 0].astype(float), picture[..., 1].astype(float)
    middle = slice(picture.shape[1] * 4 // 9, picture.shape[1] * 5 // 9)
    columns = np.arange(middle.stop - middle.start)
    centres = [
        float((view[:, middle].sum(0) * columns).sum() / view[:, middle].sum()) for view in (left, right)
    ]
    assert centres[1] > centres[0] + 2  # behind the focal plane the right view lies at larger x


def test_measured_kernels_become_a_profile(measured: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.json"
    options = ("--grid", "2x2", "--frame", "1200x800", "--kernels", "grid", "--draw", tmp_path / "k.png")
    code, out, err = run("calibrate", measured, "-o", output, *options, "--json")
    assert code == 0, err
    camera = open_camera(str(output))
    assert json.loads(out)["sha256"] == camera.profile.digest
    assert camera.name == "mine"
    assert (tmp_path / "k.png").exists()
    assert (tmp_path / "mine.npy").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("cameras", "pixel-44"), "did you mean 'pixel-4'?"),
        (("cameras", "--draw", "a.png"), "no profile is named"),
        (("calibrate", "nowhere", "-o", "a.json"), "nowhere"),
        (("calibrate", "nowhere", "-o", "a.json", "--grid", "8"), "not a size"),
        (("restore", "nowhere", "--camera", "pixel-44"), "did you mean 'pixel-4'?"),
        (("plan", "nowhere", "--camera", "mine.json"), "no such camera profile"),
    ],
    ids=["name", "nothing to draw", "no folder", "grid", "restore", "plan"],
)
def test_mistakes_are_explained(
    arguments: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 1
    assert expected in err
    assert not list(tmp_path.glob("*.json"))
