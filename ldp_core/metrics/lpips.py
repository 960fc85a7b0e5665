"""LPIPS with AlexNet, version 0.1: Zhang et al., CVPR 2018, arXiv:1801.03924.

Its weights do not come with the package. They are a safetensors file with the tensors, by the same names, of
``lpips.LPIPS(net="alex")`` of the package lpips: the five convolutions of AlexNet, and a weight for each of
their channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from ldp_core.errors import WeightsError
from ldp_core.metrics.fidelity import Picture, checked_crops, require_least, to_unit
from ldp_core.types import Region
from ldp_core.weights import read_weights

LEAST_PX: Final = 64
"""Shorter side of a picture; below it the last layers hold nothing but their padding."""
_LAYERS: Final = (
    # slice, layer, stride, padding, pooled before
    (1, 0, 4, 2, False),
    (2, 3, 1, 2, True),
    (3, 6, 1, 1, True),
    (4, 8, 1, 1, False),
    (5, 10, 1, 1, False),
)
"""Convolutions of AlexNet, as the tensors name them."""
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""As published: mean and spread of ImageNet's colours on the scale -1..1."""
_SMALLEST: Final = 1e-10
_FULL = Region()


def lpips(image: Picture, reference: Picture, *, weights: str, sha256: str, region: Region = _FULL) -> float:
    """Perceptual distance, 0 for identical pictures.

    Args:
        image, reference: (h, w, 1 or 3), as in `ldp_core.metrics.fidelity`; grey counts as equal colours.
        weights: address of a safetensors file, with its ``sha256``.

    Raises:
        MetricError: the pictures cannot be compared, or are smaller than ``LEAST_PX``.
        WeightsError: the weights are absent, altered, or of another network.
    """
    image, reference = checked_crops(image, reference, region)
    require_least(image, LEAST_PX, metric="LPIPS")
    tensors, distance = _open(weights, sha256), 0.0
    with torch.inference_mode():
        pairs = zip(_features(image, tensors), _features(reference, tensors), strict=True)
        for layer, (ours, theirs) in enumerate(pairs):
            weight = tensors[f"lin{layer}.model.1.weight"]
            distance += float(functional.conv2d((ours - theirs).square(), weight).mean())
    return distance


def _features(picture: Picture, tensors: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """Activations of the five layers, each of unit length over channels."""
    x = torch.from_numpy(to_unit(picture)).float().permute(2, 0, 1)[None].expand(-1, 3, -1, -1)
    x = (2 * x - 1 - _by_channel(_SHIFT)) / _by_channel(_SCALE)
    for part, layer, stride, padding, pooled in _LAYERS:
        weight, bias = (tensors[f"net.slice{part}.{layer}.{name}"] for name in ("weight", "bias"))
        x = functional.max_pool2d(x, 3, 2) if pooled else x
        x = functional.conv2d(x, weight, bias, stride=stride, padding=padding).relu()
        yield x / (x.square().sum(dim=1, keepdim=True).sqrt() + _SMALLEST)


def _by_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values)[None, :, None, None]


@lru_cache(maxsize=1)
def _open(weights: str, sha256: str) -> dict[str, Tensor]:
    opened = read_weights(weights, sha256=sha256)
    layers = [f"net.slice{part}.{layer}." for part, layer, *_ in _LAYERS]
    names = [f"{layer}{kind}" for layer in layers for kind in ("weight", "bias")]
    names += [f"lin{n}.model.1.weight" for n in range(len(_LAYERS))]
    if missing := [name for name in names if name not in opened.tensors]:
        raise WeightsError(
            "these weights are not of LPIPS with AlexNet",
            where=weights,
            expected=", ".join(names),
            got=f"no {missing[0]}",
            remedy="write the file as infra/docs/protocols.md shows",
        )
    return {name: opened.tensors[name].float() for name in names}
