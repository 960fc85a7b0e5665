"""What is particular to training LDP-tiny: two towers in open_clip's format, and cells against sentences.

There are two contrasts. Sentences of all shifts, one for each number of pixels, compete for each cell under a
softmax; the truth is shared by the two nearest, so the mean shift under the softmax estimates the disparity.
Every other statement is a yes or no with a known log-odds (a sigmoid, as in SigLIP). Both contrasts are also
taken with one free vector per meaning, to which sentences of that meaning are drawn, so that the image tower
learns before the words do. The free vectors are not part of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.clip_model import load_tensors, open_clip
from ldp_core.settings import Settings
from ldp_core.training.tiny.patches import CELL_PX, Cells, CellSettings, PatchPool, draw_cells
from ldp_core.training.tiny.sentences import (
    SHIFTS_PX,
    STATEMENTS,
    Sentences,
    draw_sentences,
    shift_sentences,
    shift_weights,
)
from ldp_core.training.trainer import Batch, FitSettings
from ldp_core.weights import open_weights

# Of the cells that are trained on, not of CLIP's photographs.
IMAGE_MEAN = (0.45, 0.45, 0.45)
IMAGE_STD = (0.25, 0.25, 0.25)
CONTEXT_LENGTH = 32

Array = NDArray[np.float64]
_MODEL = "model."


class TinySettings(Settings):
    """Size of the towers."""

    embed_dim: int = Field(default=64, ge=8)
    patch_rows: int = Field(default=4, ge=2)
    """A patch is this many rows of the strip of both views, over its whole width."""
    width: int = Field(default=192, ge=32)
    layers: int = Field(default=4, ge=1)
    text_width: int = Field(default=32, ge=8)
    text_layers: int = Field(default=2, ge=1)

    @property
    def model_cfg(self) -> dict[str, Any]:
        """open_clip's description of the model."""
        return {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": [CELL_PX, 2 * CELL_PX],
                "patch_size": [self.patch_rows, 2 * CELL_PX],
                "width": self.width,
                "layers": self.layers,
                "head_width": 32,
                "pool_type": "avg",
            },
            "text_cfg": {
                "context_length": CONTEXT_LENGTH,
                "vocab_size": 49408,
                "width": self.text_width,
                "heads": 2,
                "layers": self.text_layers,
            },
        }


def build_model(settings: TinySettings, *, seed: int) -> Any:
    """An open_clip CLIP with random weights, its image tower started as `start_as_stereo` says.

    Words start as zeros: what was never learned says nothing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip().CLIP(**settings.model_cfg)
    nn.init.zeros_(model.token_embedding.weight)
    start_as_stereo(model.visual, np.random.default_rng(seed))
    return model


@torch.no_grad()
def start_as_stereo(visual: Any, rng: np.random.Generator) -> None:
    """Start an image tower as a bank of binocular energy units, our own choice.

    Patches are first described by cosines along the rows of each view, even and odd over the rows of
    a patch, roughly whitened. Hidden units of every layer start as Gabor functions of both views at
    a place, frequency, phase and disparity drawn by lot (the energy model of Ohzawa et al., Science
    249, 1990, doi:10.1126/science.2396096). All of it is trained on. From a random start the tower had
    learned nothing after 500 steps; from this one its shifts correlated with the truth by .6.
    """
    filters = visual.conv1.weight
    count = min(filters.shape[0] // 4, CELL_PX - 1)
    gains = np.minimum((np.arange(1, count + 1) / 8) ** 0.7, 2)
    rows = _cosines(count) * gains[:, None]
    filters.mul_(0.2)
    for view, parity in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first = _first_unit(view, parity, count)
        strips = _lay_out(rows, view=view, parity=parity, patch_rows=filters.shape[2])
        filters[first : first + count] = torch.from_numpy(strips).to(filters)
    for block in visual.transformer.resblocks:
        hidden = block.mlp.c_fc.weight
        hidden.copy_(torch.from_numpy(_draw_gabors(rng, hidden.shape, count=count, gains=gains)))


def _first_unit(view: int, parity: int, count: int) -> int:
    return (2 * view + parity) * count


def _cosines(count: int) -> Array:
    """The first `count` orthonormal cosines (count, 40) along a row, without the constant."""
    x = np.arange(CELL_PX) + 0.5
    return np.asarray(np.cos(np.pi / CELL_PX * np.outer(np.arange(1, count + 1), x)) * np.sqrt(2 / CELL_PX))


def _lay_out(rows: Array, *, view: int, parity: int, patch_rows: int) -> Array:
    """Filters (count, 3, patch_rows, 80) of one view; in the right one rows run backwards."""
    signs = np.where((np.arange(patch_rows) < patch_rows / 2) | (parity == 0), 1.0, -1.0) / patch_rows
    strips = np.zeros((len(rows), 3, patch_rows, 2 * CELL_PX))
    half = slice(0, CELL_PX) if view == 0 else slice(CELL_PX, None)
    across = rows if view == 0 else rows[:, ::-1]
    strips[..., half] = signs[None, None, :, None] * across[:, None, None, :] / 3
    return strips


def _draw_gabors(rng: np.random.Generator, shape: torch.Size, *, count: int, gains: Array) -> Array:
    """Weights (hidden, width) of hidden units that see one Gabor function in both views."""
    units, width = shape
    x = np.arange(CELL_PX)[None]
    frequency = np.exp(rng.uniform(np.log(1 / 24), np.log(1 / 3.5), (units, 1)))
    sigma = np.minimum(rng.uniform(0.4, 0.8, (units, 1)) / frequency, 12)
    place = rng.uniform(3, CELL_PX - 3, (units, 1))
    disparity = rng.uniform(-8, 8, (units, 1)) * rng.uniform(0, 1, (units, 1)) ** 0.5
    phase = rng.uniform(0, 2 * np.pi, (units, 1))
    parity = rng.uniform(0, 1, units) < 0.35
    weights = np.zeros((units, width))
    for view, centre in ((0, place - disparity / 2), (1, place + disparity / 2)):
        envelope = np.exp(-((x - centre) ** 2) / (2 * sigma**2))
        gabors = envelope * np.cos(2 * np.pi * frequency * (x - centre) + phase)
        seen = gabors @ _cosines(count).T / gains
        for unit in range(units):
            first = _first_unit(view, int(parity[unit]), count)
            weights[unit, first : first + count] = seen[unit]
    return np.asarray(1.2 * weights / np.linalg.norm(weights, axis=1, keepdims=True))


def standardise(composites: Tensor) -> Tensor:
    """Composites (n, 3, h, w) in 0..1 as the image tower takes them."""
    mean, std = (torch.tensor(x, device=composites.device)[:, None, None] for x in (IMAGE_MEAN, IMAGE_STD))
    return (composites - mean) / std


class TinyFitSettings(FitSettings):
    """How to train LDP-tiny."""

    steps: int = Field(default=5_200, ge=1)
    # At 1e-3 the image tower had learned nothing after 500 steps.
    learning_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    second_beta: float = Field(default=0.98, gt=0, lt=1)
    # What ships is not averaged.
    average_decay: float = Field(default=0.0, ge=0, lt=1)


class Towers(nn.Module):
    """Both towers, and one free vector per meaning, which is not part of the model."""

    def __init__(self, settings: TinySettings, *, seed: int) -> None:
        super().__init__()
        self.model = build_model(settings, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        count = len(SHIFTS_PX) + len(STATEMENTS)
        self.meanings = nn.Parameter(torch.randn(count, settings.embed_dim, generator=generator))

    def forward(self, composites: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Unit vectors of what is seen (n, d), of what is said (m, d), and of all meanings; and the scale."""
        seen = self.model.encode_image(standardise(composites), normalize=True)
        words = self.model.encode_text(tokens, normalize=True)
        return seen, words, F.normalize(self.meanings, dim=-1), self.model.logit_scale.exp()


@dataclass(frozen=True)
class TinyBatch(Batch):
    """Cells, and the sentences that are said of them."""

    cells: Cells
    sentences: Sentences


@dataclass(frozen=True)
class TinyTask:
    """Patches, and the towers that learn to read them."""

    settings: TinySettings
    fit: TinyFitSettings
    pool: PatchPool
    cells: CellSettings
    begin: str = ""
    """Shipped model whose weights are the first ones; its own random ones, if empty."""

    relative_rates: ClassVar[Mapping[str, float]] = {}

    @cached_property
    def network(self) -> Towers:
        towers = Towers(self.settings, seed=self.fit.seed)
        if self.begin:
            self._take_over(towers)
        return towers

    @torch.no_grad()
    def _take_over(self, towers: Towers) -> None:
        """Weights of a shipped model; free vectors start as what its words say of each meaning."""
        load_tensors(towers.model, open_weights(self.begin).tensors, where=self.begin)
        said = [*shift_sentences(), *(meaning.wordings[0] for meaning in STATEMENTS)]
        towers.meanings.copy_(towers.model.encode_text(self.tokenize(said), normalize=True))

    @cached_property
    def tokenize(self) -> Callable[[list[str]], Tensor]:
        tokenizer: Callable[[list[str]], Tensor] = open_clip().SimpleTokenizer(context_length=CONTEXT_LENGTH)
        return tokenizer

    def draw(self, step: int, *, rank: int) -> TinyBatch:
        """The cells of one step and one process, and the sentences of the step."""
        seed = self.fit.seed
        cells = draw_cells(self.pool, self.cells, seed=seed, step=step, patches=len(self.pool), rank=rank)
        return TinyBatch(cells, draw_sentences(np.random.default_rng([seed, 1, step])))

    def loss(self, forward: Callable[..., tuple[Tensor, ...]], batch: TinyBatch) -> Tensor:
        """Mean of the contrasts with sentences and with free vectors, and how far the two lie apart."""
        cells, sentences = batch.cells, batch.sentences
        tokens = self.tokenize([*sentences.shifts, *sentences.statements]).to(cells.composites.device)
        seen, words, meanings, scale = forward(cells.composites, tokens)
        vectors = meanings[sentences.meaning_numbers]
        contrasts = [contrast(scale * seen @ texts.T, batch) for texts in (words, vectors)]
        apart: Tensor = 1 - (words * vectors.detach()).sum(-1)
        return torch.stack(contrasts).mean() + apart.mean()

    def measure(self, network: nn.Module) -> dict[str, Any]:
        """Nothing on the way: `ldp evaluate maps` measures what is exported."""
        return {}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """None: there is nothing to look at in a sentence."""

    def describe(self) -> dict[str, Any]:
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.cells.model_dump(mode="json"),
            "begin": self.begin,
            "patches": self.pool.origin,
        }


def contrast(logits: Tensor, batch: TinyBatch) -> Tensor:
    """Cross entropy of the shifts and of each statement; logits (n, m) of n cells and m sentences."""
    cells, sentences = batch.cells, batch.sentences
    shifts, statements = logits.tensor_split([len(sentences.shifts)], dim=1)
    missed = -(shift_weights(cells.disparity_px) * shifts.log_softmax(-1)).sum(-1)
    truth = sentences.log_odds(cells.disparity_px, cells.coc_px).sigmoid()
    return missed.mean() + F.binary_cross_entropy_with_logits(statements, truth)


def model_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The towers' tensors in a checkpoint, without the free vectors."""
    held: Mapping[str, Tensor] = state["network"]
    return {name.removeprefix(_MODEL): x for name, x in held.items() if name.startswith(_MODEL)}
