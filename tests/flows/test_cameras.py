"""`ldp cameras` and `ldp calibrate`: what ships, what it looks like, new profiles from measured kernels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.cameras import list_cameras, open_camera
from ldp_core.images import encode_image, read_image
from ldp_core.optics.kernels import KernelSpec, kernel_pair
from ldp_core.optics.render import render_views
from ldp_core.storage import write_bytes
from ldp_core.tensors import to_pixels


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
        assert f"summary {camera['summary']} kernels" in " ".join(run("cameras")[1].split())


@pytest.mark.parametrize("command", ["cameras", "models"])
def test_lists_fit_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(command)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80


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


def write_views(folder: Path, *, coc_px: float) -> Path:
    """One pair of texture at every scale, out of focus by the same all over, as a half disc shows it."""
    generator = torch.Generator().manual_seed(1)
    sizes = ((12, 18), (48, 72), (416, 608))
    planes = [torch.rand(1, 1, *size, generator=generator) for size in sizes]
    sharp = torch.stack([interpolate(plane, size=sizes[-1], mode="bicubic") for plane in planes]).mean(0)
    views = render_views(sharp.clamp(0, 1), torch.full(sharp.shape[1:], coc_px), KernelSpec(), slices=3)
    for name, view in zip(("left", "right"), views, strict=True):
        write_bytes(str(folder / name / "a.png"), encode_image(to_pixels(view[0], peak=65535)))
    return folder


def test_pairs_alone_become_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The views come from the generic lens, and that is what is found."""
    monkeypatch.setenv("COLUMNS", "80")
    output = tmp_path / "mine.json"
    source = write_views(tmp_path / "set", coc_px=10.0)
    code, out, err = run("calibrate", source, "-o", output, "--frame", "608x416")
    assert code == 0, err
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    profile = open_camera(str(output)).profile
    assert str(profile.card["residuals"]["unexplained"]) in out
    assert "not known" in out
    for place in ((0, 0), (0.7, 0.3)):
        found, true = open_camera(str(output)).kernel_at(*place), open_camera("generic").kernel_at(0, 0)
        assert found.disparity == pytest.approx(true.disparity, rel=0.07)


def test_pairs_in_focus_make_no_profile(tmp_path: Path) -> None:
    source = write_views(tmp_path / "set", coc_px=0.5)
    code, _, err = run("calibrate", source, "-o", tmp_path / "mine.json", "--frame", "608x416")
    assert code == 1
    assert "the pairs do not tell the camera's kernels" in err
    assert not (tmp_path / "mine.json").exists()


def test_a_fit_to_truths_needs_truths(tmp_path: Path) -> None:
    source = write_views(tmp_path / "set", coc_px=10.0)
    code, _, err = run("calibrate", source, "-o", tmp_path / "mine.json", "--fit", "truths")
    assert code == 1
    assert "pairs of views with a truth" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("cameras", "pixel-44"), "did you mean 'pixel-4'?"),
        (("cameras", "--draw", "a.png"), "no profile is named"),
        (("calibrate", "nowhere", "-o", "a.json"), "nowhere"),
        (("calibrate", "nowhere", "-o", "a.json", "--grid", "8"), "not a size\n  where: --grid"),
        (("calibrate", "nowhere", "-o", "a.json", "--grid", "0x6"), "not a size\n  where: --grid"),
        (("calibrate", "nowhere", "-o", "a.json", "--frame", "608"), "not a size\n  where: --frame"),
        (("calibrate", "nowhere", "-o", "a.txt"), "a camera profile is a JSON file"),
        (("calibrate", "nowhere", "-o", "My Camera.json"), "name='My Camera'"),
        (("restore", "nowhere", "--camera", "pixel-44"), "did you mean 'pixel-4'?"),
        (("plan", "nowhere", "--camera", "mine.json"), "no such camera profile"),
    ],
    ids=[
        "name",
        "nothing to draw",
        "no folder",
        "grid",
        "empty grid",
        "frame",
        "ending",
        "own name",
        "restore",
        "plan",
    ],
)
def test_mistakes_are_explained(
    arguments: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 1
    assert expected in err
    assert not list(tmp_path.glob("*.json"))


def test_kernels_of_two_sizes_are_refused(measured: Path, tmp_path: Path) -> None:
    left = measured / "blur_kernels_left.npy"
    np.save(left, np.load(left)[:, 2:-2, 2:-2])
    code, _, err = run("calibrate", measured, "-o", tmp_path / "mine.json", "--grid", "2x2")
    assert code == 1
    assert "the kernels of the two views differ in size" in err
    left.write_bytes(b"no array")
    _, _, err = run("calibrate", measured, "-o", tmp_path / "mine.json", "--grid", "2x2")
    assert "not a file of measured kernels" in err
    assert "pickle" not in err
    left.unlink()
    _, _, err = run("calibrate", measured, "-o", tmp_path / "mine.json", "--grid", "2x2")
    assert "[object_missing]" in err
    assert "blur_kernels_left.npy" in err
