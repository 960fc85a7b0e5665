"""A map seen in one picture is compared, in the pipeline, with the one measured between the views."""

from __future__ import annotations

from pathlib import Path

import torch
from network_samples import write_network

from ldp_core.archive import Archive
from ldp_core.blur.dd_network import LIGHT, DdNetwork
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurMapKind
from tasks.items import ItemResult, ingest_item, restore_item
from tasks.pipeline import make_config, pipeline_of
from tasks.stage import ItemTraits


def test_a_probability_is_compared_with_the_measured_map(tmp_path: Path) -> None:
    pair = simulate_pair(3, SimulationSettings(height=64, width=96))
    for view, pixels in pair.views.items():
        (tmp_path / "set" / view).mkdir(parents=True)
        (tmp_path / "set" / view / "a.png").write_bytes(encode_image(pixels, "png"))
    [item] = read_catalogue(str(tmp_path / "set"), layout="folders").items
    torch.manual_seed(0)
    weights = write_network(tmp_path, DdNetwork(LIGHT), LIGHT)
    config = make_config(
        str(tmp_path / "archive"),
        estimator=("depth-distilled", weights),
        deblurrer=("gated", {"method": "bdir"}),
    )
    assert isinstance(ingest_item(config, item), ItemResult)
    outcome = restore_item(config, item)
    assert isinstance(outcome, ItemResult), outcome
    found = Archive(config.archive).read_blur_map(pipeline_of(config, ItemTraits()).keys["blur"], item.id)
    assert found.kind is BlurMapKind.IN_FOCUS_PROBABILITY
    scores = {score.metric: score.value for score in outcome.scores if score.subject == "blur_map"}
    assert 0 <= scores["agreement_auc"] <= 1
    assert 0 <= scores["disagreement"] <= 1


def test_only_probabilities_of_pairs_have_it_in_their_keys(tmp_path: Path) -> None:
    measured = make_config(str(tmp_path), estimator=("disparity", {}), deblurrer=("wiener", {}))
    seen = make_config(str(tmp_path), estimator=("depth-distilled", {}), deblurrer=("bdir", {}))
    for config, views, compared in ((measured, 2, False), (seen, 2, True), (seen, 1, False)):
        settings = pipeline_of(config, ItemTraits(views))["score"].spec.settings
        assert ("measured_map" in settings) is compared
