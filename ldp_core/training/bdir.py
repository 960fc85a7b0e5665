"""`ldp train bdir`: restoration from one view. Its batches, its loss, its options.

The batch of a step depends on the seed, the step and the rank alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ldp_core.deblur.bdir import BdirDeblurSettings, restore_image
from ldp_core.deblur.bdir_network import DEEP, LIGHT, SMALL, BdirNetwork, BdirSettings, Latent, from_ldp
from ldp_core.training.entry import SOURCE_LICENCES, Provenance, TrainingEntry, TrainOptions
from ldp_core.training.frames import FrameCache, require_other_frames
from ldp_core.training.options import OptionGroup, shorten
from ldp_core.training.scenes import draw_window
from ldp_core.training.sources import Image
from ldp_core.training.trainer import Batch
from ldp_core.training.validation import (
    ValidationSample,
    draw_sheet,
    measure,
    read_singles,
    single_samples,
)
from ldp_core.weights import open_weights

SIZES = {"light": LIGHT, "deep": DEEP, "small": SMALL}


class BdirBatchSettings(OptionGroup):
    """How crops are cut. `sharp` of the batch's crops also go through the networks unblurred."""

    heading = "Batches"

    # Restoration works in tiles of at most 384 px, as LDP's does (decision 0006).
    crop_px: int = Field(default=128, ge=32, multiple_of=16)
    """Side of the crops, in pixels."""
    batch: int = Field(default=6, ge=1)
    """Crops of a batch."""
    sharp: int = Field(default=2, ge=0)
    """So many of them also go through the networks unblurred."""


class BdirLossSettings(OptionGroup):
    """Weights of the loss. Known of the paper: that latents are compared. Formulas and weights are ours."""

    heading = "Loss"

    # Sharp images come back at 63 dB, not 39.7, for three quarters of the gain on blurred ones
    # (infra/measurements.md, "BDIR").
    identity: float = Field(default=0.5, ge=0)
    """Weight of restoring what is sharp already."""
    # Begun from nothing, a network that compares latents leaves every image as it is, at .01 too. The shipped
    # one began as LDP and does restore; without the comparison it would likely be better.
    contrast: float = Field(default=0.1, ge=0)
    """Weight of the comparison of latents."""
    discrimination: float = Field(default=0.1, ge=0)
    """Within it, weight of telling scenes apart."""
    temperature: float = Field(default=0.1, gt=0)
    """Of the softmax that tells them apart."""


@dataclass(frozen=True)
class BdirBatch(Batch):
    """`blurred` and `sharp` (b, 3, h, w) in 0..1; the first `paired` are compared in latent space."""

    blurred: Tensor
    sharp: Tensor
    paired: int


class SingleViews(Protocol):
    """Single views with their truth."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[Image, Image]:
        """View and sharp image (h, w, 3) in 0..1."""
        ...


@dataclass(frozen=True)
class MeanViews:
    """The mean of both views of every frame of some caches: not one of them, or parallax is learned."""

    caches: Sequence[FrameCache]

    def __len__(self) -> int:
        return sum(len(cache) for cache in self.caches)

    def read(self, index: int) -> tuple[Image, Image]:
        for cache in self.caches:
            if index < len(cache):
                views = cache[index].matched_views
                mean = (views[0].astype(np.float32) + views[1]) / 510
                return mean, views[2].astype(np.float32) / 255
            index -= len(cache)
        raise IndexError(index)


def draw_batch(
    views: SingleViews, settings: BdirBatchSettings, *, count: int, rng: np.random.Generator
) -> BdirBatch:
    """A batch from the first `count` of the views."""
    crops = [_draw_crop(rng, views, settings.crop_px, count=count) for _ in range(settings.batch)]
    stacked = np.stack([np.stack(crop) for crop in crops], axis=1).transpose(0, 1, 4, 2, 3)
    blurred, sharp = torch.from_numpy(stacked.copy()).unbind()
    return BdirBatch(blurred, sharp, settings.sharp)


def _draw_crop(rng: np.random.Generator, views: SingleViews, side: int, *, count: int) -> tuple[Image, Image]:
    blurred, sharp = views.read(int(rng.integers(count)))
    window = draw_window(rng, blurred.shape[:2], (side, side))
    across, down, over = (bool(drawn < 0.5) for drawn in rng.random(3))
    turned = [_turn(image[window], across=across, down=down, over=over) for image in (blurred, sharp)]
    return turned[0], turned[1]


def _turn(crop: NDArray[np.float32], *, across: bool, down: bool, over: bool) -> NDArray[np.float32]:
    crop = crop[:, ::-1] if across else crop
    crop = crop[::-1] if down else crop
    return crop.swapaxes(0, 1) if over else crop


@dataclass(frozen=True)
class BdirTask:
    """Single views, and the two networks that learn from them."""

    settings: BdirSettings
    batch: BdirBatchSettings
    weights: BdirLossSettings
    views: SingleViews
    samples: Mapping[str, Sequence[ValidationSample]]
    seed: int
    sources: Mapping[str, Any]
    begin: Mapping[str, Tensor] = field(default_factory=dict)
    """First weights, for the parts that have any."""

    relative_rates: ClassVar[Mapping[str, float]] = {}

    @cached_property
    def network(self) -> BdirNetwork:
        torch.manual_seed(self.seed)
        network = BdirNetwork(self.settings)
        if self.begin:
            begun = {name: value.float() for name, value in self.begin.items()}
            network.load_state_dict({**network.state_dict(), **begun})
        return network

    def draw(self, step: int, *, rank: int) -> BdirBatch:
        rng = np.random.default_rng([self.seed, step, rank])
        return draw_batch(self.views, self.batch, count=len(self.views), rng=rng)

    def loss(self, forward: Callable[..., tuple[Tensor, Latent]], batch: BdirBatch) -> Tensor:
        """L1 of the restored views; of restored sharp images; and the comparison of latents."""
        n, paired = len(batch.blurred), batch.paired
        restored, latent = forward(torch.cat([batch.blurred, batch.sharp[:paired]]))
        restored = restored.float()
        total = F.l1_loss(restored[:n], batch.sharp)
        if not paired:
            return total
        total = total + self.weights.identity * F.l1_loss(restored[n:], batch.sharp[:paired])
        if self.weights.contrast:
            content = latent.content.float()
            total = total + self.weights.contrast * compare(content[:n], content[n:], self.weights)
        return total

    def measure(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Mean PSNR in dB by set, of the views and restored."""
        restore = partial(restore_sample, network)
        return {name: measure(samples, restore) for name, samples in self.samples.items()}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """A contact sheet of each set: view, restored, truth."""
        for name, samples in self.samples.items():
            path = folder / f"{name.replace('/', '-')}-{step:07d}.png"
            draw_sheet(path, samples, partial(restore_sample, network))

    def describe(self) -> dict[str, Any]:
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.batch.model_dump(mode="json"),
            "loss_settings": self.weights.model_dump(mode="json"),
            **self.sources,
        }


def compare(blurred: Tensor, sharp: Tensor, weights: BdirLossSettings) -> Tensor:
    """How far latents (b, c, h, w) of blurred images are from those (k, c, h, w) of the first k, sharp.

    Normalised per channel, blurred towards sharp, which takes no gradient; and pooled, each sharp one
    has to be nearest to its own among all blurred ones.
    """
    own = blurred[: len(sharp)]
    apart = (F.instance_norm(own) - F.instance_norm(sharp).detach()).abs().mean()
    pooled, others = (F.normalize(z.mean((-2, -1)), dim=-1) for z in (sharp, blurred))
    similarity = pooled @ others.T / weights.temperature
    told = F.cross_entropy(similarity, torch.arange(len(sharp), device=sharp.device))
    return apart + weights.discrimination * told


def restore_sample(network: nn.Module, sample: ValidationSample) -> Tensor:
    """The network's image (3, h, w), in tiles as it will restore; on the CPU, not clamped."""
    return restore_image(cast(BdirNetwork, network), sample.inputs["view"], BdirDeblurSettings())


class BdirOptions(BdirLossSettings, BdirBatchSettings, TrainOptions):
    """`ldp train bdir`."""

    heading = "Data and network"

    cache: tuple[Path, ...]
    """Folder of frames that `ldp train cache` rendered; may be repeated."""
    hold_out: tuple[Path, ...] = ()
    """Cache of other frames to measure on; may be repeated."""
    measure: tuple[str, ...] = ()
    """Real pictures to measure on, never trained on, as globs of equal order: INPUTS:TRUTHS, or
    INPUTS:TRUTHS:ROW (first row that counts); may be repeated."""
    size: Literal["light", "deep", "small"] = "light"
    """Shape of the networks; `light` is the one that ships."""
    # 500 steps from LDP's weights gained .59 dB on simulated views; another form, from nothing, gained .13 in
    # 800 (decision 0007).
    begin: str = ""
    """Weights of an LDP network to begin with: a shipped model, such as `ldp`, or a file."""
    begin_sha256: str = ""
    """Digest of that file, where it is one."""
    plain: bool = False
    """Without SAID and SAIR."""


def _open_task(options: BdirOptions) -> BdirTask:
    caches = [FrameCache(folder) for folder in options.cache]
    form = {**SIZES[options.size].model_dump(), "interference": not options.plain}
    settings = BdirSettings.parse(form)
    hold_out = [FrameCache(folder) for folder in options.hold_out]
    require_other_frames([cache.seed for cache in caches], hold_out)
    samples = {cache.folder.name: single_samples(cache) for cache in hold_out}
    return BdirTask(
        settings,
        options.pick(BdirBatchSettings),
        options.pick(BdirLossSettings),
        MeanViews(caches),
        samples | dict(read_singles(text) for text in options.measure),
        options.seed,
        {
            "sources": _merge([cache.source_names for cache in caches]),
            "frames": [{"count": len(cache), "seed": cache.seed} for cache in caches],
            "begun_with": shorten(options.begin) or "nothing",
        },
        begin=_open_ldp(options, settings) if options.begin else {},
    )


def _open_ldp(options: BdirOptions, settings: BdirSettings) -> dict[str, Tensor]:
    opened = open_weights(options.begin, sha256=options.begin_sha256)
    return from_ldp(opened.tensors, settings)


def _merge(named: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    kinds = sorted({kind for names in named for kind in names})
    return {kind: sorted({path for names in named for path in names.get(kind, ())}) for kind in kinds}


def _describe_weights(state: Mapping[str, Any]) -> Provenance:
    return Provenance(
        summary="BDIR (roles from the paper, layers ours): deblurs one view; trained on simulation.",
        sources=[path for paths in state["sources"].values() for path in paths],
        source_licences=SOURCE_LICENCES,
    )


ENTRY = TrainingEntry(
    "bdir",
    BdirOptions,
    _open_task,
    _describe_weights,
)
COMMANDS = {"bdir": ENTRY.command}
