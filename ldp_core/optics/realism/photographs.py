"""Windows of flat targets, photographed sharp and, through both halves of the pixels, out of focus.

Canon EOS R6 II (Sdirt, ICCV 2025): one flat chart at two distances, near sharp at f/20, blurred at f/4.
Pixel 4 (Xin et al., ICCV 2021): scenes of flat objects with an all-in-focus image and a defocus map; the
published frames are cut from the centre of a frame half as large again.

Everything is compared within a band of spatial frequencies, so that neither shading nor noise counts:
windows are kept as the spectrum of the band-passed sharp picture and the band-passed views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import torch
from torch import Tensor

from ldp_core.errors import CatalogueError, MetricError
from ldp_core.images import read_image
from ldp_core.optics.sensor import Transfer, decode_light
from ldp_core.signals import irfft2, rfft2
from ldp_core.storage import exists, join, list_objects

# The margin holds kernels of up to 81 px.
INNER_PX = 144
MARGIN_PX = 40
SIDE_PX = INNER_PX + 2 * MARGIN_PX
# Largest whole shift that is looked for; sharp pictures of the Pixel 4 lie about 2 px beside their views.
REACH_PX = 6
# The band: finer than 1 px is noise, coarser than 8 px is shading.
_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 8.0

CANON_DISTANCES_MM = ("0600", "1500")
CALIBRATION = ("dp", "pixel4_raw", "calibration")
# Side of the whole frame relative to the published pictures.
PIXEL4_FRAME = 1.5
_SCENES = ("dp", "pixel4")
_CHART = ("dp", "canon_r6m2", "flat", "001")
_DEFOCUS = "_defocus.png"
# The chart is flat: nine windows see the middle, the edges and the corners.
_GRID = (3, 3)
# Windows of the Pixel 4 start every 72 px, half a window. The defocus of one is constant where 97 % of it is
# known (every fourth pixel is looked at) and 94 % of that lies within 6 grey levels, .2 px of disparity.
_STEP_PX = 72
_SPARSE = 4
_KNOWN_SHARE = 0.97
_INNER_QUANTILES = (0.03, 0.5, 0.97)
_SPREAD = 6 / 255
# Least deviation within the band, in linear light: a flatter window says little about its kernel.
_LEAST_TEXTURE = 0.006
# Windows of a scene overlap and share objects: more of them add little.
_PER_SCENE = 5


@dataclass(frozen=True, slots=True)
class Window:
    """`sharp` (s, s) and `views` (2, s, s), linear light 0..1, s = `SIDE_PX`.

    `x` and `y` are its place in the frame in half widths from the centre; windows of one `group` share
    a circle of confusion.
    """

    name: str
    group: str
    x: float
    y: float
    sharp: Tensor
    views: Tensor


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one camera. `spectra` (n, s, s // 2 + 1) of the sharp pictures; `views` (n, 2, i, i)."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    group_of: Tensor
    places: tuple[tuple[float, float], ...]
    spectra: Tensor
    views: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def blur(self, kernels: Tensor) -> Tensor:
        """Models (n, 2, i, i) of the views by kernels (n, 2, k, k)."""
        spectra = self.spectra[:, None] * rfft2(kernels, (SIDE_PX, SIDE_PX))
        return _inner(irfft2(spectra, (SIDE_PX, SIDE_PX)), delay=kernels.shape[-1] // 2)

    def moved(self, shift_px: Tensor) -> Windows:
        """With the sharp pictures moved by (n, 2) rows and columns."""
        rows, columns = (f(SIDE_PX) for f in (torch.fft.fftfreq, torch.fft.rfftfreq))
        turns = shift_px[:, 0, None, None] * rows[:, None] + shift_px[:, 1, None, None] * columns
        return replace(self, spectra=self.spectra * torch.exp(-2j * torch.pi * turns))

    def kept(self, chosen: Sequence[int]) -> Windows:
        """Only the windows of these indices."""
        groups = tuple(dict.fromkeys(self.groups[self.group_of[index]] for index in chosen))
        return Windows(
            names=tuple(self.names[index] for index in chosen),
            groups=groups,
            group_of=torch.tensor([groups.index(self.groups[self.group_of[index]]) for index in chosen]),
            places=tuple(self.places[index] for index in chosen),
            spectra=self.spectra[list(chosen)],
            views=self.views[list(chosen)],
        )

    def group_means(self, values: Tensor) -> Tensor:
        """Means (g,) per group of values (n,)."""
        sums = torch.zeros(len(self.groups)).index_add(0, self.group_of, values)
        return sums / torch.bincount(self.group_of, minlength=len(self.groups))


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


def stack_windows(windows: Sequence[Window]) -> Windows:
    """Windows of one camera, band-passed.

    Raises:
        MetricError: there are none.
    """
    if not windows:
        raise MetricError(
            "there is no window to compare the simulation with",
            expected="flat, textured parts of the photographs",
            remedy="check that pictures, defocus maps and their sizes belong together",
        )
    groups = tuple(dict.fromkeys(window.group for window in windows))
    views = _band_spectra(torch.stack([window.views for window in windows]))
    return Windows(
        names=tuple(window.name for window in windows),
        groups=groups,
        group_of=torch.tensor([groups.index(window.group) for window in windows]),
        places=tuple((window.x, window.y) for window in windows),
        spectra=_band_spectra(torch.stack([window.sharp for window in windows])),
        views=_inner(irfft2(views, (SIDE_PX, SIDE_PX))),
    )


def cut_window(sharp: Tensor, views: Tensor, *, top: int, left: int, window: Window) -> Window:
    """`window` filled from pictures (h, w) and (2, h, w), the sharp one moved by whole pixels to match."""
    seen = views[:, top : top + SIDE_PX, left : left + SIDE_PX]
    dy, dx = _whole_shift(sharp[top : top + SIDE_PX, left : left + SIDE_PX], seen.mean(0))
    rows, columns = slice(top - dy, top - dy + SIDE_PX), slice(left - dx, left - dx + SIDE_PX)
    return replace(window, sharp=sharp[rows, columns], views=seen)


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
            if level is not None and (contrast := _texture(sharp[window])) > _LEAST_TEXTURE:
                found.setdefault(round(level * 12), []).append((contrast, (top, left)))
    ranked = [sorted(level, reverse=True) for _, level in sorted(found.items())]
    turns = chain.from_iterable(zip_longest(*ranked))
    return [turn[1] for turn in turns if turn is not None]


def _constant_level(defocus: Tensor) -> float | None:
    """The defocus of a window where it is known and the same throughout; 0 means unknown."""
    known = defocus[defocus > 0]
    if known.numel() < _KNOWN_SHARE * defocus.numel():
        return None
    low, middle, high = known.quantile(torch.tensor(_INNER_QUANTILES)).tolist()
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


def _texture(picture: Tensor) -> float:
    """Standard deviation of a picture (s, s) within the band."""
    return float(_inner(irfft2(_band_spectra(picture), (SIDE_PX, SIDE_PX))).std())


def _whole_shift(sharp: Tensor, view: Tensor) -> tuple[int, int]:
    """Rows and columns, up to `REACH_PX`, by which the content of `view` lies beyond that of `sharp`."""
    spectra = _band_spectra(view) * _band_spectra(sharp).conj()
    lags = irfft2(spectra, (SIDE_PX, SIDE_PX)).roll((REACH_PX, REACH_PX), (0, 1))
    reach = 2 * REACH_PX + 1
    best = int(lags[:reach, :reach].argmax())
    return best // reach - REACH_PX, best % reach - REACH_PX


def _band_spectra(planes: Tensor) -> Tensor:
    rows, columns = torch.fft.fftfreq(SIDE_PX)[:, None], torch.fft.rfftfreq(SIDE_PX)[None]
    exponent = -2 * torch.pi**2 * (rows**2 + columns**2)
    band = torch.exp(exponent * _FINE_SIGMA_PX**2) - torch.exp(exponent * _COARSE_SIGMA_PX**2)
    return rfft2(planes.contiguous(), (SIDE_PX, SIDE_PX)) * band


def _inner(planes: Tensor, *, delay: int = 0) -> Tensor:
    start = MARGIN_PX + delay
    return planes[..., start : start + INNER_PX, start : start + INNER_PX]
