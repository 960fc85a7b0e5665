"""The library in a few calls: pictures as NumPy arrays in, restorations, blur maps and scores out.

A picture is ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``, gamma-encoded: uint8 in 0..255, uint16 in 0..65535,
or floating point in 0..1, which is computed as 16 bit, as where it is read from a file. Both views of a pair
have one shape and dtype. The dual-pixel axis lies along x, or along y with ``dp_axis="y"``; along it,
content behind the focal plane lies farther on in the right view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ldp_core.blur import ESTIMATORS, make_estimator
from ldp_core.credentials import hide
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.errors import (
    BlurMapError,
    ImageFormatError,
    SecondViewMissingError,
    SettingsError,
    suggest,
)
from ldp_core.types import GENERIC_CAMERA, BlurMap, DpAxis, Pair, Pixels

if TYPE_CHECKING:
    from ldp_core.archive import Archive

__all__ = ["estimate", "open_archive", "restore", "score"]

Picture = NDArray[Any]
"""As it is returned; whatever NumPy makes an array of is taken."""
Axis = Literal["x", "y"]
_ITEM: Final = "pictures"
_FULL_SCALE: Final = 65535


def restore(
    left: ArrayLike,
    right: ArrayLike | None = None,
    *,
    deblurrer: str | None = None,
    estimator: str | None = None,
    blur_map: BlurMap | None = None,
    deblurrer_settings: Mapping[str, Any] | None = None,
    estimator_settings: Mapping[str, Any] | None = None,
    dp_axis: Axis = "x",
    camera: str = GENERIC_CAMERA,
) -> Picture:
    """The all-in-focus picture of a dual-pixel pair, or of a single view.

    Args:
        left, right: the views; ``right`` is None where there is one view only.
        deblurrer: name of a method; ``ldp`` for a pair and ``bdir`` for a single view, if not given.
        estimator: name of the method whose blur map the deblurrer gets; as for `estimate`.
        blur_map: a blur map (h, w) of the views, if there is one: nothing is estimated then.
        camera: profile of the camera, by name or address, for methods that take one.

    Returns:
        Of the shape and dtype of ``left``; floating point in 0..1.

    Raises:
        ImageFormatError: an array is no picture.
        PairMismatchError: the views differ in shape or dtype.
        SecondViewMissingError: a method compares two views, and there is one.
        BlurMapError: the map does not fit the views, or is of a kind that the deblurrer cannot use.
        SettingsError: there is no such method or setting.
        WeightsError: weights are absent or altered.
    """
    pair = _make_pair(left, right, dp_axis)
    name = deblurrer or ("ldp" if pair.has_both_views else "bdir")
    needed = DEBLURRERS[name]
    method = make_deblurrer(name, needed.for_camera(deblurrer_settings or {}, camera))
    if needed.views == 2 and not pair.has_both_views:
        raise SecondViewMissingError.of(pair.id, needed_by=f"'{name}'")
    if blur_map is not None:
        _require_map(blur_map, pair)
    elif needed.takes_map:
        blur_map = _estimate(pair, estimator, estimator_settings, camera)
    return _as_given(method.restore(pair, blur_map), np.asarray(left))


def estimate(
    left: ArrayLike,
    right: ArrayLike | None = None,
    *,
    estimator: str | None = None,
    estimator_settings: Mapping[str, Any] | None = None,
    dp_axis: Axis = "x",
    camera: str = GENERIC_CAMERA,
) -> BlurMap:
    """Where, how much and on which side of the focal plane a pair, or a single view, is out of focus.

    Args:
        left, right: the views; ``right`` is None where there is one view only.
        estimator: name of a method; ``disparity`` for a pair and ``depth-distilled`` for a single view, if
            not given.
        camera: profile of the camera, by name or address, for methods that take one.

    Returns:
        ``values`` (h, w) float32, and their meaning in ``kind``: of ``disparity`` the signed circle of
        confusion in pixels, of ``depth-distilled`` the probability of being in focus.

    Raises:
        ImageFormatError: an array is no picture.
        PairMismatchError: the views differ in shape or dtype.
        SecondViewMissingError: the method compares two views, and there is one.
        SettingsError: there is no such method or setting.
        WeightsError: weights are absent or altered.
    """
    return _estimate(_make_pair(left, right, dp_axis), estimator, estimator_settings, camera)


def score(restored: ArrayLike, target: ArrayLike, *, metrics: Collection[str] = ()) -> dict[str, float]:
    """How close a picture is to its target, by metric: ``psnr_db``, ``ssim``, ``mae`` and installed ones.

    Args:
        restored, target: pictures of one shape; their depths may differ.
        metrics: names of metrics; all, if empty.

    Raises:
        ImageFormatError: an array is no picture.
        MetricError: the pictures differ in shape, or are too small for a metric.
        SettingsError: there is no such metric.
    """
    from ldp_core.metrics.fidelity import PSNR_CEILING_DB
    from ldp_core.metrics.scoring import FIDELITY

    for name in metrics:
        if name not in FIDELITY:
            remedy = suggest(name, FIDELITY) or "choose one of the names"
            expected = ", ".join(FIDELITY)
            raise SettingsError("there is no such metric", expected=expected, got=name, remedy=remedy)
    pictures = _to_pixels(restored, name="restored"), _to_pixels(target, name="target")
    values = {name: FIDELITY[name](*pictures) for name in metrics or FIDELITY}
    return {
        name: min(value, PSNR_CEILING_DB) if name.endswith("_db") else value for name, value in values.items()
    }


def open_archive(url: str) -> Archive:
    """The archive at a local path or any URL that fsspec speaks; its folders are listed, nothing is read yet.

    An item id means the latest version of the item; ``<id>@<version>`` names any one, ``<id>@1`` the first.

    Raises:
        ArchiveError: there is no archive at this address.
        StorageError: the store refused or could not be reached.
    """
    from ldp_core.archive import Archive
    from ldp_core.archive.layout import require_archive

    url = hide(url)
    require_archive(url)
    return Archive(url, latest=True)


def _estimate(pair: Pair, estimator: str | None, settings: Mapping[str, Any] | None, camera: str) -> BlurMap:
    name = estimator or ("disparity" if pair.has_both_views else "depth-distilled")
    return make_estimator(name, ESTIMATORS[name].for_camera(settings or {}, camera)).estimate(pair)


def _make_pair(left: ArrayLike, right: ArrayLike | None, dp_axis: Axis) -> Pair:
    if dp_axis not in tuple(DpAxis):
        raise SettingsError("there is no such dual-pixel axis", expected="x or y", got=str(dp_axis))
    views = {"left": left} if right is None else {"left": left, "right": right}
    pixels = {name: _to_pixels(view, name=name) for name, view in views.items()}
    return Pair(_ITEM, pixels["left"], pixels.get("right"), dp_axis=DpAxis(dp_axis))


def _to_pixels(picture: ArrayLike, *, name: str) -> Pixels:
    """(h, w, c) uint8 or uint16 of a picture as users give it.

    Raises:
        ImageFormatError: it is none.
    """
    given = np.asarray(picture)
    is_picture = given.ndim == 2 or (given.ndim == 3 and given.shape[2] in (1, 3))
    if not (is_picture and given.size):
        raise ImageFormatError(
            "this array is no picture",
            where=name,
            expected="(height, width), (height, width, 1) or (height, width, 3)",
            got=str(given.shape),
            remedy="give one picture, colour channels last and no alpha",
        )
    planes = given if given.ndim == 3 else given[..., None]
    if planes.dtype.kind == "u" and planes.dtype.itemsize <= 2:
        return np.ascontiguousarray(planes, planes.dtype.newbyteorder("="))
    if planes.dtype.kind == "f" and planes.min() >= 0 and planes.max() <= 1:
        return np.rint(planes.astype(np.float64) * _FULL_SCALE).astype(np.uint16)
    values = f" in {planes.min()}..{planes.max()}" if planes.dtype.kind in "iuf" else ""
    raise ImageFormatError(
        "the values of this array are no pixels",
        where=name,
        expected="uint8, uint16, or finite floating point in 0..1",
        got=f"{planes.dtype}{values}",
        remedy="convert it; divide floating point by its full scale",
    )


def _as_given(pixels: Pixels, given: Picture) -> Picture:
    """Pixels (h, w, c) in the shape and dtype of the picture that they were made from."""
    shaped = pixels.reshape(given.shape)
    return (shaped / _FULL_SCALE).astype(given.dtype) if given.dtype.kind == "f" else shaped


def _require_map(blur_map: BlurMap, pair: Pair) -> None:
    shape = pair.left.shape[:2]
    if not isinstance(blur_map, BlurMap) or blur_map.values.shape != shape:
        got = blur_map.values.shape if isinstance(blur_map, BlurMap) else type(blur_map).__name__
        raise BlurMapError(
            "the blur map does not fit the views",
            expected=f"a BlurMap with values of shape {shape}",
            got=str(got),
            remedy="estimate the map from these views, or say what its values mean: BlurMap(values, kind)",
        )
