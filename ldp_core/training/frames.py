"""A cache of rendered frames, as a camera stores them: rendered once, cropped again and again.

A frame holds all that restoration works from: the views as a camera stores them, the blur map that
the disparity estimator reads in them, and the restoration by wiener; of a cache for networks of one
view, the views alone. Making one on a CPU costs as much as training on it several times over, so
frames are kept in memory-mapped files beside a JSON that says how many are complete. Training may
begin before the cache is full; a run repeats itself exactly only on a cache that no longer grows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from pydantic import Field
from torch import Tensor

from ldp_core.blur.disparity import DisparityEstimator
from ldp_core.cameras import Camera, CameraProfile
from ldp_core.cameras.kernel_numbers import kernel_planes, number_grid, spread_numbers
from ldp_core.deblur.wiener import WienerDeblurrer
from ldp_core.errors import SettingsError
from ldp_core.settings import Settings
from ldp_core.storage import write_bytes
from ldp_core.training.layered_scenes import (
    LayeredSettings,
    draw_layered_scene,
    render_layered_scene,
)
from ldp_core.training.lenses import ToldSettings, draw_told
from ldp_core.training.scenes import SceneSettings, draw_scene, render_scene
from ldp_core.training.sources import Image, Sources
from ldp_core.types import BlurMap, Pair, Pixels

Bytes = NDArray[np.uint8]
VIEWS = ("left", "right", "sharp", "wiener")
MAPS = ("coc_px", "estimate_px")
# Signed 8 bit reach 31.75 px in these steps, and scenes of one picture 26; an estimate beyond that is cut.
_COC_STEP_PX = 0.25
# A slanted group of a layered scene exceeds the largest circle of confusion by so much.
_SLANT = 1.4
_EXPOSURES = "exposures.f4"
_LENSES = "lenses"
# Places along each side of a frame at which its kernels are described: half of a camera's frame at most.
_NODES = 4


@dataclass(frozen=True, slots=True)
class Lens:
    """The camera of a frame, what was told of it when it was restored, and that in `numbers` (11, n, n)."""

    camera: Camera
    told: Camera | None
    numbers: Tensor


@dataclass(frozen=True, slots=True)
class Frame:
    """A photographed scene: `views` (4, h, w, 3) uint8 as `VIEWS`, `maps` (2, h, w) float32 as `MAPS`.

    Of a cache of views alone, the last of each are missing. The values of the views are those of an exposure
    `exposure` times the sharp picture's, 1 or less.
    """

    views: NDArray[np.uint8]
    maps: NDArray[np.float32]
    exposure: float = 1.0
    lens: Lens | None = None

    @property
    def kernel_planes(self) -> Tensor:
        """Numbers of the kernel (11, h, w) at every pixel, as they were told; zeros where nothing was."""
        height, width = self.maps.shape[1:]
        if self.lens is None:
            return kernel_planes(None, height, width)
        return spread_numbers(self.lens.numbers, height, width)

    @property
    def matched_views(self) -> NDArray[np.uint8]:
        """`views`, the sharp picture at the exposure of the others: what a network can know."""
        if self.exposure == 1.0:
            return self.views
        views = self.views.copy()
        views[2] = np.rint(views[2] * np.float32(self.exposure))
        return views


class CameraSettings(Settings):
    """How views are degraded; ranges are our own choices. Shares are probabilities per photograph."""

    # Views of the Canon scenes are at hand as animations of 256 colours only: about 35 dB of palette noise.
    palette_share: float = Field(default=0.4, ge=0, le=1)
    noise_share: float = Field(default=0.5, ge=0, le=1)
    largest_noise: float = Field(default=0.03, ge=0)
    grey_share: float = Field(default=0.15, ge=0, le=1)
    gain_deviation: float = Field(default=0.02, ge=0)
    jpeg_share: float = Field(default=0.0, ge=0, le=1)
    """Of views without a palette: stored as JPEG, quality 60 to 97."""
    # DPDD's truths are brighter than its views by up to a quarter in linear light.
    underexposed_share: float = Field(default=0.0, ge=0, le=1)
    largest_underexposure: float = Field(default=0.25, ge=0, lt=1)
    """How much less light the views got than the truth, at most."""


FIELD_CAMERA = CameraSettings(palette_share=0.3, jpeg_share=0.35, underexposed_share=0.5)
"""For layered scenes: what the pictures that cameras and datasets give away have been through."""


class FrameSettings(Settings):
    """What is photographed, and with what camera; `layered` scenes in place of `scene`, where given."""

    scene: SceneSettings = SceneSettings()
    layered: LayeredSettings | None = None
    camera: CameraSettings = CameraSettings()
    told: ToldSettings = ToldSettings()
    """What estimator and wiener, and a network, are told of the cameras of layered scenes."""
    views_only: bool = False
    """Frames hold neither the estimated map nor a restoration."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        scene = self.layered or self.scene
        return scene.height, scene.width

    @property
    def coc_step_px(self) -> float:
        """Step in which circles of confusion are stored."""
        reach = _SLANT * self.layered.largest_coc_px / 127 if self.layered else 0.0
        return max(_COC_STEP_PX, reach)


def render_frame(
    index: int,
    *,
    seed: int,
    sources: Sources,
    settings: FrameSettings,
    device: str = "cpu",
) -> Frame:
    """Frame number `index` of the endless sequence that `seed` stands for."""
    rng = np.random.default_rng([seed, index])
    *photographed, coc_px, camera = _photograph(rng, sources, settings, device=device)
    images = [view.permute(1, 2, 0).cpu().numpy() for view in photographed]
    images = recolour(rng, images, grey_share=settings.camera.grey_share)
    exposure = _draw_exposure(rng, settings.camera)
    left, right = take_views(rng, images[0] * exposure, images[1] * exposure, settings=settings.camera)
    views, maps = [left, right, to_bytes(images[2])], [coc_px.cpu().numpy()]
    lens = None
    if not settings.views_only:
        lens = None if camera is None else _tell(rng, camera, settings)
        told = None if lens is None else lens.told
        blur_map, wiener = restore_untrained(Pair(f"training/{index}", left, right), told)
        views.append(np.asarray(wiener, dtype=np.uint8))
        maps.append(blur_map.signed_coc_px())
    return Frame(views=np.stack(views), maps=np.stack(maps), exposure=float(exposure), lens=lens)


def _photograph(
    rng: np.random.Generator,
    sources: Sources,
    settings: FrameSettings,
    *,
    device: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Camera | None]:
    """Left, right and sharp (3, h, w) in 0..1, free of noise, circles of confusion (h, w), a layered
    scene's camera."""
    if settings.layered is None:
        scene = draw_scene(rng, sources, settings.scene)
        left, right = render_scene(scene, slices=settings.scene.slices, device=device)
        return left, right, scene.sharp, scene.coc_px, None
    layered = draw_layered_scene(rng, sources, settings.layered)
    rendered = render_layered_scene(layered, slices=settings.layered.slices, device=device)
    return rendered.left, rendered.right, rendered.sharp, rendered.coc_px, layered.camera


def _tell(rng: np.random.Generator, camera: Camera, settings: FrameSettings) -> Lens:
    told = draw_told(rng, camera, settings.told)
    return Lens(camera, told, number_grid(told, *settings.size, nodes=_NODES))


def _draw_exposure(rng: np.random.Generator, settings: CameraSettings) -> np.float32:
    """Factor on encoded values that stands for less light; 1 where none is drawn."""
    if not settings.underexposed_share or rng.random() >= settings.underexposed_share:
        return np.float32(1)
    return np.float32((1 - rng.uniform(0, settings.largest_underexposure)) ** (1 / 2.2))


def restore_untrained(pair: Pair, camera: Camera | None = None) -> tuple[BlurMap, Pixels]:
    """What the network starts from when it restores: the estimated map, and wiener's picture.

    Both use the kernels of the `camera`; without one, those of the generic profile.
    """
    blur_map = DisparityEstimator(camera=camera).estimate(pair)
    return blur_map, WienerDeblurrer(camera=camera).restore(pair, blur_map)


def recolour(rng: np.random.Generator, images: Sequence[Image], *, grey_share: float) -> list[Image]:
    """Channels in another order at times, one plane for all at others, and a common gain."""
    order = rng.permutation(3) if rng.random() < 0.3 else np.arange(3)
    if rng.random() < grey_share:
        order = np.array([1, 1, 1])
    gain = rng.uniform(0.7, 1.0)
    return [np.asarray(image[..., order] * gain, dtype=np.float32) for image in images]


class FrameCache:
    """Frames in a folder, in order of their index."""

    def __init__(self, folder: Path, *, mode: Literal["r", "r+"] = "r") -> None:
        self.folder = folder
        header = self._read_header()
        self.settings = FrameSettings.parse(header["settings"])
        self.seed: int = header["seed"]
        self.source_names: dict[str, list[str]] = header.get("sources", {})
        count, size = header["capacity"], self.settings.size
        views, maps = _count_planes(self.settings)
        shapes = (count, views, *size, 3), (count, maps, *size)
        self._views = np.memmap(folder / "views.u8", dtype=np.uint8, mode=mode, shape=shapes[0])
        self._maps = np.memmap(folder / "maps.i8", dtype=np.int8, mode=mode, shape=shapes[1])
        self._exposures = _open_exposures(folder, count, mode=mode)
        self._lenses: dict[int, Lens] = {}

    @classmethod
    def create(
        cls, folder: Path, *, capacity: int, seed: int, settings: FrameSettings, sources: Sources
    ) -> FrameCache:
        """An empty cache for `capacity` frames from these sources, or the one already there."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "cache.json").exists():
            frame_px = math.prod(settings.size)
            views, maps = _count_planes(settings)
            _reserve(folder / "views.u8", capacity * views * frame_px * 3)
            _reserve(folder / "maps.i8", capacity * maps * frame_px)
            if settings.camera.underexposed_share:
                _reserve(folder / _EXPOSURES, capacity * np.dtype(np.float32).itemsize)
            header = {
                "capacity": capacity,
                "seed": seed,
                "sources": sources.names,
                "settings": settings.model_dump(mode="json"),
            }
            _write_json(folder / "cache.json", {**header, "complete": 0})
        return cls(folder, mode="r+")

    def __len__(self) -> int:
        """Frames that are complete now; another process may be adding more."""
        return int(self._read_header()["complete"])

    def __getitem__(self, index: int) -> Frame:
        maps = self._maps[index].astype(np.float32) * np.float32(self.settings.coc_step_px)
        exposure = 1.0 if self._exposures is None else float(self._exposures[index])
        return Frame(self._views[index], maps, exposure, self._lens(index))

    def _lens(self, index: int) -> Lens | None:
        path = self.folder / _LENSES / f"{index:06d}.json"
        if index not in self._lenses and path.exists():
            self._lenses[index] = _read_lens(path)
        return self._lenses.get(index)

    def require_restored(self) -> None:
        """Raises SettingsError: frames of this cache have neither an estimated map nor a restoration."""
        if self.settings.views_only:
            raise SettingsError(
                "the frames of this cache are views alone",
                where=str(self.folder),
                expected="frames with the estimated map and the restoration by wiener",
                remedy="render others without --views-only",
            )

    def fill(self, sources: Sources, *, device: str = "cpu") -> Iterator[int]:
        """Render what is missing, and yield each index when its frame is complete."""
        header = self._read_header()
        for index in range(len(self), header["capacity"]):
            frame = render_frame(
                index, seed=self.seed, sources=sources, settings=self.settings, device=device
            )
            self._views[index] = frame.views
            self._maps[index] = np.clip(np.rint(frame.maps / self.settings.coc_step_px), -127, 127)
            if self._exposures is not None:
                self._exposures[index] = frame.exposure
            if frame.lens is not None:
                _write_lens(self.folder / _LENSES / f"{index:06d}.json", frame.lens)
            _write_json(self.folder / "cache.json", {**header, "complete": index + 1})
            yield index

    def _read_header(self) -> dict[str, Any]:
        path = self.folder / "cache.json"
        if not path.is_file():
            raise SettingsError(
                "there is no cache of frames",
                where=str(self.folder),
                expected="a folder with cache.json, views.u8 and maps.i8",
                remedy="render one first: ldp train cache FOLDER",
            )
        header: dict[str, Any] = json.loads(path.read_text())
        return header


def require_other_frames(trained_on: Collection[int], hold_out: Sequence[FrameCache]) -> None:
    """Refuse a hold-out that holds frames of the training.

    Caches of one seed draw the same pictures and places, whatever their lenses.

    Args:
        trained_on: seeds of the caches that are trained on.

    Raises:
        SettingsError: a hold-out has the seed of a cache that is trained on.
    """
    for cache in hold_out:
        if cache.seed in trained_on:
            raise SettingsError(
                "the hold-out holds frames that are trained on",
                where=str(cache.folder),
                expected="a cache of another seed than those that are trained on",
                got=f"seed {cache.seed}",
                remedy="render other frames: ldp train cache FOLDER --seed N",
            )


def take_views(
    rng: np.random.Generator, left: Image, right: Image, *, settings: CameraSettings
) -> tuple[Bytes, Bytes]:
    """The views (h, w, 3) in 0..1 as a file holds them; equal planes stay equal, without a palette."""
    grey = not np.ptp(left, axis=2).any()
    gain = 1 + _draw_ramp(rng, left.shape[1]) * settings.gain_deviation
    views = [left * gain, right * (2 - gain)]
    if rng.random() < settings.noise_share:
        read, shot = settings.largest_noise * np.exp(rng.uniform(-3, 0, 2))
        planes = 1 if grey else 3
        views = [add_noise(rng, view[..., :planes], read=read, shot=shot) for view in views]
    stored = [to_bytes(np.broadcast_to(view, left.shape)) for view in views]
    if not grey and rng.random() < settings.palette_share:
        colours = int(rng.integers(96, 257))
        stored = [reduce_palette(view, colours=colours) for view in stored]
    elif not grey and settings.jpeg_share and rng.random() < settings.jpeg_share:
        quality = int(rng.integers(60, 98))
        stored = [compress(view, quality=quality) for view in stored]
    return stored[0], stored[1]


def compress(view: Bytes, *, quality: int) -> Bytes:
    """(h, w, 3) uint8 as it comes back from a JPEG of this quality."""
    buffer = BytesIO()
    PilImage.fromarray(view).save(buffer, "JPEG", quality=quality)
    return np.asarray(PilImage.open(buffer))


def reduce_palette(view: Bytes, *, colours: int) -> Bytes:
    """(h, w, 3) uint8 in a palette of its own, with error diffusion, as animated GIFs are stored."""
    image = PilImage.fromarray(view)
    palette = image.quantize(colours, method=PilImage.Quantize.MEDIANCUT)
    dithered = image.quantize(palette=palette, dither=PilImage.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def add_noise(rng: np.random.Generator, view: Image, *, read: float, shot: float) -> Image:
    """Poisson-Gaussian noise on values 0..1: variance `read**2 + shot**2 * value`; clipped."""
    deviation = np.sqrt(read**2 + shot**2 * view.clip(0, 1))
    noise = rng.standard_normal(view.shape, dtype=np.float32)
    return np.asarray((view + deviation * noise).clip(0, 1), dtype=np.float32)


def to_bytes(view: Image) -> Bytes:
    return np.asarray(view.clip(0, 1) * 255 + 0.5, dtype=np.uint8)


def _draw_ramp(rng: np.random.Generator, width: int) -> Image:
    """(1, w, 1): a straight line across the view, of normal deviation."""
    start, stop = rng.standard_normal(2)
    return np.linspace(start, stop, width, dtype=np.float32)[None, :, None]


def _count_planes(settings: FrameSettings) -> tuple[int, int]:
    """How many views and maps a frame holds."""
    missing = int(settings.views_only)
    return len(VIEWS) - missing, len(MAPS) - missing


def _open_exposures(
    folder: Path, count: int, *, mode: Literal["r", "r+"]
) -> np.memmap[tuple[int], np.dtype[np.float32]] | None:
    """Exposures (count,) of the views; None where all are those of the truth."""
    path = folder / _EXPOSURES
    return np.memmap(path, dtype=np.float32, mode=mode, shape=(count,)) if path.exists() else None


def _write_lens(path: Path, lens: Lens) -> None:
    path.parent.mkdir(exist_ok=True)
    cameras = {"camera": lens.camera, "told": lens.told}
    profiles = {name: held and held.profile.model_dump(mode="json") for name, held in cameras.items()}
    _write_json(path, profiles | {"numbers": lens.numbers.tolist()})


def _read_lens(path: Path) -> Lens:
    held = json.loads(path.read_text())
    told = held["told"] and Camera(CameraProfile.parse(held["told"]))
    return Lens(Camera(CameraProfile.parse(held["camera"])), told, torch.tensor(held["numbers"]))


def _reserve(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _write_json(path: Path, content: object) -> None:
    write_bytes(str(path), json.dumps(content, indent=1).encode())
