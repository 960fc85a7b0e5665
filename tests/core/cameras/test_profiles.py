"""Camera profiles: the file, its digest, its kernels over the frame, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ldp_core.cameras import Camera, CameraProfile, SensorFrame, list_cameras, open_camera
from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.errors import ObjectMissingError, SettingsError
from ldp_core.optics.kernels import DEFAULT_KERNEL, KernelSpec, UnitPsf, kernel_pair, unit_psf

PUPIL = {"softness": 0.7, "shift": 0.4, "coma": 0.8, "stretch": 0.2}
FRAME = {"width": 1200, "height": 800}


def write_profile(folder: Path, name: str = "mine", **fields: Any) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"format": "ldp-camera", "version": 1, "name": name, **fields}))
    return str(path)


def write_pupil(folder: Path, name: str = "mine", **frame: Any) -> str:
    return write_profile(folder, name, kernels={"kind": "pupil", "pupil": PUPIL}, frame=FRAME | frame)


def measured(count: int, *, radius_px: float = 9.0) -> np.ndarray[Any, Any]:
    """Kernels (count, 2, 31, 31) that differ in their crosstalk."""
    kernels = []
    for index in range(count):
        pair = kernel_pair(KernelSpec(crosstalk=0.3 * index / count), 2 * radius_px)
        pad = (31 - pair[0].shape[0]) // 2
        kernels.append(np.stack([np.pad(side.numpy(), pad) for side in pair]))
    return np.stack(kernels).astype(np.float32)


def write_grid(folder: Path, *, rows: int = 2, columns: int = 3, name: str = "grid") -> str:
    np.save(folder / f"{name}.npy", measured(rows * columns))
    digest = hashlib.sha256((folder / f"{name}.npy").read_bytes()).hexdigest()
    kernels = {"kind": "grid", "rows": rows, "columns": columns, "file": f"{name}.npy", "sha256": digest}
    return write_profile(folder, name, kernels=kernels, frame=FRAME)


class TestShipped:
    def test_generic_is_the_kernel_that_methods_use_without_a_profile(self) -> None:
        assert open_camera("generic").uniform_kernel == DEFAULT_KERNEL

    def test_each_has_its_name_a_card_and_an_address(self) -> None:
        for name in list_cameras():
            camera = open_camera(name)
            assert camera.name == camera.address == name
            assert {"summary", "data", "licence"} <= set(camera.profile.card)

    def test_each_gives_kernels_all_over_the_frame(self) -> None:
        for name in list_cameras():
            for x, y in ((0, 0), (1, 0.75), (-1, 0.6), (0.3, -0.7)):
                psf = open_camera(name).kernel_at(x, y)
                torch.testing.assert_close(psf.values.sum((1, 2)), torch.ones(2, dtype=torch.float64))
                assert 0.02 < psf.disparity / 2 < 0.35


class TestDigest:
    def test_card_matches_and_name_do_not_change_it(self, tmp_path: Path) -> None:
        plain = open_camera(write_pupil(tmp_path)).profile
        more = plain.model_copy(update={"card": {"data": "x"}, "name": "other"})
        assert plain.digest == more.digest

    @pytest.mark.parametrize(
        "change",
        [
            {"frame": FRAME | {"scale": 2.0}},
            {"kernels": {"kind": "pupil", "pupil": PUPIL | {"coma": 0.81}}},
            {"views_exchanged": True},
        ],
        ids=["frame", "kernels", "views"],
    )
    def test_what_results_depend_on_changes_it(self, tmp_path: Path, change: dict[str, Any]) -> None:
        fields = {"kernels": {"kind": "pupil", "pupil": PUPIL}, "frame": FRAME}
        first, second = (
            open_camera(write_profile(tmp_path, name, **(fields | extra))).profile.digest
            for name, extra in (("a", {}), ("b", change))
        )
        assert first != second

    def test_an_address_is_bound_to_the_digest(self, tmp_path: Path) -> None:
        camera = open_camera(write_pupil(tmp_path))
        assert open_camera(camera.address).profile == camera.profile
        write_pupil(tmp_path, scale=2.0)
        with pytest.raises(SettingsError, match="has changed"):
            open_camera(camera.address)

    def test_a_relative_path_becomes_an_address_for_everywhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_pupil(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert open_camera("mine.json").address.startswith(str(tmp_path / "mine.json#"))


class TestFrame:
    def test_a_crop_lies_in_the_middle(self) -> None:
        x, y = SensorFrame(width=2016, height=1512, scale=1.0).places(1008, 1344)
        assert float(x[0]) == pytest.approx(-(1344 - 1) / 2016)
        assert float(x[-1]) == pytest.approx((1344 - 1) / 2016)
        assert float(y[0]) == pytest.approx(-(1008 - 1) / 2016)

    def test_without_a_scale_every_width_is_that_of_the_frame(self) -> None:
        for width, height in ((840, 560), (1680, 1120)):
            x, y = SensorFrame(width=6720, height=4480).places(height, width)
            assert float(x[-1]) == pytest.approx(1 - 1 / width)
            assert float(y[-1]) == pytest.approx(2 / 3 - 1 / width)

    def test_a_centre_moves_all_places(self) -> None:
        plain = SensorFrame(**FRAME, scale=1.0).places(100, 120)
        moved = SensorFrame(**FRAME, scale=1.0, centre_x=0.5, centre_y=-0.25).places(100, 120)
        assert float((moved[0] - plain[0]).mean()) == pytest.approx(0.5)
        assert float((moved[1] - plain[1]).mean()) == pytest.approx(-0.25)

    @pytest.mark.parametrize("rotation", [0, 90, 180, 270])
    def test_a_turned_picture_shows_the_same_kernels(self, rotation: int) -> None:
        """Pictures of kernels are turned, transposed where their axis is y, and compared with the kernels."""
        profile = CameraProfile(
            name="turned",
            kernels={"kind": "pupil", "pupil": PUPIL},  # type: ignore[arg-type]
            frame=SensorFrame(width=1200, height=1200, rotation=rotation),  # type: ignore[arg-type]
        )
        straight = profile.model_copy(update={"frame": SensorFrame(width=1200, height=1200)})
        row, column = 1, 4
        grids = []
        for one in (straight, profile):
            places = Camera(one).places(6, 6)
            grids.append(
                [[Camera(one).kernel_at(*places[:, i, j].tolist()) for j in range(6)] for i in range(6)]
            )
        turns = -rotation // 90
        index = np.rot90(np.arange(36).reshape(6, 6), turns)
        index = index.T if rotation in (90, 270) else index
        i, j = divmod(int(index[row, column]), 6)
        left, right = _turned(grids[0][i][j], rotation)
        got = grids[1][row][column]
        torch.testing.assert_close(_sorted(got), torch.stack([left, right]))

    def test_a_picture_beyond_the_frame_is_refused_and_one_within_it_is_not(self) -> None:
        frame = SensorFrame(**FRAME, scale=1.0)
        frame.places(800, 1200)
        with pytest.raises(SettingsError, match="does not fit"):
            frame.places(800, 1300)
        with pytest.raises(SettingsError, match="does not fit"):
            frame.places(900, 1200)


def _sorted(psf: UnitPsf) -> torch.Tensor:
    """Values with ascending coordinates."""
    rows, columns = psf.y.argsort(), psf.x.argsort()
    return psf.values[:, rows][:, :, columns]


def _turned(psf: UnitPsf, rotation: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The sensor's kernels as they lie in a picture turned clockwise and then transposed if its axis is y."""
    views = [torch.rot90(view, -rotation // 90, (0, 1)) for view in psf.values]
    views = [view.T for view in views] if rotation in (90, 270) else views
    first, second = (float((view.sum(0) * psf.x).sum()) for view in views)
    return (views[0], views[1]) if first < second else (views[1], views[0])


class TestKernels:
    def test_a_lens_without_errors_is_the_half_disc(self) -> None:
        ideal = pupil_psf(PupilModel(rim=0.001), 0.5, 0.3)
        half_disc = unit_psf(KernelSpec())
        assert ideal.disparity == pytest.approx(half_disc.disparity, rel=0.01)

    def test_views_of_opposite_places_are_mirror_images(self) -> None:
        model = PupilModel(**PUPIL)
        here, there = pupil_psf(model, 0.6, 0.2), pupil_psf(model, -0.6, 0.2)
        torch.testing.assert_close(here.values[0], there.values[1].flip(1))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("softness", 0.6),
            ("crosstalk", 0.2),
            ("shift", 0.5),
            ("rim", 0.2),
            ("ring", 0.8),
            ("ring_growth", 0.8),
            ("coma", 1.0),
            ("stretch", 0.4),
            ("spread", 0.4),
            ("vignette", 0.5),
            ("crosstalk_growth", 0.2),
        ],
    )
    def test_each_parameter_of_the_lens_changes_kernels_off_the_axis(self, name: str, value: float) -> None:
        plain, changed = (pupil_psf(PupilModel(**more), 0.7, 0.4) for more in ({}, {name: value}))
        assert float((_moments(plain) - _moments(changed)).abs().max()) > 0.005

    def test_a_grid_gives_its_cells_at_their_middles_and_mixes_between(self, tmp_path: Path) -> None:
        camera = open_camera(write_grid(tmp_path))
        aspect = FRAME["height"] / FRAME["width"]
        first, second = (camera.kernel_at(x, -0.5 * aspect) for x in (-2 / 3, 0.0))
        between = camera.kernel_at(-1 / 3, -0.5 * aspect)
        torch.testing.assert_close(between.values, (first.values + second.values) / 2)
        assert first.disparity > between.disparity > second.disparity
        expected = unit_psf(KernelSpec(crosstalk=0.05)).disparity
        assert second.disparity == pytest.approx(expected, rel=0.03)

    def test_disparity_by_place_is_that_of_the_kernels(self, tmp_path: Path) -> None:
        camera = open_camera(write_pupil(tmp_path))
        factors, places = camera.disparity_per_coc(80, 120), camera.places(80, 120)
        for i, j in ((0, 0), (40, 60), (70, 15)):
            kernel = camera.kernel_at(*places[:, i, j].tolist())
            assert float(factors[i, j]) == pytest.approx(kernel.disparity / 2, rel=0.01)

    def test_disparity_of_one_kernel_is_the_same_everywhere(self, tmp_path: Path) -> None:
        kernels = {"kind": "uniform", "kernel": {"crosstalk": 0.2}}
        camera = open_camera(write_profile(tmp_path, kernels=kernels))
        factor = unit_psf(KernelSpec(crosstalk=0.2)).disparity / 2
        assert bool((camera.disparity_per_coc(8, 9) == torch.tensor(factor, dtype=torch.float32)).all())


def _moments(psf: UnitPsf) -> torch.Tensor:
    """Of both views: moments up to the fourth order, which tell kernels on different coordinates apart."""
    x, y = psf.x[None, :], psf.y[:, None]
    powers = [x**i * y**j for i in range(5) for j in range(5 - i)]
    return torch.stack([(psf.values * power).sum((1, 2)) for power in powers])


class TestRefused:
    @pytest.mark.parametrize(
        "content", ["", "[" * 100_000, "[]", "{}", "\x00", '{"format": "other"}', '{"a": NaN']
    )
    def test_a_file_that_is_no_profile(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(SettingsError, match="no camera profile"):
            open_camera(str(tmp_path / "a.json"))

    @pytest.mark.parametrize(
        "fields",
        [
            {"kernels": {"kind": "pupil", "pupil": PUPIL}},
            {"kernels": {"kind": "pupil", "pupil": {"softness": -1}}, "frame": FRAME},
            {"kernels": {"kind": "magic"}},
            {"frame": FRAME | {"rotation": 45}},
            {"frame": FRAME | {"rotation": 90}, "dp_axis": "x"},
            {"name": "../up"},
            {"unknown": 1},
            {"version": 2},
        ],
        ids=["no frame", "range", "family", "rotation", "axis", "name", "field", "version"],
    )
    def test_a_profile_with_a_fault(self, tmp_path: Path, fields: dict[str, Any]) -> None:
        path = write_profile(tmp_path)
        content = json.loads(Path(path).read_text())
        Path(path).write_text(json.dumps(content | fields))
        with pytest.raises(SettingsError, match="not valid"):
            open_camera(path)
        Path(path).write_text(json.dumps(content))
        open_camera(path)

    def test_a_name_that_is_not_shipped(self) -> None:
        with pytest.raises(SettingsError, match="no such camera profile") as caught:
            open_camera("generics")
        assert "did you mean 'generic'?" in str(caught.value)

    def test_an_address_without_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(ObjectMissingError, match="no such camera profile"):
            open_camera(str(tmp_path / "none.json"))

    @pytest.mark.parametrize("shift", [-3.0, 3.0])
    def test_views_that_are_not_apart(self, tmp_path: Path, shift: float) -> None:
        """No circle of confusion can be told there; a map would be infinite, or its sign the other one."""
        pupil = {"kind": "pupil", "pupil": {"shift": shift}}
        path = write_profile(tmp_path, kernels=pupil, frame={"width": 96, "height": 64})
        with pytest.raises(SettingsError, match="not apart"):
            open_camera(path).disparity_per_coc(64, 96)

    def test_kernels_that_are_not_beside_the_profile(self, tmp_path: Path) -> None:
        path = write_grid(tmp_path)
        (tmp_path / "grid.npy").unlink()
        with pytest.raises(SettingsError, match="missing"):
            open_camera(path).kernel_at(0, 0)

    def test_kernels_that_were_altered(self, tmp_path: Path) -> None:
        path = write_grid(tmp_path)
        np.save(tmp_path / "grid.npy", measured(6, radius_px=8))
        with pytest.raises(SettingsError, match="not those"):
            open_camera(path).kernel_at(0, 0)

    @pytest.mark.parametrize(
        "grid",
        [
            np.zeros((6, 2, 31, 31), np.float32),
            np.full((6, 2, 31, 31), np.nan, np.float32),
            np.ones((5, 2, 31, 31), np.float32),
            np.ones((6, 2, 31, 30), np.float32),
            np.full((6, 2, 3, 3), "a"),
        ],
        ids=["no light", "nan", "count", "square", "text"],
    )
    def test_kernels_of_another_shape(self, tmp_path: Path, grid: np.ndarray[Any, Any]) -> None:
        np.save(tmp_path / "grid.npy", grid)
        digest = hashlib.sha256((tmp_path / "grid.npy").read_bytes()).hexdigest()
        kernels = {"kind": "grid", "rows": 2, "columns": 3, "file": "grid.npy", "sha256": digest}
        path = write_profile(tmp_path, kernels=kernels, frame=FRAME)
        with pytest.raises(SettingsError, match=r"do not fit|no light"):
            open_camera(path).kernel_at(0, 0)
