"""`ldp evaluate` as a shell sees it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detection_samples import write_photographs
from torch import Tensor
from typer.testing import CliRunner

from flows.cli import app
from flows.cli.measure import print_maps
from ldp_core.blur.dd_network import LIGHT, DdNetwork
from ldp_core.deblur import DEBLURRERS
from ldp_core.evaluation import FamilyScore
from ldp_core.images import encode_image
from ldp_core.optics import KernelSpec, kernel_pair
from ldp_core.optics.realism.photographs import REACH_PX, SIDE_PX
from ldp_core.optics.render import render_views
from ldp_core.optics.rng import Rng
from ldp_core.optics.textures import spectral_noise
from ldp_core.types import AS_STORED, FloatMap, MeanScore, PixelOptions, Pixels
from ldp_core.weights import pack_weights

CLI = CliRunner()
KERNEL = KernelSpec(softness=0.4)
HEIGHT, WIDTH = SIDE_PX + 2 * REACH_PX, SIDE_PX + 2 * REACH_PX + 4


def run(*arguments: object) -> tuple[int, str, str]:
    result = CLI.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def write(path: Path, plane: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (255 * plane.clamp(0, 1)).round().to(torch.uint8).numpy()[..., None]
    path.write_bytes(encode_image(pixels, format="png"))


def photograph(seed: int, coc_px: float) -> tuple[Tensor, Tensor, Tensor]:
    """A flat, textured target (h, w) of a window or two: sharp, and as both views see it."""
    sharp = 0.5 + 0.1 * spectral_noise(Rng.from_seed(seed), HEIGHT, WIDTH, exponent=1.0)
    left, right = render_views(sharp[None, None], torch.full((1, HEIGHT, WIDTH), coc_px), KERNEL)
    return sharp, left[0, 0], right[0, 0]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Both cameras and a calibration in miniature, all of them seen through one half disc."""
    for distance, coc_px in (("0600", -8.0), ("1500", 6.0)):
        chart = tmp_path / "dp" / "canon_r6m2" / "flat" / "001" / distance
        sharp, left, right = photograph(int(distance), coc_px)
        for name, plane in (("f20/l", sharp), ("f20/r", sharp), ("f4/l", left), ("f4/r", right)):
            write(chart / f"{name}.png", plane)
    for scene in (1, 2):
        planes = (*photograph(scene, 14.0), torch.full((HEIGHT, WIDTH), 0.7))
        for part, plane in zip(("gt", "l", "r", "defocus"), planes, strict=True):
            write(tmp_path / "dp" / "pixel4" / f"00{scene}_{part}.png", plane)
    folder = tmp_path / "dp" / "pixel4_raw" / "calibration"
    folder.mkdir(parents=True)
    for side, kernel in zip(("left", "right"), kernel_pair(KERNEL, 22.0), strict=True):
        file = io.BytesIO()
        np.save(file, kernel.expand(48, -1, -1).numpy())
        (folder / f"blur_kernels_{side}.npy").write_bytes(file.getvalue())
    return tmp_path


def test_the_split_family_is_reported_closest_to_both_cameras(photographs: Path) -> None:
    families = ("--family", "disc", "--family", "measured")
    code, out, err = run("evaluate", "optics", photographs, *families, "--json")
    assert code == 0, err
    report = json.loads(out)
    for camera in ("canon_r6m2", "pixel4"):
        found = {fit["family"]: fit["zncc"] for fit in report["fits"] if fit["camera"] == camera}
        for view in (0, 1):
            assert found["unblurred"][view] < found["disc"][view] < found["measured"][view]
    signs = {fit["camera"]: fit["coc_px"] for fit in report["fits"] if fit["family"] == "measured"}
    assert signs["canon_r6m2"] == {"600 mm": pytest.approx(-8, rel=0.1), "1500 mm": pytest.approx(6, rel=0.1)}
    assert [row["family"] for row in report["correlations"]] == ["disc", "measured"]


def test_people_see_a_table(photographs: Path) -> None:
    code, out, _ = run("evaluate", "optics", photographs, "--family", "disc")
    assert code == 0
    assert "canon_r6m2" in out
    assert "pixel4: 2 windows" in out


def test_absent_photographs_exit_with_1_and_a_remedy(tmp_path: Path) -> None:
    code, _, err = run("evaluate", "optics", tmp_path)
    assert code == 1
    assert "[catalogue]" in err
    assert "dp/canon_r6m2" in err


def test_an_unknown_family_exits_with_1(tmp_path: Path) -> None:
    code, _, err = run("evaluate", "optics", tmp_path, "--family", "square")
    assert code == 1
    assert "half_disc" in err


def test_families_are_listed_with_every_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(deblurrers: list[str], *, scenes: int) -> list[FamilyScore]:
        return [FamilyScore("half-disc", name, scenes, 21.5, 0.75) for name in ("input", *deblurrers)]

    monkeypatch.setattr("ldp_core.evaluation.evaluate_families", score)
    code, out, _ = run("evaluate", "families", "--deblurrer", "wiener", "--scenes", 2)
    assert code == 0
    assert [line.split()[1:] for line in out.splitlines()[1:]] == [
        ["input", "2", "21.50", "0.750"],
        ["wiener", "2", "21.50", "0.750"],
    ]
    code, out, _ = run("evaluate", "families", "--scenes", 3, "--json")
    assert code == 0
    assert [row["subject"] for row in json.loads(out)] == ["input", *DEBLURRERS]


def test_families_of_an_unknown_method_are_an_error() -> None:
    code, _, err = run("evaluate", "families", "--deblurrer", "wizard")
    assert code == 1
    assert "no such deblurrer" in err


def test_maps_are_ranked_beside_their_controls() -> None:
    code, out, _ = run("evaluate", "maps", "--simulated", 1, "--json")
    assert code == 0
    (table,) = json.loads(out).values()
    assert {"random CLIP", "1 - ZNCC", "disparity", "LDP-tiny, as released"} <= table.keys()
    assert table["disparity"]["rho"] > table["random CLIP"]["rho"] + 0.2


def test_a_table_of_maps_shows_a_dash_where_nothing_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"one": {"auc": 0.5, "rho_signed": None}, "two": {"auc": 1.0, "rho_signed": -0.25}}
    print_maps({"set": rows})
    title, one, two = capsys.readouterr().out.splitlines()
    assert title.split() == ["set", "auc", "rho_signed"]
    assert one.split() == ["one", "0.500", "-"]
    assert two.split() == ["two", "1.000", "-0.250"]


def test_training_takes_its_steps_from_the_shell(tmp_path: Path) -> None:
    code, _, _ = run("train", "ldp", tmp_path, "--cache", tmp_path / "none")
    assert code == 1
    code, _, _ = run("train", "ldp-tiny", "fit", tmp_path, "--patches", tmp_path / "none")
    assert code == 1


@pytest.fixture
def masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs whose bright part is in focus, and a detector that knows."""

    def see(picture: Pixels) -> FloatMap:
        return (picture[..., 0] > 128).astype(np.float32)

    monkeypatch.setattr("ldp_core.evaluation.detection.load_detector", lambda **_: see)
    write_photographs(tmp_path, 10)
    return tmp_path


def test_detection_is_shown_beside_floors_published_figures_and_the_gate(masked: Path) -> None:
    code, out, err = run("evaluate", "detection", masked, "--all-in-focus", masked / "image")
    assert code == 0, err
    lines = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    assert lines["AUROC"].split() == [
        "AUROC",
        *("1.000 1.000-1.000 " + 2 * "0.500 0.500-0.500 ").split(),
        "10",
    ]
    assert "published, CUHK test split, not measured here" in lines
    assert {"D-DFFNet", "all in focus"} <= lines.keys()
    assert {"P1: 1.5 x mean, pooled", "P6: 2 x mean after min-max"} <= lines.keys()
    assert "10 photographs" in out
    assert err == ""


def test_detection_as_json_of_the_validation_split(masked: Path) -> None:
    code, out, _ = run("evaluate", "detection", masked, "--split", "validation", "--simulated", 1, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["images"] == 1
    assert report["methods"]["detector"]["means"]["mae"]["mean"] == 0
    assert set(report["gate"]) == {"photographs", "simulated"}


def test_detection_is_measured_by_a_published_protocol(masked: Path) -> None:
    code, out, _ = run("evaluate", "detection", masked, "--protocol", "pysodmetrics", "--json")
    assert code == 0
    measures = json.loads(out)["saliency"]
    assert measures["detector"]["s_measure"]["mean"] == pytest.approx(1, abs=1e-3)
    assert measures["all in focus"]["s_measure"]["mean"] < 0.8
    code, out, _ = run("evaluate", "detection", masked, "--protocol", "pysodmetrics")
    assert (code, "f_weighted" in out) == (0, True)
    code, _, err = run("evaluate", "detection", masked, "--protocol", "dpdd")
    assert (code, "ldp restore --protocol dpdd" in " ".join(err.split())) == (1, True)


def test_detection_warns_of_masks_the_other_way_round(masked: Path) -> None:
    code, out, err = run("evaluate", "detection", masked, "--white", "blur", "--json")
    assert code == 0
    assert "contradict" in err
    assert json.loads(out)["upside_down"]


def test_detection_in_a_folder_of_another_kind_is_an_error(tmp_path: Path) -> None:
    code, _, err = run("evaluate", "detection", tmp_path)
    assert code == 1
    assert "image/NAME" in err


def test_a_network_detects_in_photographs_of_any_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = DdNetwork(LIGHT)
    settings = json.dumps(LIGHT.model_dump(mode="json"))
    content = pack_weights(network.state_dict(), metadata={"network": settings})
    (tmp_path / "dd.safetensors").write_bytes(content)
    write_photographs(tmp_path, 2, masks="gt")
    digest = hashlib.sha256(content).hexdigest()
    chosen = ("--weights", tmp_path / "dd.safetensors", "--sha256", digest, "--white", "focus")
    code, out, err = run("evaluate", "detection", tmp_path, *chosen, "--scales", "one", "--flip", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["images"] == 2
    assert 0 < report["methods"]["detector"]["means"]["mae"]["mean"] < 1


def test_deblurrers_stand_side_by_side_on_a_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(
        source: str, *, layout: str, deblurrers: list[str], pixels: PixelOptions, camera: str
    ) -> tuple[MeanScore, ...]:
        asked.append((source, layout, deblurrers, pixels, camera))
        return (MeanScore("psnr_db", "wiener", "8 bit", 25.5, 24.0, 27.0, 5),)

    asked: list[tuple[str, str, list[str], PixelOptions, str]] = []
    monkeypatch.setattr("ldp_core.evaluation.restoration.evaluate_restoration", score)
    code, out, _ = run("evaluate", "restoration", "photos", "--layout", "canon-dpdd")
    assert code == 0
    _, protocol, mean = out.splitlines()
    assert protocol == "protocol: 8 bit"
    assert mean.split() == ["psnr_db", "wiener", "25.500", "24.000", "..", "27.000", "5"]
    code, out, _ = run(
        *("evaluate", "restoration", "photos", "--deblurrer", "wiener"),
        *("--peak", "4095", "--camera", "pixel-4", "--json"),
    )
    assert json.loads(out)[0]["mean"] == 25.5
    assert asked == [
        ("photos", "canon-dpdd", list(DEBLURRERS), AS_STORED, "generic"),
        ("photos", "folders", ["wiener"], PixelOptions(4095), "pixel-4"),
    ]


def test_a_dataset_that_cannot_be_measured_is_an_error(tmp_path: Path) -> None:
    code, _, err = run("evaluate", "restoration", tmp_path / "none")
    assert code == 1
    assert "do:" in err
