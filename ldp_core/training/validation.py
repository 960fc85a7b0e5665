"""What networks are measured on: pictures with their truths, never trained on; and contact sheets of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from torch import Tensor

from ldp_core.cameras import Camera, is_generic, list_cameras, open_camera
from ldp_core.cameras.kernel_numbers import kernel_planes
from ldp_core.deblur.ldp_network import coc_planes, lay_planes
from ldp_core.errors import CatalogueError, SettingsError
from ldp_core.metrics import align, psnr_db
from ldp_core.metrics.fidelity import PSNR_CEILING_DB
from ldp_core.storage import write_bytes
from ldp_core.tensors import to_rgb
from ldp_core.training.frames import FrameCache, restore_untrained, to_bytes
from ldp_core.training.sources import read_pixels
from ldp_core.types import Pair, Region

FULL = Region()
# As many as fit on a screen, at a width at which blur is seen.
ROWS, WIDTH_PX = 6, 480


@dataclass(frozen=True, slots=True)
class ValidationSample:
    """A picture with its truth, images (3, h, w) in 0..1.

    `inputs` is what a network is given; `starts` are the images it has to improve on. Only `region` counts.
    `aligned` forgives a truth displaced by up to 4 px, as scores of `ldp restore` do; `any_gain` forgives a
    truth of another exposure: the image is scored times the one gain that fits it best.
    """

    name: str
    inputs: Mapping[str, Tensor]
    starts: Mapping[str, Tensor]
    sharp: Tensor
    region: Region = FULL
    aligned: bool = False
    any_gain: bool = False

    def score(self, image: Tensor) -> float:
        """PSNR in dB of an image of this sample's size; at most 100."""
        picture, truth = (x.clamp(0, 1).permute(1, 2, 0).numpy() for x in (image, self.sharp))
        if self.any_gain:
            picture = np.clip(picture * fit_gain(picture, truth, region=self.region), 0, 1)
        if self.aligned:
            return min(psnr_db(*align(picture, truth, region=self.region)), PSNR_CEILING_DB)
        return min(psnr_db(picture, truth, region=self.region), PSNR_CEILING_DB)

    @property
    def starting_scores(self) -> dict[str, float]:
        """PSNR in dB of what the network starts from."""
        return {name: self.score(image) for name, image in self.starts.items()}


Restore = Callable[[ValidationSample], Tensor]
"""A network's image (3, h, w) of a sample, on the CPU, not clamped."""


def measure(samples: Sequence[ValidationSample], restore: Restore) -> dict[str, float]:
    """Mean PSNR in dB over samples: of what the network starts from, and `restored`."""
    if not samples:
        return {}
    scores = [{**sample.starting_scores, "restored": sample.score(restore(sample))} for sample in samples]
    return {name: round(mean(score[name] for score in scores), 3) for name in scores[0]}


def pair_samples(cache: FrameCache) -> list[ValidationSample]:
    """Every frame of a cache that no run trains on, as a pair with the map of the disparity estimator."""
    cache.require_restored()
    samples = []
    for index in range(len(cache)):
        frame = cache[index]
        planes = coc_planes(torch.from_numpy(frame.maps[1])[None, None])[0]
        views = [to_rgb(view) for view in frame.matched_views]
        kernel = frame.kernel_planes
        samples.append(_pair_sample(f"frame-{index:04d}", *views, planes=planes, kernel=kernel))
    return samples


def single_samples(cache: FrameCache) -> list[ValidationSample]:
    """Every frame of a cache that no run trains on, as a single view: the mean of its views."""
    samples = []
    for index in range(len(cache)):
        left, right, sharp = (to_rgb(view) for view in cache[index].matched_views[:3])
        samples.append(single_sample(f"frame-{index:04d}", (left + right) / 2, sharp))
    return samples


def single_sample(name: str, view: Tensor, sharp: Tensor, *, top: int = 0) -> ValidationSample:
    """A single view (3, h, w) with its truth; rows from `top` count."""
    return ValidationSample(name, {"view": view}, {"input": view}, sharp, Region(top=top))


def fit_gain(picture: NDArray[np.float32], truth: NDArray[np.float32], *, region: Region) -> np.float32:
    """The factor on a picture (h, w, c) with which it comes nearest to its truth in a region."""
    inside = region.slices
    seen, wanted = picture[inside], truth[inside]
    return np.float32((seen * wanted).sum() / max(float((seen * seen).sum()), 1e-9))


def read_pairs(text: str) -> tuple[str, list[ValidationSample]]:
    """Pairs of `FOLDER`, `FOLDER:ROW` (first row that counts) or `FOLDER:ROW:HOW...`, and the folder's name.

    HOW is `align`, `gain` (see `ValidationSample`), or the name of a shipped camera profile; several are
    joined by colons. A folder holds `NAME_l.png`, `NAME_r.png` and `NAME_gt.png` of each.

    Raises:
        CatalogueError: the folder has no truth.
        SettingsError: the text is of another form.
    """
    folder, *rest = text.split(":")
    row, hows = _parse_row(rest[:1], text), set(rest[1:])
    cameras = hows & set(list_cameras())
    if len(cameras) > 1 or len(hows) < len(rest[1:]) or hows - cameras - {"align", "gain"}:
        raise _malformed(text, expected="FOLDER, FOLDER:ROW or FOLDER:ROW:align:gain:CAMERA")
    how = {"region": Region(top=row), "aligned": "align" in hows, "any_gain": "gain" in hows}
    camera = next((open_camera(name) for name in cameras if not is_generic(name)), None)
    names = sorted(path.name.removesuffix("_gt.png") for path in Path(folder).glob("*_gt.png"))
    if not names:
        raise CatalogueError("there are no pairs to measure on", where=folder, expected="NAME_{l,r,gt}.png")
    return Path(folder).name, [_read_pair(Path(folder), name, camera, how) for name in names]


def read_singles(text: str) -> tuple[str, list[ValidationSample]]:
    """Single views of `INPUTS:TRUTHS` or `INPUTS:TRUTHS:ROW`, globs whose sorted files pair one to one.

    Raises:
        CatalogueError: a glob finds nothing, or the two find different numbers of files.
        SettingsError: the text is of another form.
    """
    inputs, *rest = text.split(":")
    if not 1 <= len(rest) <= 2:
        raise _malformed(text, expected="INPUTS:TRUTHS or INPUTS:TRUTHS:ROW")
    found = [sorted(Path(glob).parent.glob(Path(glob).name)) for glob in (inputs, rest[0])]
    if not found[0] or len(found[0]) != len(found[1]):
        raise CatalogueError(
            "views and truths do not pair",
            where=text,
            expected="as many truths as views, and at least one",
            got=f"{len(found[0])} views, {len(found[1])} truths",
            remedy="give two globs, quoted, such as 'lfdof/input/*.png:lfdof/ground_truth/*.png'",
        )
    top = _parse_row(rest[1:], text)
    samples = [
        single_sample(view.stem, to_rgb(read_pixels(view)), to_rgb(read_pixels(truth)), top=top)
        for view, truth in zip(*found, strict=True)
    ]
    return "/".join(found[0][0].parts[-3:-1]), samples


def draw_sheet(path: Path, samples: Sequence[ValidationSample], restore: Restore) -> None:
    """Write a PNG, a row per sample: what the network starts from, the network's image, the truth."""
    write_sheet(path, [(*s.starts.values(), restore(s), s.sharp) for s in samples[:ROWS]])


def write_sheet(path: Path, images: Sequence[Sequence[Tensor]]) -> None:
    """Write a PNG of rows of images (3, h, w) in 0..1, reduced to a width that can be looked at.

    Without rows nothing is written.
    """
    if not images:
        return
    rows = [np.concatenate([_shrink(image) for image in row], axis=1) for row in images]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    buffer = BytesIO()
    PilImage.fromarray(np.concatenate(padded)).save(buffer, "PNG")
    write_bytes(str(path), buffer.getvalue())


def _shrink(image: Tensor) -> NDArray[np.uint8]:
    """(3, h, w) in 0..1 to (h', w', 3) of a width that fits the sheet."""
    pixels = to_bytes(image.permute(1, 2, 0).cpu().numpy())
    height, width = pixels.shape[:2]
    target = min(width, WIDTH_PX)
    size = (target, round(height * target / width))
    return np.asarray(PilImage.fromarray(pixels).resize(size, PilImage.Resampling.LANCZOS))


def _read_pair(folder: Path, name: str, camera: Camera | None, how: Mapping[str, Any]) -> ValidationSample:
    views = [read_pixels(folder / f"{name}_{view}.png") for view in ("l", "r", "gt")]
    blur_map, wiener = restore_untrained(Pair(f"validation/{name}", views[0], views[1]), camera)
    images, planes = [to_rgb(view) for view in (*views, wiener)], lay_planes(blur_map)[0]
    kernel = kernel_planes(camera, *blur_map.values.shape)
    return replace(_pair_sample(name, *images, planes=planes, kernel=kernel), **how)


def _pair_sample(
    name: str, left: Tensor, right: Tensor, sharp: Tensor, wiener: Tensor, *, planes: Tensor, kernel: Tensor
) -> ValidationSample:
    inputs = {"left": left, "right": right, "guess": wiener, "planes": planes, "kernel": kernel}
    return ValidationSample(name, inputs, {"input": (left + right) / 2, "wiener": wiener}, sharp)


def _parse_row(found: Sequence[str], text: str) -> int:
    row = "".join(found) or "0"
    if not row.isdigit():
        raise _malformed(text, expected="a row, such as 44, after the colon")
    return int(row)


def _malformed(text: str, *, expected: str) -> SettingsError:
    return SettingsError(
        "this does not name what to measure on", where="--measure", expected=expected, got=text
    )
