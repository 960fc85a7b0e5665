"""The trainer of LDP-tiny: cells against sentences, with checkpoints that resume exactly.

Two contrasts are made. A ladder of sentences, one for each number of pixels, competes for every cell
under a softmax; the truth is shared by the two nearest, so the mean shift under the softmax estimates
the disparity. Every other statement is a yes or no with a known log-odds (a sigmoid, as in SigLIP).
Both are also asked of one free vector per meaning, to which sentences of that meaning are drawn: the
image tower learns before the words do. The free vectors are not part of the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.clip_network import open_clip
from ldp_core.training.fit import Schedule, Step, learning_rate
from ldp_core.training.tiny.cells import Cells
from ldp_core.training.tiny.model import CONTEXT_LENGTH, TinySettings, build_model, standardise
from ldp_core.training.tiny.sentences import SHIFTS_PX, STATEMENTS, Said, draw_sentences, weigh_ladder


class TinyFitSettings(Schedule):
    """How to train."""

    steps: int = Field(default=5_200, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    """At 1e-3 the image tower had learned nothing after 500 steps."""
    weight_decay: float = Field(default=0.02, ge=0)
    largest_gradient: float = Field(default=1.0, gt=0)
    seed: int = 0


class TinyTrainer:
    """Both towers in training; `state` and `restore` carry them across processes."""

    def __init__(self, model: TinySettings, fit: TinyFitSettings, *, device: str = "cpu") -> None:
        self.settings, self.fit, self.device, self.step = model, fit, device, 0
        self.model = build_model(model, seed=fit.seed).to(device)
        generator = torch.Generator().manual_seed(fit.seed)
        meanings = torch.randn(len(SHIFTS_PX) + len(STATEMENTS), model.embed_dim, generator=generator)
        self.meanings = nn.Parameter(meanings.to(device))
        self.tokenize = open_clip().SimpleTokenizer(context_length=CONTEXT_LENGTH)
        self.optimiser = torch.optim.AdamW(
            [*self.model.parameters(), self.meanings],
            lr=fit.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=fit.weight_decay,
        )

    def run(self, draw: Callable[[int], Cells], *, until: float = math.inf) -> Iterator[Step]:
        """Train to the last step or to a moment on `time.monotonic`, and yield every step taken."""
        while self.step < self.fit.steps and time.monotonic() < until:
            began = time.monotonic()
            rate = learning_rate(self.fit, self.step)
            said = draw_sentences(np.random.default_rng([self.fit.seed, 1, self.step]))
            loss = self._advance(draw(self.step), said, rate=rate)
            self.step += 1
            yield Step(self.step, loss, rate, time.monotonic() - began)

    def _advance(self, cells: Cells, said: Said, *, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        loss = self.loss(cells, said)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_([*self.model.parameters(), self.meanings], self.fit.largest_gradient)
        self.optimiser.step()
        return float(loss.detach())

    def loss(self, cells: Cells, said: Said) -> Tensor:
        """Mean of the contrasts with sentences and with free vectors, and how far the two lie apart."""
        seen = self.model.encode_image(standardise(cells.composites.to(self.device)), normalize=True)
        tokens = self.tokenize([*said.ladder, *said.statements]).to(self.device)
        words = self.model.encode_text(tokens, normalize=True)
        vectors = F.normalize(self.meanings, dim=-1)[said.meaning_numbers]
        asked = [self._contrast(seen, texts, cells, said) for texts in (words, vectors)]
        apart: Tensor = 1 - (words * vectors.detach()).sum(-1)
        return torch.stack(asked).mean() + apart.mean()

    def _contrast(self, seen: Tensor, texts: Tensor, cells: Cells, said: Said) -> Tensor:
        logits: Tensor = self.model.logit_scale.exp() * seen @ texts.T
        ladder, statements = logits[:, : len(said.ladder)], logits[:, len(said.ladder) :]
        disparity, coc = cells.disparity_px.to(self.device), cells.coc_px.to(self.device)
        shifts: Tensor = -(weigh_ladder(disparity) * ladder.log_softmax(-1)).sum(-1)
        truth = said.judge(disparity, coc).sigmoid()
        return shifts.mean() + F.binary_cross_entropy_with_logits(statements, truth)

    def state(self) -> dict[str, Any]:
        """All that resuming needs, as plain values and tensors."""
        return {
            "model_settings": self.settings.model_dump(mode="json"),
            "fit_settings": self.fit.model_dump(mode="json"),
            "step": self.step,
            "model": self.model.state_dict(),
            "meanings": self.meanings.detach(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the trainer must have been made with the same model settings."""
        self.model.load_state_dict(state["model"])
        with torch.no_grad():
            self.meanings.copy_(state["meanings"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
