"""Pictures and maps side by side in a notebook, coloured as reports colour them.

It needs matplotlib, which the extra ``figures`` installs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import ImageFormatError, SettingsError
from ldp_core.report.model import BLUR_PICTURES, CONFIDENCE, PictureKind, PictureSpec
from ldp_core.report.paper import require_matplotlib
from ldp_core.report.pictures import STEPS, colour_limit, index_values, palette_of, to_eight_bit
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

__all__ = ["show"]

_MOST_IN_A_ROW: Final = 4  # a notebook is about 16 inches wide
_DPI: Final = 100
_TITLE_IN: Final = 0.35
_BAR_IN: Final = 0.8
_MAPS: Final = ("blur", "confidence")
_UNSIGNED: Final = PictureSpec(
    "blur_truth",
    "Blur truth",
    PictureKind.UNSIGNED_MAP,
    quantity="Amount of blur",
    meaning="at an unknown scale",
)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A picture ``(h, w, 3)`` uint8 where ``spec`` is None, else the values ``(h, w)`` of a map."""

    title: str
    values: NDArray[Any]
    spec: PictureSpec | None = None


def show(*shown: Any, titles: Sequence[str] | None = None, width_in: float = 4.0) -> Figure:
    """Draw pictures and maps side by side; maps of one kind share a colour scale, which stands below them.

    A notebook shows the figure that is returned; ``figure.savefig(FILE)`` writes it.

    Args:
        shown: pictures (h, w), (h, w, 1) or (h, w, 3) of uint8, uint16 or floating point in 0..1; a
            `BlurMap`; what `ldp_core.open_archive` gives, frames as a panel for each view.
        titles: one for each panel, in order.
        width_in: width of a panel in inches.

    Raises:
        SettingsError: matplotlib is not installed, nothing is shown, or there are more or fewer titles than
            panels.
        ImageFormatError: an array is no picture.
    """
    require_matplotlib()
    panels = [panel for one in shown for panel in _panels_of(one)]
    if not panels or (titles is not None and len(titles) != len(panels)):
        got = f"{len(panels)} panels" + (f", {len(titles)} titles" if titles is not None else "")
        raise SettingsError("nothing to show" if not panels else "a title for each panel", got=got)
    named = [panel.title for panel in panels] if titles is None else titles
    return _draw(panels, named, width_in)


def _panels_of(one: Any) -> Iterator[_Panel]:
    if isinstance(one, BlurMap):
        yield _Panel("Blur map", one.values, BLUR_PICTURES[one.kind])
    elif hasattr(one, "dims"):
        yield from _panels_of_item(one)
    else:
        yield _Panel("", _to_picture(np.asarray(one)))


def _panels_of_item(item: xarray.DataArray) -> Iterator[_Panel]:
    """Of an array that `ldp_core.archive.Archive.open_dataarray` gave, or of a part of it."""
    if "view" in item.dims:
        for view in item["view"].values:
            yield _Panel(str(view), _to_picture(item.sel(view=view).to_numpy()))
    elif item.name in _MAPS and item.ndim == len("yx"):
        spec = _spec_of(item)
        yield _Panel(spec.title, item.to_numpy(), spec)
    else:
        of_view = item.coords["view"].item() if "view" in item.coords else item.name
        yield _Panel(str(of_view or ""), _to_picture(item.to_numpy()))


def _spec_of(item: xarray.DataArray) -> PictureSpec:
    """What the values of an archived map mean."""
    if item.name == "confidence":
        return CONFIDENCE
    kind = item.attrs["blur_kind"]
    if kind in tuple(BlurMapKind):
        return BLUR_PICTURES[BlurMapKind(kind)]
    signed = item.attrs.get("blur_truth_kind") == BlurTruthKind.SIGNED_COC_PX
    return BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX] if signed else _UNSIGNED


def _to_picture(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels as three channels of 8 bit."""
    planes = pixels[..., None] if pixels.ndim == len("yx") else pixels
    if planes.ndim != len("yxc") or planes.shape[2] not in (1, 3):
        raise ImageFormatError(
            "this array is no picture",
            expected="(h, w), (h, w, 1) or (h, w, 3); of frames one item",
            got=str(pixels.shape),
        )
    if planes.dtype.kind == "f" and planes.size and planes.min() >= 0 and planes.max() <= 1:
        planes = np.rint(planes * 255).astype(np.uint8)
    if planes.dtype not in (np.uint8, np.uint16):
        raise ImageFormatError(
            "the values of this array are no pixels",
            expected="uint8, uint16, or floating point in 0..1",
            got=str(planes.dtype),
            remedy="show a map as BlurMap(values, kind), which says what its values mean",
        )
    eight = to_eight_bit(planes)
    return np.repeat(eight, 3, axis=2) if eight.shape[2] == 1 else eight


def _draw(panels: Sequence[_Panel], titles: Sequence[str], width_in: float) -> Figure:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure that notebooks show without a backend."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=_DPI)
            return file.getvalue()

    across = min(len(panels), _MOST_IN_A_ROW)
    down = -(-len(panels) // across)
    height_in = width_in * max(panel.values.shape[0] / panel.values.shape[1] for panel in panels) + _TITLE_IN
    height_in += _BAR_IN if any(panel.spec for panel in panels) else 0
    figure = Shown(figsize=(width_in * across, height_in * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    maps = {panel.spec for panel in panels if panel.spec is not None}
    limits = {s: max(colour_limit(p.values, s) for p in panels if p.spec == s) for s in maps}
    for place in axes:
        place.axis("off")
        place.set_anchor("N")
    for place, panel, title in zip(axes, panels, titles, strict=False):
        place.set_title(title)
        if panel.spec is None:
            place.imshow(panel.values, interpolation="nearest")
            continue
        spec, limit = panel.spec, limits[panel.spec]
        low = -limit if spec.is_signed else 0.0
        place.imshow(palette_of(spec)[index_values(panel.values, low=low, high=limit)])
        scale = ListedColormap((palette_of(spec)[:STEPS] / 255).tolist())
        scalar = ScalarMappable(Normalize(low, limit), scale)
        bar = figure.colorbar(scalar, ax=place, location="bottom", aspect=40, pad=0.02, panchor=False)
        bar.set_label(f"{spec.quantity or spec.title}\n{spec.meaning}", fontsize=8)
    return figure
