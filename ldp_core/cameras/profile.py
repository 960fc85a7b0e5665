"""Camera profiles: what is known of a camera, as one small JSON file; arrays lie beside it.

A profile says what kernels the camera has over its frame, and where in the frame its pictures lie. With the
kernel comes how many pixels the views are apart for a circle of confusion of one pixel. What a method does
with a profile depends on its digest, which is part of the stage keys; the card says where it comes from and
changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any, Final, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ldp_core.cameras.kernel_fields import GridKernels, KernelsAt, KernelsModel, UniformKernels
from ldp_core.errors import ObjectMissingError, SettingsError, suggest
from ldp_core.optics.kernels import KernelSpec, UnitPsf, require_apart
from ldp_core.settings import Settings
from ldp_core.storage import absolute_url, join, read_bytes
from ldp_core.types import GENERIC_CAMERA, DpAxis

__all__ = [
    "Camera",
    "CameraMatch",
    "CameraProfile",
    "SensorFrame",
    "is_generic",
    "key_settings",
    "list_cameras",
    "mirror_kernel",
    "open_camera",
]

_SUFFIX: Final = ".json"
_BOUND: Final = "#"
# Kernels change slowly over the frame: between 9 x 9 places the factor of a Pixel 4 is off by at most .4 %.
_NODES: Final = 9
# A picture may be wider than the frame by a few pixels, as cameras and converters cut borders differently.
_TOLERANCE: Final = 1.02


class CameraMatch(Settings):
    """Names by which pictures tell their camera (EXIF); an empty one fits every picture."""

    make: str = ""
    model: str = Field(min_length=1)
    lens: str = ""


class SensorFrame(Settings):
    """The frame of the sensor, in pixels of its views, and where in it a picture lies.

    The frame's x runs along the dual-pixel axis. A picture is cut from the frame about a centre, made
    smaller, and turned.
    """

    width: int = Field(gt=0, le=2**20)
    height: int = Field(gt=0, le=2**20)
    scale: float | None = Field(default=None, gt=0, le=1024)
    """Pixels of the frame per pixel of the picture; null where every picture is as wide as the frame."""
    centre_x: float = Field(default=0.0, ge=-1, le=1)
    centre_y: float = Field(default=0.0, ge=-1, le=1)
    """Centre of the picture, in half widths of the frame from its centre."""
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees by which the picture is turned clockwise against the frame; by 90 or 270 its axis is y."""

    @property
    def mirrored(self) -> tuple[bool, bool]:
        """Whether a picture whose axis was brought along x is the frame mirrored in x, in y.

        Where the axis is y, methods see the transposed picture: turned and transposed is mirrored.
        """
        return self.rotation in (180, 270), self.rotation in (90, 180)

    def places(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Where the columns (w,) and rows (h,) of a picture, axis along x, lie in the frame: half widths.

        Raises:
            SettingsError: the picture is larger than the frame.
        """
        scale = self.width / width if self.scale is None else self.scale
        if scale * width > _TOLERANCE * self.width or scale * height > _TOLERANCE * self.height:
            raise SettingsError(
                "the picture does not fit into the frame of the camera",
                where="camera.frame",
                expected=f"at most {self.width}x{self.height} px of the sensor",
                got=f"{width}x{height} px, {scale:g} px of the sensor each",
                remedy="choose another profile, or correct `frame` in a copy of it",
            )
        x, y = (
            ((2 * torch.arange(side, dtype=torch.float64) + 1 - side) * scale / self.width)
            * (-1 if turned else 1)
            for side, turned in zip((width, height), self.mirrored, strict=True)
        )
        return x + self.centre_x, y + self.centre_y


class CameraProfile(Settings):
    """A camera as its file says. Fields that a file does not name have no effect."""

    format: Literal["ldp-camera"] = "ldp-camera"
    version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    matches: tuple[CameraMatch, ...] = ()
    """What `--camera auto` chooses this profile by."""
    kernels: KernelsModel = UniformKernels()
    frame: SensorFrame | None = None
    """Needed unless the kernel is the same everywhere."""
    dp_axis: DpAxis | None = None
    """Dual-pixel axis of its pictures; null: as the layout of a source says."""
    views_exchanged: bool = False
    """Whether the source calls left the view in which content behind the focal plane lies at larger x."""
    card: Mapping[str, Any] = Field(default_factory=dict)
    """Data, residuals and licence: for readers only."""

    @model_validator(mode="after")
    def _require_frame(self) -> Self:
        if self.frame is None and not isinstance(self.kernels, UniformKernels):
            raise ValueError("kernels that depend on the place need a `frame`")
        if self.frame is not None and self.dp_axis is not None:
            turned = self.frame.rotation in (90, 270)
            if turned != (self.dp_axis is DpAxis.Y):
                raise ValueError("`dp_axis` contradicts `frame.rotation`: turned by 90 or 270 the axis is y")
        return self

    @property
    def digest(self) -> str:
        """sha256 of all that results depend on: everything but the card and what it is chosen by.

        Defaults are left out, so that a later field changes no digest.
        """
        kept = self.model_dump(mode="json", exclude_defaults=True, exclude={"card", "matches", "name"})
        kept |= {"kernels": self.kernels.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Camera:
    """A profile ready for use: its kernels by place, in the directions of pictures along x."""

    profile: CameraProfile
    url: str = ""
    _kernels: dict[tuple[float, float], UnitPsf] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def address(self) -> str:
        """What `open_camera` finds it by: the name of a shipped one; else its URL, bound to its digest."""
        shipped = self.name in list_cameras() and self.url == _shipped_url(self.name)
        return self.name if shipped else f"{self.url}{_BOUND}{self.profile.digest}"

    @property
    def reference(self) -> dict[str, str]:
        """What stage keys hold of it."""
        return {"name": self.name, "sha256": self.profile.digest}

    @property
    def uniform_kernel(self) -> KernelSpec | None:
        """The kernel, where it is the same everywhere."""
        kernels = self.profile.kernels
        return kernels.kernel if isinstance(kernels, UniformKernels) else None

    def kernel_at(self, x: float, y: float) -> UnitPsf:
        """The kernel at a place of the frame, for a picture whose axis was brought along x."""
        place = (round(x, 4), round(y, 4))
        if place not in self._kernels:
            mirrored = (False, False) if self.profile.frame is None else self.profile.frame.mirrored
            self._kernels[place] = mirror_kernel(
                self._open_kernels(*place), in_x=mirrored[0], in_y=mirrored[1]
            )
        return self._kernels[place]

    def places(self, height: int, width: int) -> Tensor:
        """Places x, y (2, h, w) float32 of a picture's pixels in the frame; zeros where they do not matter.

        Raises:
            SettingsError: the picture is larger than the frame.
        """
        frame = self.profile.frame
        if frame is None:
            return torch.zeros(2, height, width)
        x, y = (axis.float() for axis in frame.places(height, width))
        return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])

    def disparity_per_coc(self, height: int, width: int) -> Tensor:
        """Disparity of the views in px per px of circle of confusion, (h, w) float32, by place.

        Raises:
            SettingsError: the picture is larger than the frame, or the views are not apart somewhere in it.
        """
        frame = self.profile.frame
        if frame is None:
            return torch.full((height, width), self._factor_at(0, 0))
        x, y = frame.places(height, width)
        nodes_x, nodes_y = (torch.linspace(float(a[0]), float(a[-1]), _NODES).tolist() for a in (x, y))
        factors = [[self._factor_at(u, v) for u in nodes_x] for v in nodes_y]
        grid = torch.tensor(factors, dtype=torch.float32)[None, None]
        return torch.nn.functional.interpolate(grid, (height, width), mode="bilinear", align_corners=True)[
            0, 0
        ]

    def _factor_at(self, x: float, y: float) -> float:
        """Pixels of disparity per pixel of circle of confusion at a place."""
        factor = self.kernel_at(x, y).disparity / 2
        place = f"at x {x:.2f}, y {y:.2f}, in half widths of the frame from its centre"
        return require_apart(factor, where=self.url, place=place)

    @cached_property
    def _open_kernels(self) -> KernelsAt:
        frame = self.profile.frame
        aspect = 1.0 if frame is None else frame.height / frame.width
        return self.profile.kernels.open(self._read_array, aspect=aspect)

    def _read_array(self, name: str) -> bytes:
        """A file beside the profile.

        Raises:
            SettingsError: it is absent, or is not the one that the profile was made with.
        """
        place = join(self.url.rpartition("/")[0], name)
        try:
            content = read_bytes(place)
        except ObjectMissingError as error:
            raise SettingsError(
                "the kernels of the camera profile are missing",
                where=place,
                remedy="keep them beside the profile",
            ) from error
        kernels = self.profile.kernels
        found = hashlib.sha256(content).hexdigest()
        if isinstance(kernels, GridKernels) and found != kernels.sha256:
            raise SettingsError(
                "the kernels of the camera profile are not those that it was made with",
                where=place,
                expected=f"sha256 {kernels.sha256}",
                got=f"sha256 {found}",
                remedy="restore the file, or make the profile again",
            )
        return content


def open_camera(name: str) -> Camera:
    """A shipped profile by its name, or one by the path or URL of its JSON file.

    After ``#`` the digest may stand that the profile is to have.

    Raises:
        SettingsError: there is none of this name, or the file is no profile, or not the one with this digest.
        ObjectMissingError: there is no file at that address.
    """
    if name in list_cameras():
        return _open_shipped(name)
    url, _, digest = name.partition(_BOUND)
    if not url.endswith(_SUFFIX):
        raise SettingsError(
            "there is no such camera profile",
            where="camera",
            expected=", ".join(list_cameras()),
            got=name,
            remedy=suggest(name, list_cameras()) or f"name one of these, or the path of a {_SUFFIX} file",
        )
    camera = _read_camera(url)
    if digest and camera.profile.digest != digest:
        raise SettingsError(
            "the camera profile has changed",
            where=url,
            expected=f"digest {digest}",
            got=f"digest {camera.profile.digest}",
            remedy="restore the file, or begin a new run with the present one",
        )
    return camera


def list_cameras() -> tuple[str, ...]:
    """Names of the shipped profiles."""
    files = (entry.name for entry in resources.files("ldp_core.cameras").joinpath("shipped").iterdir())
    return tuple(sorted(file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX)))


def is_generic(camera: str) -> bool:
    """Whether a setting names the profile of a camera that nothing is known of."""
    return camera == GENERIC_CAMERA


def key_settings(settings: Settings, camera: Camera | None) -> dict[str, Any]:
    """Settings as stage keys hold them: a camera by its digest, not by where its file lies."""
    values = settings.model_dump(mode="json")
    return values if camera is None else values | {"camera": camera.reference}


@lru_cache(maxsize=16)
def _open_shipped(name: str) -> Camera:
    return _read_camera(_shipped_url(name))


def _shipped_url(name: str) -> str:
    return str(resources.files("ldp_core.cameras") / "shipped" / (name + _SUFFIX))


def _read_camera(url: str) -> Camera:
    url = absolute_url(url)
    try:
        values = json.loads(read_bytes(url))
    except ObjectMissingError as error:
        raise ObjectMissingError(
            "there is no such camera profile", where=url, remedy="correct the path, or name a shipped profile"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _no_profile(url, f"no JSON: {error}") from error
    if not isinstance(values, dict) or values.get("format") != "ldp-camera":
        raise _no_profile(url, type(values).__name__ if not isinstance(values, dict) else "no such `format`")
    try:
        return Camera(CameraProfile.parse(values), url)
    except SettingsError as error:
        error.where = url
        raise


def _no_profile(url: str, got: str) -> SettingsError:
    return SettingsError(
        "this is no camera profile",
        where=url,
        expected='a JSON object with "format": "ldp-camera"',
        got=got,
        remedy="make one with `ldp calibrate`",
    )


def mirror_kernel(psf: UnitPsf, *, in_x: bool, in_y: bool) -> UnitPsf:
    """A kernel of a mirrored picture. In x the views change roles, so that the sign of disparity holds."""
    psf = replace(psf, values=psf.values.flip(0), x=-psf.x) if in_x else psf
    return replace(psf, y=-psf.y) if in_y else psf
