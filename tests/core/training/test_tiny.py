"""LDP-tiny as it is shipped: what its file says, and what it sees."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ldp_core.blur import make_estimator
from ldp_core.blur.clip import blur_views
from ldp_core.blur.clip_model import open_clip
from ldp_core.blur.clip_settings import RELEASED_PROMPT, ClipCard
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.scenes import SceneKind, make_scene
from ldp_core.types import FloatMap, Pair
from ldp_core.weights import SHIPPED, open_weights

FILE = Path(SHIPPED["ldp-tiny"].url)
COCS_PX = (-20.0, -8.0, 0.0, 8.0, 20.0)


@pytest.fixture(scope="module")
def card() -> ClipCard:
    return ClipCard.model_validate(json.loads(open_weights("ldp-tiny").metadata["clip"]))


@pytest.fixture(scope="module")
def flat_pairs() -> list[Pair]:
    """One textured plane at five circles of confusion."""
    picture = make_scene(3, size=(120, 160), kind=SceneKind.LEAVES).sharp
    pairs = []
    for coc_px in COCS_PX:
        views = blur_views(picture, DEFAULT_KERNEL, coc_px)
        left, right = ((view.permute(1, 2, 0) * 255).round().byte().numpy() for view in views)
        pairs.append(Pair(f"flat/{coc_px:g}", left, right))
    return pairs


def estimate(pairs: list[Pair], mode: str, **settings: bool) -> list[FloatMap]:
    estimator = make_estimator("clip", {"mode": mode, **settings})
    return [estimator.estimate(pair).values for pair in pairs]


def test_the_file_is_the_one_its_card_describes() -> None:
    content = FILE.read_bytes()
    described = json.loads(FILE.with_suffix(".json").read_text())
    assert len(content) <= 8 * 2**20
    assert hashlib.sha256(content).hexdigest() == SHIPPED["ldp-tiny"].sha256 == described["sha256"]
    weights = open_weights("ldp-tiny")
    assert sum(tensor.numel() for tensor in weights.tensors.values()) == described["parameters"]
    assert json.loads(weights.metadata["clip"])["model_cfg"] == described["network"]
    assert described["scores"]


def test_weights_are_half_precision_and_finite() -> None:
    for tensor in open_weights("ldp-tiny").tensors.values():
        assert tensor.dtype is torch.float16
        assert tensor.isfinite().all()


def test_no_sentence_is_longer_than_the_context(card: ClipCard) -> None:
    assert card.signed is not None
    assert card.ensemble is not None
    singles = [p for p in card.ensemble.prompts if isinstance(p, str)]
    pairs = [sentence for p in card.ensemble.prompts if not isinstance(p, str) for sentence in p]
    tokens = open_clip().SimpleTokenizer(context_length=77)([*card.signed.prompts, *singles, *pairs])
    assert int((tokens > 0).sum(1).max()) <= card.model_cfg["text_cfg"]["context_length"]
    assert {limits.prompt for limits in card.thresholds} == set(singles)
    assert RELEASED_PROMPT in singles


def test_a_signed_map_has_sign_and_order(flat_pairs: list[Pair]) -> None:
    medians = [float(np.median(values)) for values in estimate(flat_pairs, "signed", spread=False)]
    assert medians == sorted(medians)
    assert medians[2] == pytest.approx(0, abs=1.5)
    for found, coc_px in zip(medians, COCS_PX, strict=True):
        assert found == pytest.approx(coc_px, abs=4)


def test_a_signed_map_that_is_spread_has_sign_and_order(flat_pairs: list[Pair]) -> None:
    """Its surest cells see strong blur as stronger: up to 30 % at 20 px (infra/measurements.md)."""
    medians = [float(np.median(values)) for values in estimate(flat_pairs, "signed")]
    assert medians == sorted(medians)
    for found, coc_px in zip(medians, COCS_PX, strict=True):
        assert found == pytest.approx(coc_px, rel=0.3, abs=1.5)


@pytest.mark.parametrize("mode", ["similarity", "ensemble"])
def test_an_unsigned_map_rises_with_blur_on_either_side(flat_pairs: list[Pair], mode: str) -> None:
    near, nearer, sharp, farther, far = (float(values.mean()) for values in estimate(flat_pairs, mode))
    assert sharp < 0.2
    assert sharp + 0.1 < min(nearer, farther)
    assert nearer < near
    assert farther < far
    assert min(near, far) > 0.6


def test_views_that_change_places_change_the_sign(flat_pairs: list[Pair]) -> None:
    pair = flat_pairs[3]
    swapped = Pair(pair.id, pair.right, pair.left)
    (as_is,), (turned,) = (estimate([p], "signed") for p in (pair, swapped))
    assert np.median(as_is) * np.median(turned) < 0
