"""Weights files: which are read, and which are refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from ldp_core.errors import WeightsError
from ldp_core.weights import SHIPPED, digest_of, open_weights, pack_weights, read_weights

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(4, dtype=torch.float16)}


@pytest.fixture
def packed() -> bytes:
    return pack_weights(TENSORS, metadata={"network": "{}", "note": "x"})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_weights_come_back_with_their_metadata(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(packed)
    weights = open_weights(str(path), sha256=sha256(packed))
    assert weights.metadata == {"network": "{}", "note": "x"}
    assert weights.sha256 == sha256(packed)
    for name, tensor in TENSORS.items():
        torch.testing.assert_close(weights.tensors[name], tensor, rtol=0, atol=0)


def test_equal_weights_give_equal_files(packed: bytes) -> None:
    again = dict(reversed(TENSORS.items()))
    assert pack_weights(again, metadata={"note": "x", "network": "{}"}) == packed


@pytest.mark.parametrize("position", [0, 20, -1])
def test_an_altered_file_is_refused(tmp_path: Path, packed: bytes, position: int) -> None:
    altered = bytearray(packed)
    altered[position] ^= 1
    path = tmp_path / "w.safetensors"
    path.write_bytes(bytes(altered))
    with pytest.raises(WeightsError, match="not the ones asked for"):
        read_weights(str(path), sha256=sha256(packed))


def test_a_file_without_a_digest_is_refused_with_the_digest_it_has(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(packed)
    with pytest.raises(WeightsError, match=sha256(packed)):
        open_weights(str(path))


@pytest.mark.parametrize("content", [b"", b"abc", pickle.dumps({"a": 1}), b"\xff" * 64])
def test_what_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_weights(str(path), sha256=sha256(content))


def test_absent_weights_tell_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights at this address"):
        open_weights(str(tmp_path / "none.safetensors"), sha256="0" * 64)
    with pytest.raises(WeightsError, match="train them"):
        open_weights("no-such-model")


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_weights_are_whole_small_and_carry_a_card(name: str) -> None:
    weights = open_weights(name)
    assert weights.sha256 == digest_of(name) == SHIPPED[name].sha256
    path = Path(SHIPPED[name].url)
    assert path.stat().st_size <= 16 * 2**20
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == weights.sha256
    assert {"commands", "licence", "seed", "scores", "sources", "not_trained_on"} <= card.keys()
