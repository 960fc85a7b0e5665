"""What is particular to training LDP-tiny: cells against sentences.

Two contrasts are made. A ladder of sentences, one for each number of pixels, competes for every cell
under a softmax; the truth is shared by the two nearest, so the mean shift under the softmax estimates
the disparity. Every other statement is a yes or no with a known log-odds (a sigmoid, as in SigLIP).
Both are also asked of one free vector per meaning, to which sentences of that meaning are drawn: the
image tower learns before the words do. The free vectors are not part of the model.
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
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.clip_model import open_clip
from ldp_core.training.tiny.cells import Cells, CellSettings, draw_cells
from ldp_core.training.tiny.model import CONTEXT_LENGTH, TinySettings, build_model, standardise
from ldp_core.training.tiny.pool import PatchPool
from ldp_core.training.tiny.sentences import SHIFTS_PX, STATEMENTS, Said, draw_sentences, weigh_ladder
from ldp_core.training.trainer import FitSettings

_MODEL = "model."


class TinyFitSettings(FitSettings):
    """How to train."""

    steps: int = Field(default=5_200, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    """At 1e-3 the image tower had learned nothing after 500 steps."""
    weight_decay: float = Field(default=0.02, ge=0)
    second_beta: float = Field(default=0.98, gt=0, lt=1)
    average_decay: float = Field(default=0.0, ge=0, lt=1)
    """What is shipped is not averaged."""


class Towers(nn.Module):
    """Both towers, and one free vector per meaning, which is not part of the model."""

    def __init__(self, settings: TinySettings, *, seed: int) -> None:
        super().__init__()
        self.model = build_model(settings, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        count = len(SHIFTS_PX) + len(STATEMENTS)
        self.meanings = nn.Parameter(torch.randn(count, settings.embed_dim, generator=generator))

    def forward(self, composites: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors of what is seen (n, d) and of what is said (m, d)."""
        seen = self.model.encode_image(standardise(composites), normalize=True)
        return seen, self.model.encode_text(tokens, normalize=True)


@dataclass(frozen=True)
class TinyBatch:
    """Cells, and the sentences that are said of them."""

    cells: Cells
    said: Said

    def to(self, device: str) -> TinyBatch:
        cells = self.cells
        placed = (x.to(device) for x in (cells.composites, cells.disparity_px, cells.coc_px))
        return TinyBatch(Cells(*placed), self.said)


@dataclass(frozen=True)
class TinyCourse:
    """Patches, and the towers that learn to read them."""

    settings: TinySettings
    fit: TinyFitSettings
    pool: PatchPool
    cells: CellSettings

    relative_rates: ClassVar[Mapping[str, float]] = {}

    @cached_property
    def network(self) -> Towers:
        return Towers(self.settings, seed=self.fit.seed)

    @cached_property
    def tokenize(self) -> Callable[[list[str]], Tensor]:
        tokenizer: Callable[[list[str]], Tensor] = open_clip().SimpleTokenizer(context_length=CONTEXT_LENGTH)
        return tokenizer

    def draw(self, step: int, *, rank: int) -> TinyBatch:
        """The cells and sentences of one step; processes of a team see the same."""
        seed = self.fit.seed
        cells = draw_cells(self.pool, self.cells, seed=seed, step=step, patches=len(self.pool))
        return TinyBatch(cells, draw_sentences(np.random.default_rng([seed, 1, step])))

    def loss(self, forward: Callable[..., tuple[Tensor, Tensor]], batch: TinyBatch) -> Tensor:
        """Mean of the contrasts with sentences and with free vectors, and how far the two lie apart."""
        cells, said = batch.cells, batch.said
        tokens = self.tokenize([*said.ladder, *said.statements]).to(cells.composites.device)
        seen, words = forward(cells.composites, tokens)
        vectors = F.normalize(self.network.meanings, dim=-1)[said.meaning_numbers]
        asked = [self._contrast(seen, texts, cells, said) for texts in (words, vectors)]
        apart: Tensor = 1 - (words * vectors.detach()).sum(-1)
        return torch.stack(asked).mean() + apart.mean()

    def _contrast(self, seen: Tensor, texts: Tensor, cells: Cells, said: Said) -> Tensor:
        logits: Tensor = self.network.model.logit_scale.exp() * seen @ texts.T
        ladder, statements = logits[:, : len(said.ladder)], logits[:, len(said.ladder) :]
        shifts: Tensor = -(weigh_ladder(cells.disparity_px) * ladder.log_softmax(-1)).sum(-1)
        truth = said.judge(cells.disparity_px, cells.coc_px).sigmoid()
        return shifts.mean() + F.binary_cross_entropy_with_logits(statements, truth)

    def measure(self, network: nn.Module) -> dict[str, Any]:
        """Nothing on the way: `ldp evaluate maps` measures what is exported."""
        return {}

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """None: there is nothing to look at in a sentence."""

    def describe(self) -> dict[str, Any]:
        return {"model_settings": self.settings.model_dump(mode="json")}


def model_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The towers' tensors in a checkpoint, without the free vectors."""
    held: Mapping[str, Tensor] = state["network"]
    return {name.removeprefix(_MODEL): x for name, x in held.items() if name.startswith(_MODEL)}
