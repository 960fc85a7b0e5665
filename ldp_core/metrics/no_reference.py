"""How blurred a picture looks by itself: Crete et al., SPIE 2007, doi:10.1117/12.702790."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ldp_core.errors import SettingsError
from ldp_core.metrics.fidelity import Picture, to_unit


def blur_effect(picture: Picture) -> float:
    """The blur of a picture (h, w, c), 0 (none) to 1, as scikit-image measures it.

    Raises:
        SettingsError: scikit-image is not installed.
    """
    try:
        from skimage.measure import blur_effect as measure
    except ImportError as error:
        raise SettingsError(
            "this metric needs scikit-image",
            where="--protocol no-reference",
            remedy="pip install -c constraints.txt -e '.[no-reference]'",
        ) from error
    values, untyped = to_unit(picture), cast(Callable[..., float], measure)
    return float(untyped(values[..., 0]) if values.shape[2] == 1 else untyped(values, channel_axis=2))
