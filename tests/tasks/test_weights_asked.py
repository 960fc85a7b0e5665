"""Weights at an address are looked at before a run begins: else every item would fail alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_samples import make_dataset

from ldp_core.errors import WeightsError
from ldp_core.weights import SHIPPED
from tasks.pipeline import make_config
from tasks.plan import make_checked_plan

TINY = SHIPPED["ldp-tiny"]


def _plan(folder: Path, weights: str, sha256: str) -> int:
    source = folder / "dataset"
    if not source.exists():
        make_dataset(source, 1)
    settings = {"weights": weights, "sha256": sha256}
    config = make_config(str(folder / "archive"), estimator=("disparity", {}), deblurrer=("ldp", settings))
    return len(make_checked_plan(config, str(source), "folders", None).to_do)


def test_weights_that_are_not_there_are_named_at_once(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="no weights at this address") as caught:
        _plan(tmp_path, missing, "0" * 64)
    assert caught.value.where == missing
    assert not (tmp_path / "archive").exists()


def test_other_weights_than_asked_for_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not the ones asked for"):
        _plan(tmp_path, TINY.url, "0" * 64)


def test_the_right_file_and_shipped_names_pass(tmp_path: Path) -> None:
    assert _plan(tmp_path, TINY.url, TINY.sha256) == 1
    assert _plan(tmp_path, "ldp-tiny", "") == 1
