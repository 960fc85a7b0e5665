"""NAFNet, the body of the deblurring networks.

Chen, Chu, Zhang, Sun, "Simple Baselines for Image Restoration", ECCV 2022, arXiv 2204.04676. Ours is
written from the paper; the window of the channel attention is our addition, after Chu et al.,
"Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel; (b, c, h, w) -> the same."""

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution as one matrix product over the pixels: no copy when channels lie last."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class LocalMean(nn.Module):
    """Mean of each channel: over the whole map in training, over a window around each pixel after it.

    A network trained on crops has seen the mean of a crop. With `window_px` 0 the mean is global and
    the result is (b, c, 1, 1); otherwise evaluation uses a window of that side, cut at the borders,
    and the result is (b, c, h, w), which does not change when an image is cut into tiles.
    """

    def __init__(self, window_px: int = 0) -> None:
        super().__init__()
        self.window_px = window_px

    def forward(self, x: Tensor) -> Tensor:
        if self.training or not self.window_px or max(x.shape[-2:]) <= self.window_px:
            return x.mean((2, 3), keepdim=True)
        return box_mean(x, side=self.window_px)


def box_mean(x: Tensor, *, side: int) -> Tensor:
    """Mean over the window of `side` pixels around each pixel, cut at the borders; float32 sums."""
    return _slide(_slide(x.float(), side=side, dim=-1), side=side, dim=-2).to(x.dtype)


def _slide(x: Tensor, *, side: int, dim: int) -> Tensor:
    size = x.shape[dim]
    centre = torch.arange(size, device=x.device)
    low, high = (centre - side // 2).clamp_min(0), (centre - side // 2 + side).clamp_max(size)
    sums = F.pad(x.movedim(dim, -1), (1, 0)).cumsum(-1, dtype=torch.float64)
    means = (sums[..., high] - sums[..., low]) / (high - low)
    return means.to(x.dtype).movedim(-1, dim)


def gate(x: Tensor) -> Tensor:
    """Product of the two halves of the channels; (b, 2 c, h, w) -> (b, c, h, w)."""
    first, second = x.chunk(2, dim=1)
    return first * second


class NafBlock(nn.Module):
    """One block of the paper (figure 3e); it is the identity when `beta` and `gamma` are 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.expand1 = Pointwise(channels, 2 * channels)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.mean = LocalMean()
        self.attend = Pointwise(channels, channels)
        self.project1 = Pointwise(channels, channels)
        self.norm2 = ChannelNorm(channels)
        self.expand2 = Pointwise(channels, 2 * channels)
        self.project2 = Pointwise(channels, channels)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        gated = gate(self.depthwise(self.expand1(self.norm1(x))))
        x = x + self.project1(gated * self.attend(self.mean(gated))) * self.beta
        y: Tensor = x + self.project2(gate(self.expand2(self.norm2(x)))) * self.gamma
        return y


class Upsample(nn.Sequential):
    """1x1 convolution without bias and pixel shuffle: half the channels, twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__(Pointwise(channels, 2 * channels, bias=False), nn.PixelShuffle(2))


class NafBody(nn.Module):
    """U-shaped body; (b, width, h, w) -> the same, h and w multiples of `multiple`.

    `encoder[i]` blocks at width `width * 2**i`, `middle` blocks below them, `decoder` from the
    deepest scale upwards; skips are added. `guides` are modules called as `guide(x, plane)` at the
    entrance of an encoder scale, or of the middle, when a map is given.
    """

    def __init__(self, *, width: int, encoder: Sequence[int], middle: int, decoder: Sequence[int]) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(encoder) + 1)]
        self.multiple = 2 ** len(encoder)
        self.intro = nn.Conv2d(width, width, 3, padding=1)
        self.encoders = nn.ModuleList(_stack(w, n) for w, n in zip(widths, encoder, strict=False))
        self.downs = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, stride=2) for w in widths[:-1])
        self.middle = _stack(widths[-1], middle)
        self.ups = nn.ModuleList(Upsample(w) for w in widths[:0:-1])
        self.decoders = nn.ModuleList(_stack(w, n) for w, n in zip(widths[-2::-1], decoder, strict=True))
        self.ending = nn.Conv2d(width, width, 3, padding=1)
        self.guides = nn.ModuleDict()

    def forward(self, x: Tensor, plane: Tensor | None = None) -> Tensor:
        x, skips = self.intro(x), []
        for level, (encoder, down) in enumerate(zip(self.encoders, self.downs, strict=True)):
            x = encoder(self._guide(x, plane, level=level))
            skips.append(x)
            x = down(x)
        x = self.middle(self._guide(x, plane, level=len(self.encoders)))
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(up(x) + skip)
        ended: Tensor = self.ending(x)
        return ended

    def _guide(self, x: Tensor, plane: Tensor | None, *, level: int) -> Tensor:
        guided: Tensor = self.guides[str(level)](x, plane) if str(level) in self.guides else x
        return guided

    def set_window(self, window_px: int) -> None:
        """Let every channel attention see, in evaluation, a window of this side in body pixels."""
        scales = [*enumerate(self.encoders), (len(self.encoders), self.middle)]
        scales += [(len(self.encoders) - 1 - i, stack) for i, stack in enumerate(self.decoders)]
        for level, stack in scales:
            for module in stack.modules():
                if isinstance(module, LocalMean):
                    module.window_px = window_px >> level


def _stack(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(NafBlock(channels) for _ in range(blocks)))
