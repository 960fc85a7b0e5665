"""Where the photographs of the two cameras lie, and which parts of them can be compared.

Canon EOS R6 II (Sdirt, ICCV 2025): one flat chart at two distances, near sharp at f/20, blurred at f/4.
Pixel 4 (Xin et al., ICCV 2021): scenes of flat objects with an all-in-focus image and a defocus map; the
published frames are cut from the centre of a frame half as large again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import torch
from torch import Tensor

from ldp_core.errors import CatalogueError
from ldp_core.images import read_image
from ldp_core.optics.realism.windows import REACH_PX, SIDE_PX, Window, cut_window, texture
from ldp_core.optics.transfer import Transfer, decode_light
from ldp_core.storage import exists, join, list_objects

CANON_DISTANCES_MM = ("0600", "1500")
CALIBRATION = ("dp", "pixel4_raw", "calibration")
PIXEL4_FRAME = 1.5
_SCENES = ("dp", "pixel4")
_CHART = ("dp", "canon_r6m2", "flat", "001")
_DEFOCUS = "_defocus.png"
_GRID = (3, 3)
_STEP_PX = 72
_SPARSE = 4
_PER_SCENE = 5
_KNOWN_SHARE = 0.97
_SPREAD = 6 / 255
_LEAST_TEXTURE = 0.006


def require_photographs(root: str) -> None:
    """Refuse a folder without the photographs of both cameras and the calibration.

    Raises:
        CatalogueError: one of the three is absent.
    """
    folders = (_CHART, _SCENES, CALIBRATION)
    absent = ["/".join(folder) for folder in folders if not exists(join(root, *folder))]
    if absent:
        raise CatalogueError(
            "the photographs to compare the simulation with are not there",
            where=root,
            expected=", ".join("/".join(folder) for folder in folders),
            got=f"no {', no '.join(absent)}",
            remedy="name the folder that holds `dp/`, with Sdirt's flat charts and the Pixel 4 of Xin et al.",
        )


def read_canon(root: str, *, grid: tuple[int, int] = _GRID) -> list[Window]:
    """A grid (rows, columns) of windows of the chart at each distance; one group per distance.

    Raises:
        ImageMissingError: a photograph is absent.
    """
    windows: list[Window] = []
    for distance in CANON_DISTANCES_MM:
        folder = join(root, *_CHART, distance)
        sharp = torch.stack([_read_light(join(folder, "f20", f"{side}.png")) for side in "lr"]).mean(0)
        views = torch.stack([_read_light(join(folder, "f4", f"{side}.png")) for side in "lr"])
        group = f"{int(distance)} mm"
        for top, left in _corners(sharp.shape, grid=grid):
            place = _blank(f"{group} at {left},{top}", group, sharp.shape, top=top, left=left)
            windows.append(cut_window(sharp, views, top=top, left=left, window=place))
    return windows


def read_pixel4(root: str, *, per_scene: int = _PER_SCENE) -> list[Window]:
    """The most textured windows of constant defocus of each scene; each is a group of its own.

    Raises:
        ImageMissingError: a photograph is absent.
    """
    windows: list[Window] = []
    for scene in _pixel4_scenes(root):
        base = join(root, *_SCENES, scene)
        sharp, left, right = (_read_light(f"{base}_{part}.png") for part in ("gt", "l", "r"))
        defocus = _read_plane(base + _DEFOCUS)
        views = torch.stack([left, right])
        for top, column in _flat_corners(sharp, defocus)[:per_scene]:
            name = f"scene {scene} at {column},{top}"
            place = _blank(name, name, sharp.shape, top=top, left=column, frame=PIXEL4_FRAME)
            windows.append(cut_window(sharp, views, top=top, left=column, window=place))
    return windows


def _pixel4_scenes(root: str) -> list[str]:
    names = list_objects(join(root, *_SCENES))
    return [name.removesuffix(_DEFOCUS) for name in names if name.endswith(_DEFOCUS)]


def _corners(shape: Sequence[int], *, grid: tuple[int, int]) -> Iterator[tuple[int, int]]:
    rows, columns = (
        dict.fromkeys(torch.linspace(REACH_PX, length - SIDE_PX - REACH_PX, count).int().tolist())
        for length, count in zip(shape, grid, strict=True)
    )
    return ((top, left) for top in rows for left in columns)


def _flat_corners(sharp: Tensor, defocus: Tensor) -> list[tuple[int, int]]:
    """Corners of windows of constant defocus, the most textured of each level first, all levels in turn."""
    tops, lefts = (range(REACH_PX, length - SIDE_PX - REACH_PX + 1, _STEP_PX) for length in sharp.shape)
    found: dict[int, list[tuple[float, tuple[int, int]]]] = {}
    for top in tops:
        for left in lefts:
            window = slice(top, top + SIDE_PX), slice(left, left + SIDE_PX)
            level = _constant_level(defocus[window][::_SPARSE, ::_SPARSE])
            if level is not None and (contrast := texture(sharp[window])) > _LEAST_TEXTURE:
                found.setdefault(round(level * 12), []).append((contrast, (top, left)))
    ranked = [sorted(level, reverse=True) for _, level in sorted(found.items())]
    turns = chain.from_iterable(zip_longest(*ranked))
    return [turn[1] for turn in turns if turn is not None]


def _constant_level(defocus: Tensor) -> float | None:
    """The defocus of a window where it is known and the same throughout; 0 means unknown."""
    known = defocus[defocus > 0]
    if known.numel() < _KNOWN_SHARE * defocus.numel():
        return None
    low, middle, high = known.quantile(torch.tensor([0.03, 0.5, 0.97])).tolist()
    return float(middle) if high - low <= _SPREAD else None


def _blank(name: str, group: str, shape: Sequence[int], *, top: int, left: int, frame: float = 1.0) -> Window:
    """A window without pictures; `frame` is the size of the whole frame relative to the picture."""
    height, width = shape
    half_width = frame * width / 2
    x, y = (
        (corner + SIDE_PX / 2 - length / 2) / half_width for corner, length in ((left, width), (top, height))
    )
    return Window(name, group, x, y, sharp=torch.empty(0), views=torch.empty(0))


def _read_light(url: str) -> Tensor:
    """Linear light (h, w) of a picture's only or green channel."""
    return decode_light(_read_plane(url), Transfer.GAMMA_22)


def _read_plane(url: str) -> Tensor:
    pixels = read_image(url)
    plane = torch.from_numpy(pixels[..., pixels.shape[2] // 2].astype("float32"))
    return plane / (255.0 if pixels.dtype.itemsize == 1 else 65535.0)
